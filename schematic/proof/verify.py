"""`schematic verify`: what must hold of a user's graph and of its program, on random finite models of the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from schematic.calculus.tables import UNITS
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.model import AnyModel, Model
from schematic.proof.claims import (
    Case,
    Claim,
    Subject,
    degenerate_terms_are_constant,
    equation_14,
    lemma_1,
    second_reading_agrees,
    section_b_corrected,
    section_b_printed,
    steps_keep_their_value,
    unreached_terms_pass_no_gradient,
)
from schematic.proof.finite import (
    count,
    finite,
    kinds_kept,
    random_sizes,
    random_tables,
    surrogate,
    tied,
    uniform_priors,
    union,
    with_units,
)
from schematic.proof.shrink import Counterexample, counterexample, shrunk
from schematic.proof.theorems import (
    active_adversary,
    equation_16_corrected,
    equation_16_printed,
    importance_order,
    lemma_2,
    moves_keep_their_laws,
)

TOLERANCE = 1e-10
CONFIGURATIONS = 3000  # of a finite model's variables: enumeration stays under about a second a model
PROGRAMS = 6  # of the models, at most, that are emitted and run

CLAIMS: tuple[Claim[Case], ...] = (
    Claim("each derivation step changes value and gradient by what it drops", "calculus", steps_keep_their_value),
    Claim("what no parameter of the groups reaches has no gradient", "calculus", unreached_terms_pass_no_gradient),
    Claim("degenerate terms are constant", "sections 3.2.2, 3.3", degenerate_terms_are_constant, "assumed"),
    Claim("the objectives are what a second reading of the arrows gives", "semantics", second_reading_agrees),
    Claim("Lemma 1, for any discriminator", "Eq. 10", lemma_1),
    Claim("Lemma 1 at the optimal discriminator", "Eq. 14", equation_14),
    Claim("InfoGAN's form of Lemma 1, as printed", "Eq. 16", equation_16_printed, "fails"),
    Claim("InfoGAN's form of Lemma 1, less E I(x; z | y)", "Eq. 16, corrected", equation_16_corrected),
    Claim("the JSD is bounded by the KL, as printed", "Eq. 30", section_b_printed, "fails"),
    Claim("the JSD is bounded by the KL less E log Z(y)", "Eq. 30, corrected", section_b_corrected),
    Claim("Lemma 2: half the evidence lower bound on data", "Eq. 19", lemma_2),
    Claim("the active adversary at its optimum is the perfect one", "Eqs. 13, 23", active_adversary),
    Claim("importance weighting: L_1 <= L_2 <= L_3 <= log p(x)", "Burda et al. 2015", importance_order),
    Claim("swaps are involutions and commute", "section 3.3", moves_keep_their_laws),
)

Verdict = Literal["holds", "fails", "fails as known", "not refuted here", "assumed"]


@dataclass(frozen=True)
class Finding:
    """One row: over `models` random finite models the worst error, and the smallest model found where the claim
    fails."""

    claim: str
    equation: str
    verdict: Verdict
    error: float
    models: int
    counterexample: Counterexample | None = None

    @property
    def wrong(self) -> bool:
        """A claim that must hold does not."""
        return self.verdict == "fails"


def verify(model: AnyModel, *, models: int = 20, seed: int = 0) -> Iterator[Finding]:
    """Every claim that speaks of the graph, on `models` random finite models of it, the mathematics first; claims
    that do not apply are left out. A sum's mathematics is that of its terms, its program its own. Imports torch when
    it comes to the program.

    Raises SchematicError if the graph has no objectives.
    """
    graphs = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    report = Report()
    objectives(model, report)
    report.check()
    cases = tuple(case for m in graphs for case in random_cases(m, models, seed))
    pairs = tuple((case, case) for case in cases)

    def other(case: Case, sizes: dict[str, int], i: int) -> Case:
        return random_case(case.model, sizes, np.random.default_rng((0, i)))

    for claim in CLAIMS:
        yield from finding(claim, pairs, lambda case: case, other)
    from schematic.proof.programs import PROGRAM_CLAIMS, compiled

    def another(case: Case, sizes: dict[str, int], i: int) -> Case:
        kinds = any(v.type.kind not in ("category", "domain") for v in case.model.variables)
        return program_case(model, sizes, np.random.default_rng((0, i)), kinds)

    small = tuple(program_cases(model, min(models, PROGRAMS), seed))
    programs = tuple((case, compiled(case)) for case in small)
    for about in PROGRAM_CLAIMS:
        yield from finding(about, programs, compiled, another)


def finding(
    claim: Claim[Subject],
    subjects: tuple[tuple[Case, Subject | None], ...],
    make: Callable[[Case], Subject | None],
    other: Callable[[Case, dict[str, int], int], Case],
) -> Iterator[Finding]:
    """The row of a claim, if it applies to any of the cases; `make` gives what the claim is about from a case, `other`
    a random case of other sizes."""

    def broken(case: Case) -> float | None:
        subject = make(case)
        error = claim.check(subject) if subject is not None else None
        return error if error is not None and not error <= TOLERANCE else None

    errors = [(case, e) for case, subject in subjects if subject is not None if (e := claim.check(subject)) is not None]
    if not errors:
        return
    worst, failed = max(e for _, e in errors), [(case, e) for case, e in errors if not e <= TOLERANCE]
    smallest = None
    if failed:
        case = shrunk(max(failed, key=lambda f: f[1])[0], broken, other)
        smallest = counterexample(case, broken(case) or worst)
    verdicts: dict[str, tuple[Verdict, Verdict]] = {
        "holds": ("fails", "holds"),
        "fails": ("fails as known", "not refuted here"),
        "assumed": ("assumed", "holds"),
    }
    verdict = verdicts[claim.expect][0 if failed else 1]
    yield Finding(claim.name, claim.equation, verdict, worst, len(errors), smallest)


# --- cases ----------------------------------------------------------------------------------------------------------


def random_cases(model: Model, count: int, seed: int) -> Iterator[Case]:
    """Random finite models of the graph; sizes shrink until the configurations can be enumerated."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        sizes = random_sizes(model, rng, most=4 if i % 2 else 3)
        yield random_case(model, _fitting(model, sizes, CONFIGURATIONS), rng)


def program_cases(model: AnyModel, count: int, seed: int) -> Iterator[Case]:
    """The same with two or three values a variable, and uniform priors, which are what a program draws from; every
    other one keeps bits and numbers in [0, 1] as they are."""
    whole = union(model)
    for i in range(count):
        rng = np.random.default_rng((seed, i, 1))
        sizes = _fitting(whole, random_sizes(whole, rng), CONFIGURATIONS // 30)
        yield program_case(model, sizes, rng, bool(i % 2))


def program_case(model: AnyModel, sizes: dict[str, int], rng: np.random.Generator, kinds: bool) -> Case:
    """A random finite model to be compiled; `kinds`: bits and numbers in [0, 1] stay what they are."""
    whole = union(model)
    sizes = tied(whole, sizes)
    if kinds:
        kept = kinds_kept(whole, sizes)
        sizes = {v.name: count(v.type) for v in kept.variables}
    scale = float(rng.choice((0.5, 1.0, 3.0)))
    tables = uniform_priors(random_tables(finite(whole, sizes), sizes, rng, scale=scale))

    def small(m: Model) -> Model:
        return surrogate((kinds_kept if kinds else finite)(m, sizes, with_units(whole)), m)

    if isinstance(model, Model):
        return Case(small(model), sizes, tables, ())
    total = replace(model, terms=tuple((c, small(m)) for c, m in model.terms))
    return Case(small(whole), sizes, tables, (), total)


def random_case(model: Model, sizes: dict[str, int], rng: np.random.Generator) -> Case:
    sizes = tied(model, sizes)
    small = finite(model, sizes)
    tables = random_tables(small, sizes, rng, scale=float(rng.choice((0.5, 1.0, 3.0))))
    return Case(small, sizes, tables, objectives(small, Report()))


def _fitting(model: Model, sizes: dict[str, int], most: int) -> dict[str, int]:
    """Sizes with no more configurations than `most`, if two values each allow it."""
    names, arrays = [v.name for v in model.variables if v.type.kind != "domain"], with_units(model)
    found = dict(sizes)
    while math.prod(found.values()) > most and (widest := max(names, key=lambda v: found[v])) and found[widest] > 2:
        smaller = [n for n in UNITS if n < found[widest]] if widest in arrays else []
        found[widest] = max(smaller, default=found[widest] - 1)
    return found

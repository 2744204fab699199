"""`schematic verify`: the claims of the theory on a user's own graph, over many random finite models of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.model import Model
from schematic.proof.claims import (
    Case,
    Claim,
    dropped_terms_pass_no_gradient,
    equation_14,
    lemma_1,
    second_reading_agrees,
    section_b_corrected,
    section_b_printed,
    steps_keep_their_value,
)
from schematic.proof.finite import finite, random_sizes, random_tables
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

CLAIMS: tuple[Claim, ...] = (
    Claim("each derivation step changes value and gradient by what it drops", "calculus", steps_keep_their_value),
    Claim("what is dropped passes no gradient to the groups", "calculus", dropped_terms_pass_no_gradient),
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

Verdict = Literal["holds", "fails", "fails as known", "not refuted here"]


@dataclass(frozen=True)
class Finding:
    """One row: over `models` random finite models the worst error, and the smallest model where it occurred."""

    claim: str
    equation: str
    verdict: Verdict
    error: float
    models: int
    counterexample: str = ""

    @property
    def wrong(self) -> bool:
        """A claim that must hold does not."""
        return self.verdict == "fails"


def verify(model: Model, *, models: int = 20, seed: int = 0) -> tuple[Finding, ...]:
    """Every claim that speaks of the graph, on `models` random finite models of it; claims that do not apply are
    left out. Raises SchematicError if the graph has no objectives."""
    report = Report()
    objectives(model, report)
    report.check()
    cases = tuple(random_cases(model, models, seed))
    return tuple(f for claim in CLAIMS if (f := _finding(claim, cases)) is not None)


def random_cases(model: Model, count: int, seed: int) -> Iterator[tuple[int, Case]]:
    """(its seed, a random finite model of the graph); sizes shrink until the configurations can be enumerated."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        sizes = random_sizes(model, rng, most=4 if i % 2 else 3)
        while math.prod(sizes.values()) > CONFIGURATIONS and max(sizes[v] for v in _finite(model)) > 2:
            widest = max(_finite(model), key=lambda v: sizes[v])
            sizes[widest] -= 1
        small = finite(model, sizes)
        tables = random_tables(small, sizes, rng, scale=float(rng.choice((0.5, 1.0, 3.0))))
        yield i, Case(small, sizes, tables, objectives(small, Report()))


def _finite(model: Model) -> list[str]:
    return [v.name for v in model.variables if v.type.kind != "domain"]


def _finding(claim: Claim, cases: tuple[tuple[int, Case], ...]) -> Finding | None:
    errors = [(i, case, e) for i, case in cases if (e := claim.check(case)) is not None]
    if not errors:
        return None
    worst = max(e for _, _, e in errors)
    broken = [(math.prod(case.sizes.values()), -e, i, case) for i, case, e in errors if not e <= TOLERANCE]
    smallest = min(broken, key=lambda b: b[:2]) if broken else None
    if claim.expect == "fails":
        verdict: Verdict = "fails as known" if broken else "not refuted here"
    else:
        verdict = "fails" if broken else "holds"
    text = _described(smallest[2], smallest[3], -smallest[1]) if smallest else ""
    return Finding(claim.name, claim.equation, verdict, worst, len(errors), text)


def _described(i: int, case: Case, error: float) -> str:
    sizes = ", ".join(f"{name} has {size} values" for name, size in case.sizes.items())
    return f"model {i}: {sizes}; error {error:.2e}"

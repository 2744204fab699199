"""What must hold for a user's own graph, as functions of one random finite model of it: claim -> worst error.

Each claim knows when it speaks of a graph (it answers None where it does not) and says what it compares. Gradients
are exact, by complex step; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from schematic.calculus.exact import distribution, evaluate, gradient, gradient_of
from schematic.calculus.measures import evidence, jsd, kl, mixture, optimal_discriminator, posterior, reverse
from schematic.calculus.tables import Tables
from schematic.calculus.terms import Add, Density, Expect, Log, Objective, Term, Where, densities
from schematic.graph.model import Factor, Model, Sum
from schematic.proof.second_reading import SecondReading

Array = np.ndarray[Any, Any]
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Case:
    """A finite model of the user's graph, its tables, and what was derived from it; of a sum `total`, the model is the
    union of the terms, and nothing is derived."""

    model: Model
    sizes: dict[str, int]
    tables: Tables
    objectives: tuple[Objective, ...]
    total: Sum | None = None

    def moved(self, o: Objective) -> tuple[str, ...]:
        """The factors that an objective's groups train."""
        return tuple(f.name for f in self.model.factors if f.group in o.groups and not f.fixed and not f.perfect)

    @property
    def blue(self) -> tuple[Factor, ...]:
        """What tells domains apart; wake-sleep has none."""
        return tuple(f for f in self.model.factors if f.adversarial and not f.each and not self.model.wake_sleep)

    @property
    def others(self) -> Objective | None:
        """The objective of the groups that do not judge."""
        blue = (f for f in self.model.factors if f.adversarial and not self.model.wake_sleep)
        judges = {f.group for f in blue if not f.perfect and not f.fixed}
        return next((o for o in self.objectives if not judges & set(o.groups)), None)


@dataclass(frozen=True)
class Claim(Generic[Subject]):
    """One line of `schematic verify`, about a finite model or its program: the error, None where it does not apply.

    `expect` fails: the paper's form is wrong, and a counterexample is looked for; assumed: the derivation assumes it
    and says so, exact or not.
    """

    name: str
    equation: str
    check: Callable[[Subject], float | None]
    expect: Literal["holds", "fails", "assumed"] = "holds"


Gradient = dict[str, Array]


def apart(ours: Gradient, theirs: Gradient) -> float:
    """The largest difference between two gradients."""
    return max((float(np.abs(ours[f] - theirs[f]).max()) for f in theirs), default=0.0)


# --- the derivation ---------------------------------------------------------------------------------------------


def steps_keep_their_value(case: Case) -> float | None:
    """Each step changes the value, and the gradient of every group, by exactly what it says it drops."""
    worst = 0.0
    for o in case.objectives:
        factors, before = case.moved(o), o.derivation.start
        for step in o.derivation.steps:
            dropped = [*step.dropped, step.after]
            values = [evaluate(t, case.tables) for t in dropped]
            worst = max(worst, abs(evaluate(before, case.tables) - sum(values)))
            parts = [gradient(t, case.tables, factors) for t in dropped]
            whole = {f: np.sum([p[f] for p in parts], axis=0) for f in factors}
            worst = max(worst, apart(gradient(before, case.tables, factors), whole))
            before = step.after
    return worst


def unreached_terms_pass_no_gradient(case: Case) -> float | None:
    """What is dropped because no parameter of the groups reaches it has no gradient in them."""
    return _dropped(case, "unreached")


def degenerate_terms_are_constant(case: Case) -> float | None:
    """What is dropped because it is degenerate has no gradient. It has one where its sample has."""
    return _dropped(case, "degenerate")


def _dropped(case: Case, rule: str) -> float | None:
    errors = []
    for o in case.objectives:
        zero = {f: np.zeros(case.tables.factors[f].array.shape) for f in case.moved(o)}
        dropped = (t for step in o.derivation.steps if step.rule == rule for t in step.dropped)
        errors += [apart(gradient(t, case.tables, zero), zero) for t in dropped]
    return max(errors, default=None)


def second_reading_agrees(case: Case) -> float | None:
    """The derived objective has the gradient that a second reading of the graph, by enumeration, finds."""
    worst = 0.0
    for o in case.objectives:

        def value(moved: Tables, o: Objective = o) -> Any:
            return SecondReading(case.model, moved, case.tables, case.sizes).objective(o.groups)

        for name in case.moved(o):
            theirs = by_loops(value, case.tables, name)
            worst = max(worst, apart(gradient(o.term, case.tables, (name,)), {name: theirs}))
    return worst


def by_loops(value: Callable[[Tables], Any], tables: Tables, name: str) -> Array:
    """A complex step a parameter; the second reading knows no batches."""
    array = tables.factors[name].array
    found = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        turned = array.astype(complex)
        turned[place] *= np.exp(1e-30j)
        turned = turned / turned.sum(axis=-1, keepdims=True)
        found[place] = np.imag(value(tables.updated(name, turned))) / 1e-30
    return found


# --- Lemma 1 and what surrounds it (reading 2) --------------------------------------------------------------------


@dataclass(frozen=True)
class Game:
    """The adversarial part of an objective on the generative side: p_theta(x | y) by cases, and b(y | x)."""

    drawn: Density
    term: Term
    b: Density
    factors: tuple[str, ...]

    def parts(self, tables: Tables, at0: Tables) -> Array:
        """p_theta(x | y): axes (batch, y, x), the compared variables flattened into one."""
        found = distribution(self.drawn, tables, at0)
        lead = found.ndim - 1 - len(self.drawn.targets)
        return found.reshape((*found.shape[: lead + 1], -1))

    def judge(self, tables: Tables) -> Array:
        """b(y | x) with x flattened: (x, y)."""
        array = distribution(replace(self.b, given=self.drawn.targets, reverse=False), tables)
        return np.asarray(array.reshape(-1, array.shape[-1]))


def game(case: Case) -> Game | None:
    """There is one adversary on the generative side, with the paper's divergence at temperature 1, and its sources are
    what the cases show."""
    o = case.others
    if o is None or len(case.blue) != 1 or case.blue[0].process != "generative" or case.blue[0].temperature != 1.0:
        return None
    if case.blue[0].divergence.name != "nonsaturating":
        return None
    match o.derivation.start:
        case Expect((domain, Density(kind="cases") as drawn), body):
            plain = [t for t in (body.terms if isinstance(body, Add) else (body,)) if not isinstance(t, Expect | Where)]
            b = next((d for t in plain for d in densities(t) if d.kind == "blue" and not d.each), None)
            if b is not None and set(drawn.targets) == set(b.given):
                return Game(drawn, Expect((domain, drawn), Log(b)), b, case.moved(o))
    return None


def lemma_1(case: Case) -> float | None:
    """grad -E log q^r(y|x) = grad E_p(y) KL(p_theta(x|y) || q^r(x|y)) - JSD, for any discriminator."""
    g = game(case)
    if g is None:
        return None
    judge = reverse(g.judge(case.tables))
    here = g.parts(case.tables, case.tables)
    target = posterior(judge, mixture(here))

    def right(moved: Tables) -> Any:
        parts = g.parts(moved, case.tables)
        return jsd(parts) - kl(parts, target).mean(axis=-1)

    return apart(gradient(g.term, case.tables, g.factors), gradient_of(right, case.tables, g.factors))


def equation_14(case: Case) -> float | None:
    """At the optimal discriminator, and with p(x | y=1) fixed: grad = grad 1/2 KL(p_g || p_data) - JSD."""
    g = game(case)
    if g is None or g.drawn.domains != 2:
        return None
    best = _optimal(g, case)
    if best is None or any(d.group and d.kind in ("explicit", "implicit") for d in g.drawn.cases[1]):
        return None
    at = g.parts(case.tables, case.tables)

    def right(moved: Tables) -> Any:
        parts = g.parts(moved, case.tables)
        return jsd(parts) - kl(parts[..., 0, :], at[1]) / 2

    return apart(gradient(g.term, best, g.factors), gradient_of(right, best, g.factors))


def _optimal(g: Game, case: Case) -> Tables | None:
    """The tables with the discriminator of Eq. 13, where both parts have the same support."""
    parts = g.parts(case.tables, case.tables)
    if not (parts.sum(axis=0) > 0).all():
        return None
    table = case.tables.factors[str(g.b.factor)]
    flat = optimal_discriminator(parts)
    shape = [case.sizes[v] for v in g.drawn.targets]
    array = flat.reshape(*shape, -1)
    order = [g.drawn.targets.index(v) for v in table.given]
    return case.tables.updated(str(g.b.factor), np.transpose(array, (*order, len(order))))


def section_b_printed(case: Case) -> float | None:
    """Eq. 30 as printed: how far JSD exceeds E_p(y) KL(p_theta(x|y) || q^r(x|y))."""
    g = game(case)
    if g is None:
        return None
    parts, judge = g.parts(case.tables, case.tables), reverse(g.judge(case.tables))
    return max(0.0, float(jsd(parts) - kl(parts, posterior(judge, mixture(parts))).mean()))


def section_b_corrected(case: Case) -> float | None:
    """JSD <= E_p(y)[KL(p_theta(x|y) || q^r(x|y)) - log Z(y)], Z(y) = E_p_theta0[q^r(y | x)]."""
    g = game(case)
    if g is None:
        return None
    parts, judge = g.parts(case.tables, case.tables), reverse(g.judge(case.tables))
    middle = mixture(parts)
    bound = kl(parts, posterior(judge, middle)).mean() - np.log(evidence(judge, middle)).mean()
    return max(0.0, float(jsd(parts) - bound))

"""Reading 6: importance weighting of a bound (Eq. 40; Burda et al. 2015) and of a generator (Eqs. 22, 44)."""

from __future__ import annotations

from dataclasses import replace

from schematic.calculus.structure import bound
from schematic.calculus.terms import Add, Density, Expect, Log, LogMean, Normalized, Objective, Scale, Term, Where
from schematic.compiler.branches import Graph
from schematic.compiler.estimators import ENUMERABLE, values
from schematic.compiler.forms import blue_density
from schematic.core.diagnostics import Report, error
from schematic.graph.defaults import resolve

Draws = tuple[Density, ...]


def check_importance(g: Graph, report: Report) -> None:
    """What the weights cannot be made of."""
    span = g.model.reading
    if g.y is not None and not g.blue:
        report.add(
            error("SG415", span, "`importance` weighs by an adversary, or a bound without domains, and here is neither",
                  "a blue arrow, or a model without an indicator")
        )  # fmt: skip
    if g.model.importance == 0 and not (g.blue and g.blue[0].process == "generative"):
        report.add(
            error("SG416", span, "`importance` of a bound needs its number of draws a record",
                  "`importance(M, 16)`")
        )  # fmt: skip
    for f in (f for f in g.blue if f.each):
        report.add(
            error("SG415", f.arrow, f"`{f.name}` predicts units: it weighs no sample, and belongs to no bound",
                  "`importance(M, 16) + N`, the predictor in a model N of its own")
        )  # fmt: skip
    if len(g.blue) > 1:
        report.add(
            error("SG415", g.blue[1].arrow, "`importance` weighs by one adversary, and there are several",
                  "one blue arrow from all the sources")
        )  # fmt: skip


def check_weights(g: Graph, found: tuple[Objective, ...], report: Report) -> None:
    """Weights over a batch are made of all of its records: none may lack what the weight depends on."""
    weighed = (s for o in found for s in o.summands if s.normalized is not None and s.normalized[0] == 0)
    for name in dict.fromkeys(v for s in weighed for v, _ in s.observed):
        report.add(
            error("SG415", g.model.reading,
                  f"`importance` weighs the records of a batch against each other, and `{name}` is `partial`: "
                  "some have no weight", f"`importance(M, 16)`, draws of each record, or `{name}` in all of them")
        )  # fmt: skip


def split(g: Graph, drawn: Draws) -> tuple[Draws, Draws]:
    """What is drawn once a record (data, and what is enumerated from it) and what is drawn k times."""
    once: list[Density] = []
    many: list[Density] = []
    count = 1
    for d in drawn:
        repeated = {t for m in many for t in m.targets}
        size = values(g.variables[d.target].type) if _enumerable(g, d) and not repeated & set(d.given) else 0
        if d.kind == "data" or 0 < count * size <= ENUMERABLE:
            once.append(d)
            count *= max(size, 1)
        else:
            many.append(d)
    return tuple(once), tuple(many)


def _enumerable(g: Graph, d: Density) -> bool:
    """A trained discrete draw that its options leave to be enumerated."""
    if d.kind != "explicit" or d.factor is None:
        return False
    f = g.factor(d.factor)
    discrete = resolve(g.model, f).family in ("Bernoulli", "Categorical") and values(g.variables[f.target].type) > 0
    return discrete and g.trains(f) and (f.gradient is None or f.gradient.name == "enumerate")


def log_mean(k: int, once: Draws, many: Draws, body: list[Term]) -> Term:
    """The terms of what is drawn once beside the log-mean of the others, E_once[log-mean + own terms]. What no draw
    here binds stands further out."""
    if not many:
        return Expect(once, Add(tuple(body)))
    own = {t for d in once if d.kind in ("explicit", "cases") for t in d.targets}
    repeated = {t for d in many for t in bound(d)}
    beside = [t for t in body if _about(t) in own and not _reads(t) & repeated]
    inside = [t for t in body if t not in beside]
    return Expect(once, Add((*beside, LogMean(k, many, Add(tuple(inside))))))


def _scored(term: Term) -> Density | None:
    match term:
        case Log(d):
            return d
        case Scale(_, body) | Where(_, _, _, body):
            return _scored(body)
        case _:
            return None


def _about(term: Term) -> str:
    d = _scored(term)
    return d.target if d is not None else ""


def _reads(term: Term) -> set[str]:
    d = _scored(term)
    return set() if d is None else {v for v in d.given if d.value(v) is None}


def normalized(g: Graph, k: int, body: list[Term]) -> Term:
    """The terms of the samples weighed by w = b^r / b, which passes no gradient (Eq. 44)."""
    (f,) = g.blue
    b = replace(blue_density(g, f), temperature=f.temperature)
    return Normalized(k, replace(b, reverse=True), b, Add(tuple(body)))

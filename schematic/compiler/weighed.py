"""Reading 3: the adversary on the inference side weighs samples by its reverse (Eqs. 19, 23, 48)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.terms import KL, Add, Density, Expect, Scale, Term, mask
from schematic.compiler.brackets import bracket, open_y
from schematic.compiler.branches import Branch, Graph, Source, ancestral_sources, draws, sources
from schematic.compiler.forms import Draws, blue_density, by_domain, mentioned_in, passes, read, with_mentioned
from schematic.compiler.importance import log_mean, split
from schematic.compiler.observed import Reading, Seen, by_observation, guarded, readings
from schematic.compiler.soundness import check_bracket, generated_twice, unsourced
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor


@dataclass(frozen=True)
class Component:
    """The y inferred from the outer sample: its sources and what it takes from the outer sample."""

    source: dict[str, Source]
    carried: frozenset[str]


def _component(g: Graph, y: int, seen: Seen) -> Component:
    inferred = {f.target for f in g.model.factors if g.free(f, y) and f.process == "inference" and not f.adversarial}
    empirical = {v.name for v in g.model.variables if v.data is not None} - inferred
    carried = g.compared | frozenset(empirical) | seen
    return Component(sources(g, y, carried), carried)


def weighed_term(g: Graph, report: Report) -> Term:
    """E_{p(y')} E_{outer}[ E_{q^r(y|x)} E_{q(z|x,y)}[B_y] - KL(q^r(y|x) || p(y)) ] (Eqs. 19, 23, 48)."""
    (b,) = g.blue
    assert g.y is not None
    origin = f"{g.y}'"
    reads = (*g.parents(b), origin) if b.perfect else g.parents(b)
    weigher = replace(blue_density(g, b), given=reads, reverse=True, perfect=b.perfect, temperature=b.temperature)
    carried = set(g.parents(b))

    def reading(seen: Seen) -> Reading:
        found, asked = _weighed(g, seen, report)
        carried.update(asked)
        return found

    def inside(drawn: tuple[Draws, ...], body: list[Term]) -> Term:
        k = g.model.importance
        if k is None:
            return Expect((weigher, *by_domain(g, list(drawn))), Add(tuple(body)))
        once, many = zip(*(split(g, case) for case in drawn), strict=True)
        return Expect((weigher,), log_mean(k, by_domain(g, list(once)), by_domain(g, list(many)), body))

    def outer(names: Iterable[str]) -> list[Draws]:
        wanted = frozenset((*names, *carried))
        return [outer_draws(g, o or 0, wanted, report) for o in g.branches]

    constant = Scale(Fraction(-1), KL(weigher, Density("indicator", "p", None, (g.y,), domains=g.domains)))
    found = readings(g, reading)
    return by_observation(
        g, found, guarded(g, found, weighed=True), inside, outer, y=origin, constant=(constant,), stopped=True
    )


def _weighed(g: Graph, seen: Seen, report: Report) -> tuple[Reading, set[str]]:
    """The brackets of the components with their own draws, and what these read of the outer sample."""
    parts = {y: _component(g, y or 0, seen) for y in g.branches}
    entries = {y: bracket(g, y, parts[y].source, frozenset()) for y in g.branches}
    for y in g.branches:
        check_bracket(g, y, parts[y].source, report)
    body = open_y(g, entries, free=g.model.importance is not None)
    mentioned = {y: mentioned_in(g, list(body), y) for y in g.branches}
    inner = [_inner(g, y, parts[y], read(g, [e.density for e in entries[y]]), mentioned[y], report) for y in g.branches]
    asked = {*(v for names in mentioned.values() for v in names), *(v for case in inner for d in case for v in d.given)}
    open_ = tuple(frozenset(v.name for v in g.partial) for _ in g.branches)
    return Reading(g.branches, tuple(inner), body, open_), {v for p in parts.values() for v in p.carried if v in asked}


def _inner(
    g: Graph, y: Branch, part: Component, needed: tuple[str, ...], mentioned: tuple[str, ...], report: Report
) -> tuple[Density, ...]:
    found, problems = draws(g, part.source, needed, y, passes)
    for p in problems:
        unsourced(g, y, p, report)
    return with_mentioned(g, y, part.source, needed, mentioned, passes) if not problems else found


def outer_draws(g: Graph, origin: int, carried: frozenset[str], report: Report) -> tuple[Density, ...]:
    """The outer sample at an origin: the generative side at theta_0, and what it carries."""
    source = ancestral_sources(g, origin)
    wanted = tuple(v for v in (*g.variables, *(mask(v.name) for v in g.partial)) if v in carried)
    found, problems = draws(g, source, wanted, origin, lambda _: True)
    for p in problems:
        unsourced(g, origin, p, report)
    for name in {t for d in found for t in d.targets}:
        if isinstance(source[name], Factor):
            generated_twice(g, name, origin, report)
    return found

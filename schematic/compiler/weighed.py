"""Reading 3: the adversary on the inference side weighs samples by its reverse (Eqs. 19, 23, 48)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.terms import KL, Add, Density, Expect, Scale, Term
from schematic.compiler.brackets import bracket, open_y
from schematic.compiler.branches import Branch, Graph, Source, ancestral_sources, draws, sources
from schematic.compiler.forms import (
    author,
    blue_density,
    mentioned_in,
    open_domain,
    passes,
    read,
    with_mentioned,
)
from schematic.compiler.importance import log_mean, split
from schematic.compiler.soundness import check_bracket, generated_twice, unsourced
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor


@dataclass(frozen=True)
class Component:
    """The y inferred from the outer sample: its sources and what it takes from the outer sample."""

    source: dict[str, Source]
    carried: frozenset[str]


def _component(g: Graph, y: int) -> Component:
    inferred = {f.target for f in g.model.factors if g.free(f, y) and f.process == "inference" and not f.adversarial}
    empirical = {v.name for v in g.model.variables if v.data is not None} - inferred
    carried = g.compared | frozenset(empirical)
    return Component(sources(g, y, carried), carried)


def weighed_term(g: Graph, report: Report) -> Term:
    """E_{p(y')} E_{outer}[ E_{q^r(y|x)} E_{q(z|x,y)}[B_y] - KL(q^r(y|x) || p(y)) ] (Eqs. 19, 23, 48)."""
    (b,) = g.blue
    assert g.y is not None
    origin = f"{g.y}'"
    parts = {y: _component(g, y or 0) for y in g.branches}
    entries = {y: bracket(g, y, parts[y].source, frozenset()) for y in g.branches}
    for y in g.branches:
        check_bracket(g, y, parts[y].source, report)
    k = g.model.importance
    body = list(open_y(g, entries, free=k is not None))
    mentioned = {y: mentioned_in(g, body, y) for y in g.branches}
    inner = [_inner(g, y, parts[y], read(g, [e.density for e in entries[y]]), mentioned[y], report) for y in g.branches]
    asked = {*(v for names in mentioned.values() for v in names), *(v for case in inner for d in case for v in d.given)}
    carried = {v for p in parts.values() for v in p.carried if v in asked} | set(g.parents(b))
    outer = [outer_draws(g, o or 0, frozenset(carried), report) for o in g.branches]
    reads = (*g.parents(b), origin) if b.perfect else g.parents(b)
    weigher = replace(blue_density(g, b), given=reads, reverse=True, perfect=b.perfect, temperature=b.temperature)
    if k is None:
        inside: Term = Expect((weigher, *_inner_cases(g, inner)), Add(tuple(body)))
    else:
        once, many = zip(*(split(g, case) for case in inner), strict=True)
        inner_mean = log_mean(k, _inner_cases(g, list(once)), _inner_cases(g, list(many)), body)
        inside = Expect((weigher,), inner_mean)
    constant = Scale(Fraction(-1), KL(weigher, Density("indicator", "p", None, (g.y,), domains=g.domains)))
    return open_domain(g, outer, [inside, constant], y=origin, stopped=True)


def _inner_cases(g: Graph, inner: list[tuple[Density, ...]]) -> tuple[Density, ...]:
    drawn = tuple(dict.fromkeys(t for case in inner for d in case for t in d.targets))
    if not drawn or g.y is None:
        return ()
    letter, group = author(inner, drawn)
    read = dict.fromkeys(v for case in inner for d in case for v in d.given if v != g.y and v not in drawn)
    return (Density("cases", letter, group, drawn, (*read, g.y), cases=tuple(inner), domains=g.domains),)


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
    wanted = tuple(v for v in g.variables if v in carried)
    found, problems = draws(g, source, wanted, origin, lambda _: True)
    for p in problems:
        unsourced(g, origin, p, report)
    for name in {t for d in found for t in d.targets}:
        if isinstance(source[name], Factor):
            generated_twice(g, name, origin, report)
    return found

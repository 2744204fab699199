"""Readings 1, 2 and 4: objectives whose samples are drawn by the inference side (Eqs. 4, 5, 15, 35, 36)."""

from __future__ import annotations

from collections.abc import Iterable

from schematic.calculus.terms import Add, Expect, Term, masked
from schematic.compiler.brackets import bracket, open_y
from schematic.compiler.branches import Graph, ancestral_sources, sources
from schematic.compiler.forms import (
    Draws,
    branch_draws,
    by_domain,
    fooled,
    judged,
    mentioned_in,
    open_domain,
    passes,
    penalties,
    read,
)
from schematic.compiler.importance import log_mean, normalized, split
from schematic.compiler.observed import Reading, Seen, by_observation, check_penalties, guarded, readings, records, told
from schematic.compiler.soundness import check_bracket, check_own_draws
from schematic.compiler.weighed import outer_draws, weighed_term
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor, Process


def judge_term(g: Graph, side: Process, phi: str, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b(y|.) + phi's own generative logs] (Eqs. 4, 15, 36, 50)."""
    own = tuple(f for f in g.judges if f.group == phi)
    mine = [f for f in g.model.factors if f.group == phi and f.process == "generative" and g.trains(f)]
    scored = [f for f in mine if not f.adversarial and not f.implicit]
    weighs = side == "inference"
    if not weighs:
        check_own_draws(g, phi, report)

    def stopped(f: Factor) -> bool:
        return not (f.implicit and f.group == phi)

    def reading(seen: Seen) -> Reading:
        source = {b: ancestral_sources(g, b or 0) if weighs else sources(g, b, seen=seen) for b in g.branches}
        entries = {b: tuple(e for e in bracket(g, b, source[b], g.compared) if e.owner in scored) for b in g.branches}
        body = (*(judged(g, f) for f in own), *open_y(g, entries))
        wants = {b: (*_judged_by(g, own), *read(g, [e.density for e in entries[b]])) for b in g.branches}
        open_ = tuple(told(g, source[b]) for b in g.branches)
        if weighs:
            return Reading(
                g.branches, tuple(outer_draws(g, b or 0, frozenset(wants[b]), report) for b in g.branches), body, open_
            )
        mentioned = {b: mentioned_in(g, list(body), b) for b in g.branches}
        drawn = (branch_draws(g, b, wants[b], mentioned[b], stopped, report, seen) for b in g.branches)
        return Reading(g.branches, tuple(drawn), body, open_)

    found = readings(g, reading)
    if weighs:
        return _at_origins(g, found, report)
    check_penalties(g, own, found[frozenset()], report)
    return Add((_expected(g, found, None), *penalties(g, own, list(found[frozenset()].drawn))))


def _at_origins(g: Graph, found: dict[Seen, Reading], report: Report) -> Term:
    """The expectation under the outer samples of reading 3, which stand as they are."""

    def outer(names: Iterable[str]) -> list[Draws]:
        masks = frozenset(n for n in names if masked(n))
        drawn = ({t for r in found.values() for d in r.drawn[i] for t in d.targets} for i in range(g.domains))
        return [outer_draws(g, b or 0, masks | own, report) for b, own in zip(g.branches, drawn, strict=True)]

    return by_observation(g, found, guarded(g, found), lambda _, body: Add(tuple(body)), outer, stopped=True)


def _judged_by(g: Graph, blue: tuple[Factor, ...]) -> tuple[str, ...]:
    return tuple(v for f in blue for v in (*g.parents(f), f.target) if v != g.y)


def others_term(g: Graph, side: Process, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b^r(y|.) + B] (Eqs. 5, 15, 35); without an indicator E[B] (Eq. 17)."""
    if side == "inference":
        return weighed_term(g, report)

    def reading(seen: Seen) -> Reading:
        source = {b: sources(g, b, seen=seen) for b in g.branches}
        entries = {b: bracket(g, b, source[b], g.compared) for b in g.branches}
        for b in g.branches:
            check_bracket(g, b, source[b], report)
        body = (*open_y(g, entries), *(fooled(g, f) for f in g.blue))
        wants = {b: (*_judged_by(g, g.blue), *read(g, [e.density for e in entries[b]])) for b in g.branches}
        mentioned = {b: mentioned_in(g, list(body), b) for b in g.branches}
        drawn = (branch_draws(g, b, wants[b], mentioned[b], passes, report, seen) for b in g.branches)
        return Reading(g.branches, tuple(drawn), body, tuple(told(g, source[b]) for b in g.branches))

    return _expected(g, readings(g, reading), g.model.importance)


def _expected(g: Graph, found: dict[Seen, Reading], k: int | None) -> Term:
    """The expectation of a reading, or of several, under the draws of its branches; `k` importance samples."""
    parts = guarded(g, found)
    if not any(guard for guard, _ in parts):
        one = found[frozenset()]
        if k is not None and g.y is None:
            return log_mean(k, *split(g, one.drawn[0]), list(one.body))
        body = list(one.body) if k is None else [normalized(g, k, list(one.body))]
        return open_domain(g, list(one.drawn), body)

    def inside(drawn: tuple[Draws, ...], body: list[Term]) -> Term:
        if k is not None and g.y is None:
            return log_mean(k, *split(g, drawn[0]), body)
        return Expect(by_domain(g, list(drawn)), Add(tuple(body if k is None else [normalized(g, k, body)])))

    def outer(names: Iterable[str]) -> list[Draws]:
        wanted = tuple(names)
        return [records(g, wanted, b) for b in g.branches]

    return by_observation(g, found, parts, inside, outer)

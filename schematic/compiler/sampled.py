"""Readings 1, 2 and 4: objectives whose samples are drawn by the inference side (Eqs. 4, 5, 15, 35, 36)."""

from __future__ import annotations

from schematic.calculus.terms import Add, Term
from schematic.compiler.brackets import bracket, open_y
from schematic.compiler.branches import Graph, ancestral_sources, sources
from schematic.compiler.forms import branch_draws, fooled, judged, mentioned_in, open_domain, passes, penalties, read
from schematic.compiler.importance import log_mean, normalized, split
from schematic.compiler.soundness import check_bracket, check_own_draws
from schematic.compiler.weighed import outer_draws, weighed_term
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor, Process


def judge_term(g: Graph, side: Process, phi: str, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b(y|.) + phi's own generative logs] (Eqs. 4, 15, 36, 50)."""
    own = tuple(f for f in g.judges if f.group == phi)
    mine = [f for f in g.model.factors if f.group == phi and f.process == "generative" and g.trains(f)]
    scored = [f for f in mine if not f.adversarial and not f.implicit]
    source = {b: ancestral_sources(g, b or 0) if side == "inference" else sources(g, b) for b in g.branches}
    entries = {b: tuple(e for e in bracket(g, b, source[b], g.compared) if e.owner in scored) for b in g.branches}
    body = [*(judged(g, f) for f in own), *open_y(g, entries)]
    wants = {b: (*_judged_by(g, own), *read(g, [e.density for e in entries[b]])) for b in g.branches}
    if side == "inference":
        outer = [outer_draws(g, b or 0, frozenset(wants[b]), report) for b in g.branches]
        return open_domain(g, outer, body, stopped=True)
    check_own_draws(g, phi, report)

    def stopped(f: Factor) -> bool:
        return not (f.implicit and f.group == phi)

    cases = [branch_draws(g, b, wants[b], mentioned_in(g, body, b), stopped, report) for b in g.branches]
    return Add((open_domain(g, cases, body), *penalties(g, own, cases)))


def _judged_by(g: Graph, blue: tuple[Factor, ...]) -> tuple[str, ...]:
    return tuple(v for f in blue for v in (*g.parents(f), f.target) if v != g.y)


def others_term(g: Graph, side: Process, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b^r(y|.) + B] (Eqs. 5, 15, 35); without an indicator E[B] (Eq. 17)."""
    if side == "inference":
        return weighed_term(g, report)
    entries = {b: bracket(g, b, sources(g, b), g.compared) for b in g.branches}
    for b in g.branches:
        check_bracket(g, b, sources(g, b), report)
    body = [*open_y(g, entries), *(fooled(g, f) for f in g.blue)]
    wants = {b: (*_judged_by(g, g.blue), *read(g, [e.density for e in entries[b]])) for b in g.branches}
    cases = [branch_draws(g, b, wants[b], mentioned_in(g, body, b), passes, report) for b in g.branches]
    k = g.model.importance
    if k is not None and g.y is None:
        return log_mean(k, *split(g, cases[0]), body)
    return open_domain(g, cases, body if k is None else [normalized(g, k, body)])

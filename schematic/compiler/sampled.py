"""Readings 1, 2 and 4: objectives whose samples are drawn by the inference side (Eqs. 4, 5, 15, 35, 36)."""

from __future__ import annotations

from dataclasses import replace

from schematic.calculus.terms import Add, Expect, Log, Scale, Term
from schematic.compiler.brackets import bracket, number, open_y
from schematic.compiler.branches import Graph, ancestral_sources, sources
from schematic.compiler.forms import blue_density, branch_draws, mentioned_in, open_domain, passes, read
from schematic.compiler.soundness import check_bracket, check_own_draws
from schematic.compiler.weighed import outer_draws, weighed_term
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor, Process


def judge_term(g: Graph, side: Process, phi: str, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b(y|.) + phi's own generative logs] (Eqs. 4, 15, 36, 50)."""
    own = tuple(f for f in g.blue if f.group == phi and g.trains(f))
    body: list[Term] = [Log(blue_density(g, b)) for b in own]
    mine = [f for f in g.model.factors if f.group == phi and f.process == "generative" and g.trains(f)]
    scored = [f for f in mine if not f.adversarial and not f.implicit]
    assert g.y is not None
    source = {b: ancestral_sources(g, b or 0) if side == "inference" else sources(g, b) for b in g.branches}
    entries = {b: tuple(e for e in bracket(g, b, source[b], g.compared) if e.owner in scored) for b in g.branches}
    body += open_y(g, entries)
    wants = {
        b: (*(p for f in own for p in g.parents(f)), *read(g, [e.density for e in entries[b]])) for b in g.branches
    }
    if side == "inference":
        outer = [outer_draws(g, b or 0, frozenset(wants[b]), report) for b in g.branches]
        return open_domain(g, outer, g.y, body, stopped=True)
    check_own_draws(g, phi, report)

    def stopped(f: Factor) -> bool:
        return not (f.implicit and f.group == phi)

    cases = [branch_draws(g, b, wants[b], mentioned_in(g, body, b), stopped, report) for b in g.branches]
    return open_domain(g, cases, g.y, body)


# --- readings 2 and 4: the others, sampled from the inference side -------------------------------------------


def others_term(g: Graph, side: Process, report: Report) -> Term:
    if side == "inference":
        return weighed_term(g, report)
    entries = {b: bracket(g, b, sources(g, b), g.compared) for b in g.branches}
    for b in g.branches:
        check_bracket(g, b, sources(g, b), report)
    body: list[Term] = list(open_y(g, entries))
    for f in g.blue:
        body.append(Scale(number(f.weight), Log(replace(blue_density(g, f), reverse=True, temperature=f.temperature))))
    wants = tuple(p for f in g.blue for p in g.parents(f))
    cases = [
        branch_draws(
            g, b, (*wants, *read(g, [e.density for e in entries[b]])), mentioned_in(g, body, b), passes, report
        )
        for b in g.branches
    ]
    if g.y is None:
        return Expect(cases[0], Add(tuple(body)))
    return open_domain(g, cases, g.y, body)

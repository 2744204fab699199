"""The one place that reads a graph into terms: semantics.md's readings, applied to arrows.

Every objective starts in the paper's form, with the domain y open (Eqs. 4, 5, 15, 19, 23, 35), and is unfolded by
the rules of `calculus.rules`. The readings stand beside: `sampled` (1, 2, 4), `weighed` (3); `branches` says who is
drawn from what, `brackets` what a branch scores, `soundness` what has no answer. Nothing here knows a model by name.
"""

from __future__ import annotations

from collections.abc import Iterator

from schematic.calculus.rules import Context, derive, tidy
from schematic.calculus.terms import Density, Objective, Summand, Term
from schematic.compiler.brackets import unpriced
from schematic.compiler.branches import Graph, graph
from schematic.compiler.sampled import judge_term, others_term
from schematic.compiler.soundness import check_objectives, check_reading, check_warnings
from schematic.compiler.summands import summands
from schematic.core.diagnostics import Report
from schematic.graph.defaults import resolve
from schematic.graph.model import Model, Process


def objectives(model: Model, report: Report) -> tuple[Objective, ...]:
    """The objective of every update, in the order of the updates: each discriminator's, then the others'.

    Diagnostics go to the report; an objective stands only where no error was found.
    """
    g = graph(model)
    check_reading(g, report)
    side = adversary_side(g)
    if report.failed:
        return ()
    judges = tuple(dict.fromkeys(f.group for f in g.judges))
    others = tuple(dict.fromkeys(f.group for f in model.factors if g.trains(f) and f.group not in judges))
    found = [_objective(g, side, (phi,), judge_term(g, side, phi, report)) for phi in judges]
    if others:
        found.append(_objective(g, side, others, others_term(g, side, report)))
    if not report.failed:
        check_objectives(g, tuple(found), report)
        check_warnings(g, tuple(found), report)
    return () if report.failed else tuple(o for o in found if o.summands)


def adversary_side(g: Graph) -> Process:
    """The side of the blue arrows: generative (reading 2; without any, 2 or 4 by the same words), inference (3)."""
    return g.blue[0].process if g.blue else "generative"


def _objective(g: Graph, side: Process, groups: tuple[str, ...], start: Term) -> Objective:
    fixed = frozenset(f.name for f in g.model.factors if not g.trains(f))
    derivation = derive(tidy(start), Context(g.y, frozenset(groups), fixed))
    found = tuple(summands(derivation.end, side == "inference"))
    return Objective(groups, derivation, found, tuple(dict.fromkeys(_assumptions(g, side, found))))


def _assumptions(g: Graph, side: Process, found: tuple[Summand, ...]) -> Iterator[str]:
    """What the readings assume beside the rules (semantics.md, the transform log)."""
    if any(s.scored.kind != "blue" for s in found):
        yield from (f"{f.name} brings no entropy: {f.target} has no density of its own" for f in unpriced(g))
    for s in found:
        atom = s.scored
        if atom.kind == "blue" and side == "inference":
            yield "the discriminator classifies the origin, Eq. 50 for Eq. 49: the groups do not play one objective"
        if _is_grey(g, atom):
            yield f"{atom.target} is in [0, 1] and scored by cross-entropy, which is no density there: not a bound"
        for d in (*s.outer, *s.draws):
            if d.kind == "explicit" and _is_grey(g, d):
                yield f"the draw of {d.target}, in [0, 1], is the mean"


def _is_grey(g: Graph, d: Density) -> bool:
    """A `unit` variable with a Bernoulli factor."""
    known = d.kind == "explicit" and d.factor is not None and g.variables[d.target].type.kind == "unit"
    return known and resolve(g.model, g.factor(d.factor)).family == "Bernoulli"

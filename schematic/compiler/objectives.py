"""The one place that reads a graph into terms: semantics.md's readings, applied to arrows.

Every objective starts in the paper's form, with the domain y open (Eqs. 4, 5, 15, 19, 23, 35), and is unfolded by
the rules of `calculus.rules`. The readings stand beside: `sampled` (1, 2, 4), `weighed` (3), `asleep` (5),
`importance` (6); `branches` says who is drawn from what, `brackets` what a branch scores, `soundness` what has no
answer. Nothing here knows a model by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from schematic.calculus.rules import derive
from schematic.calculus.structure import Context, tidy
from schematic.calculus.terms import Add, Density, Derivation, Objective, Scale, Step, Summand, Term
from schematic.calculus.text import density_text
from schematic.compiler.asleep import phase_term, phases
from schematic.compiler.brackets import number, unpriced
from schematic.compiler.branches import Graph, graph
from schematic.compiler.importance import check_importance, check_weights
from schematic.compiler.observed import check_partial
from schematic.compiler.sampled import judge_term, others_term
from schematic.compiler.soundness import check_objectives, check_reading, check_warnings
from schematic.compiler.summands import summands
from schematic.core.diagnostics import Report
from schematic.graph.defaults import resolve
from schematic.graph.model import AnyModel, Process, Sum


def objectives(model: AnyModel, report: Report) -> tuple[Objective, ...]:
    """The objective of every update, in the order of the updates: each discriminator's, then the others'.

    Diagnostics go to the report; an objective stands only where no error was found.
    """
    if isinstance(model, Sum):
        return _added(model, report)
    g = graph(model)
    check_reading(g, report)
    check_partial(g, report)
    if model.importance is not None:
        check_importance(g, report)
    if report.failed:
        return ()
    found = tuple(_objective(g, groups, start) for groups, start in _starts(g, report))
    if not report.failed:
        check_objectives(g, found, report)
        check_weights(g, found, report)
        check_warnings(g, found, report)
    return () if report.failed else tuple(o for o in found if o.summands)


def _starts(g: Graph, report: Report) -> Iterator[tuple[tuple[str, ...], Term]]:
    """The groups of each update, and the paper's form of what they maximize."""
    if g.model.wake_sleep:
        for groups in phases(g):
            yield groups, phase_term(g, groups, report)
        return
    side = adversary_side(g)
    judges = tuple(dict.fromkeys(f.group for f in g.judges))
    for phi in judges:
        yield (phi,), judge_term(g, side, phi, report)
    others = tuple(dict.fromkeys(f.group for f in g.model.factors if g.trains(f) and f.group not in judges))
    if others:
        yield others, others_term(g, side, report)


# --- sums (reading 7) -------------------------------------------------------------------------------------------


def _added(total: Sum, report: Report) -> tuple[Objective, ...]:
    """The objectives of a group add: each discriminator's over the terms that have it, then the others' together."""
    parts = [(number(c), m.name or str(i), objectives(m, report)) for i, (c, m) in enumerate(total.terms, 1)]
    if report.failed:
        return ()
    judges = {f.group for _, m in total.terms for f in m.factors if f.adversarial and not f.perfect and not f.fixed}
    scaled = [(o.groups, _scaled(o, c, label)) for c, label, found in parts for o in found]
    own = {phi: [o for groups, o in scaled if phi in groups] for groups, _ in scaled for phi in groups if phi in judges}
    rest = [o for groups, o in scaled if set(groups) - judges]
    others = tuple(dict.fromkeys(x for o in rest for x in o.groups if x not in judges))
    return (*(_total((phi,), found) for phi, found in own.items()), *((_total(others, rest),) if others else ()))


def _scaled(o: Objective, c: Fraction, label: str) -> Objective:
    steps = tuple(replace(s, after=_times(c, s.after), dropped=tuple(_times(c, d) for d in s.dropped))
                  for s in o.derivation.steps)  # fmt: skip
    found = tuple(replace(s, scale=c * s.scale, term=label) for s in o.summands)
    return replace(o, derivation=Derivation(_times(c, o.derivation.start), steps), summands=found)


def _times(c: Fraction, term: Term) -> Term:
    return tidy(Scale(c, term))


def _total(groups: tuple[str, ...], parts: list[Objective]) -> Objective:
    """One derivation after the other, the rest of the sum standing by."""
    now = [p.derivation.start for p in parts]
    start, steps = tidy(Add(tuple(now))), list[Step]()
    for i, part in enumerate(parts):
        for step in part.derivation.steps:
            now[i] = step.after
            steps.append(replace(step, after=tidy(Add(tuple(now)))))
    assumptions = tuple(dict.fromkeys(a for p in parts for a in p.assumptions))
    return Objective(groups, Derivation(start, tuple(steps)), tuple(s for p in parts for s in p.summands), assumptions)


# --- one model --------------------------------------------------------------------------------------------------


def adversary_side(g: Graph) -> Process:
    """The side of the blue arrows: generative (reading 2; without any, 2 or 4 by the same words), inference (3)."""
    return next((f.process for f in g.blue if not f.each), "generative")


def _objective(g: Graph, groups: tuple[str, ...], start: Term) -> Objective:
    side = adversary_side(g)
    fixed = frozenset(f.name for f in g.model.factors if not g.trains(f))
    derivation = derive(tidy(start), Context(g.y, frozenset(groups), fixed))
    found = tuple(summands(derivation.end, side == "inference" and not g.model.wake_sleep))
    return Objective(groups, derivation, found, tuple(dict.fromkeys(_assumptions(g, side, found))))


def _assumptions(g: Graph, side: Process, found: tuple[Summand, ...]) -> Iterator[str]:
    """What the readings assume beside the rules (semantics.md, the transform log)."""
    if any(s.scored.kind != "blue" for s in found):
        yield from (f"{f.name} brings no entropy: {f.target} has no density of its own" for f in unpriced(g))
    for s in found:
        atom = s.scored
        if atom.kind == "blue" and side == "inference":
            yield "the discriminator classifies the origin, Eq. 50 for Eq. 49: the groups do not play one objective"
        if s.normalized is not None:
            yield "the weighed terms are a surrogate: their gradient is that of Eq. 47, their value is not a bound"
            if atom.kind != "blue":
                yield f"{density_text(atom)} does not enter the importance weights"
        if _is_grey(g, atom):
            yield f"{atom.target} is in [0, 1] and scored by cross-entropy, which is no density there: not a bound"
        for d in (*s.outer, *s.draws):
            if d.kind == "explicit" and _is_grey(g, d):
                yield f"the draw of {d.target}, in [0, 1], is the mean"


def _is_grey(g: Graph, d: Density) -> bool:
    """A `unit` variable with a Bernoulli factor."""
    known = d.kind == "explicit" and d.factor is not None and g.variables[d.target].type.kind == "unit"
    return known and resolve(g.model, g.factor(d.factor)).family == "Bernoulli"

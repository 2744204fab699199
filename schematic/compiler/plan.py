"""Objectives -> plan: draws merged over the objectives, estimators chosen, gradients cut where they must not pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from schematic.calculus.terms import Objective
from schematic.compiler import estimators
from schematic.compiler.plan_draws import PENALTY, Context, branch, conditional, mixtures, penalized
from schematic.compiler.plan_passes import joined, made
from schematic.compiler.plan_terms import Part, update
from schematic.compiler.program import Branch, Conditional, Plan, Step, Update
from schematic.core.diagnostics import Report, error
from schematic.graph.model import AnyModel, Model


def plan(model: AnyModel, objectives: tuple[Objective, ...], report: Report) -> Plan:
    """The program of a model: `objectives` in the order of the updates."""
    contexts = _contexts(model, objectives)
    parts = tuple((c, _branches(c)) for c in contexts)
    _check(model, parts, report)
    groups = _groups(contexts)
    planned = tuple(update(parts, o) for o in objectives)
    kept = ((u, tuple(g for g in u.groups if g in dict(groups))) for u in planned)
    updates = tuple(replace(u, groups=moved) for u, moved in kept if moved)
    if not updates:
        help = "leave out `fixed` where something is to be learned"
        words = f"nothing in {model.name} is trained: its factors are fixed or perfect"
        report.add(error("SG417", model.span, words, help))
    branches = tuple(_shown(b, updates) for _, found in parts for b in found)
    steps = _steps(model, branches, updates)
    whole = contexts[0].whole
    nets = {n.name: n for c in contexts for n in c.model.nets}
    saved = tuple(
        replace(u, made=made(u, branches, whole, steps), joined=joined(u, branches, whole, nets)) for u in updates
    )
    return Plan(model, tuple(whole.values()), branches, saved, steps, groups, tuple(dict.fromkeys(_log(parts))))


def _contexts(model: AnyModel, objectives: tuple[Objective, ...]) -> tuple[Context, ...]:
    """One for each term of a sum."""
    pairs = (("", model),) if isinstance(model, Model) else zip(model.labels, (m for _, m in model.terms), strict=True)
    terms = dict(pairs)
    own = {label: {f.name: conditional(m, f) for f in m.factors if not f.perfect} for label, m in terms.items()}
    whole: dict[str, Conditional] = {}
    for k in (k for found in own.values() for k in found.values()):
        known = whole.setdefault(k.factor.name, k)
        factor = replace(known.factor, implicit=known.factor.implicit and k.factor.implicit,
                         fixed=known.factor.fixed and k.factor.fixed)  # fmt: skip
        whole[k.factor.name] = replace(known, factor=factor, trained=known.trained or k.trained)
    parts = {label: tuple(_of_term(o, label) for o in objectives) for label in terms}
    return tuple(Context(m, label, own[label], whole, parts[label]) for label, m in terms.items())


def _of_term(o: Objective, label: str) -> Objective:
    return replace(o, summands=tuple(s for s in o.summands if s.term == label))


def _branches(c: Context) -> tuple[Branch, ...]:
    found: tuple[Branch, ...] = ()
    for number in c.numbers:
        found += (mixtures(c, number, found) if number == PENALTY else branch(c, number),)
    return found


def _check(model: AnyModel, parts: tuple[Part, ...], report: Report) -> None:
    if all(v.data is None for c, _ in parts for v in c.model.variables):
        help = "`= data`, or `= data(\"field\")`, after the type of one"
        words = f"no variable of {model.name} has data: there is nothing to train on"
        report.add(error("SG420", model.span, words, help))
    for c, branches in parts:
        penalized(c, branches, report)


def _shown(branch: Branch, updates: tuple[Update, ...]) -> Branch:
    """An outer value that a term reads stands in the draw, beside the inferred one of its name."""
    calls = (c for u in updates for t in u.terms for c in t.calls if c.branch == branch.name)
    read = {k for c in calls for k in c.reads}
    return replace(branch, draws=tuple(replace(d, hidden=d.hidden and d.key not in read) for d in branch.draws))


def _groups(contexts: tuple[Context, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What each group that has an objective trains."""
    updated = dict.fromkeys(g for o in contexts[0].objectives for g in o.groups)
    trained = [k.factor for k in contexts[0].whole.values() if k.trained]
    found = ((g, tuple(f.name for f in trained if f.group == g)) for g in updated)
    return tuple((g, factors) for g, factors in found if factors)


# --- the order of a step ----------------------------------------------------------------------------------


def _steps(model: AnyModel, branches: tuple[Branch, ...], updates: tuple[Update, ...]) -> tuple[Step, ...]:
    """Each update as often as its optimizer says; drawn afresh first, when repeated, and when a parameter has moved
    on which its values depend."""
    repeats = {group: o.steps for group, o in model.train.optimizers}
    steps: list[Step] = []
    moved: set[str] = set()
    for u in updates:
        for i in range(max(repeats.get(g, 1) for g in u.groups)):
            groups = tuple(g for g in u.groups if repeats.get(g, 1) > i)
            fresh = not steps or i > 0 or bool(moved & _depends(branches, u))
            moved = set(groups) if fresh else moved | set(groups)
            steps.append((groups, fresh))
    return tuple(steps)


def _depends(branches: tuple[Branch, ...], u: Update) -> frozenset[str]:
    """The groups on whose parameters the values depend that an update reads."""
    drawn = {(b.name, d.key): d for b in branches for d in b.draws}
    calls = [c for t in u.terms for c in t.calls]
    keys = {(c.branch, k) for c in (*calls, *u.scores) for k in c.reads}
    return frozenset[str]().union(*(drawn[k].depends for k in keys))


# --- the log ----------------------------------------------------------------------------------------------


def _log(parts: tuple[Part, ...]) -> Iterator[str]:
    """What the estimators assume, for the transform log."""
    for c, branches in parts:
        for k in c.conditionals.values():
            if k.family == "Bernoulli" and k.variable.type.kind == "unit" and not k.factor.implicit:
                yield f"log {k.factor.name} is a cross-entropy: {k.variable.name} is unit, it is no density"
        for d in (d for b in branches for d in b.draws):
            name = d.density.factor
            match d.how:
                case "mean":
                    yield f"a draw of {d.variable} from {name} is its mean"
                case "enumerate":
                    count = estimators.values(c.model.variable(d.variable).type)
                    yield f"{d.variable} from {name} is enumerated: {count} values a record"
                case "score":
                    yield f"{d.variable} from {name}: score function with a leave-one-out baseline"
                case "gumbel" | "straight_through":
                    yield f"{d.variable} from {name}: {d.how} gradients are biased"
                case _:
                    pass

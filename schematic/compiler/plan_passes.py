"""Passes of networks that a step saves: what a value was drawn from is scored without a second pass, and several
branches go through a discriminator in one. Both are the plain form's values and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from schematic.calculus.terms import Critic
from schematic.compiler.program import Branch, Call, Conditional, Drawn, Key, Plan, Step, Term, Update
from schematic.graph.model import Net, NetDeclaration

Made = tuple[Call, Key]  # a density that an update scores, and the value of its branch that was drawn from it


def plain(plan: Plan) -> Plan:
    """The plan with no pass saved: each density is evaluated where it is scored, each branch by itself."""
    return replace(plan, updates=tuple(replace(u, made=(), joined=()) for u in plan.updates))


def groups_of(k: Conditional) -> frozenset[str]:
    """The groups that move a conditional's parameters."""
    own = frozenset((k.factor.group,)) if k.trained else frozenset[str]()
    return own.union(*(groups for _, groups in k.nets))


def made(
    u: Update, branches: tuple[Branch, ...], conditionals: dict[str, Conditional], steps: tuple[Step, ...]
) -> tuple[Made, ...]:
    """The densities of an update that its draw has evaluated: of the same factor at the same values, which pass the
    gradient here that they pass there, and of parameters that have not moved between the draw and the update."""
    stale, cut = _moved_before(u, steps), frozenset((*u.detached, *u.renewed))
    evaluated: dict[tuple[str, str | None, tuple[Key, ...]], Drawn] = {}
    for b in branches:
        for d in filter(_evaluated, b.draws):
            evaluated.setdefault((b.name, d.density.factor, d.parents), d)
    found: dict[Call, Key] = {}
    for c in _scored(u):
        one = evaluated.get((c.branch, c.density.factor, c.parents))
        if one is None or c.density.factor is None or c.frozen or one.frozen:
            continue
        moving = groups_of(conditionals[c.density.factor]) | one.depends
        if not moving & stale and not any((c.branch, p) in cut for p in c.parents):
            found.setdefault(c, one.key)
    return tuple(found.items())


def _evaluated(d: Drawn) -> bool:
    """The draw has a distribution at hand, with its graph."""
    return d.how in ("path", "sample", "score", "gumbel", "straight_through") and not d.outer


def _scored(u: Update) -> Iterator[Call]:
    for t in u.terms:
        yield from t.calls
    yield from u.scores


def _moved_before(u: Update, steps: tuple[Step, ...]) -> frozenset[str]:
    """The groups that may have moved between an update's draw and the update."""
    stale, moved = frozenset[str](), frozenset[str]()
    for groups, fresh in steps:
        moved = frozenset() if fresh else moved
        stale |= moved if groups[0] in u.groups else frozenset()
        moved |= frozenset(groups)
    return stale


def joined(
    u: Update, branches: tuple[Branch, ...], conditionals: dict[str, Conditional], nets: dict[str, NetDeclaration]
) -> tuple[tuple[Call, ...], ...]:
    """The logits of a discriminator in several branches that one pass gives: each once a record, all of them on the way
    of a gradient, of a network in which no record depends on another (of networks from Python that is not known)."""
    found: dict[str, dict[Call, None]] = {}
    for t in u.terms:
        for c in _logits(t):
            k = conditionals[c.density.factor or ""]
            values = [_drawn(branches, c, p) for p in c.parents]
            once = bool(values) and not any(d.axes for d in values)
            reached = (d.reach for d in values if (c.branch, d.key) not in u.detached)
            passes = groups_of(k).union(*reached) & frozenset(u.groups)
            if once and passes and not c.frozen and _separate(k.net, nets):
                found.setdefault(k.factor.name, {}).setdefault(c)
    return tuple(tuple(calls) for calls in found.values() if len({(c.branch, c.parents) for c in calls}) > 1)


def _logits(t: Term) -> tuple[Call, ...]:
    """The logits of a domain that the term passes gradient through."""
    slope = isinstance(t.atom, Critic) and t.atom.form == "slope"
    return (t.left,) if t.how in ("blue", "critic") and not slope else ()


def _drawn(branches: tuple[Branch, ...], c: Call, key: Key) -> Drawn:
    return next(b for b in branches if b.name == c.branch).drawn(key)


def _separate(net: Net, nets: dict[str, NetDeclaration]) -> bool:
    """No record of a batch depends on another in this network."""
    declared = not net.declared or _separate(nets[net.kind].net, nets)
    return net.kind != "python" and declared and (net.then is None or _separate(net.then, nets))

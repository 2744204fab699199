"""The structure of terms: their plainest shape, what they read, which draws they need, and which groups move them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from schematic.calculus.terms import (
    KL,
    ZERO,
    Add,
    Critic,
    Density,
    Expect,
    Log,
    LogMean,
    Mass,
    Normalized,
    Scale,
    Term,
    Where,
    children,
    densities,
    rebuild,
)


@dataclass(frozen=True)
class Context:
    """What a derivation knows beside its term: the indicator, the parameters that move, and which factors are fixed."""

    y: str | None
    groups: frozenset[str]
    fixed: frozenset[str]

    def movers(self, d: Density) -> frozenset[str]:
        """The updated groups whose parameters the density has."""
        if d.group is None or d.perfect or d.factor in self.fixed:
            return frozenset()
        return self.groups & frozenset(d.group.split(","))


def tidy(term: Term) -> Term:
    """Sums flattened, scales collected, empty parts gone: the same value in its plainest shape."""
    new = rebuild(term, tuple(tidy(t) for t in children(term)))
    match new:
        case Add(terms):
            flat = tuple(u for t in terms for u in (t.terms if isinstance(t, Add) else (t,)))
            return flat[0] if len(flat) == 1 else Add(flat)
        case Expect(body=Add(())) | Mass(body=Add(())) | Scale(body=Add(())):
            return ZERO
        case Where(body=Add(())) | Normalized(body=Add(())) | LogMean(body=Add(())):
            return ZERO
        case Expect((), body, branch):
            return body if branch is None else within(body, branch)
        case LogMean(_, (), body) | Scale(1, body):
            return body
        case Scale(0, _):
            return ZERO
        case Scale(outer, Scale(inner, body)):
            return tidy(Scale(outer * inner, body))
        case Scale(factor, Add(terms)):
            return tidy(Add(tuple(Scale(factor, t) for t in terms)))
        case Expect(draws, Scale(factor, body), branch):
            return tidy(Scale(factor, Expect(draws, body, branch)))
        case Mass(d, Scale(factor, body)):
            return tidy(Scale(factor, Mass(d, body)))
        case _:
            return new


def within(term: Term, branch: int | str) -> Term:
    """The term as it stands in a branch: its outermost expectations are taken there."""
    match term:
        case Expect(branch=None):
            return replace(term, branch=branch)
        case Add() | Scale() | Where():
            return rebuild(term, tuple(within(t, branch) for t in children(term)))
        case _:
            return term


def needs(term: Term) -> frozenset[str]:
    """The variables that a term reads from the draws around it."""
    match term:
        case Log(d):
            return frozenset((*d.targets, *d.given))
        case Critic(form, d):
            return frozenset(d.given if form == "slope" else (*d.targets, *d.given))
        case KL(left, right):
            return frozenset((*left.given, *right.given)) - {left.target}
        case Mass(d, body):
            return frozenset((*d.targets, *d.given)) | needs(body)
        case Where(variable, _, _, body):
            return needs(body) | {variable}
        case Normalized(_, top, bottom, body):
            return frozenset(v for d in (top, bottom) for v in (*d.targets, *d.given)) | needs(body)
        case Expect(draws, body) | LogMean(_, draws, body):
            found = needs(body)
            for d in reversed(draws):
                found = (found - set(bound(d))) | set(outside(d))
            return found
        case _:
            return frozenset(v for t in children(term) for v in needs(t))


def bound(d: Density) -> tuple[str, ...]:
    """The variables that a draw binds."""
    return (*d.targets, *(t for case in d.cases for c in case for t in c.targets))


def outside(d: Density) -> frozenset[str]:
    """The variables that a draw reads from those before it."""
    found = set(d.given)
    for case in d.cases:
        inner: set[str] = set()
        for c in case:
            found |= set(c.given) - inner
            inner |= set(c.targets)
    return frozenset(found)


def places(draws: tuple[Density, ...]) -> dict[str, int]:
    """Where each variable is drawn."""
    return {t: i for i, d in enumerate(draws) for t in bound(d)}


def trim(draws: tuple[Density, ...], needed: Iterable[str], where: dict[str, int] | None = None) -> tuple[Density, ...]:
    """The draws on which the needed variables depend; a record keeps the fields that are needed.

    `where` is `places(draws)`, for a caller who trims the same draws often.
    """
    where = places(draws) if where is None else where
    wanted = {v for v in needed if v in where}
    pending, kept = list(wanted), set[int]()
    while pending:
        i = where[pending.pop()]
        if i not in kept:
            kept.add(i)
            above = {v for v in outside(draws[i]) if v in where} - wanted
            wanted |= above
            pending += above
    here: dict[int, set[str]] = {}
    for v in wanted:
        here.setdefault(where[v], set()).add(v)
    return tuple(_fields(draws[i], here[i]) for i in sorted(kept))


def _fields(d: Density, wanted: set[str]) -> Density:
    return replace(d, targets=tuple(t for t in d.targets if t in wanted)) if d.kind == "data" else d


def marginal(term: Term) -> Term:
    """Draws on which nothing inside depends integrate to one and go."""
    new = rebuild(term, tuple(marginal(t) for t in children(term)))
    match new:
        case Expect(draws, body, branch):
            return Expect(trim(draws, needs(body)), body, branch)
        case _:
            return new


Moved = dict[str, frozenset[str]]
"""For each drawn variable the groups whose parameters move it."""


def after(draws: tuple[Density, ...], moved: Moved, context: Context) -> Moved:
    """What moves each variable after these draws: the draw's own parameters and what moves its parents, unless the
    sample passes no gradient."""
    found = dict(moved)
    for d in draws:
        above = frozenset(g for v in outside(d) for g in found.get(v, ()))
        inside = [after(case, found, context) for case in d.cases]
        for t in bound(d):
            own = frozenset(g for case in inside for g in case.get(t, ())) if d.cases else context.movers(d)
            found[t] = frozenset() if d.stopped else above | own
    return found


def reaching(atom: Term, moved: Moved, context: Context) -> frozenset[str]:
    """The updated groups that an atom's value depends on: by its own densities, or through its variables."""
    own = frozenset(g for d in densities(atom) for g in context.movers(d))
    return own | frozenset(g for v in needs(atom) for g in moved.get(v, ()))

"""From runs to an explanation: of which atoms, with which coefficients, what the user's code moves is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from schematic.audit.atoms import Key, Value
from schematic.audit.fit import EXACT, Column, Fit, explain, independent, solve
from schematic.audit.parameters import Vector
from schematic.audit.running import Moved
from schematic.audit.stage import Step

Atoms = Mapping[Key, Value]

FOREIGN = 0.5  # what a term of another update's objective costs
EXTRA = 5.0  # what a summand that nothing explains costs


@dataclass(frozen=True)
class Trial:
    """One run at some weights, data and draws. `own`, `atoms`: for a way to share the draws, the model's terms and all
    that a loss may be made of."""

    size: int
    moved: Sequence[Moved | None]
    ways: int
    own: Callable[[int, int], Atoms]
    atoms: Callable[[int, int], Atoms]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Explanation:
    """coefficients[size][key]: how often the gradient of an atom is in that of the user's code, at batches of a size.

    `way`: how the draws were shared; `lines`: where in the user's code each atom is made; `extra`: the lines of what
    is no atom and stands beside them.
    """

    coefficients: dict[int, dict[Key, float]]
    residual: float
    way: int
    lines: dict[Key, tuple[str, int]]
    extra: tuple[tuple[str, int] | None, ...] = ()
    cost: float = 0.0

    def of(self, key: Key) -> dict[int, float]:
        return {size: found.get(key, 0.0) for size, found in self.coefficients.items()}

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(dict.fromkeys(k for found in self.coefficients.values() for k in found))


def explained(trials: Sequence[Trial], update: int, mask: Vector, deep: bool = True) -> Explanation | None:
    """The cheapest explanation of an update over all trials: of all that moves it in a step, or, where it is moved
    several times, of the last. None where there is none; unless `deep` only the model's own terms are tried."""
    ways = [trials]
    lasts = [m.last for t in trials if (m := t.moved[update]) is not None and m.last is not None]
    if len(lasts) == len(trials):
        ways.append([replace(t, moved=[at if i == update else m for i, m in enumerate(t.moved)])
                     for t, at in zip(trials, lasts, strict=True)])  # fmt: skip
    for way in ways:
        if (found := _derived(way, update, mask)) is not None:
            return found
    others = [e for way in ways if deep and (e := _varied(way, update, mask)) is not None]
    return min(others, key=lambda e: e.cost, default=None)


def _firsts(trials: Sequence[Trial]) -> list[Trial]:
    """The trials whose batch has the first one's size."""
    return [t for t in trials if t.size == trials[0].size]


def _derived(trials: Sequence[Trial], update: int, mask: Vector) -> Explanation | None:
    """By the model's own terms, whatever their coefficients."""
    first = _firsts(trials)
    for way in range(min(t.ways for t in trials)):
        own = {k: v for k, v in _stacked(first, update, way, False, mask).items() if k.update == update}
        columns = independent([Column(i, 0.0, v) for i, v in enumerate(own.values())])
        if solve(_target(first, update, mask), columns).exact:
            return _everywhere(trials, update, way, False, mask, [list(own)[c.place] for c in columns])
    return None


def _varied(trials: Sequence[Trial], update: int, mask: Vector) -> Explanation | None:
    """By other atoms beside them, found at one size of batch and held against the others. Where two atoms are the same
    at the first size by chance, another one tells them apart."""
    for size in dict.fromkeys(t.size for t in trials):
        here = [t for t in trials if t.size == size]
        best: tuple[float, list[Key], frozenset[int], int] | None = None
        for way in range(min(t.ways for t in trials)):
            found = _beyond(here, update, way, mask)
            if found is not None and (best is None or found[0] < best[0]):
                best = (*found, way)
        if best is None:
            return None
        cost, keys, without, way = best
        made = _everywhere(trials, update, way, True, mask, keys, without)
        if made is not None:
            return replace(made, cost=cost)
    return None


def _stacked(trials: Sequence[Trial], update: int, way: int, all_: bool, mask: Vector) -> dict[Key, Vector]:
    """Every atom's gradients, one trial after the other."""
    per = [(t.atoms if all_ else t.own)(update, way) for t in trials]
    return {k: np.concatenate([p[k].gradient[mask > 0] for p in per]) for k in per[0] if all(k in p for p in per)}


def _target(trials: Sequence[Trial], update: int, mask: Vector, without: Collection[int] = ()) -> Vector:
    """What the user's code moves, without some of its summands."""
    found = []
    for t in trials:
        moved = t.moved[update]
        assert moved is not None
        left = sum((moved.pieces[i].gradient for i in without), np.zeros_like(moved.target))
        found.append((moved.target - left)[mask > 0])
    return np.concatenate(found)


def _beyond(
    trials: Sequence[Trial], update: int, way: int, mask: Vector
) -> tuple[float, list[Key], frozenset[int]] | None:
    """An explanation with other atoms beside the model's own: what it costs, which they are, and which of the user's
    summands it leaves out."""
    found = _stacked(trials, update, way, True, mask)
    keys = list(found)
    costs = [k.cost + (FOREIGN if k.update != update else 0.0) for k in keys]
    columns = independent([Column(i, c, v) for i, (v, c) in enumerate(zip(found.values(), costs, strict=True))])
    own = [c for c in columns if c.cost == 0.0]
    others = [c for c in columns if c.cost > 0.0]
    target = _target(trials, update, mask)
    fit = explain(target, own, others, 1)
    without = frozenset[int]()
    if fit is None:
        fit, without = _by_pieces(trials, update, mask, own, others)
    if fit is None or without:
        pair = explain(target, own, others, 2)
        fit, without = (pair, frozenset()) if pair is not None else (fit, without)
    if fit is None:
        return None
    used = [(keys[p], c) for p, c in zip(fit.columns, fit.coefficients, strict=True)]
    largest = max((abs(c) for _, c in used), default=0.0)
    kept = [k for k, c in used if abs(c) > EXACT * largest]
    said = sum(1.0 + costs[keys.index(k)] for k in kept if costs[keys.index(k)] > 0)
    return said + EXTRA * len(without), kept, without


def _by_pieces(trials: Sequence[Trial], update: int, mask: Vector, own: Sequence[Column],
               others: Sequence[Column]) -> tuple[Fit | None, frozenset[int]]:  # fmt: skip
    """Each summand of the user's loss explained by itself; those that are not, if others are, are left out."""
    lists = [m.pieces for t in trials if (m := t.moved[update]) is not None]
    if len({len(x) for x in lists}) != 1 or len(lists[0]) < 2:
        return None, frozenset()
    total: dict[int, float] = {}
    without: set[int] = set()
    for i, parts in enumerate(zip(*lists, strict=True)):
        piece = np.concatenate([p.gradient[mask > 0] for p in parts])
        fit = explain(piece, own, others, 2)
        if fit is None:
            without.add(i)
            continue
        largest = max((abs(c) for c in fit.coefficients), default=0.0)
        for place, c in zip(fit.columns, fit.coefficients, strict=True):
            if abs(c) > EXACT * largest:
                total[place] = total.get(place, 0.0) + c
    chosen = [c for c in (*own, *others) if c.place in total]
    target = _target(trials, update, mask, without)
    found = explain(target, own, others, 1) if without else None
    fit = found or (solve(target, chosen) if chosen else None)
    return (fit, frozenset(without)) if fit is not None and fit.exact else (None, frozenset())


def _everywhere(trials: Sequence[Trial], update: int, way: int, all_: bool, mask: Vector,
                keys: Sequence[Key], without: Collection[int] = ()) -> Explanation | None:  # fmt: skip
    """The explanation at every size of batch; None where it does not hold at another size."""
    coefficients: dict[int, dict[Key, float]] = {}
    worst = 0.0
    for size in dict.fromkeys(t.size for t in trials):
        here = [t for t in trials if t.size == size]
        found = _stacked(here, update, way, all_, mask)
        if not all(k in found for k in keys):
            return None
        heard = [k for k in keys if np.any(found[k])]  # at these points it may have no gradient, as a hinge
        fit = solve(_target(here, update, mask, without), [Column(i, 0.0, found[k]) for i, k in enumerate(heard)])
        worst = max(worst, fit.residual)
        coefficients[size] = dict(zip(heard, fit.coefficients, strict=True))
    for k in keys:
        known = [c[k] for c in coefficients.values() if k in c]
        for c in coefficients.values():
            c.setdefault(k, known[0] if known else 0.0)
    if worst >= EXACT:
        return None
    moved = trials[0].moved[update]
    extra = tuple(moved.pieces[i].line for i in sorted(without)) if moved else ()
    return Explanation(coefficients, worst, way, _lines(trials[:1], update, way, all_, mask, keys), extra)


def _lines(trials: Sequence[Trial], update: int, way: int, all_: bool, mask: Vector,
           keys: Sequence[Key]) -> dict[Key, tuple[str, int]]:  # fmt: skip
    """For each atom the line of the summand that is most like it."""
    found = _stacked(trials, update, way, all_, mask)
    moved = trials[0].moved[update]
    pieces = [p for p in (moved.pieces if moved else []) if p.line is not None and np.any(p.gradient[mask > 0])]
    lines = {}
    for k in keys:
        near = [(abs(_cosine(p.gradient[mask > 0], found[k])), i) for i, p in enumerate(pieces)]
        if near and (best := max(near))[0] > 0.3 and (line := pieces[best[1]].line) is not None:
            lines[k] = line
    return lines


def _cosine(a: Vector, b: Vector) -> float:
    return float(a @ b / ((np.linalg.norm(a) * np.linalg.norm(b)) or 1.0))


def constant(trials: Sequence[Trial], update: int, found: Explanation, all_: bool) -> float | None:
    """What the user's value has beyond the atoms' values, if it is the same whatever the draws; None if it is not."""
    left: list[float] = []
    scale = 1.0
    for t in trials:
        moved = t.moved[update]
        if moved is None or moved.value is None:
            return None
        atoms = (t.atoms if all_ else t.own)(update, found.way)
        value = sum(c * atoms[k].value for k, c in found.coefficients[t.size].items())
        left.append(moved.value - value)
        scale = max(scale, abs(moved.value))
    return left[0] if max(left) - min(left) < 1e-7 * scale else None

"""From runs to an explanation: of which atoms, with which coefficients, what the user's code moves is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schematic.audit.atoms import Key, Value
from schematic.audit.fit import EXACT, Column, Fit, explain, independent, solve
from schematic.audit.parameters import Vector
from schematic.audit.running import Moved
from schematic.audit.stage import Step

Atoms = Mapping[Key, Value]

FOREIGN = 0.5  # what a term of another update's objective costs


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

    `parts`: for each summand of theirs its line and its coefficients; `way`: how the draws were shared.
    """

    coefficients: dict[int, dict[Key, float]]
    residual: float
    way: int
    lines: dict[Key, tuple[str, int]]

    def of(self, key: Key) -> dict[int, float]:
        return {size: found.get(key, 0.0) for size, found in self.coefficients.items()}

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(dict.fromkeys(k for found in self.coefficients.values() for k in found))


def explained(trials: Sequence[Trial], update: int, mask: Vector) -> Explanation | None:
    """The cheapest explanation of an update over all trials; None where there is none."""
    sizes = tuple(dict.fromkeys(t.size for t in trials))
    first = [t for t in trials if t.size == sizes[0]]
    ways = range(min(t.ways for t in trials))
    for way in ways:
        own = {k: v for k, v in _stacked(first, update, way, False, mask).items() if k.update == update}
        columns = independent([Column(i, 0.0, v) for i, v in enumerate(own.values())])
        if solve(_target(first, update, mask), columns).exact:
            return _everywhere(trials, update, way, False, mask, [list(own)[c.place] for c in columns])
    best: tuple[float, list[Key], int] | None = None
    for way in ways:
        found = _beyond(first, update, way, mask)
        if found is not None and (best is None or found[0] < best[0]):
            best = (*found, way)
    return _everywhere(trials, update, best[2], True, mask, best[1]) if best else None


def _stacked(trials: Sequence[Trial], update: int, way: int, all_: bool, mask: Vector) -> dict[Key, Vector]:
    """Every atom's gradients, one trial after the other."""
    per = [(t.atoms if all_ else t.own)(update, way) for t in trials]
    return {k: np.concatenate([p[k].gradient[mask > 0] for p in per]) for k in per[0] if all(k in p for p in per)}


def _target(trials: Sequence[Trial], update: int, mask: Vector) -> Vector:
    return np.concatenate([m.target[mask > 0] for t in trials if (m := t.moved[update]) is not None])


def _beyond(trials: Sequence[Trial], update: int, way: int, mask: Vector) -> tuple[float, list[Key]] | None:
    """An explanation with other atoms beside the model's own: what it costs, and which they are."""
    found = _stacked(trials, update, way, True, mask)
    keys = list(found)
    costs = [k.cost + (FOREIGN if k.update != update else 0.0) for k in keys]
    columns = independent([Column(i, c, v) for i, (v, c) in enumerate(zip(found.values(), costs, strict=True))])
    own = [c for c in columns if c.cost == 0.0]
    others = [c for c in columns if c.cost > 0.0]
    target = _target(trials, update, mask)
    fit = explain(target, own, others, 1) or _by_pieces(trials, update, mask, own, others)
    fit = fit or explain(target, own, others, 2)
    if fit is None:
        return None
    used = [(keys[p], c) for p, c in zip(fit.columns, fit.coefficients, strict=True)]
    largest = max((abs(c) for _, c in used), default=0.0)
    kept = [k for k, c in used if abs(c) > EXACT * largest]
    return sum(1.0 + costs[keys.index(k)] for k in kept if costs[keys.index(k)] > 0), kept


def _by_pieces(trials: Sequence[Trial], update: int, mask: Vector, own: Sequence[Column],
               others: Sequence[Column]) -> Fit | None:  # fmt: skip
    """Each summand of the user's loss explained by itself."""
    lists = [m.pieces for t in trials if (m := t.moved[update]) is not None]
    if len({len(x) for x in lists}) != 1 or len(lists[0]) < 2:
        return None
    total: dict[int, float] = {}
    for parts in zip(*lists, strict=True):
        piece = np.concatenate([p.gradient[mask > 0] for p in parts])
        fit = explain(piece, own, others, 2)
        if fit is None:
            return None
        largest = max((abs(c) for c in fit.coefficients), default=0.0)
        for place, c in zip(fit.columns, fit.coefficients, strict=True):
            if abs(c) > EXACT * largest:
                total[place] = total.get(place, 0.0) + c
    chosen = [c for c in (*own, *others) if c.place in total]
    return solve(_target(trials, update, mask), chosen)


def _everywhere(trials: Sequence[Trial], update: int, way: int, all_: bool, mask: Vector,
                keys: Sequence[Key]) -> Explanation | None:  # fmt: skip
    """The explanation at every size of batch; None where it does not hold at another size."""
    coefficients: dict[int, dict[Key, float]] = {}
    worst = 0.0
    for size in dict.fromkeys(t.size for t in trials):
        here = [t for t in trials if t.size == size]
        found = _stacked(here, update, way, all_, mask)
        if not all(k in found for k in keys):
            return None
        fit = solve(_target(here, update, mask), [Column(i, 0.0, found[k]) for i, k in enumerate(keys)])
        worst = max(worst, fit.residual)
        coefficients[size] = dict(zip(keys, fit.coefficients, strict=True))
    if worst >= EXACT:
        return None
    return Explanation(coefficients, worst, way, _lines(trials[:1], update, way, all_, mask, keys))


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

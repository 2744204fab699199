"""Least squares over gradients: which terms, with which coefficients, a gradient is made of.

All is float64, and so an explanation is exact or none: its residual is below `EXACT` of the gradient itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

EXACT = 1e-6
ROUGH = 1e-7  # of the square of a norm: what is looked at more closely


@dataclass(frozen=True)
class Column:
    """A candidate: its place among the atoms, what it costs to say, and its vector."""

    place: int
    cost: float
    vector: Vector


@dataclass(frozen=True)
class Fit:
    """target = sum of coefficient * column, up to `residual` of the target's norm."""

    columns: tuple[int, ...]
    coefficients: tuple[float, ...]
    residual: float

    @property
    def exact(self) -> bool:
        return self.residual < EXACT


def solve(target: Vector, columns: Sequence[Column]) -> Fit:
    """The best coefficients of these columns."""
    size = float(np.linalg.norm(target))
    places = tuple(c.place for c in columns)
    if size == 0.0 or not columns:
        return Fit(places, (0.0,) * len(columns), 0.0 if size == 0.0 else 1.0)
    lengths = np.array([np.linalg.norm(c.vector) or 1.0 for c in columns])
    matrix = np.stack([c.vector for c in columns], 1) / lengths
    found, _, rank, _ = np.linalg.lstsq(matrix, target / size, rcond=1e-9)
    left = float(np.linalg.norm(matrix @ found - target / size))
    return Fit(places, tuple(found / lengths * size), left if rank == len(columns) else max(left, EXACT))


def independent(columns: Sequence[Column]) -> list[Column]:
    """The columns that are no multiple of a cheaper one, nor zero."""
    kept: list[Column] = []
    units: list[Vector] = []
    for c in sorted(columns, key=lambda c: (c.cost, c.place)):
        length = np.linalg.norm(c.vector)
        if length < 1e-12 or not np.isfinite(length):
            continue
        unit = c.vector / length
        if not any(abs(float(unit @ u)) > 1 - 1e-10 for u in units):
            kept.append(c)
            units.append(unit)
    return kept


def explain(target: Vector, own: Sequence[Column], others: Sequence[Column], most: int = 2) -> Fit | None:
    """The cheapest exact explanation: by the model's own terms, or with up to `most` (0 to 2) other columns."""
    plain = solve(target, own)
    if plain.exact or not others or most == 0:
        return plain if plain.exact else None
    left, rest = without(target, own), [without(c.vector, own) for c in others]
    matrix = np.stack([r / (np.linalg.norm(r) or 1.0) for r in rest], 1)
    onto, gram = matrix.T @ (left / (np.linalg.norm(left) or 1.0)), matrix.T @ matrix
    for size in range(1, most + 1):
        fits = [(solve(target, (*own, *(others[i] for i in c))), c) for c in promising(onto, gram, size)]
        exact = [(terms(f), sum(others[i].cost for i in c), c, f) for f, c in fits if f.exact]
        if exact:
            return min(exact, key=lambda e: e[:3])[3]
    return None


def terms(fit: Fit) -> int:
    """How many columns a fit makes use of."""
    largest = max((abs(c) for c in fit.coefficients), default=0.0)
    return sum(abs(c) > EXACT * largest for c in fit.coefficients)


def without(vector: Vector, own: Sequence[Column]) -> Vector:
    """What the columns leave of a vector."""
    if not own:
        return vector
    matrix = np.stack([c.vector / (np.linalg.norm(c.vector) or 1.0) for c in own], 1)
    found = np.linalg.lstsq(matrix, vector, rcond=1e-9)[0]
    rest: Vector = vector - matrix @ found
    return rest


def promising(onto: Vector, gram: NDArray[np.float64], size: int) -> list[tuple[int, ...]]:
    """The sets of unit columns that leave next to nothing of a unit vector, given its products with them and theirs."""
    if size == 1:
        return [(int(i),) for i in np.flatnonzero(1 - onto**2 < ROUGH)]
    determinant = 1 - gram**2
    a, b = onto[:, None], onto[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = 1 - (a**2 + b**2 - 2 * a * b * gram) / determinant
    pairs = np.argwhere((left < ROUGH) & (determinant > ROUGH))
    return [(int(i), int(j)) for i, j in pairs if i < j]

"""Least squares over gradients: which terms, with which coefficients, a gradient is made of.

All is float64, and so an explanation is exact or none: its residual is below `EXACT` of the gradient itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

EXACT = 1e-6


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
    """The cheapest exact explanation: the model's own terms, some of them, or with up to `most` other columns."""
    for chosen in choices(own, others, most):
        fit = solve(target, chosen)
        if fit.exact:
            return fit
    return None


def choices(own: Sequence[Column], others: Sequence[Column], most: int) -> Iterator[tuple[Column, ...]]:
    """Sets of columns, the cheapest first within a size: all of the model's own, then with others beside them."""
    yield tuple(own)
    for size in range(1, most + 1):
        sets = sorted(combinations(others, size), key=lambda s: sum(c.cost for c in s))
        for chosen in sets:
            yield (*own, *chosen)

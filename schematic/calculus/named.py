"""Arrays with named axes, for numpy without loops over joint values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Named:
    axes: tuple[str, ...]
    array: Array


NOTHING = Named((), np.zeros(()))


def aligned(named: Named, axes: tuple[str, ...]) -> Array:
    """The array with these axes in this order, of length 1 where it has none."""
    order = [named.axes.index(a) for a in axes if a in named.axes]
    new = tuple(slice(None) if a in named.axes else None for a in axes)
    return np.transpose(named.array, order)[new]


def combined(operation: Callable[..., Array], *parts: Named) -> Named:
    axes = tuple(dict.fromkeys(a for p in parts for a in p.axes))
    return Named(axes, operation(*(aligned(p, axes) for p in parts)))


def weighed(weight: Array, body: Array) -> Array:
    """weight * body, where what has no weight does not count: 0 log 0 = 0."""
    return np.where(weight == 0, 0.0, weight * body)


def summed(named: Named, variables: Iterable[str]) -> Named:
    gone = tuple(i for i, a in enumerate(named.axes) if a in set(variables))
    return Named(tuple(a for i, a in enumerate(named.axes) if i not in gone), named.array.sum(axis=gone))


def taken(named: Named, place: Mapping[str, int]) -> Named:
    """The slice at the values of the variables that have one."""
    index = tuple(place.get(a, slice(None)) for a in named.axes)
    return Named(tuple(a for a in named.axes if a not in place), named.array[index])


def stacked(variable: str, parts: list[Named]) -> Named:
    """One function of a variable from its values."""
    axes = tuple(dict.fromkeys(a for p in parts for a in p.axes))
    arrays = np.broadcast_arrays(*(aligned(p, axes) for p in parts))
    return Named((variable, *axes), np.stack(arrays))

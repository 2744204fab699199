"""Fields that only some records have: which of them are known, and which of those a run may see."""

from __future__ import annotations

from typing import Any

import numpy as np

from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field
from schematic.runtime.idx import Array
from schematic.runtime.splits import count

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def known(array: Array, field: Field) -> Mask:
    """(records,): not known are the class -1, a one-hot row of zeros, and a record with NaNs."""
    rows = array.reshape(len(array), -1)
    missing: Array = np.isnan(rows) if rows.dtype.kind == "f" else np.zeros(rows.shape, np.bool_)
    if field.kind == "category" and array.shape[1:] == field.shape:
        missing = missing | (rows.sum(1, keepdims=True) == 0)
    elif field.kind == "category":
        missing = missing | (rows == -1)
    return np.logical_not(missing.any(1))


def number_of_classes(labels: Array) -> int:
    """Of one-hot rows their length, of class numbers one more than the largest."""
    rows = labels.reshape(len(labels), -1)
    return rows.shape[1] if rows.shape[1] > 1 else 1 + int(np.nan_to_num(rows).max())


def filled(array: Array, mask: Mask, field: Field) -> Array:
    """The array with what is not known, or not to be seen, replaced by a value of the field's type."""
    array = array.copy()
    array[~mask] = 0
    if field.kind == "category" and array.shape[1:] == field.shape:
        array[~mask, ..., 0] = 1
    return array


def chosen(array: Array, mask: Mask, field: Field, share: str, seed: int, where: str) -> Mask:
    """`share` of the records, of those that are known: class by class in turn, so that classes differ by at most one
    record while they last. The order within a class is drawn from the seed.

    Raises RunError for more records than are known, or fewer than there are classes.
    """
    wanted = count(share, len(array), f"{where}: labels")
    rows = np.flatnonzero(mask)
    if wanted > len(rows):
        raise RunError(f"{where}: labels={share} is {wanted} records, and only {len(rows)} are known")
    random = np.random.default_rng(seed)
    rows = random.permutation(rows)
    classes = classes_of(array[rows], field)
    if wanted < len(np.unique(classes)):
        raise RunError(f"{where}: labels={share} is {wanted} records, fewer than the {len(np.unique(classes))} classes")
    rank = np.empty(len(rows), np.int64)  # the place of each record in its class
    for value in np.unique(classes):
        rank[classes == value] = np.arange((classes == value).sum())
    seen = np.zeros(len(array), np.bool_)
    seen[rows[np.argsort(rank, kind="stable")[:wanted]]] = True
    return seen


def classes_of(array: Array, field: Field) -> Array:
    """(records,): class numbers of one category; all 0 for what has no classes."""
    if field.kind != "category" or len(field.shape) != 1:
        return np.zeros(len(array), np.int64)
    rows = array.reshape(len(array), -1)
    classes: Array = rows[:, 0] if rows.shape[1] == 1 else rows.argmax(1)
    return classes

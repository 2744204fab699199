"""A set's records as its files hold them, in their splits; and the splits of a set that comes without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array

Arrays = dict[str, Array]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SHARE = r"\d{1,3}(\.\d+)?%|[1-9]\d{0,8}"  # of the records, or a number of them
TEST_SHARE = 5  # one in so many records is held out of a set that comes without a test split


@dataclass(frozen=True)
class RawSet:
    """Arrays by field, the records first. `white` is the value of whole numbers that means 1; 0 where it is unknown."""

    origin: str
    train: Arrays
    test: Arrays = field(default_factory=dict)
    validation: Arrays = field(default_factory=dict)
    white: float = 0.0

    def splits(self) -> Iterator[tuple[Split, Arrays]]:
        """The splits that the set has."""
        parts: Mapping[Split, Arrays] = {"train": self.train, "validation": self.validation, "test": self.test}
        return ((split, arrays) for split, arrays in parts.items() if arrays)

    def changed(self, change: Callable[[str, Array], Array]) -> RawSet:
        """The set with every array replaced by `change(field, array)`."""
        train, test, validation = (
            {f: change(f, a) for f, a in part.items()} for part in (self.train, self.test, self.validation)
        )
        return replace(self, train=train, test=test, validation=validation)


def check(raw: RawSet) -> None:
    """Raises RunError where a field holds no numbers, a split lacks one, or fields differ in their records."""
    for split, arrays in raw.splits():
        for name, array in arrays.items():
            if array.dtype.kind not in "buif":
                raise RunError(f"{raw.origin}: field `{name}` holds {array.dtype}, not numbers")
        counts = {f: len(a) if a.ndim else 0 for f, a in arrays.items()}
        if missing := [f for f in raw.train if f not in arrays]:
            raise RunError(f"{raw.origin}: field `{missing[0]}` has no {split} part, and others have one")
        if len(set(counts.values())) > 1:
            numbers = ", ".join(f"`{f}` {n}" for f, n in counts.items())
            raise RunError(f"{raw.origin}: fields have different numbers of records in the {split} split: {numbers}")
        if 0 in counts.values():
            raise RunError(f"{raw.origin}: field `{next(iter(counts))}` has no records in the {split} split")


def complete(raw: RawSet, validation: str, seed: int) -> RawSet:
    """The set with a test split, and with the share `validation` of its training records held out.

    Both are drawn from `seed` unless the set comes with them. Raises RunError.
    """
    if not raw.test:
        raw = _hold_out(raw, "test", -(-len(next(iter(raw.train.values()))) // TEST_SHARE), seed)
    if validation and raw.validation:
        raise RunError(f"{raw.origin}: comes with a validation split", "leave `#validation` out")
    if validation:
        n = len(next(iter(raw.train.values())))
        raw = _hold_out(raw, "validation", count(validation, n, f"{raw.origin}: validation"), seed)
    return raw


def _hold_out(raw: RawSet, split: Split, size: int, seed: int) -> RawSet:
    records = len(next(iter(raw.train.values())))
    if not 0 < size < records:
        raise RunError(f"{raw.origin}: {records} records are too few to hold {max(size, 1)} of them out for {split}")
    order = np.random.default_rng(seed).permutation(records)
    kept, held = order[: records - size], order[records - size :]
    rest, part = ({f: a[which] for f, a in raw.train.items()} for which in (kept, held))
    return replace(raw, train=rest, test=part) if split == "test" else replace(raw, train=rest, validation=part)


def count(share: str, records: int, what: str) -> int:
    """`1%` of so many records, or `600` of them. Raises RunError where that is none, or more than there are."""
    number = float(share.rstrip("%"))
    wanted = round(number / 100 * records) if share.endswith("%") else int(number)
    if not 0 < wanted <= records:
        raise RunError(f"{what}={share} is {wanted} of {records} records")
    return wanted

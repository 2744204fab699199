"""Arrays as they come fitted to the fields that a model reads: float tensors (records, *event shape), checked."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array

Shape = tuple[int, ...]
GREY = ("unit", "binary")  # the types that grey values, and bits drawn from them, can have


@dataclass(frozen=True)
class Field:
    """A field as the model wants it. `kind` is its type's name ("unit", "category", ...), "" where it is unknown."""

    name: str
    shape: Shape
    kind: str = ""

    @property
    def array(self) -> str:
        """Its name in its set: `image` of `horses/image`."""
        return self.name.rpartition("/")[2]


def fit(array: Array, field: Field, origin: str, white: float = 255.0) -> Tensor:
    """The array as float32 (records, *field.shape): images in [0, 1] and channels first, categories one-hot.

    Integer images are divided by `white`. Raises RunError, naming the field and the file, for a shape, a type or a
    range that does not fit.
    """
    where = f"{origin}: field `{field.name}`"
    if array.ndim == 0 or not len(array):
        raise RunError(f"{where} has no records")
    if array.dtype.kind not in "buif":
        raise RunError(f"{where} holds {array.dtype}, not numbers")
    if _classes(array, field):
        return _one_hot(array, field, where)
    array = _arrange(array, field, where)
    values = _scale(array, field, white)
    _check(values, field, where)
    return torch.from_numpy(np.ascontiguousarray(values))


def white_of(array: Array, field: Field, origin: str) -> float:
    """The whole number that means 1 where the source does not say: 255 of bytes that reach the upper half, 1 of bits.

    The larger one of a binary field's two. Raises RunError where none of it is clear.
    """
    if array.dtype.kind not in "ui" or field.kind not in GREY or not array.size:
        return 255.0
    low, high = int(array.min()), int(array.max())
    if high <= 1 or field.kind == "binary":
        return float(max(high, 1))
    if not 128 <= high <= 255:
        raise RunError(
            f"{origin}: field `{field.name}` has whole numbers from {low} to {high}: which of them means 1?",
            f"#white={high} after the source's name says it",
        )
    return 255.0


def _classes(array: Array, field: Field) -> bool:
    """Whether the array holds class numbers, (records, *shape[:-1]), for a one-hot field (*shape[:-1], classes)."""
    whole = array.dtype.kind in "bui" or (field.kind == "category" and bool(np.all(array == np.floor(array))))
    if field.kind not in ("category", "") or not field.shape or not whole:
        return False
    numbers = array.shape[1:] in (field.shape[:-1], (*field.shape[:-1], 1))
    return numbers and array.shape[1:] != field.shape and (field.kind == "category" or len(field.shape) == 1)


def _one_hot(array: Array, field: Field, where: str) -> Tensor:
    classes = field.shape[-1]
    numbers = array.reshape(len(array), *field.shape[:-1]).astype(np.int64)
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high >= classes:
        raise RunError(
            f"{where} has classes {low} to {high}; the model's category({classes}) has 0 to {classes - 1}",
            f"category({high + 1}) holds them all" if low >= 0 else "classes are counted from 0",
        )
    return torch.nn.functional.one_hot(torch.from_numpy(numbers), classes).float()


def _arrange(array: Array, field: Field, where: str) -> Array:
    """Channels first, a channel of one added or dropped, an image flattened: what keeps every value in its place."""
    have, want = array.shape[1:], field.shape
    if have == want:
        return array
    if len(want) == 3 and len(have) == 3 and (have[2], have[0], have[1]) == want:
        return array.transpose(0, 3, 1, 2)
    flat = min(len(have), len(want)) == 1 and max(len(have), len(want)) > 1
    squeezed = tuple(n for n in have if n != 1) == tuple(n for n in want if n != 1)
    if prod(have) == prod(want) and (flat or squeezed):
        return array.reshape(len(array), *want)
    raise RunError(f"{where} has shape {have}; the model wants {want}", _mend(have, field))


def _mend(have: Shape, field: Field) -> str:
    """How data of a shape can be made to fit: by another declaration, or by another size of the images."""
    image = (
        (1, *have) if len(have) == 2 else (have[2], have[0], have[1]) if len(have) == 3 and have[2] in (1, 3) else have
    )
    shape = image if len(field.shape) == 3 else have
    declare = f"declare {field.kind or 'unit'}({', '.join(map(str, shape))})"
    if len(field.shape) != 3 or len(image) != 3:
        return declare
    channels, height, width = field.shape
    options = "" if image[1:] == (height, width) else f"#resize={height}" + f"x{width}" * (width != height)
    options += "" if image[0] == channels or channels not in (1, 3) else f"#channels={channels}"
    return f"{declare}; or change the images, {options} after the source's name" if options else declare


def _scale(array: Array, field: Field, white: float) -> Array:
    if array.dtype.kind in "ui" and field.kind != "category":
        bits = field.kind == "binary" and set(np.unique(array)) == {0, white}
        if bits or field.kind == "unit" or (array.dtype == np.uint8 and len(field.shape) == 3):
            scaled: Array = np.divide(array, np.float32(white), dtype=np.float32)
            return scaled
    return array.astype(np.float32)


def _check(values: Array, field: Field, where: str) -> None:
    """Raises RunError where a value is not finite or not of the field's type."""
    low, high = values.min(initial=0), values.max(initial=0)  # not a number if any is not
    if not (np.isfinite(low) and np.isfinite(high)):
        raise _wrong(values, np.isfinite(values), field, "finite", where)
    if field.kind == "unit" and (low < 0 or high > 1):
        help = "scale them, or declare real(...)"
        raise _wrong(values, (values >= 0) & (values <= 1), field, "from 0 to 1", where, help)
    bits: Array = (values == 0) | (values == 1) if field.kind in ("binary", "category") else np.ones(1)
    if field.kind == "binary" and not bits.all():
        raise _wrong(values, bits, field, "0 or 1", where, "--binarize draws bits from grey values")
    if field.kind == "category" and not (bits.all() and (values.sum(-1) == 1).all()):
        raise RunError(f"{where} is a category, but is neither class numbers nor one-hot")


def _wrong(values: Array, holds: Array, field: Field, says: str, where: str, help: str = "") -> RunError:
    """The error that tells of the first value of which `holds` is false."""
    first = np.argwhere(~holds)[0]
    words = f"{where} is {field.kind or 'real'}, {says}; record {int(first[0])} has {values[tuple(first)]:g}"
    return RunError(words, help)

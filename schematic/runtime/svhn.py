"""Street View House Numbers, cropped digits (Netzer et al., 2011), "Format 2" of http://ufldl.stanford.edu/housenumbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from schematic.runtime import mat
from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array
from schematic.runtime.splits import Arrays, RawSet

FIELDS = {"image": "X", "label": "y"}
FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}


def is_folder(folder: Path) -> bool:
    return (folder / FILES["train"]).exists()


def read(folder: Path, fields: Iterable[str]) -> RawSet:
    """The official training and test digits: images (n, 3, 32, 32) and classes 0 to 9. Raises RunError."""
    wanted = list(fields)
    parts = {split: _read(folder / name, wanted) for split, name in FILES.items()}
    return RawSet(str(folder), parts["train"], parts["test"], white=255.0)


def _read(file: Path, fields: Iterable[str]) -> Arrays:
    arrays = mat.read_file(file)
    found: Arrays = {}
    for field in fields:
        name = FIELDS[field]
        if name not in arrays:
            have = ", ".join(arrays) or "none"
            raise RunError(f"{file}: no array `{name}` for field `{field}` (arrays: {have})")
        found[field] = (_images if field == "image" else _labels)(arrays[name], f"{file}: field `{field}`")
    return found


def _images(array: Array, where: str) -> Array:
    if array.ndim != 4 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise RunError(f"{where} is {array.dtype} of shape {array.shape}, not uint8 of (height, width, 3, records)")
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1))


def _labels(array: Array, where: str) -> Array:
    """The file counts from 1, and 10 is the digit 0."""
    if array.ndim != 2 or 1 not in array.shape:
        raise RunError(f"{where} has shape {array.shape}, not (records, 1)")
    digits = array.reshape(-1)
    wrong = ~np.isin(digits, np.arange(1, 11))
    if wrong.any():
        record = int(wrong.argmax())
        raise RunError(f"{where} has classes 1 to 10, 10 being the digit 0; record {record} has {digits[record]}")
    return digits.astype(np.int64) % 10

"""CIFAR-10, the binary version (Krizhevsky, 2009): https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array
from schematic.runtime.splits import Arrays, RawSet

FIELDS = ("image", "label")
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
CLASSES = 10
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes, row by row


def is_folder(folder: Path) -> bool:
    return (folder / FILES["train"][0]).exists()


def read(folder: Path, fields: Iterable[str]) -> RawSet:
    """The official splits: images (n, 3, 32, 32) and classes 0 to 9. Raises RunError."""
    wanted = list(fields)
    if not is_folder(folder) and (folder / "data_batch_1").exists():
        raise RunError(
            f"{folder}: the Python version of CIFAR-10 is pickled, and nothing is unpickled",
            "fetch the binary version, cifar-10-binary.tar.gz",
        )
    parts = {split: _read([folder / name for name in names], wanted) for split, names in FILES.items()}
    return RawSet(str(folder), parts["train"], parts["test"], white=255.0)


def _read(files: list[Path], fields: Iterable[str]) -> Arrays:
    records = np.concatenate([_records(file) for file in files])
    arrays = {"image": records[:, 1:].reshape(-1, *SHAPE), "label": records[:, 0].astype(np.int64)}
    return {field: arrays[field] for field in fields}


def _records(file: Path) -> Array:
    """(n, RECORD) bytes of one file."""
    try:
        data = file.read_bytes()
    except OSError as e:
        raise RunError(f"{file}: {e.strerror or e}", "fields `image` and `label` need it") from None
    if not data or len(data) % RECORD:
        raise RunError(
            f"{file}: truncated or corrupt: {len(data)} bytes are no whole number of records of {RECORD}",
            "fetch the file again: fields `image` and `label` need it",
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    wrong = records[:, 0] >= CLASSES
    if wrong.any():
        label = records[wrong][0, 0]
        raise RunError(f"{file}: field `label` has classes 0 to 9; record {wrong.argmax()} has {label}")
    return records

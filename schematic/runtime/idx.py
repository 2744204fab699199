"""The IDX files of MNIST and its kin, plain or gzipped: http://yann.lecun.com/exdb/mnist (format at the page's end)."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from schematic.runtime.errors import RunError

Array = np.ndarray[Any, np.dtype[Any]]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
FIELDS = {"image": "images", "label": "labels"}
SPLITS = {"train": ("train",), "test": ("t10k", "test")}


def decode(data: bytes, file: Path) -> Array:
    """An array from the bytes of an IDX file. Raises RunError where they are not one, or not all of one."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not data[3]:
        raise RunError(f"{file}: not an IDX file (its first four bytes are {data[:4]!r})")
    rank, start = data[3], 4 + 4 * data[3]
    if len(data) < start:
        raise RunError(f"{file}: truncated within its header", "fetch the file again")
    shape = struct.unpack(f">{rank}I", data[4:start])
    dtype = np.dtype(TYPES[data[2]])
    expected = start + prod(shape) * dtype.itemsize
    if len(data) != expected:
        wrong = "truncated" if len(data) < expected else "longer than its header says"
        raise RunError(f"{file}: {wrong}: {len(data)} bytes, {expected} expected for {shape}", "fetch the file again")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_file(file: Path) -> Array:
    """One IDX file, gzipped when its name ends in .gz. Raises RunError."""
    try:
        data = file.read_bytes()
        return decode(gzip.decompress(data) if file.suffix == ".gz" else data, file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise RunError(f"{file}: truncated or corrupt gzip file ({e})", "fetch the file again") from None
    except OSError as e:
        raise RunError(f"{file}: {e.strerror or e}") from None


def find(folder: Path, split: str, field: str) -> Path | None:
    """The file of a split's field by its usual names: `t10k-images-idx3-ubyte.gz`, `train-labels.idx1-ubyte`."""
    for prefix in SPLITS[split]:
        for file in sorted(folder.glob(f"{prefix}-{FIELDS[field]}*")):
            if "idx" in file.name:
                return file
    return None


def is_folder(folder: Path) -> bool:
    return folder.is_dir() and find(folder, "train", "image") is not None


def read_folder(folder: Path, fields: list[str]) -> dict[str, dict[str, Array]]:
    """{"train": {field: array}, "test": ...}, the official split; no "test" where a file of it is missing."""
    unknown = [f for f in fields if f not in FIELDS]
    if unknown:
        raise RunError(f"{folder}: no field `{unknown[0]}`", "IDX folders have the fields image and label")
    splits: dict[str, dict[str, Array]] = {}
    for split in SPLITS:
        files = {f: find(folder, split, f) for f in fields}
        missing = [f for f, file in files.items() if file is None]
        if not missing:
            splits[split] = {f: read_file(file) for f, file in files.items() if file is not None}
        elif split == "train":
            name = f"train-{FIELDS[missing[0]]}-idx{3 if missing[0] == 'image' else 1}-ubyte"
            raise RunError(f"{folder}: field `{missing[0]}` needs the file {name} or {name}.gz, which is not there")
    return splits

"""The IDX files of MNIST and its kin, plain or gzipped: http://yann.lecun.com/exdb/mnist (format at the page's end)."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from schematic.runtime.errors import RunError

Array = np.ndarray[Any, np.dtype[Any]]

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
FIELDS = {"image": "images", "label": "labels"}
SPLITS = {"train": ("train",), "test": ("t10k", "test")}


def decode(data: bytes, where: object) -> Array:
    """An array from the bytes of an IDX file. Raises RunError where they are not one, or not all."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in TYPES or not data[3]:
        raise RunError(f"{where}: not an IDX file (its first four bytes are {data[:4]!r})")
    rank, start = data[3], 4 + 4 * data[3]
    if len(data) < start:
        raise RunError(f"{where}: truncated within its header", "fetch the file again")
    shape = struct.unpack(f">{rank}I", data[4:start])
    dtype = np.dtype(TYPES[data[2]])
    expected = start + prod(shape) * dtype.itemsize
    if len(data) != expected:
        wrong = "truncated" if len(data) < expected else "longer than its header says"
        raise RunError(f"{where}: {wrong}: {len(data)} bytes, {expected} expected for {shape}", "fetch the file again")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_file(file: Path, field: str) -> Array:
    """A field's IDX file, gzipped when its name ends in .gz. Raises RunError."""
    where = f"{file}: field `{field}`"
    try:
        data = file.read_bytes()
        return decode(gzip.decompress(data) if file.suffix == ".gz" else data, where)
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        raise RunError(f"{where}: truncated or corrupt gzip file ({e})", "fetch the file again") from None
    except OSError as e:
        raise RunError(f"{where}: {e.strerror or e}") from None


def find(folder: Path, split: str, field: str) -> Path | None:
    """The file of a split's field by its usual names: `t10k-images-idx3-ubyte.gz`, `emnist-digits-test-labels-...`.

    Raises RunError where several sets lie in the folder.
    """
    files = [f for prefix in SPLITS[split] for f in sorted(folder.glob(f"*{prefix}-{FIELDS[field]}*idx*"))]
    several = {f.name.removesuffix(".gz") for f in files}
    if len(several) > 1:
        raise RunError(f"{folder}: field `{field}`: which of {', '.join(sorted(several))}?", "one set a folder")
    return files[0] if files else None


def is_folder(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob(f"*train-{FIELDS['image']}*idx*"))


def read_folder(folder: Path, fields: Iterable[str]) -> dict[str, dict[str, Array]]:
    """{"train": {field: array}, "test": ...}, the official split; no "test" where none of its files is there.

    Raises RunError naming the field and the file.
    """
    wanted = list(fields)
    splits: dict[str, dict[str, Array]] = {}
    for split, prefixes in SPLITS.items():
        files = {f: find(folder, split, f) for f in wanted}
        if split == "test" and not any(files.values()):
            continue
        for field, file in files.items():
            if file is None:
                name = f"{prefixes[0]}-{FIELDS[field]}-idx{3 if field == 'image' else 1}-ubyte"
                raise RunError(f"{folder}: field `{field}` needs the file {name} or {name}.gz, which is not there")
        splits[split] = {f: read_file(file, f) for f, file in files.items() if file is not None}
    return splits

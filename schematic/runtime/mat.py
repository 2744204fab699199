"""MATLAB 5 `.mat` files, read as far as arrays of numbers go: "MAT-File Format", MathWorks, chapter 1 (level 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array

HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CLASSES = range(6, 16)  # double, single and the whole numbers; not cells, structures, text, sparse arrays
COMPLEX = 0x800


class Damaged(ValueError):
    """A file that does not keep to the format; its words say where."""


def read_file(file: Path) -> dict[str, Array]:
    """The numeric arrays of a file by name, in MATLAB's shapes; others are passed over. Raises RunError."""
    try:
        return decode(file.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{file}: no such file") from None
    except OSError as e:
        raise RunError(f"{file}: {e.strerror or e}") from None
    except (Damaged, zlib.error, struct.error, ValueError) as e:
        raise RunError(f"{file}: truncated or corrupt .mat file ({e})", "fetch the file again") from None


def decode(data: bytes) -> dict[str, Array]:
    """The same from a file's bytes. Raises Damaged, zlib.error, struct.error or ValueError."""
    if data[:4] == b"\x89HDF" or data[:19] == b"MATLAB 7.3 MAT-file":
        raise Damaged("this is version 7.3, an HDF5 file: save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or len(data) < HEADER:
        raise Damaged("no header of a MATLAB 5 file")
    found: dict[str, Array] = {}
    for kind, body in _elements(data[HEADER:], order):
        if kind == COMPRESSED:
            kind, body = next(_elements(zlib.decompress(body), order), (0, b""))
        if kind == MATRIX:
            found.update(_array(body, order))
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, bytes) of each element. A small one has its length in its type's upper half and its bytes in the tag."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        if small := kind >> 16:
            if small > 4:
                raise Damaged(f"an element of {small} bytes in a tag of 4")
            yield kind & 0xFFFF, data[at + 4 : at + 4 + small]
            at += 8
            continue
        body = data[at + 8 : at + 8 + length]
        if len(body) < length:
            raise Damaged(f"{len(body)} bytes where {length} are announced")
        yield kind, body
        at += 8 + (length if kind == COMPRESSED else -(-length // 8) * 8)


def _array(body: bytes, order: str) -> dict[str, Array]:
    """One matrix by its name: flags, dimensions, name, values in column order. {} if it holds no real numbers."""
    parts = _elements(body, order)
    try:
        (_, flags), (_, dimensions), (_, name) = next(parts), next(parts), next(parts)
        word = struct.unpack_from(f"{order}I", flags)[0]
        if word & 0xFF not in CLASSES or word & COMPLEX:
            return {}
        kind, values = next(parts)
    except StopIteration:
        raise Damaged("an array without its parts") from None
    if kind not in NUMBERS:
        raise Damaged(f"values of the unknown type {kind}")
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    dtype = np.dtype(order + NUMBERS[kind])
    if min(shape, default=-1) < 0 or prod(shape) * dtype.itemsize != len(values):
        raise Damaged(f"{len(values)} bytes of values for an array of shape {shape}")
    array = np.frombuffer(values, dtype).reshape(shape, order="F")
    return {name.decode("ascii"): array.astype(dtype.newbyteorder("="), copy=False)}

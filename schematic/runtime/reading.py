"""A source's records, read from its files, its images changed as asked, and split. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from importlib import resources
from typing import assert_never

from schematic.core.names import did_you_mean
from schematic.runtime import cifar, folders, idx, npz, svhn
from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array
from schematic.runtime.sources import Source
from schematic.runtime.splits import RawSet, check, complete
from schematic.runtime.transforms import Step, is_images, transform

FIELDS = ("image", "label")  # of every source but `digits` and `npz`, whose arrays have names of their own


def read(source: Source, fields: Collection[str], classes: Collection[str] = ()) -> RawSet:
    """The arrays of these fields; `classes` are those of them that hold class numbers, and are no images to change.

    Raises RunError naming the field and the file.
    """
    raw = _read(source, fields)
    check(raw)
    if source.kind != "images":  # pictures of any size are changed one by one, as they are read
        raw = _changed(raw, source.steps, classes)
    return complete(replace(raw, white=source.white or raw.white), source.validation, source.seed)


def _changed(raw: RawSet, steps: tuple[Step, ...], classes: Collection[str]) -> RawSet:
    """The set with its images changed; one that has none but other fields is at fault."""
    others = [f for f in raw.train if f not in classes]
    images = [f for f in others if is_images(raw.train[f])] or others[:1]

    def change(field: str, array: Array) -> Array:
        return transform(array, steps, f"{raw.origin}: field `{field}`") if field in images else array

    return raw.changed(change) if steps else raw


def _read(source: Source, fields: Collection[str]) -> RawSet:
    unknown = [f for f in fields if f not in FIELDS]
    if unknown and source.kind not in ("digits", "npz"):
        help = did_you_mean(unknown[0], FIELDS) or "its fields are image and label"
        raise RunError(f"{source.path}: no field `{unknown[0]}`", help)
    match source.kind:
        case "digits":
            with resources.as_file(resources.files("schematic") / "data" / "digits.npz") as file:
                return npz.read(file, fields, {}, "digits", white=16.0)
        case "npz":
            return npz.read(source.path, fields, dict(source.arrays))
        case "idx":
            if not source.path.is_dir():
                raise RunError(f"{source.path}: no such folder", "idx: names the folder of the IDX files")
            splits = idx.read_folder(source.path, fields)
            return RawSet(str(source.path), splits["train"], splits.get("test", {}))
        case "cifar10":
            return cifar.read(source.path, fields)
        case "svhn":
            return svhn.read(source.path, fields)
        case "images":
            return folders.read(source.path, fields, source.steps)
        case other:
            assert_never(other)

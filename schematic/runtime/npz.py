"""`.npz` files: which array is which field, by name. Python objects in them are never loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from schematic.core.names import did_you_mean
from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array
from schematic.runtime.splits import Arrays, RawSet, Split

ALIASES = {
    "image": ("image", "images", "x", "data"),
    "label": ("label", "labels", "y", "target", "targets"),
}
NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}


def read(file: Path, fields: Iterable[str], names: Mapping[str, str], origin: str = "", white: float = 0.0) -> RawSet:
    """The fields' arrays; `names` says what an array is called. Raises RunError naming the field and the file.

    An array `image` holds all records; `image_train` and `image_test` (`train_image`, `x_train`, ...) come split.
    """
    origin = origin or str(file)
    splits: dict[Split, Arrays] = {split: {} for split in NAMES}
    with _open(file, origin) as arrays:
        for field in fields:
            for split, name in find(field, names.get(field, ""), arrays.files, origin).items():
                splits[split][field] = _array(arrays, name, f"{origin}: field `{field}` (array `{name}`)")
    return RawSet(origin, splits["train"], splits["test"], splits["validation"], white)


def find(field: str, name: str, arrays: list[str], origin: str) -> dict[Split, str]:
    """The names of a field's arrays by split; "train" alone if one array holds all records."""
    by_name = {array.lower(): array for array in reversed(arrays)} | {array: array for array in arrays}
    for stem in (name,) if name else ALIASES.get(field, (field,)):
        found: dict[Split, str] = {}
        for split, words in NAMES.items():
            spelled = (s for word in words for s in (f"{stem}_{word}", f"{word}_{stem}"))
            hit = next((by_name[s] for s in spelled if s in by_name), None)
            if hit:
                found[split] = hit
        if "train" in found:
            return found
        if stem in by_name:
            return {"train": by_name[stem]}
    wanted, have = name or field, ", ".join(arrays) or "none"
    help = did_you_mean(wanted, arrays) or f"#{field}=ARRAY after the file's name says which array it is"
    raise RunError(f"{origin}: no array for field `{wanted}` (arrays: {have})", help)


def _open(file: Path, origin: str) -> np.lib.npyio.NpzFile:
    try:
        arrays = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise RunError(f"{origin}: no such file") from None
    except Exception as e:  # numpy and zipfile have a dozen kinds of errors for what is no .npz file
        raise _told(origin, e) from None
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise RunError(f"{origin}: a single array, not an .npz file", "np.savez(FILE, image=..., label=...)")
    return arrays


def _array(arrays: np.lib.npyio.NpzFile, name: str, where: str) -> Array:
    try:
        array: Array = arrays[name]
    except Exception as e:
        raise _told(where, e) from None
    if not isinstance(array, np.ndarray):
        raise RunError(f"{where} is no array")
    return array


def _told(where: str, e: Exception) -> RunError:
    if "allow_pickle" in str(e):
        return RunError(f"{where} holds Python objects, or is no .npz file: nothing is unpickled", "save plain arrays")
    return RunError(f"{where}: truncated or corrupt .npz file ({e})", "write the file again")

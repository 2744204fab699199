"""Where data come from: the embedded digits, IDX folders, `.npz` files. Nothing is unpickled, nothing is downloaded.

A source is written
- `digits`, the embedded set (image 1x8x8, label; 1,797 records; a fixed 80/20 split);
- `idx:FOLDER`, or the path of a folder with IDX files (MNIST and its kin; the official split);
- `npz:FILE`, or the path of a file that ends in `.npz`; `npz:FILE#image=x,label=y` says which array is which field.
  An array `image` is split 80/20; `image_train` and `image_test` (or `train_image`, `test_image`) come split;
- a NAME: the folder NAME or the file NAME.npz in a folder of the environment variable SCHEMATIC_DATA, or in ./data;
- `horses=SOURCE,zebras=SOURCE`: several sets by the names that the file uses in `data("horses/image")`.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from schematic.core.names import did_you_mean
from schematic.runtime import idx
from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array

SPLIT_SEED = 0  # of the 80/20 split of a set that comes without one
ALIASES = {"image": ("image", "images", "x"), "label": ("label", "labels", "y")}


@dataclass(frozen=True)
class RawSet:
    """Arrays by field, as they stand in the file. `white` is the value of an integer array that means 1."""

    origin: str
    train: dict[str, Array]
    test: dict[str, Array]
    white: float = 255.0


def bindings(data: str | Sequence[tuple[str, str]], sets: Iterable[str]) -> dict[str, str]:
    """The source of each set that a model reads; "" is the unnamed set, and an unbound set is its own name.

    Raises RunError for a binding that no set has, or that is no `NAME=SOURCE`.
    """
    names = list(dict.fromkeys(sets))
    if isinstance(data, str) and not re.match(r"[A-Za-z]\w*=", data):
        return {name: data if name == "" or len(names) == 1 else name for name in names}
    pairs = _pairs(data) if isinstance(data, str) else list(data)
    for name, _ in pairs:
        if name not in names:
            known = ", ".join(f"`{n}`" for n in names if n) or "only the unnamed one"
            raise RunError(f"the model reads no set `{name}`", f"{did_you_mean(name, names) or 'its sets: ' + known}")
    bound = dict(pairs)
    return {name: bound.get(name, name or "digits") for name in names}


def _pairs(text: str) -> list[tuple[str, str]]:
    """`a=npz:F#image=x,b=digits`: a comma starts a new set only where the part before a `=` follows no `#`."""
    pairs: list[tuple[str, str]] = []
    for part in text.split(","):
        name, equals, source = part.partition("=")
        if pairs and "#" in pairs[-1][1] and ":" not in source:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{part}")
        elif not (name and equals and source):
            raise RunError(f"`{part}` binds no set", "write --data horses=npz:horses.npz,zebras=npz:zebras.npz")
        else:
            pairs.append((name, source))
    return pairs


def read(source: str, fields: Sequence[str]) -> RawSet:
    """The arrays of these fields, split in train and test. Raises RunError naming the field and the file."""
    kind, colon, rest = source.partition(":")
    if source == "digits":
        with resources.as_file(resources.files("schematic") / "data" / "digits.npz") as file:
            return _npz(file, list(fields), {}, white=16.0, origin="digits")
    if colon and kind == "npz":
        name, _, renames = rest.partition("#")
        return _npz(Path(name), list(fields), dict(p.split("=", 1) for p in renames.split(",") if "=" in p))
    if colon and kind == "idx":
        return _idx(Path(rest), fields)
    path = next((p for p in _candidates(source) if p.exists()), None)
    if path is None:
        looked = ", ".join(str(p) for p in _candidates(source))
        raise RunError(
            f"no data set `{source}` (looked for {looked})",
            did_you_mean(source, ["digits"])
            or "`digits` is built in; name a folder of IDX files or an .npz file, "
            "or put it into ./data or into a folder that SCHEMATIC_DATA names",
        )
    return _idx(path, fields) if path.is_dir() else _npz(path, list(fields), {})


def _candidates(source: str) -> Iterator[Path]:
    yield Path(source)
    if not re.fullmatch(r"[\w.-]+", source):
        return
    for folder in [*filter(None, os.environ.get("SCHEMATIC_DATA", "").split(os.pathsep)), "data"]:
        yield Path(folder) / source
        yield Path(folder) / f"{source}.npz"


def _idx(folder: Path, fields: Sequence[str]) -> RawSet:
    if not idx.is_folder(folder):
        raise RunError(f"{folder}: no folder with IDX files", "it needs train-images-idx3-ubyte or the same with .gz")
    splits = idx.read_folder(folder, list(fields))
    if "test" not in splits:
        return _split(RawSet(str(folder), splits["train"], {}))
    return RawSet(str(folder), splits["train"], splits["test"])


def _npz(file: Path, fields: list[str], names: dict[str, str], white: float = 255.0, origin: str = "") -> RawSet:
    origin = origin or str(file)
    train: dict[str, Array] = {}
    test: dict[str, Array] = {}
    try:
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise RunError(f"{origin}: a single array, not an .npz file", "np.savez(FILE, image=..., label=...)")
        with arrays:
            for field in fields:
                parts = _find(field, names, list(arrays.files), origin)
                train[field] = arrays[parts[0]]
                test.update({field: arrays[parts[1]]} if len(parts) == 2 else {})
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as e:
        if isinstance(e, FileNotFoundError):
            raise RunError(f"{origin}: no such file") from None
        if "pickle" in str(e):
            raise RunError(f"{origin}: holds Python objects, which are never loaded", "save plain arrays") from None
        raise RunError(f"{origin}: truncated or corrupt .npz file ({e})", "write the file again") from None
    raw = RawSet(origin, train, test, white)
    if not test:
        return _split(raw)
    if len(test) < len(train):
        single = next(f for f in fields if f not in test)
        raise RunError(f"{origin}: field `{single}` has no test part, and others have one")
    return raw


def _find(field: str, names: dict[str, str], arrays: list[str], origin: str) -> tuple[str, ...]:
    """The name of a field's array, or of its train and test arrays."""
    for name in (names[field],) if field in names else ALIASES.get(field, (field,)):
        for parts in ((f"{name}_train", f"{name}_test"), (f"train_{name}", f"test_{name}"), (name,)):
            if all(part in arrays for part in parts):
                return parts
    wanted, have = names.get(field, field), ", ".join(arrays) or "none"
    help = did_you_mean(wanted, arrays) or f"{origin.partition('#')[0]}#{field}=ARRAY says which array it is"
    raise RunError(f"{origin}: no array for field `{wanted}` (arrays: {have})", help)


def _split(raw: RawSet) -> RawSet:
    """A fixed, seeded 80/20 split, the same for every field."""
    counts = {field: len(array) if array.ndim else 0 for field, array in raw.train.items()}
    order = np.random.default_rng(SPLIT_SEED).permutation(min(counts.values()))
    if len(set(counts.values())) > 1:
        raise RunError(f"{raw.origin}: fields of one set have different numbers of records: {_counts(counts)}")
    cut = len(order) * 4 // 5
    parts = [{f: a[order[part]] for f, a in raw.train.items()} for part in (slice(cut), slice(cut, None))]
    return RawSet(raw.origin, parts[0], parts[1], raw.white)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{field} {n}" for field, n in counts.items())

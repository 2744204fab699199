"""What `--data` and a `train` block's `data` say of where a model's records come from; docs/data.md tells users.

A source is a place and its options, each after a `#`: `idx:mnist#crop=20#resize=16`, `npz:zoo.npz#image=a#labels=1%`.
Several sets are bound by name, with commas between: `usps=npz:usps.npz,mnist=idx:mnist#crop=20`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from schematic.core.names import did_you_mean
from schematic.runtime import cifar, folders, idx, svhn
from schematic.runtime.errors import RunError
from schematic.runtime.splits import SHARE
from schematic.runtime.transforms import Step

Data = str | Sequence[tuple[str, str]]
Kind = Literal["digits", "idx", "npz", "cifar10", "svhn", "images"]
Binarize = Literal["", "fixed", "dynamic"]

SIZE = r"[1-9]\d{0,3}(x[1-9]\d{0,3})?"
STEPS = ("crop", "resize", "channels")


@dataclass(frozen=True)
class Option:
    """The form of an option's value, and its words."""

    pattern: str
    words: str

    def holds(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


OPTIONS = {
    "crop": Option(rf"{SIZE}|square", "20, 20x16 (height x width) or square"),
    "resize": Option(SIZE, "16 or 16x12 (height x width)"),
    "channels": Option("[13]", "1 or 3"),
    "white": Option(r"[1-9]\d{0,8}", "the whole number that means 1, as 16"),
    "binarize": Option("fixed|dynamic", "fixed or dynamic"),
    "labels": Option(SHARE, "a share, 1%, or a number of records, 600"),
    "validation": Option(SHARE, "a share, 10%, or a number of records, 5000"),
    "seed": Option(r"\d{1,9}", "a whole number"),
}


@dataclass(frozen=True)
class Source:
    """One set's place and options. `arrays`: which array is which field; `steps`: changes of its images, in order."""

    kind: Kind
    path: Path
    arrays: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    white: float = 0.0
    binarize: Binarize = ""
    labels: str = ""
    validation: str = ""
    seed: int = 0

    def __str__(self) -> str:
        """As it would be written; `parse` gives it back."""
        place = self.kind if self.kind == "digits" else f"{self.kind}:{self.path}"
        said = {"white": f"{self.white:g}" if self.white else "", "seed": str(self.seed or "")}
        said |= {"binarize": self.binarize, "labels": self.labels, "validation": self.validation}
        options = [*self.arrays, *self.steps, *((name, value) for name, value in said.items() if value)]
        return "#".join([place, *(f"{name}={value}" for name, value in options)])


def parse(text: str) -> Source:
    """The source that a text says; a NAME or a bare path is found. Raises RunError."""
    place, *written = text.split("#")
    kind, path = locate(place)
    arrays, steps, values = list[tuple[str, str]](), list[Step](), dict[str, str]()
    for option in written:
        name, _, value = option.partition("=")
        if not (name and value) or re.search(r",\w+=", value):
            raise RunError(f"`#{option}` is no option", "write each as #NAME=VALUE: idx:mnist#crop=20#resize=16")
        if name in OPTIONS and not OPTIONS[name].holds(value):
            raise RunError(f"`#{option}`: write {OPTIONS[name].words}")
        if name in values or name in dict(arrays):
            raise RunError(f"`#{name}` is written twice in {text}")
        if name in STEPS:
            steps.append((name, value))
        elif name in OPTIONS:
            values[name] = value
        else:
            arrays.append((name, value))
    if arrays and kind != "npz":
        name, value = arrays[0]
        help = did_you_mean(name, OPTIONS) or f"options: {', '.join(OPTIONS)}"
        raise RunError(f"`#{name}={value}`: no option `{name}`, and only .npz files have arrays to name", help)
    return Source(
        kind,
        path,
        tuple(arrays),
        tuple(steps),
        white=float(values.get("white", 0)),
        binarize=values.get("binarize", ""),  # type: ignore[arg-type]
        labels=values.get("labels", ""),
        validation=values.get("validation", ""),
        seed=int(values.get("seed", 0)),
    )


def locate(place: str) -> tuple[Kind, Path]:
    """`idx:FOLDER`, `npz:FILE` and so on; else the path, or the NAME, of what is there. Raises RunError."""
    if place == "digits":
        return "digits", Path()
    kind, colon, rest = place.partition(":")
    if colon and kind in get_args(Kind) and kind != "digits":
        if not rest:
            raise RunError(f"`{place}` names no {'file' if kind == 'npz' else 'folder'}")
        return kind, _full(Path(rest))  # type: ignore[return-value]
    path = next((p for p in _candidates(place) if place and os.path.exists(p)), None)
    if path is None:
        looked = ", ".join(str(p) for p in _candidates(place))
        raise RunError(
            f"no data set `{place}` (looked for {looked})",
            did_you_mean(
                kind if colon else place, [*get_args(Kind), *(p.stem for f in _folders() for p in f.glob("*"))]
            )
            or "`digits` is built in; name a folder of IDX files or an .npz file, "
            "or put it into ./data or into a folder that SCHEMATIC_DATA names",
        )
    return _kind(path), _full(path)


def _full(path: Path) -> Path:
    """From the root, so that a run finds its data from every folder."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def _candidates(place: str) -> Iterator[Path]:
    yield Path(os.path.expanduser(place))
    if not re.fullmatch(r"[\w.-]+", place):
        return
    for folder in _folders():
        yield folder / place
        yield folder / f"{place}.npz"


def _folders() -> list[Path]:
    """Where names are looked up."""
    return [Path(f) for f in (*os.environ.get("SCHEMATIC_DATA", "").split(os.pathsep), "data") if f]


def _kind(path: Path) -> Kind:
    """What lies at a path, told by its files."""
    if path.is_file():
        return "npz"
    known: dict[Kind, bool] = {
        "idx": idx.is_folder(path),
        "cifar10": cifar.is_folder(path),
        "svhn": svhn.is_folder(path),
    }
    kind = next((kind for kind, here in known.items() if here), None)
    if kind or folders.is_folder(path):
        return kind or "images"
    raise RunError(
        f"{path}: a folder without IDX files (train-images-idx3-ubyte), data_batch_1.bin, train_32x32.mat or pictures"
    )


def bindings(data: Data, sets: Iterable[str]) -> dict[str, str]:
    """What `data` says of each set that a model reads; "" is the unnamed set. A source without a name is for the
    unnamed set, or for the only one.

    Raises RunError for a binding that no set has, or that is no `NAME=SOURCE`.
    """
    names = list(dict.fromkeys(sets))
    if isinstance(data, str) and not re.match(r"[A-Za-z]\w*=", data):
        if "" not in names and len(names) > 1:
            raise RunError(
                f"`{data}` is one source; the model reads the sets {', '.join(f'`{n}`' for n in names)}",
                f"--data {','.join(f'{n}=SOURCE' for n in names)}",
            )
        return {"" if "" in names else names[0]: data} if names else {}
    pairs = _pairs(data) if isinstance(data, str) else list(data)
    for i, (name, _) in enumerate(pairs):
        if name in dict(pairs[:i]):
            raise RunError(f"the set `{name}` is bound twice", "one source a set")
        if name not in names:
            known = ", ".join(f"`{n}`" for n in names if n) or "only the unnamed one"
            raise RunError(f"the model reads no set `{name}`", f"{did_you_mean(name, names) or 'its sets: ' + known}")
    return dict(pairs)


def _pairs(text: str) -> list[tuple[str, str]]:
    """`a=SOURCE,b=SOURCE`: a comma starts a set where a name and `=` follow it."""
    pairs = []
    for part in re.split(r",(?=[A-Za-z]\w*=|$)", text):
        name, equals, source = part.partition("=")
        if not (name and equals and source):
            raise RunError(f"`{part}` binds no set", "write --data horses=npz:horses.npz,zebras=npz:zebras.npz")
        pairs.append((name, source))
    return pairs


def bound(sets: Iterable[str], *settings: Data | None) -> dict[str, str]:
    """The source of each set, later settings before earlier ones; a set that none binds is its own name, or `digits`.

    Raises RunError.
    """
    names = list(dict.fromkeys(sets))
    said: dict[str, str] = {}
    for data in settings:
        said |= bindings(data, names) if data else {}
    return {name: said.get(name, name or "digits") for name in names}

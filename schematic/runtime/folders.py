"""Folders of pictures, read by Pillow, which is optional: `pip install 'schematic-gm[images]'`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array
from schematic.runtime.splits import Arrays, RawSet, Split
from schematic.runtime.transforms import Step, transform

FIELDS = ("image", "label")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "val", "valid"),
    "test": ("test",),
}


def pictures(folder: Path) -> Iterator[Path]:
    """The pictures in a folder and below it, in the order of their names; hidden files are none."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in path.relative_to(folder).parts):
            yield path


def is_folder(folder: Path) -> bool:
    """Whether pictures lie in it, in class folders, or in class folders of splits."""
    files = (path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth))
    return any(path.suffix.lower() in SUFFIXES for path in files)


def read(folder: Path, fields: Collection[str], steps: tuple[Step, ...]) -> RawSet:
    """Pictures (n, channels, height, width), changed by the steps, and the number of each one's class folder.

    The folders train, validation and test, where there are, hold the splits. Raises RunError.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder")
    found = {s: next((folder / n for n in names if (folder / n).is_dir()), None) for s, names in NAMES.items()}
    if found["train"] is None:
        found = {"train": folder}
    classes = class_names(found["train"]) if "label" in fields and found["train"] else ()
    parts = {split: _read(path, classes, fields, steps) for split, path in found.items() if path is not None}
    shapes = {split: arrays["image"].shape[1:] for split, arrays in parts.items() if "image" in arrays}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{split} {shape}" for split, shape in shapes.items())
        raise RunError(f"{folder}: field `image` has different shapes in its splits: {told}", "add #resize=32")
    return RawSet(str(folder), parts["train"], parts.get("test", {}), parts.get("validation", {}), white=255.0)


def class_names(folder: Path) -> tuple[str, ...]:
    """The names of the class folders in the order of their numbers: as numbers if all are, else by the alphabet."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        raise RunError(f"{folder}: field `label` needs a folder for each class, at least two", "leave the label out")
    return tuple(sorted(names, key=int) if all(n.isascii() and n.isdigit() for n in names) else names)


def _read(folder: Path, classes: tuple[str, ...], fields: Collection[str], steps: tuple[Step, ...]) -> Arrays:
    files = list(pictures(folder))
    if not files:
        raise RunError(f"{folder}: no pictures for the fields {', '.join(f'`{f}`' for f in fields)}")
    arrays: Arrays = {}
    if "label" in fields:
        arrays["label"] = np.array([_label(folder, file, classes) for file in files])
    if "image" in fields:
        arrays["image"] = _stack(folder, files, [_decode(file) for file in files], steps)
    return arrays


def _label(folder: Path, file: Path, classes: tuple[str, ...]) -> int:
    parts = file.relative_to(folder).parts
    if len(parts) == 1:
        raise RunError(f"{file}: field `label`: this picture is in no class's folder", "move it into one")
    if parts[0] not in classes:
        raise RunError(f"{folder / parts[0]}: field `label`: no class `{parts[0]}` among the training pictures")
    return classes.index(parts[0])


def _decode(file: Path) -> Array:
    """One picture, uint8 (1 or 3, height, width)."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise RunError(f"{file}: pictures are read by Pillow, which is not installed", "pip install pillow") from None
    try:
        with Image.open(file) as opened:
            deep = opened.mode.startswith(("I", "F"))
            picture = ImageOps.exif_transpose(opened)
            grey = picture.mode in ("1", "L", "LA")
            array = np.asarray(picture.convert("L" if grey else "RGB"))
    except Exception as e:  # each of Pillow's formats has its own errors
        raise RunError(f"{file}: field `image`: truncated, corrupt or no picture ({e})", "write it again") from None
    if deep:
        raise RunError(f"{file}: field `image`: more than 8 bits a value", "write it with 8 bits")
    return array[None] if grey else array.transpose(2, 0, 1)


def _stack(folder: Path, files: list[Path], images: list[Array], steps: tuple[Step, ...]) -> Array:
    """All pictures in one array; grey ones among coloured ones are coloured."""
    channels = max(len(image) for image in images)
    images = [np.broadcast_to(image, (channels, *image.shape[1:])) for image in images]
    where = f"{folder}: field `image`"
    if len({image.shape for image in images}) == 1:
        return transform(np.stack(images), steps, where)
    images = [transform(image[None], steps, where)[0] for image in images]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            sizes = [f"{p} is {i.shape[1]}x{i.shape[2]}" for p, i in ((files[0], images[0]), (file, image))]
            raise RunError(f"{where}: different sizes: {sizes[0]}, {sizes[1]}", "add #crop=square#resize=32")
    return np.stack(images)

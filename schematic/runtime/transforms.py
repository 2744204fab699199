"""Changes of a set's images as they are read: cropping, resizing, other channels. Each is one option of a source."""

from __future__ import annotations

import numpy as np
import torch

from schematic.runtime.errors import RunError
from schematic.runtime.idx import Array

Step = tuple[str, str]  # ("crop", "20"), ("crop", "square"), ("resize", "16x12"), ("channels", "1")
CHANNELS = (1, 3)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green, blue: ITU-R BT.601
CHUNK = 1000  # images at a time


def is_images(array: Array) -> bool:
    """(records, height, width), or with channels after the records or last."""
    return array.ndim == 3 or (array.ndim == 4 and (array.shape[1] in CHANNELS or array.shape[3] in CHANNELS))


def transform(array: Array, steps: tuple[Step, ...], where: str) -> Array:
    """Images as the steps, in their order, change them: (records, channels, height, width); the values keep their type.

    Raises RunError, naming `where`, for what is no image and for a crop larger than the images.
    """
    if not steps:
        return array
    if not is_images(array):
        raise RunError(f"{where} has records of shape {array.shape[1:]}, which are no images to {steps[0][0]}")
    images = channels_first(array)
    for name, value in steps:
        match name:
            case "crop":
                images = _crop(images, value, where)
            case "resize":
                images = _resize(images, *size(value))
            case _:
                images = _channels(images, int(value))
    return images


def channels_first(array: Array) -> Array:
    """(records, channels, height, width) of what `is_images` takes."""
    if array.ndim == 3:
        return array[:, None]
    return array if array.shape[1] in CHANNELS else array.transpose(0, 3, 1, 2)


def size(text: str) -> tuple[int, int]:
    """Height and width of `16` or `16x12`."""
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def _crop(images: Array, value: str, where: str) -> Array:
    """The middle of each image."""
    height, width = images.shape[2:]
    square = (min(height, width),) * 2
    h, w = square if value == "square" else size(value)
    if h > height or w > width:
        raise RunError(f"{where} has images of {height}x{width}, smaller than a crop of {h}x{w}")
    top, left = (height - h) // 2, (width - w) // 2
    return images[:, :, top : top + h, left : left + w]


def _resize(images: Array, height: int, width: int) -> Array:
    """Bilinear, averaging where it shrinks; whole numbers are rounded."""
    out = np.empty((*images.shape[:2], height, width), images.dtype)
    for start in range(0, len(images), CHUNK):
        part = torch.from_numpy(images[start : start + CHUNK].astype(np.float32))
        resized = torch.nn.functional.interpolate(part, (height, width), mode="bilinear", antialias=True)
        resized = resized.clamp(part.min(), part.max())  # rounding errors leave no range
        out[start : start + CHUNK] = (resized.round() if images.dtype.kind in "bui" else resized).numpy()
    return out


def _channels(images: Array, channels: int) -> Array:
    """Grey from red, green and blue by their luma; three channels from grey by repeating it."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    grey = np.tensordot(images.astype(np.float32), LUMA, axes=(1, 0))[:, None]
    return (grey.round() if images.dtype.kind in "bui" else grey).astype(images.dtype)

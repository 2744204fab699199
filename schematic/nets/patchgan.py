"""`patchgan(64)`: judges overlapping patches of an image and averages (Isola et al., 2017)."""

from __future__ import annotations

from schematic.nets.conv import ConvBody
from schematic.nets.net import Net, PoolHead, Shape


class PatchGANBody(ConvBody):
    """Two halvings and one layer at that size, so that a place sees a patch of 22 x 22 pixels."""

    def __init__(self, inputs: tuple[Shape, ...], width: int) -> None:
        super().__init__(inputs, (width, 2 * width, 4 * width), 4, (2, 2, 1))


class PatchGAN(Net):
    """One output a patch, averaged: (*leading, *output). No batch statistics."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, width: int) -> None:
        body = PatchGANBody(inputs, width)
        super().__init__(body, PoolHead(body.features, output))

"""`conv(32, 64, kernel: 3)`: strided convolutions, a small classifier or feature net."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schematic.nets.net import FlatHead, Join, Net, Shape, he


def zeros(size: Shape, kernel: int, stride: int) -> Shape:
    """How many zeros around an image make a convolution give ceil(size / stride), for every size: above and below."""
    return tuple(max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in size)


class ConvBody(nn.Module):
    """Convolutions that halve images by default: features (*leading, widths[-1], h', w'). Images are resized to the
    first one's size and stacked; other parents add to the first layer's maps."""

    def __init__(self, inputs: tuple[Shape, ...], widths: Shape, kernel: int, strides: Shape = ()) -> None:
        super().__init__()
        self.join = Join(inputs)
        images = [shape for shape in inputs if len(shape) == 3]
        channels, self.size = (sum(shape[0] for shape in images), *widths), images[0][1:]
        self.layers = nn.ModuleList()
        self.rest: list[Shape] = []  # a zero more on the right and below
        size: Shape = self.size
        for a, b, stride in zip(channels, widths, strides or (2,) * len(widths), strict=False):
            height, width = zeros(size, kernel, stride)
            self.layers.append(nn.Conv2d(a, b, kernel, stride, (height // 2, width // 2)))
            self.rest.append((0, width % 2, 0, height % 2))
            size = tuple(-(-n // stride) for n in size)
        for layer in self.layers:
            he(layer)
        others = sum(prod(shape) for shape in inputs if len(shape) != 3)
        self.vectors = nn.Linear(others, widths[0], bias=False) if others else None
        self.features: Shape = (widths[-1], *size)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        flat = self.join(*parents, batch=batch)
        leading, shapes = flat.shape[:-1], self.join.inputs
        pairs = list(zip(flat.reshape(-1, flat.shape[-1]).split([prod(s) for s in shapes], -1), shapes, strict=True))
        images = [p.reshape(-1, *s) for p, s in pairs if len(s) == 3]
        images = [p if p.shape[2:] == self.size else F.interpolate(p, self.size) for p in images]
        x: Tensor = images[0] if len(images) == 1 else torch.cat(images, 1)
        for i, (layer, rest) in enumerate(zip(self.layers, self.rest, strict=True)):
            x = layer(F.pad(x, rest) if any(rest) else x)
            if i == 0 and self.vectors is not None:
                x = x + self.vectors(torch.cat([p for p, s in pairs if len(s) != 3], -1))[:, :, None, None]
            x = F.leaky_relu(x, 0.2)
        return x.reshape(*leading, *self.features)


class Conv(Net):
    """Convolutions that halve an image, and a linear map: (*leading, *output). No batch statistics."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, widths: Shape, kernel: int = 3) -> None:
        body = ConvBody(inputs, widths, kernel)
        super().__init__(body, FlatHead(body.features, output))

"""`conv(32, 64, kernel: 3)`: strided convolutions, a small classifier or feature net."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schematic.nets.net import FlatHead, Join, Net, Shape, he


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around an image so that a convolution gives ceil(size / stride), for every size."""
    height, width = (max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in x.shape[-2:])
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


class ConvBody(nn.Module):
    """Convolutions that halve images by default: features (*leading, widths[-1], h', w'). Images are resized to the
    first one's size and stacked; other parents add to the first layer's maps."""

    def __init__(self, inputs: tuple[Shape, ...], widths: Shape, kernel: int, strides: Shape = ()) -> None:
        super().__init__()
        self.kernel, self.strides = kernel, strides or (2,) * len(widths)
        self.join = Join(inputs)
        images = [shape for shape in inputs if len(shape) == 3]
        channels, self.size = (sum(shape[0] for shape in images), *widths), images[0][1:]
        sizes = zip(channels, widths, self.strides, strict=False)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, kernel, stride) for a, b, stride in sizes)
        for layer in self.layers:
            he(layer)
        others = sum(prod(shape) for shape in inputs if len(shape) != 3)
        self.vectors = nn.Linear(others, widths[0], bias=False) if others else None
        self.features: Shape = (widths[-1], *(-(-n // prod(self.strides)) for n in self.size))

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        x = self.join(*parents, batch=batch)
        leading, shapes = x.shape[:-1], self.join.inputs
        pairs = list(zip(x.reshape(-1, x.shape[-1]).split([prod(s) for s in shapes], -1), shapes, strict=True))
        images = [p.reshape(-1, *s) for p, s in pairs if len(s) == 3]
        x = torch.cat([p if p.shape[2:] == self.size else F.interpolate(p, self.size) for p in images], 1)
        for i, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            x = layer(same(x, self.kernel, stride))
            if i == 0 and self.vectors is not None:
                x = x + self.vectors(torch.cat([p for p, s in pairs if len(s) != 3], -1))[:, :, None, None]
            x = F.leaky_relu(x, 0.2)
        return x.reshape(*leading, *self.features)


class Conv(Net):
    """Convolutions that halve an image, and a linear map: (*leading, *output). No batch statistics."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, widths: Shape, kernel: int = 3) -> None:
        body = ConvBody(inputs, widths, kernel)
        super().__init__(body, FlatHead(body.features, output))

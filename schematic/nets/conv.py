"""`conv(32, 64, kernel: 3)`: strided convolutions, a small classifier or feature net."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from schematic.nets.net import FlatHead, Join, Net, Shape, leading_shape


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around an image so that a convolution gives ceil(size / stride), for every size."""
    height, width = (max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in x.shape[-2:])
    return nn.functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))


class ConvBody(nn.Module):
    """Convolutions on images (c, h, w), one a width, that halve by default: features (*leading, widths[-1], h', w').

    Images are resized to the first one's size and stacked; other parents add to the first layer's maps.
    """

    def __init__(self, inputs: tuple[Shape, ...], widths: Shape, kernel: int, strides: Shape = ()) -> None:
        super().__init__()
        strides = strides or (2,) * len(widths)
        self.inputs, self.kernel, self.strides = inputs, kernel, strides
        images = [shape for shape in inputs if len(shape) == 3]
        vectors = tuple(shape for shape in inputs if len(shape) != 3)
        self.size: Shape = images[0][1:]
        channels = (sum(shape[0] for shape in images), *widths)
        layers = [nn.Conv2d(a, b, kernel, stride) for a, b, stride in zip(channels, widths, strides, strict=False)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.layers = nn.ModuleList(layers)
        self.join = Join(vectors)
        self.vectors = nn.Linear(self.join.features[0], widths[0], bias=False) if vectors else None
        height, width = (-(-n // prod(strides)) for n in self.size)
        self.features: Shape = (widths[-1], height, width)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        leading = leading_shape(parents, self.inputs, batch)
        flat = [p.expand((*leading, *s)).reshape(-1, *s) for p, s in zip(parents, self.inputs, strict=True)]
        images = [p for p in flat if p.dim() == 4]
        images = [p if p.shape[2:] == self.size else nn.functional.interpolate(p, self.size) for p in images]
        x = torch.cat(images, 1)
        for i, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            x = layer(same(x, self.kernel, stride))
            if i == 0 and self.vectors is not None:
                x = x + self.vectors(self.join(*(p for p in flat if p.dim() != 4)))[:, :, None, None]
            x = nn.functional.leaky_relu(x, 0.2)
        return x.reshape(*leading, *self.features)


class Conv(Net):
    """Convolutions that halve an image, and a linear map: (*leading, *output). No batch statistics."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, widths: Shape, kernel: int = 3) -> None:
        body = ConvBody(inputs, widths, kernel)
        super().__init__(body, FlatHead(body.features, output))

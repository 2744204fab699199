"""`dcgan(64)`: strided convolutions down, transposed ones up (Radford et al., 2015), for every image size."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from schematic.nets.conv import ConvBody
from schematic.nets.mlp import MLPBody
from schematic.nets.net import Chain, FlatHead, Net, Shape


def halvings(size: Shape) -> list[Shape]:
    """An image's size and its halves, rounded up, until both sides are at most 7; at least one half."""
    sizes = [size]
    while max(sizes[-1]) > (7 if len(sizes) > 1 else 1):
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes


class DCGANBody(nn.Module):
    """Halves images, of `width` maps and twice as many each time, then one layer: features (*leading, 4 * width)."""

    def __init__(self, inputs: tuple[Shape, ...], width: int) -> None:
        super().__init__()
        self.features: Shape = (4 * width,)
        images = [shape for shape in inputs if len(shape) == 3]
        levels = len(halvings(images[0][1:])) - 1 if images else 0
        if levels:
            maps = ConvBody(inputs, tuple(width * 2**i for i in range(levels)), 4, (2,) * levels)
            self.layers: nn.Module = Chain(maps, MLPBody((maps.features,), self.features))
        else:  # vectors, or an image of one pixel
            self.layers = MLPBody(inputs, self.features)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        features: Tensor = self.layers(*parents, batch=batch)
        return features


class DCGANHead(nn.Module):
    """Doubles maps up to an image: features (*leading, *features) -> (*leading, channels, height, width)."""

    def __init__(self, features: Shape, output: Shape, width: int) -> None:
        super().__init__()
        self.features, self.output = features, output
        self.sizes = halvings(output[1:])[::-1]
        levels = len(self.sizes) - 1
        channels = [width * 2**i for i in range(levels)][::-1] if levels > 1 else [2 * width]
        self.start = (channels[0], *self.sizes[0])
        self.first = nn.Linear(prod(features), prod(self.start))
        outs = (*channels[1:], output[0])
        layers = [nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in zip(channels, outs, strict=True)] if levels else []
        self.layers = nn.ModuleList(layers or [nn.Conv2d(2 * width, output[0], 1)])  # one pixel
        for layer in (self.first, *self.layers):
            fan_in = layer.weight.shape[0] * 4 if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: x.dim() - len(self.features)]
        x = self.first(x.reshape(-1, prod(self.features))).reshape(-1, *self.start)
        for layer, (height, width) in zip(self.layers, self.sizes[1:] or self.sizes, strict=True):
            x = layer(x.relu())[:, :, :height, :width]
        return x.reshape((*leading, *self.output))


class DCGAN(Net):
    """Images or vectors to an image, or images to anything else: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, width: int) -> None:
        body = DCGANBody(inputs, width)
        head = DCGANHead(body.features, output, width) if len(output) == 3 else FlatHead(body.features, output)
        super().__init__(body, head)

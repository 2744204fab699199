"""`dcgan(64)`: strided convolutions down, transposed ones up (Radford et al., 2015), for every image size."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from schematic.nets.conv import ConvBody
from schematic.nets.mlp import MLPBody
from schematic.nets.net import FlatHead, Join, Net, Shape


def halvings(size: Shape) -> list[Shape]:
    """An image's size and its halves, rounded up: one at least, then until both sides are at most 7."""
    sizes = [size]
    while len(sizes) == 1 or max(sizes[-1]) > 7:
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes


def maps_of(size: Shape, width: int) -> list[int]:
    """The maps after each halving: half the width, then twice as many each time, at last the width at least."""
    found = [-(-width // 2) * 2**i for i in range(len(halvings(size)) - 1)]
    return [*found[:-1], max(found[-1], width)]


class DCGANBody(nn.Module):
    """Halves images, then one layer; two of vectors alone: features (*leading, 4 * width)."""

    def __init__(self, inputs: tuple[Shape, ...], width: int) -> None:
        super().__init__()
        images = [shape for shape in inputs if len(shape) == 3]
        self.maps = ConvBody(inputs, tuple(maps_of(images[0][1:], width)), 4) if images else Join(inputs)
        layers = 1 if images else 2  # a second one between vectors and an image parts the classes of digits
        self.dense = MLPBody((self.maps.features,), (4 * width,) * layers)
        self.features = self.dense.features

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        return self.dense(self.maps(*parents, batch=batch))  # type: ignore[no-any-return]


class DCGANHead(nn.Module):
    """Doubles maps up to an image: features (*leading, *features) -> (*leading, channels, height, width)."""

    def __init__(self, features: Shape, output: Shape, width: int) -> None:
        super().__init__()
        sizes = halvings(output[1:])[::-1]
        channels = maps_of(output[1:], width)[::-1]
        channels[0] = max(channels[0], 2 * width)
        self.rank, self.start, self.sizes = len(features), (channels[0], *sizes[0]), sizes[1:]
        self.first = nn.Linear(prod(features), prod(self.start))
        pairs = zip(channels, (*channels[1:], output[0]), strict=True)
        self.layers = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairs)
        for layer, fan_in in zip((self.first, *self.layers), (prod(features), *(4 * c for c in channels)), strict=True):
            nn.init.normal_(layer.weight, std=(2 / fan_in) ** 0.5)  # a place sees 4 of the 16 taps of each map
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: x.dim() - self.rank]
        x = self.first(x.flatten(-self.rank)).reshape(-1, *self.start)
        for layer, (height, width) in zip(self.layers, self.sizes, strict=True):
            x = layer(x.relu())[:, :, :height, :width]
        return x.reshape(*leading, *x.shape[1:])


class DCGAN(Net):
    """Images or vectors to an image, or images to anything else: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, width: int) -> None:
        body = DCGANBody(inputs, width)
        head = DCGANHead(body.features, output, width) if len(output) == 3 else FlatHead(body.features, output)
        super().__init__(body, head)

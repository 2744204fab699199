"""`resnet(64, blocks: 6)`: image to image through residual blocks (Johnson et al., 2016; CycleGAN)."""

from __future__ import annotations

from math import gcd, prod

from torch import Tensor, nn

from schematic.nets.conv import ConvBody
from schematic.nets.dcgan import halvings
from schematic.nets.mlp import MLPBody
from schematic.nets.net import FlatHead, Net, Shape


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of about 16 maps: no batch statistics, and defined for maps of one place."""
    return nn.GroupNorm(gcd(channels, max(1, channels // 16)), channels)


class Residual(nn.Module):
    """Two convolutions beside the identity; size and number of maps stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(group_norm(channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return x + y


class ResNetBody(nn.Module):
    """Images halved at most twice, then the blocks: features (*leading, maps, h', w'); vectors through one layer."""

    def __init__(self, inputs: tuple[Shape, ...], width: int, blocks: int) -> None:
        super().__init__()
        images = [shape for shape in inputs if len(shape) == 3]
        if images:
            levels = len(halvings(images[0][1:])[:3])
            widths = tuple(width * 2**i for i in range(levels))
            maps = ConvBody(inputs, widths, 4, (1,) + (2,) * (levels - 1))
            self.first: nn.Module = maps
            self.blocks = nn.Sequential(*(Residual(widths[-1]) for _ in range(blocks)))
            self.features = maps.features
        else:
            self.first, self.blocks, self.features = MLPBody(inputs, (4 * width,)), nn.Sequential(), (4 * width,)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        x: Tensor = self.first(*parents, batch=batch)
        maps = x.reshape(-1, *self.features)
        y: Tensor = self.blocks(maps)
        return y.reshape(x.shape)


class ResNetHead(nn.Module):
    """Doubles maps up to an image, (*leading, channels, height, width); a vector becomes maps and passes the blocks."""

    def __init__(self, features: Shape, output: Shape, width: int, blocks: int) -> None:
        super().__init__()
        self.features, self.output = features, output
        self.sizes = halvings(output[1:])[:3][::-1]
        channels = [width * 2**i for i in range(len(self.sizes))][::-1]
        self.start = (channels[0], *self.sizes[0])
        vector = len(features) == 1
        self.first = nn.Linear(features[0], prod(self.start)) if vector else nn.Conv2d(features[0], channels[0], 1)
        self.blocks = nn.Sequential(*(Residual(channels[0]) for _ in range(blocks if vector else 0)))
        self.layers = nn.ModuleList(nn.ConvTranspose2d(a, a // 2, 4, 2, 1) for a in channels[:-1])
        self.norms = nn.ModuleList(group_norm(a // 2) for a in channels[:-1])
        self.last = nn.Conv2d(width, output[0], 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: x.dim() - len(self.features)]
        x = self.first(x.reshape(-1, *self.features))
        if len(self.features) == 1:
            x = x.reshape(-1, *self.start)
        elif x.shape[2:] != self.start[1:]:
            x = nn.functional.interpolate(x, self.start[1:])
        x = self.blocks(x)
        for layer, norm, (height, width) in zip(self.layers, self.norms, self.sizes[1:], strict=True):
            x = norm(layer(x)[:, :, :height, :width]).relu()
        image: Tensor = self.last(x)
        return image.reshape((*leading, *self.output))


class ResNet(Net):
    """Images or vectors to an image, or images to anything else: (*leading, *output). No batch statistics."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, width: int, blocks: int) -> None:
        body = ResNetBody(inputs, width, blocks)
        image = len(output) == 3
        head = ResNetHead(body.features, output, width, blocks) if image else FlatHead(body.features, output)
        super().__init__(body, head)

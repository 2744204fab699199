"""Networks that both sides of a comparison train: ours imports them by `python("benchmarks.peers.nets:NAME")`.

Each is called with the event shapes of its inputs and of its output, and returns a module (docs/language.md).
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


class MLP(nn.Module):
    """What `mlp(...)` is, as people write it: linear maps with leaky ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(x))


class Encoder(nn.Module):
    """784-400 and two maps to the mean and the scale of 20 codes."""

    def __init__(self, size: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(size, hidden), nn.Linear(hidden, code), nn.Linear(hidden, code)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.leaky_relu(self.fc1(x), 0.2)
        return self.fc21(h), F.softplus(self.fc22(h)) + 1e-4


class Decoder(nn.Module):
    """20-400-784, logits."""

    def __init__(self, size: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.fc3, self.fc4 = nn.Linear(code, hidden), nn.Linear(hidden, size)

    def forward(self, z: Tensor) -> Tensor:
        return cast(Tensor, self.fc4(F.leaky_relu(self.fc3(z), 0.2)))


def dcgan_generator(inputs: tuple[Shape, ...] = ((100,),), output: Shape = (1, 28, 28)) -> nn.Module:
    """DCGAN's generator for 28x28, logits of the pixels; 64 filters before the image."""
    return nn.Sequential(
        nn.Unflatten(1, (prod(inputs[0]), 1, 1)),
        nn.ConvTranspose2d(prod(inputs[0]), 256, 7, 1, 0, bias=False), nn.BatchNorm2d(256), nn.ReLU(True),
        nn.ConvTranspose2d(256, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(True),
        nn.ConvTranspose2d(128, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(True),
        nn.ConvTranspose2d(64, output[0], 4, 2, 1, bias=False),
    )  # fmt: skip


def dcgan_discriminator(inputs: tuple[Shape, ...] = ((1, 28, 28),), output: Shape = ()) -> nn.Module:
    """DCGAN's discriminator for 28x28, 64 filters first: a logit, (batch,)."""
    return nn.Sequential(
        nn.Conv2d(inputs[0][0], 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True),
        nn.Conv2d(128, 256, 3, 2, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2, True),
        nn.Conv2d(256, 1, 4, 1, 0, bias=False), nn.Flatten(0),
    )  # fmt: skip


class InfoGANGenerator(nn.Module):
    """The usual script's generator for 32x32: a linear map, twice upsampling and a convolution, tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Linear(62 + 10 + 2, 128 * 8 * 8)
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(128),
            nn.Upsample(scale_factor=2), nn.Conv2d(128, 128, 3, 1, 1),
            nn.BatchNorm2d(128, 0.8), nn.LeakyReLU(0.2, True),
            nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, 1, 1),
            nn.BatchNorm2d(64, 0.8), nn.LeakyReLU(0.2, True),
            nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise: Tensor, labels: Tensor, code: Tensor) -> Tensor:
        out = self.l1(torch.cat((noise, labels, code), -1))
        return cast(Tensor, self.conv_blocks(out.view(out.shape[0], 128, 8, 8)))


class InfoGANDiscriminator(nn.Module):
    """The usual script's discriminator, class and code: one trunk (with dropout), three heads."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((1, 16), (16, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2, True), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(b, 0.8)] if a > 1 else []
        self.conv_blocks = nn.Sequential(*layers)
        self.adv_layer, self.aux_layer, self.latent_layer = nn.Linear(512, 1), nn.Linear(512, 10), nn.Linear(512, 2)

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.conv_blocks(img).flatten(1)
        return self.adv_layer(out), self.aux_layer(out), self.latent_layer(out)

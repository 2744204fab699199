"""What every built-in network is made of: a body, a head, and parents put side by side."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


def leading_shape(parents: tuple[Tensor, ...], inputs: tuple[Shape, ...], batch: Shape) -> Shape:
    """The shape to which the axes before the parents' events broadcast."""
    shapes = (p.shape[: p.dim() - len(event)] for p, event in zip(parents, inputs, strict=True))
    return tuple(torch.broadcast_shapes(batch, *shapes))  # type: ignore[no-untyped-call]


class Net(nn.Module):
    """A body and a head: parents (*leading, *event) -> (*leading, *output), leading axes broadcast.

    Without parents it is a learned constant, and `batch` is the leading shape that it takes.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        features: Tensor = self.head(self.body(*parents, batch=batch))
        return features


class Chain(nn.Module):
    """One body (or net) after another: `D then mlp(128)`."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.features = second.features

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        features: Tensor = self.second(self.first(*parents, batch=batch))
        return features


class Join(nn.Module):
    """Parents as vectors side by side: (*leading, features); a single 1 without parents."""

    one: Tensor

    def __init__(self, inputs: tuple[Shape, ...]) -> None:
        super().__init__()
        self.inputs = inputs
        self.features: Shape = (sum(prod(shape) for shape in inputs) if inputs else 1,)
        self.register_buffer("one", torch.ones(1), persistent=False)  # follows the module's device and dtype

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        if not parents:
            return self.one.expand((*batch, 1))
        leading = leading_shape(parents, self.inputs, batch)
        pairs = zip(parents, self.inputs, strict=True)
        return torch.cat([p.expand((*leading, *shape)).reshape(*leading, prod(shape)) for p, shape in pairs], -1)


class FlatHead(nn.Module):
    """A linear map of all features: (*leading, *features) -> (*leading, *output)."""

    def __init__(self, features: Shape, output: Shape) -> None:
        super().__init__()
        self.features, self.output = features, output
        self.linear = nn.Linear(prod(features), prod(output))

    def forward(self, x: Tensor) -> Tensor:
        leading = x.shape[: x.dim() - len(self.features)]
        y: Tensor = self.linear(x.reshape(*leading, prod(self.features)))
        return y.reshape((*leading, *self.output))


class PoolHead(nn.Module):
    """A linear map of a map's mean over its places, which is the mean of the map's outputs at each place (patches)."""

    def __init__(self, features: Shape, output: Shape) -> None:
        super().__init__()
        self.flat = FlatHead(features[:1], output)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.flat(x.mean((-2, -1)))
        return y

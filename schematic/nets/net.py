"""What every built-in network is made of: a body, a head, and parents put side by side."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


class Net(nn.Module):
    """A body and a head: parents (*leading, *event) -> (*leading, *output); without parents `batch` is leading."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        return self.head(self.body(*parents, batch=batch))  # type: ignore[no-any-return]


class Chain(nn.Module):
    """One body (or net) after another: `D then mlp(128)`."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.features = second.features

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        return self.second(self.first(*parents, batch=batch))  # type: ignore[no-any-return]


def he(layer: nn.Module) -> None:
    """He's initialization before a leaky ReLU: activations keep their scale, so that depth forgets no input."""
    nn.init.kaiming_normal_(layer.weight, a=0.2)  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class Join(nn.Module):
    """Parents as vectors side by side: (*leading, features); a single 1 without parents."""

    def __init__(self, inputs: tuple[Shape, ...]) -> None:
        super().__init__()
        self.inputs = inputs
        self.features: Shape = (sum(prod(shape) for shape in inputs) if inputs else 1,)
        self.register_buffer("one", torch.ones(1), persistent=False)  # follows the module's device and dtype

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        if not parents:
            return self.get_buffer("one").expand((*batch, 1))
        flat = [p.reshape(*p.shape[: p.dim() - len(s)], prod(s)) for p, s in zip(parents, self.inputs, strict=True)]
        leading = torch.broadcast_shapes(batch, *(p.shape[:-1] for p in flat))  # type: ignore[no-untyped-call]
        values = [p.expand(*leading, p.shape[-1]) for p in flat]
        return values[0] if len(values) == 1 else torch.cat(values, -1)


class FlatHead(nn.Module):
    """A linear map of all features: (*leading, *features) -> (*leading, *output)."""

    def __init__(self, features: Shape, output: Shape) -> None:
        super().__init__()
        self.features, self.output = features, output
        self.linear = nn.Linear(prod(features), prod(output))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x.flatten(-len(self.features)))
        return y.reshape((*y.shape[:-1], *self.output))  # type: ignore[no-any-return]


class PoolHead(nn.Module):
    """A linear map of a map's mean over its places, which is the mean of the map's outputs at each place (patches)."""

    def __init__(self, features: Shape, output: Shape) -> None:
        super().__init__()
        self.flat = FlatHead(features[:1], output)

    def forward(self, x: Tensor) -> Tensor:
        return self.flat(x.mean((-2, -1)))  # type: ignore[no-any-return]

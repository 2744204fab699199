"""`mlp(400, 400)`: fully connected layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from schematic.nets.net import FlatHead, Join, Net, Shape, he


class MLPBody(nn.Module):
    """Fully connected layers on the parents, flattened: features (*leading, hidden[-1])."""

    def __init__(self, inputs: tuple[Shape, ...], hidden: Shape) -> None:
        super().__init__()
        self.join = Join(inputs)
        self.features: Shape = hidden[-1:]
        widths = (*self.join.features, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False))
        for layer in self.layers:
            he(layer)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        x: Tensor = self.join(*parents, batch=batch)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x


class MLP(Net):
    """Fully connected layers, leaky ReLU, no batch statistics: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, hidden: Shape) -> None:
        body = MLPBody(inputs, hidden)
        super().__init__(body, FlatHead(body.features, output))

"""`mlp(400, 400)`: fully connected layers."""

from __future__ import annotations

from torch import Tensor, nn

from schematic.nets.net import FlatHead, Join, Net, Shape


class MLPBody(nn.Module):
    """Fully connected layers on the parents, flattened: features (*leading, hidden[-1])."""

    def __init__(self, inputs: tuple[Shape, ...], hidden: Shape) -> None:
        super().__init__()
        self.join = Join(inputs)
        self.features: Shape = hidden[-1:]
        widths = (*self.join.features, *hidden)
        layers = [nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        x: Tensor = self.join(*parents, batch=batch)
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), 0.2)
        return x


class MLP(Net):
    """Fully connected layers, leaky ReLU, no batch statistics: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, hidden: Shape) -> None:
        body = MLPBody(inputs, hidden)
        super().__init__(body, FlatHead(body.features, output))

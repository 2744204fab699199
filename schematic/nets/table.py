"""`table`: one free parameter per entry, for finite variables."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from schematic.nets.net import Net, Shape


class TableBody(nn.Module):
    """The joint probability of the parents' values, as independent points of the simplex: (*leading, entries).

    A parent is one-hot over its last axis, or binary (`bits`), one bit an element. One-hot values give a
    one-hot row; other points of the simplex give the expected one.
    """

    def __init__(self, inputs: tuple[Shape, ...], bits: tuple[bool, ...]) -> None:
        super().__init__()
        self.inputs, self.bits = inputs, bits
        self.register_buffer("one", torch.ones(1), persistent=False)  # follows the module's device and dtype
        sizes = (2 ** prod(s) if bit else s[-1] ** prod(s[:-1]) for s, bit in zip(inputs, bits, strict=True))
        self.features: Shape = (prod(sizes),)

    def forward(self, *parents: Tensor, batch: Shape = ()) -> Tensor:
        joint = self.get_buffer("one").expand((*batch, 1))
        for p, shape, bit in zip(parents, self.inputs, self.bits, strict=True):
            leading = p.shape[: p.dim() - len(shape)]
            values = torch.stack((1 - p, p), -1) if bit else p
            for one in values.reshape(*leading, -1, values.shape[-1]).unbind(-2):
                joint = (joint[..., :, None] * one[..., None, :]).flatten(-2)
        return joint


class TableHead(nn.Module):
    """The rows of the table, weighed by the joint probability: (*leading, *output)."""

    def __init__(self, features: Shape, output: Shape) -> None:
        super().__init__()
        self.entries = nn.Parameter(0.1 * torch.randn(*features, *output))

    def forward(self, joint: Tensor) -> Tensor:
        rows: Tensor = torch.tensordot(joint, self.entries, 1)
        return rows


class Table(Net):
    """One free parameter for every value of the parents and element of the output: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape, bits: tuple[bool, ...]) -> None:
        body = TableBody(inputs, bits)
        super().__init__(body, TableHead(body.features, output))

"""The summands of a loss that the user computed: what autograd says the loss is a linear function of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schematic.audit.parameters import Parameters, Vector
from schematic.audit.stage import Line, Stage

LINEAR = ("AddBackward", "SubBackward", "RsubBackward", "NegBackward", "MeanBackward", "SumBackward", "ViewBackward",
          "ReshapeAliasBackward", "UnsafeViewBackward", "SqueezeBackward", "UnsqueezeBackward", "ExpandBackward",
          "StackBackward", "CatBackward", "CloneBackward", "ToCopyBackward")  # fmt: skip
SCALED = ("MulBackward", "DivBackward")  # linear if one side is a constant


@dataclass(frozen=True)
class Piece:
    """A summand: its gradient in the loss, and the line that made it."""

    gradient: Vector
    line: Line | None


def pieces(loss: Tensor, parameters: Parameters, stage: Stage) -> list[Piece]:
    """The summands of a loss, in the order in which autograd meets them. They add up to the loss, but for constants.

    It is taken apart as far as it is linear, down to tensors, else down to numbers: where a part is made of another
    one, their gradients would count what they share twice, and so the sum of all is held against the whole.
    """
    if loss.grad_fn is None:
        return []
    whole = parameters.gradient(loss)
    for inside in (True, False):
        leaves = _cut(loss, stage, inside)
        if leaves is None:
            continue
        weights = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
        found = [
            Piece(parameters.gradient(v, w), stage.lines[n][1] if n in stage.lines else None)
            for (n, v), w in zip(leaves.items(), weights, strict=True)
            if w is not None
        ]
        if np.allclose(sum((p.gradient for p in found), np.zeros_like(whole)), whole, rtol=1e-8, atol=1e-12):
            return found
    return [Piece(whole, stage.lines[loss.grad_fn][1] if loss.grad_fn in stage.lines else None)]


def _cut(loss: Tensor, stage: Stage, inside: bool) -> dict[Any, Tensor] | None:
    """The values of which the loss is a linear function, by their nodes; unless `inside`, numbers alone."""
    known: dict[Any, Tensor] = {
        **{n: v for n, (v, _) in stage.lines.items() if inside or v.numel() == 1},
        loss.grad_fn: loss,
    }
    leaves: dict[Any, Tensor] = {}
    pending: list[Any] = [loss.grad_fn]
    seen: set[Any] = set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        below = [n for n, _ in node.next_functions if n is not None]
        opened = below and linear(node) and all(n in known or (inside and linear(n)) for n in below)
        if opened and "AccumulateGrad" not in {n.name() for n in below}:
            pending.extend(reversed(below))
        elif node in known:
            leaves[node] = known[node]
        else:
            return None
    return leaves


def linear(node: Any) -> bool:
    """The value is a linear function of the one below, or of several."""
    name = node.name().rstrip("0123456789")
    if name in SCALED:
        return len([n for n, _ in node.next_functions if n is not None]) == 1 and node.next_functions[0][0] is not None
    return name in LINEAR

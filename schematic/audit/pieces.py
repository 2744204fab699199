"""The summands of a loss that the user computed: what autograd says the loss is a linear function of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    """The summands of a loss, in the order in which autograd meets them. They add up to the loss, but for constants."""
    if loss.grad_fn is None:
        return []
    leaves: dict[Any, Tensor] = {}
    pending, seen = [loss.grad_fn], set()
    known = {**{n: v for n, (v, _) in stage.lines.items()}, loss.grad_fn: loss}
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        below = [n for n, _ in node.next_functions if n is not None]
        open_ = linear(node) and all(n in known or linear(n) for n in below) and below
        if open_ and "AccumulateGrad" not in {n.name() for n in below}:
            pending.extend(reversed(below))
        elif node in known:
            leaves[node] = known[node]
        else:
            return [Piece(parameters.gradient(loss), stage.lines.get(loss.grad_fn, (loss, None))[1])]
    tensors = list(leaves.values())
    weights = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return [
        Piece(parameters.gradient(v, w), stage.lines[n][1] if n in stage.lines else None)
        for (n, v), w in zip(leaves.items(), weights, strict=True)
        if w is not None
    ]


def linear(node: Any) -> bool:
    """The value is a linear function of the one below, or of several."""
    name = node.name().rstrip("0123456789")
    if name in SCALED:
        return len([n for n, _ in node.next_functions if n is not None]) == 1 and node.next_functions[0][0] is not None
    return name in LINEAR

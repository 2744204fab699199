"""One side of a comparison: a training step, and what is needed to see that it trains the same thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

Batch = Mapping[str, Tensor]
Step = Callable[[Batch], object]


@dataclass(frozen=True)
class Side:
    """A peer. `parameters`: those of the peer that are each of ours, by our name, stacked along the first axis.

    `scale`: its losses are minus this times our objectives, and `summed` over the batch. `rule`: how its training rule
    differs from ours, '' if it does not: then its gradients are ours times the scale, update by update, which is
    checked before anything is timed.
    """

    name: str
    step: Step
    parameters: Mapping[str, Sequence[nn.Parameter]]
    scale: float = 1.0
    summed: bool = False
    rule: str = ""


def matched(ours: Mapping[str, nn.Parameter], theirs: Sequence[nn.Parameter]) -> dict[str, Sequence[nn.Parameter]]:
    """Parameters that stand in the same order on both sides."""
    assert [p.shape for p in ours.values()] == [p.shape for p in theirs]
    return {name: (p,) for name, p in zip(ours, theirs, strict=True)}

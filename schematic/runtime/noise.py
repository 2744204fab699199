"""Noise for the whole batch of several processes, of which each keeps its part.

A run's generator is the same in every process and draws what one process would draw, so that a run does not depend on
the number of its processes, and a checkpoint of two of them is one of any number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from schematic.runtime.distributed import World
from schematic.runtime.errors import RunError
from schematic.runtime.program import Program

FACTORIES = (torch.randn, torch.rand)  # of a shape
FILLERS = (Tensor.exponential_, Tensor.normal_, Tensor.uniform_)  # of a tensor, in place

Axis = int | None


class _Noise(TorchFunctionMode):
    """Hands every draw from an explicit generator to `drawn`, with its shape and a function of another one."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if named.get("generator") is None:
            return function(*args, **named)
        if function in FACTORIES:
            shape = tuple(args[0]) if isinstance(args[0], Sequence) else args
            return self.drawn(shape, lambda wide: function(wide, **named))
        if function in FILLERS:
            tensor: Tensor = args[0]
            rest = args[1:]
            return tensor.copy_(self.drawn(tensor.shape, lambda wide: function(tensor.new_empty(wide), *rest, **named)))
        if function is torch.bernoulli:
            return self.drawn(args[0].shape, lambda wide: self.bits(args[0], wide, named))
        return function(*args, **named)

    def drawn(self, shape: Sequence[int], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        raise NotImplementedError

    def bits(self, probabilities: Tensor, wide: tuple[int, ...], named: Mapping[str, Any]) -> Tensor:
        raise NotImplementedError


class _Seen(_Noise):
    """Notes the shapes of the draws."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def drawn(self, shape: Sequence[int], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        self.shapes.append(tuple(shape))
        return draw(tuple(shape))

    def bits(self, probabilities: Tensor, wide: tuple[int, ...], named: Mapping[str, Any]) -> Tensor:
        return torch.bernoulli(probabilities, **named)


class Shared(_Noise):
    """Within, a program draws for all processes and keeps its part; `axes` has the batch's place in each draw."""

    def __init__(self, axes: Sequence[Axis], world: World) -> None:
        super().__init__()
        self.axes, self.world = iter(axes), world
        self.axis: Axis = None

    def drawn(self, shape: Sequence[int], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        self.axis = axis = next(self.axes)
        if axis is None:
            return draw(tuple(shape))
        n = shape[axis]
        wide = draw((*shape[:axis], n * self.world.size, *shape[axis + 1 :]))
        return wide.narrow(axis, self.world.rank * n, n)

    def bits(self, probabilities: Tensor, wide: tuple[int, ...], named: Mapping[str, Any]) -> Tensor:
        """The other processes' probabilities are not known here; how much is drawn does not depend on them."""
        if self.axis is None:
            return torch.bernoulli(probabilities, **named)
        n = probabilities.shape[self.axis]
        filled = probabilities.new_full(wide, 0.5)
        filled.narrow(self.axis, self.world.rank * n, n).copy_(probabilities)
        return torch.bernoulli(filled, **named)


def axes(program: Program, batch: Mapping[str, Tensor]) -> tuple[Axis, ...]:
    """Where the batch stands in the shape of each draw that `program.draw` makes, found on batches of 2 and of 3.

    Raises RunError where one grows with the batch in another way.
    """
    copy = deepcopy(program)
    shapes = []
    for n in (2, 3):
        few = {field: value[:1].expand(n, *value.shape[1:]) for field, value in batch.items()}
        with torch.no_grad(), _Seen() as seen:
            copy.draw(few, torch.Generator(next(iter(batch.values())).device))
        shapes.append(seen.shapes)
    return tuple(_axis(two, three) for two, three in zip(*shapes, strict=True))


def _axis(two: tuple[int, ...], three: tuple[int, ...]) -> Axis:
    differ = [i for i, (a, b) in enumerate(zip(two, three, strict=True)) if a != b]
    if not differ:
        return None
    if len(differ) > 1 or (two[differ[0]], three[differ[0]]) != (2, 3):
        raise RunError(f"noise of shape {two} for 2 records and {three} for 3 cannot be shared among processes")
    return differ[0]

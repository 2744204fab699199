"""Parameters of which each process holds an equal part, gathered for as long as a layer needs them.

ZeRO, stage 3 (Rajbhandari et al., 2020): parameters, gradients and the optimizers' states are all parts. It is written
on `torch.autograd.grad`, by which a group's gradient is taken here; FSDP reads gradients where `backward` leaves them.
A part is a parameter like any other: elements in a row, the last part filled up with zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, cast
from weakref import ReferenceType, ref

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils import parametrize

from schematic.runtime.distributed import World
from schematic.runtime.program import Program

_KEY = re.compile(r"parametrizations\.(\w+)\.original$")


@dataclass
class Live:
    """The whole parameters that are in memory now, by their storage; what a graph would save of them is a part."""

    whole: dict[int, tuple[ReferenceType[Tensor], Tensor, torch.Size]] = field(default_factory=dict)


class _Gather(torch.autograd.Function):
    """A part to its whole parameter; the gradient's part is the mean over all processes."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, shape: torch.Size, size: int) -> Tensor:
        ctx.length, ctx.size = len(part), size
        return gathered(part, shape, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        flat = gradients[0].new_zeros(ctx.size * ctx.length)
        flat[: gradients[0].numel()] = gradients[0].reshape(-1)
        part = flat.new_empty(ctx.length)
        dist.reduce_scatter(part, list(flat.chunk(ctx.size)))
        return part / ctx.size, None, None


def gathered(part: Tensor, shape: torch.Size, size: int) -> Tensor:
    """The whole of (length,) parts, in its shape."""
    flat = part.new_empty(size * len(part))
    dist.all_gather(list(flat.chunk(size)), part.detach().contiguous())
    return flat[: shape.numel()].view(shape)


class Whole(nn.Module):
    """The parametrization of a layer's parameter by this process's part of it."""

    def __init__(self, shape: torch.Size, world: World, live: Live) -> None:
        super().__init__()
        self.shape, self.world, self.live = shape, world, live

    def forward(self, part: Tensor) -> Tensor:
        whole = cast(Tensor, _Gather.apply(part, self.shape, self.world.size))  # type: ignore[no-untyped-call]
        self.live.whole[whole.data_ptr()] = (ref(whole), part, self.shape)
        return whole

    def right_inverse(self, whole: Tensor) -> Tensor:
        length = ceil(whole.numel() / self.world.size)
        flat = whole.new_zeros(self.world.size * length)
        flat[: whole.numel()] = whole.reshape(-1)
        return flat[self.world.rank * length : (self.world.rank + 1) * length].clone()


@dataclass(frozen=True)
class Shards:
    """A program of which this process holds a part of every parameter."""

    program: Program
    world: World
    live: Live

    @contextmanager
    def saved(self) -> Iterator[None]:
        """Within, a graph keeps parts, and gathers the whole again on the way back."""

        def pack(tensor: Tensor) -> object:
            known = self.live.whole.get(tensor.untyped_storage().data_ptr())
            if known is None or known[0]() is None:
                return tensor
            return known[1], known[2], tensor.size(), tensor.stride(), tensor.storage_offset()

        def unpack(packed: Any) -> Tensor:
            if isinstance(packed, Tensor):
                return packed
            part, shape, size, stride, offset = packed
            return gathered(part, shape, self.world.size).as_strided(size, stride, offset)

        with saved_tensors_hooks(pack, unpack):
            yield
        self.live.whole.clear()

    def shape(self, name: str) -> torch.Size | None:
        """The whole shape of the parameter of this name in `state_dict`; None of what is no part."""
        if not _KEY.search(name):
            return None
        whole = cast(nn.Module, self.program).get_submodule(name.removesuffix(".original"))
        assert isinstance(whole, parametrize.ParametrizationList)
        return cast(Whole, whole[0]).shape

    def state_dict(self) -> dict[str, Tensor]:
        """The whole program's parameters and buffers on the CPU, under the names of the plain one."""
        found = {}
        for name, value in self.program.state_dict().items():
            shape = self.shape(name)
            whole = value if shape is None else gathered(value, shape, self.world.size)
            found[plain(name)] = whole.cpu()
        return found

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes its parts of the whole program's parameters."""
        own = self.program.state_dict()
        parts = {n: v if self.shape(n) is None else self.part(v, own[n]) for n in own for v in [state[plain(n)]]}
        self.program.load_state_dict(parts)

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """This process's part of a whole tensor, on the device of its own one."""
        length = len(like)
        flat = whole.new_zeros(self.world.size * length)
        flat[: whole.numel()] = whole.reshape(-1)
        return flat[self.world.rank * length : (self.world.rank + 1) * length].to(like.device)


def shard(program: Program, world: World) -> Shards:
    """Leaves this process its part of every parameter, in place."""
    live = Live()
    for module in list(cast(nn.Module, program).modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            whole = Whole(parameter.shape, world, live)
            parametrize.register_parametrization(module, name, whole, unsafe=True)
    return Shards(program, world, live)


def plain(name: str) -> str:
    """The name of a part's parameter in the plain program."""
    return _KEY.sub(r"\1", name)

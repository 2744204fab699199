"""The processes that train one run together, as torchrun starts them: what they tell each other.

Each takes its part of every batch. Gradients and objectives are means over all of them, one of them writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from schematic.runtime.errors import RunError


@dataclass(frozen=True)
class World:
    """This process's number `rank` among `size`. Alone it asks nobody."""

    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def fitting(self, batch: int) -> int:
        """The most records up to `batch` of which each process has as many; one each at least."""
        return max(batch - batch % self.size, self.size)

    def part(self, whole: Tensor) -> Tensor:
        """This process's rows of (batch, ...)."""
        n = len(whole) // self.size
        return whole[self.rank * n : (self.rank + 1) * n] if self.size > 1 else whole

    def mean(self, tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The means over all processes, of all tensors in one message; None where a process, and so each, has none."""
        if self.size == 1:
            return list(tensors)
        present = [t for t in tensors if t is not None]
        flat = torch.cat([t.reshape(-1) for t in present])
        dist.all_reduce(flat)
        parts = iter(torch.split(flat / self.size, [t.numel() for t in present]))
        return [None if t is None else next(parts).view(t.shape) for t in tensors]

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def least(self, tensor: Tensor) -> Tensor:
        """The least over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor, dist.ReduceOp.MIN)
        return tensor

    def agreed(self, holds: Tensor) -> bool:
        """Whether a truth value on the device holds in every process."""
        return bool(self.least(holds.float()).item())

    def any(self, device: torch.device, *questions: bool) -> list[bool]:
        """Whether some process says yes, for each question."""
        if self.size == 1:
            return list(questions)
        votes = torch.tensor(questions, dtype=torch.float32, device=device)
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return [bool(v) for v in votes.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        if self.size == 1:
            return [value]
        found = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def share(self, make: Callable[[], Any]) -> Any:
        """What the main process makes, in each of them. Raises RunError where it could not."""
        if self.size == 1:
            return make()
        found: list[Any] = [None, ""]
        if self.main:
            try:
                found[0] = make()
            except RunError as e:
                found[1] = str(e)
        dist.broadcast_object_list(found)
        if found[1]:
            raise RunError(found[1])
        return found[0]

    def write(self, device: torch.device, action: Callable[[], None]) -> None:
        """The main process does this for all. Raises OSError in each process where it could not be written."""
        error = None
        if self.main:
            try:
                action()
            except OSError as e:
                error = e
        (failed,) = self.any(device, error is not None)
        if failed:
            raise error or OSError("the main process cannot write")


ALONE = World()


def join(device: torch.device) -> tuple[World, torch.device]:
    """The processes that torchrun has started, or that stand in torch.distributed already; and this one's device.

    Raises RunError for a device on which several processes cannot train.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if not dist.is_initialized() and size == 1:
        return ALONE, device
    if device.type not in ("cpu", "cuda"):
        raise RunError(f"several processes cannot train on `{device.type}`", "--device cpu, or cuda")
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise RunError(
                f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}",
                "torchrun --nproc-per-node with the number of GPUs",
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size()), device


def leave() -> None:
    """Ends this process's part, once all have come to their end."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()

"""Batches of a model's data, drawn by index where the data live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from schematic.runtime.data import Batch, DataSet
from schematic.runtime.distributed import ALONE, World
from schematic.runtime.errors import RunError


class Stream:
    """Endless batches of one set: a fresh permutation each time round, the last partial batch dropped.

    Bits of a dynamic field are drawn anew in every batch. Of several processes each takes its part of every batch, by
    generators that are the same in all of them.
    """

    def __init__(
        self, data: DataSet, batch: int, device: torch.device, generator: torch.Generator, world: World
    ) -> None:
        self.data, self.batch, self.device, self.generator, self.world = data, batch, device, generator, world
        self.home = next(iter(data.train.values())).device
        self.order = torch.empty(0, dtype=torch.long, device=self.home)
        self.at = 0

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Batch:
        if self.at + self.batch > len(self.order):
            where = self.generator.device
            self.order = torch.randperm(self.data.records, generator=self.generator, device=where).to(self.home)
            self.at = 0
        index = self.order[self.at : self.at + self.batch]
        self.at += self.batch
        found = {f: self._records(f, self.world.part(index)) for f in self.data.train}
        bits = {f: torch.bernoulli(self._records(f, index), generator=self.generator) for f in self.data.dynamic}
        return found | {f: self.world.part(whole) for f, whole in bits.items()}

    def _records(self, field: str, index: Tensor) -> Tensor:
        return self.data.train[field].index_select(0, index).to(self.device, non_blocking=True)


class Batches:
    """Batches over all sets: different sets are drawn independently (semantics.md, "Sampling a branch")."""

    def __init__(
        self,
        sets: Sequence[DataSet],
        batch: int,
        device: torch.device,
        generator: torch.Generator,
        world: World = ALONE,
    ) -> None:
        """`batch` records a step, in all processes together. Raises RunError where that cannot be."""
        if batch % world.size:
            words = f"a batch of {batch} has no equal parts for {world.size} processes"
            raise RunError(words, f"--batch {world.fitting(batch)}")
        small = next((s for s in sets if s.records < batch), None)
        if small is not None:
            raise RunError(
                f"{small.origin} has {small.records} training records, fewer than a batch of {batch}",
                f"--batch {small.records}",
            )
        self.streams = tuple(Stream(s, batch, device, generator, world) for s in sets)
        self.per_epoch = max((s.records // batch for s in sets), default=1)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Batch:
        return {f: t for stream in self.streams for f, t in next(stream).items()}

    def state(self) -> list[dict[str, Any]]:
        """Where each stream stands, for a checkpoint."""
        return [{"order": stream.order, "at": stream.at} for stream in self.streams]

    def load_state(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Puts each stream back where it stood."""
        for stream, state in zip(self.streams, states, strict=True):
            stream.order, stream.at = state["order"].to(stream.home), int(state["at"])

"""Batches of a model's data, drawn by index where the data live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from schematic.runtime.data import Batch, DataSet
from schematic.runtime.errors import RunError


class Stream:
    """Endless batches of one set: a fresh permutation each time round, the last partial batch dropped.

    Bits of a dynamic field are drawn anew in every batch.
    """

    def __init__(self, data: DataSet, batch: int, device: torch.device, generator: torch.Generator) -> None:
        self.data, self.batch, self.device, self.generator = data, batch, device, generator
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
        found = {f: t.index_select(0, index).to(self.device, non_blocking=True) for f, t in self.data.train.items()}
        return found | {f: torch.bernoulli(found[f], generator=self.generator) for f in self.data.dynamic}


class Batches:
    """Batches over all sets: different sets are drawn independently (semantics.md, "Sampling a branch")."""

    def __init__(self, sets: Sequence[DataSet], batch: int, device: torch.device, generator: torch.Generator) -> None:
        small = next((s for s in sets if s.records < batch), None)
        if small is not None:
            raise RunError(
                f"{small.origin} has {small.records} training records, fewer than a batch of {batch}",
                f"--batch {small.records}",
            )
        self.streams = tuple(Stream(s, batch, device, generator) for s in sets)
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

"""A model's data: its sets fitted to its fields, on the device when they fit there, and batches drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field, Shape, fit
from schematic.runtime.sources import RawSet, bindings, read

Batch = dict[str, Tensor]
RESIDENT = 0.5  # of an accelerator's free memory may be taken by the data


@dataclass(frozen=True)
class DataSet:
    """One set's tensors by the model's field names ("horses/image"), (records, *event shape), and their origin."""

    name: str
    origin: str
    train: Batch
    test: Batch

    @property
    def records(self) -> int:
        return len(next(iter(self.train.values())))

    def to(self, device: torch.device) -> DataSet:
        move = {split: {f: t.to(device) for f, t in getattr(self, split).items()} for split in ("train", "test")}
        return DataSet(self.name, self.origin, move["train"], move["test"])


def load(
    data: str | Sequence[tuple[str, str]], fields: Mapping[str, Shape], kinds: Mapping[str, str] | None = None
) -> tuple[DataSet, ...]:
    """The sets that a model reads, fitted to its FIELDS. Raises RunError with everything that was found wrong."""
    wanted: dict[str, list[str]] = {}
    for name in fields:
        wanted.setdefault(name.rpartition("/")[0], []).append(name)
    sources = bindings(data, wanted)
    sets, errors = [], []
    for name, names in wanted.items():
        try:
            raw = read(sources[name], [n.rpartition("/")[2] for n in names])
            sets.append(_fitted(name, raw, [Field(n, tuple(fields[n]), (kinds or {}).get(n, "")) for n in names]))
        except RunError as e:
            errors.append(e)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise RunError("\n".join(map(str, errors)))
    return tuple(sets)


def _fitted(name: str, raw: RawSet, fields: Sequence[Field]) -> DataSet:
    origin = f"set `{name}` ({raw.origin})" if name else f"set {raw.origin}"
    splits: dict[str, Batch] = {}
    for split, arrays in (("train", raw.train), ("test", raw.test)):
        splits[split] = {f.name: fit(arrays[f.name.rpartition("/")[2]], f, origin, raw.white) for f in fields}
        counts = {f: len(t) for f, t in splits[split].items()}
        if len(set(counts.values())) > 1:
            numbers = ", ".join(f"{f} {n}" for f, n in counts.items())
            raise RunError(f"{origin}: fields have different numbers of records in the {split} split: {numbers}")
    return DataSet(name, origin, splits["train"], splits["test"])


def place(sets: Sequence[DataSet], device: torch.device) -> tuple[DataSet, ...]:
    """The sets on the device if they take at most RESIDENT of its free memory, else where they are."""
    size = sum(t.nbytes for s in sets for split in (s.train, s.test) for t in split.values())
    if device.type == "cuda" and size > RESIDENT * torch.cuda.mem_get_info(device)[0]:
        return tuple(sets)
    return tuple(s.to(device) for s in sets)


class Stream:
    """Endless batches of one set: a fresh permutation each time round, the last partial batch dropped."""

    def __init__(self, records: Batch, batch: int, device: torch.device, generator: torch.Generator) -> None:
        self.records, self.batch, self.device, self.generator = records, batch, device, generator
        self.home = next(iter(records.values())).device
        self.count = len(next(iter(records.values())))
        self.order = torch.empty(0, dtype=torch.long, device=self.home)
        self.at = 0

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Batch:
        if self.at + self.batch > len(self.order):
            where = self.generator.device
            self.order = torch.randperm(self.count, generator=self.generator, device=where).to(self.home)
            self.at = 0
        index = self.order[self.at : self.at + self.batch]
        self.at += self.batch
        return {f: t.index_select(0, index).to(self.device, non_blocking=True) for f, t in self.records.items()}


class Batches:
    """Batches over all sets: different sets are drawn independently (semantics.md, "Sampling a branch")."""

    def __init__(self, sets: Sequence[DataSet], batch: int, device: torch.device, generator: torch.Generator) -> None:
        small = next((s for s in sets if s.records < batch), None)
        if small is not None:
            raise RunError(
                f"{small.origin} has {small.records} training records, fewer than a batch of {batch}",
                f"--batch {small.records}",
            )
        self.streams = tuple(Stream(s.train, batch, device, generator) for s in sets)
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

"""The objectives over time: summed on the device, read back now and then, kept as JSON lines and as curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from schematic.core.names import greek
from schematic.runtime.folder import Run, write
from schematic.runtime.pictures import curves

Means = dict[str, float]


class Metrics:
    """Means of each group's objective between two readings, in nats per example; a line of metrics.jsonl each."""

    def __init__(self, run: Run, start: int = 0) -> None:
        self._file = run / "metrics.jsonl"
        kept = [line for line in lines(run) if line["step"] <= start]  # a resumed run takes up at its checkpoint
        write(self._file, "".join(json.dumps(line) + "\n" for line in kept))
        self._sums: Tensor | None = None
        self._groups: tuple[str, ...] = ()
        self._count = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Takes one step's objectives, scalars on the device, and leaves them there."""
        stacked = torch.stack(list(values.values()))
        self._sums = stacked if self._sums is None else self._sums + stacked
        self._groups, self._count = tuple(values), self._count + 1

    def flush(self, step: int, epoch: float, seconds: float) -> Means:
        """Reads the means back, and writes them when they are finite."""
        assert self._sums is not None
        means = dict(zip(self._groups, (self._sums / self._count).tolist(), strict=True))
        self._sums, self._count = None, 0
        if finite(means):
            line = {"step": step, "epoch": round(epoch, 3), "seconds": round(seconds, 3), "objectives": means}
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return means


def lines(run: Run) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl but one that was cut short; none before the first is written."""
    file = run / "metrics.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def finite(means: Mapping[str, float]) -> bool:
    return all(isfinite(value) for value in means.values())


def draw(run: Run, updates: tuple[tuple[str, ...], ...], title: str) -> None:
    """curves.svg from metrics.jsonl: a panel for the groups of each update, which share one objective."""
    read = lines(run)
    names = {" ".join(map(greek, groups)): groups[0] for groups in dict.fromkeys(updates)}
    series = {name: [(x["step"], x["objectives"][group]) for x in read] for name, group in names.items()}
    write(run / "curves.svg", curves(series, title))

"""The objectives over time: summed on the device, read back now and then, kept as JSON lines and as curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from schematic.core.names import greek
from schematic.runtime.distributed import ALONE, World
from schematic.runtime.folder import Run, write
from schematic.runtime.pictures import curves
from schematic.runtime.step import Reading

IDLE = 5  # readings in a row in which a group's gradient is 0, before its user is told


@dataclass(frozen=True)
class Means:
    """What was read back: objectives, in nats per example, means since the last time; norms of the last gradients."""

    objectives: dict[str, float]
    gradients: dict[str, float]

    @property
    def finite(self) -> bool:
        """Of the objectives; of gradients the parameters tell, where they were not left out (`GradScaler`)."""
        return all(map(isfinite, self.objectives.values()))


class Metrics:
    """Means of each group's objective between two readings, over all processes; a line of metrics.jsonl each."""

    def __init__(self, run: Run, start: int = 0, world: World = ALONE) -> None:
        self._file, self._world = run / "metrics.jsonl", world
        if self._world.main:
            kept = [line for line in lines(run) if line["step"] <= start]  # a resumed run takes up at its checkpoint
            write(self._file, "".join(json.dumps(line) + "\n" for line in kept))
        self._sums: Tensor | None = None
        self._last: Reading | None = None
        self._count = 0
        self._idle: dict[str, int] = {}

    def add(self, reading: Reading) -> None:
        """Takes one step's objectives, scalars on the device, and leaves them there."""
        stacked = torch.stack(list(reading.objectives.values()))
        self._sums = stacked if self._sums is None else self._sums + stacked
        self._last, self._count = reading, self._count + 1

    def read(self) -> Means:
        """Reads the means back, and begins new ones."""
        assert self._sums is not None and self._last is not None
        (sums,) = self._world.mean([self._sums / self._count])
        assert sums is not None
        objectives = dict(zip(self._last.objectives, sums.tolist(), strict=True))
        norms = self._last.gradients
        gradients = dict(zip(norms, torch.stack(list(norms.values())).tolist(), strict=True)) if norms else {}
        self._sums, self._count = None, 0
        return Means(objectives, gradients)

    def write(self, means: Means, step: int, epoch: float, seconds: float) -> None:
        """Adds a line to metrics.jsonl. Raises OSError."""
        line = {
            "step": step,
            "epoch": round(epoch, 3),
            "seconds": round(seconds, 3),
            "objectives": means.objectives,
            "gradients": {g: norm if isfinite(norm) else None for g, norm in means.gradients.items()},
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def idle(self, means: Means, ending: bool = False) -> list[str]:
        """The groups whose gradient has just been 0 for IDLE readings in a row, or in all of them as the run ends."""
        for group, norm in means.gradients.items():
            self._idle[group] = self._idle.get(group, 0) + 1 if norm == 0 else 0
        return [g for g, times in self._idle.items() if times == IDLE or (ending and 0 < times < IDLE)]


def lines(run: Run) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl but what was cut short or damaged; none before the first is written."""
    file, found = run / "metrics.jsonl", []
    for line in file.read_text(errors="replace").splitlines() if file.exists() else ():
        try:
            known = json.loads(line)
            found += [known] if {"step", "objectives", "gradients"} <= known.keys() else []
        except (ValueError, AttributeError):
            continue
    return found


def series(run: Run, updates: tuple[tuple[str, ...], ...]) -> Mapping[str, list[tuple[float, float]]]:
    """(step, objective) for the groups of each update, which share one objective."""
    read = lines(run)
    names = {" ".join(map(greek, groups)): groups[0] for groups in dict.fromkeys(updates)}
    return {name: [(x["step"], x["objectives"][group]) for x in read] for name, group in names.items()}


def draw(run: Run, updates: tuple[tuple[str, ...], ...], title: str) -> None:
    """curves.svg from metrics.jsonl: a panel for the groups of each update."""
    write(run / "curves.svg", curves(series(run, updates), title))

"""Samples from a run that has been trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from pathlib import Path
from typing import Any

import torch

from schematic.runtime import device as devices
from schematic.runtime import folder
from schematic.runtime.data import Batch, DataSet, load
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.program import Program, instantiate, load_class, partial_fields
from schematic.runtime.samples import Values, files, generate, records
from schematic.runtime.sources import Data
from schematic.runtime.splits import Split


@dataclass(frozen=True)
class Trained:
    """A run's program with the parameters of its checkpoint, on its device; `split` is what it is judged on."""

    program: Program
    config: Mapping[str, Any]
    device: torch.device
    split: Split = "test"

    @property
    def data(self) -> Data:
        """The sources of its sets."""
        source = self.config["data"]
        return source if isinstance(source, str) else [(str(name), str(text)) for name, text in source]

    def sets(self) -> tuple[DataSet, ...]:
        """The data that it was trained on. Raises RunError where they are no longer there, or have no such split."""
        return self._sets

    @cached_property
    def _sets(self) -> tuple[DataSet, ...]:
        sets = load(self.data, self.program.FIELDS, self.program.TYPES, partial_fields(self.program))
        for s in sets:
            if not getattr(s, self.split):
                raise RunError(f"{s.origin} has no {self.split} split", "train with #validation=10% after the source")
        return sets

    @property
    def records(self) -> int:
        """The records of its largest set's split."""
        return max(len(next(iter(getattr(s, self.split).values()))) for s in self.sets())

    def held_out(self, n: int, device: torch.device) -> Batch:
        """The first n records of the split, repeated where it has fewer."""
        return records(self.sets(), n, device, self.split)


def reload(run: Path, device: str = "auto", split: Split = "test") -> Trained:
    """A run as it was last saved. Raises RunError where the folder is no run, or a damaged one."""
    kept = Run(Path(run))
    config, where = kept.config, devices.choose(device)
    program = instantiate(load_class(kept.program, str(kept / "program.py")), int(config["seed"]), where)
    try:
        program.load_state_dict(kept.weights())
    except (RuntimeError, KeyError):
        raise RunError(f"the checkpoint of {run} is of another program than its program.py", "train it again") from None
    return Trained(program, config, where, split)


def draw(trained: Trained, n: int, seed: int) -> Values:
    """n samples of every variable that the program generates; conditioning variables come from the test split."""
    batch = trained.held_out(n, trained.device) if trained.program.CONDITIONS else {}
    return generate(trained.program, n, batch, seed)


def sample(run: Path, n: int = 64, *, out: Path | None = None, seed: int = 0, device: str = "auto") -> tuple[Path, ...]:
    """Writes n samples of a run and returns the files.

    A picture of every image variable: `out` (by default samples.png in the run's folder), and beside it
    NAME-VARIABLE.png for the second and further ones. A model without images gives an .npz file of its variables.
    Raises RunError.
    """
    values = draw(reload(run, device), n, seed)
    written = files(Path(out) if out else Path(run) / "samples.png", values, max(1, min(16, isqrt(n))))
    for file, content in written.items():
        folder.write(file, content)
    return tuple(written)

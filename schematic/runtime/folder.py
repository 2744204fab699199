"""A run's folder: what it holds, and how it is written so that nothing is lost or overwritten by mistake.

config.json          the settings in force, the versions; says that the folder is a run
model.sg             the spec as it was trained          program.py   the emitted program
drawing.svg          the model's drawing                 metrics.jsonl, curves.svg   the objectives over time
samples.png          a grid of samples; samples.npz where nothing is an image, samples-NAME.png for a second image
reconstructions.png  records, each above what inference and generation bring back of it
predictions.png      records in a column for each class that they are taken for
figures.json         what `schematic evaluate` found
traversal-z.png      what changes along each direction of a code z; interpolation.png   what lies between two codes
samples/             grids of samples from the same noise, as training goes on
tensorboard/         objectives and samples for TensorBoard, where they were asked for
checkpoints/         the last KEEP of them: parameters, optimizers, data order, random states, step
weights.safetensors  the parameters alone, for the emitted class: moving averages where there are any
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from schematic.runtime import checkpoint
from schematic.runtime.checkpoint import State
from schematic.runtime.errors import RunError, RunWarning

MARK = "schematic run"
KEEP = 2  # checkpoints: the newest, and the one to fall back to


def write(path: Path, content: str | bytes) -> None:
    """Writes a file whole or not at all, as it is on the disk: to a neighbour first, which then takes its name."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def settle(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can tell."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    path: Path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def config(self) -> dict[str, Any]:
        """config.json. Raises RunError where the folder is no run of ours."""
        try:
            config = json.loads((self / "config.json").read_text())
        except (OSError, ValueError):
            config = {}
        if not isinstance(config, dict) or config.get("kind") != MARK:
            raise RunError(f"{self.path}: not a run folder", "`schematic train FILE.sg --out RUN` makes one")
        return config

    def configure(self, config: Mapping[str, Any]) -> None:
        """Writes config.json, which marks the folder as a run."""
        write(self / "config.json", json.dumps({"kind": MARK, **config}, indent=2) + "\n")

    @property
    def program(self) -> str:
        """The text of program.py. Raises RunError where it cannot be read."""
        try:
            return (self / "program.py").read_text()
        except OSError as e:
            raise RunError(f"{self / 'program.py'}: {e.strerror or e}", "train the model again") from None

    def checkpoints(self) -> list[Path]:
        """The files of the checkpoints, oldest first."""
        found = [p for p in (self / "checkpoints").glob("*.pt") if checkpoint.step_of(p.name) is not None]
        return sorted(found, key=lambda p: (checkpoint.step_of(p.name), p.stat().st_mtime_ns))

    def save(self, state: Mapping[str, Any]) -> None:
        """Writes a checkpoint; of the others, KEEP - 1 stay, and none of a later step. Raises OSError: all stay."""
        folder, (name, content) = self / "checkpoints", checkpoint.encode(state)
        folder.mkdir(exist_ok=True)
        write(folder / name, content)
        settle(folder)
        before = {n: p for p in self.checkpoints() if (n := checkpoint.step_of(p.name) or 0) < state["step"]}
        kept = {folder / name, *(before[n] for n in sorted(before)[-(KEEP - 1) :])}
        for path in {*folder.glob("*.pt"), *folder.glob(".*.pt.*")} - kept:
            path.unlink()

    def load(self) -> State:
        """The newest checkpoint that is whole, on the CPU; a RunWarning tells of damaged ones.

        Raises RunError where there is none, or one of another format.
        """
        damaged: list[Path] = []
        for path in reversed(self.checkpoints()):
            try:
                state = checkpoint.decode(path.name, path.read_bytes())
            except OSError:
                state = None
            if state is not None:
                if damaged:
                    names = ", ".join(p.name for p in damaged)
                    words = f"{self.path}: damaged: {names}; going back to the checkpoint of step {state['step']}"
                    warnings.warn(words, RunWarning, stacklevel=2)
                return state
            damaged.append(path)
        if damaged:
            raise RunError(f"{self / 'checkpoints'}: every checkpoint is damaged", "train the model again")
        raise RunError(f"{self / 'checkpoints'}: no checkpoint", "`schematic train --resume RUN` begins it again")

    def weights(self) -> dict[str, Tensor]:
        """What is sampled and judged: the newest checkpoint's parameters, moving averages where there are any."""
        return checkpoint.weights(self.load())


def create(path: Path, config: Mapping[str, Any], texts: Mapping[str, str]) -> Run:
    """The run's folder, new, empty, or an earlier run's, whose files are removed; `texts` are files by name.

    Raises RunError for any other folder, and where it cannot be written.
    """
    run = Run(path)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file", "name a folder: --out runs/NAME")
    if path.is_dir() and any(path.iterdir()):
        try:
            _ = run.config
        except RunError:
            raise RunError(f"{path} is no run of ours, and not empty: it is left alone", "--out runs/NAME") from None
        for file in ours(path):
            file.unlink()
    try:
        if path.exists():
            _fill(run, config, texts)
        else:
            _make(run, config, texts)
    except OSError as e:
        raise RunError(f"{path}: {e.strerror or e}", "--out FOLDER names another place") from None
    return run


def _fill(run: Run, config: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    run.configure(config)
    for name, text in texts.items():
        write(run / name, text)


def _make(run: Run, config: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """The folder as a whole or not at all: made beside its place, then moved there."""
    run.path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{run.path.name}.", dir=run.path.parent))
    try:
        made.chmod(0o755)
        _fill(Run(made), config, texts)
        made.rename(run.path)
    except BaseException:
        shutil.rmtree(made)
        raise


def ours(path: Path) -> Iterator[Path]:
    """The files of a run but its mark, config.json, and what a killed run had half written."""
    for pattern in FILES:
        yield from path.glob(pattern)
        yield from path.glob(f"{Path(pattern).parent}/.{Path(pattern).name}.*")


FILES = (
    "model.sg",
    "program.py",
    "drawing.svg",
    "metrics.jsonl",
    "curves.svg",
    "samples*.png",
    "samples/*.png",
    "traversal-*.png",
    "interpolation.png",
    "report.html",
    "tensorboard/events*",
    "samples.npz",
    "reconstructions*.png",
    "predictions*.png",
    "figures.json",
    "checkpoints/*.pt",
    "weights.safetensors",
)

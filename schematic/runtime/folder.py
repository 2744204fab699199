"""A run's folder: what it holds, and how it is written so that nothing is lost or overwritten by mistake.

config.json          the settings in force, the versions; says that the folder is a run
model.sg             the spec as it was trained          program.py   the emitted program
drawing.svg          the model's drawing                 metrics.jsonl, curves.svg   the objectives over time
samples.png          a grid of samples; samples.npz where nothing is an image, samples-NAME.png for a second image
reconstructions.png  records, each above its reconstruction, where there is an inference net
checkpoint.pt        parameters, optimizers, step, random states; loads with weights_only=True
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from schematic.runtime.errors import RunError

MARK = "schematic run"


def write(path: Path, content: str | bytes) -> None:
    """Writes a file whole or not at all: to a neighbour first, which then takes its name."""
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

    def save(self, state: Mapping[str, Any]) -> None:
        """Writes the checkpoint, whole or not at all."""
        path = self / ".checkpoint.pt"
        torch.save(dict(state), path)
        os.replace(path, self / "checkpoint.pt")

    def load(self) -> dict[str, Any]:
        """The checkpoint, on the CPU; tensors and plain values only. Raises RunError where it cannot be read."""
        path = self / "checkpoint.pt"
        if not path.exists():
            raise RunError(f"{path}: no checkpoint", "the run ended before its first one; train it again")
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as e:  # torch raises half a dozen kinds for a damaged file
            raise RunError(f"{path}: not a checkpoint, or a damaged one ({type(e).__name__})", "train it again") from e
        return state


def create(path: Path, config: Mapping[str, Any]) -> Run:
    """The run's folder, new, empty, or an earlier run's, whose files are removed. Raises RunError for any other."""
    run = Run(path)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file", "name a folder: --out runs/NAME")
    if path.is_dir() and any(path.iterdir()):
        try:
            _ = run.config
        except RunError:
            raise RunError(f"{path} is no run of ours, and not empty: it is left alone", "--out runs/NAME") from None
        for file in [file for pattern in FILES for file in path.glob(pattern)]:
            file.unlink()
    try:
        path.mkdir(parents=True, exist_ok=True)
        run.configure(config)
    except OSError as e:
        raise RunError(f"{path}: {e.strerror or e}", "--out FOLDER names another place") from None
    return run


FILES = (
    "model.sg",
    "program.py",
    "drawing.svg",
    "metrics.jsonl",
    "curves.svg",
    "samples*.png",
    "samples.npz",
    "reconstructions*.png",
    "checkpoint.pt",
)

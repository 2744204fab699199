"""Samples and reconstructions of a program, as tensors and as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from schematic.runtime import folder
from schematic.runtime.data import Batch, DataSet
from schematic.runtime.folder import Run
from schematic.runtime.idx import Array
from schematic.runtime.pictures import grid, is_image
from schematic.runtime.program import Program

COLUMNS = 8
Values = dict[str, Tensor]


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch draws from this seed within, and afterwards goes on as if it had not."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def device_of(program: Program) -> torch.device:
    return next((p.device for p in program.parameters()), torch.device("cpu"))


def records(sets: Sequence[DataSet], n: int, device: torch.device, split: str = "test") -> Batch:
    """The first n records of each set's split, repeated where it has fewer: (n, *event) by field."""
    fields = [(f, t) for s in sets for f, t in getattr(s, split).items()]
    return {f: t[torch.arange(n, device=t.device) % len(t)].to(device) for f, t in fields}


@torch.no_grad()
def generate(program: Program, n: int, batch: Batch, seed: int) -> Values:
    """`program.sample(n)` under a seed of its own; conditioning variables are the batch's."""
    with seeded(seed, device_of(program)):
        return program.sample(n, **{name: batch[program.DATA[name]] for name in program.CONDITIONS})


@torch.no_grad()
def reconstruct(program: Program, batch: Batch, seed: int) -> Values:
    """What `sample` makes of what `infer` finds in the records; {} where there is no inference net."""
    if not hasattr(program, "infer"):
        return {}
    observed = {name: batch[field] for name, field in program.DATA.items()}
    with seeded(seed, device_of(program)):
        found = program.infer(**observed)
        latent = {name: value for name, value in found.items() if name not in observed}
        given = {name: observed[name] for name in program.CONDITIONS}
        return program.sample(len(next(iter(batch.values()))), **latent, **given)


def pictures(values: Values, columns: int = COLUMNS) -> dict[str, bytes]:
    """A PNG grid of every variable that can be shown, by name. Values outside [0, 1] are clipped."""
    shown = {name: v for name, v in values.items() if is_image(v.shape[1:])}
    return {name: grid(numpy(v), columns) for name, v in shown.items()}


def pairs(before: Values, after: Values, columns: int = COLUMNS) -> dict[str, bytes]:
    """PNG grids of records with what was made of them below: a row of each in turn, by variable."""
    grids = {}
    for name in before:
        if name in after and is_image(before[name].shape[1:]):
            parts = zip(torch.split(before[name], columns), torch.split(after[name], columns), strict=True)
            rows = [row for pair in parts for row in pair]
            grids[name] = grid(numpy(torch.cat(rows)), columns)
    return grids


def numpy(value: Tensor) -> Array:
    array: Array = value.detach().float().cpu().numpy()
    return array


def archive(values: Values) -> bytes:
    """An .npz file of the variables."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{name: numpy(value) for name, value in values.items()})
    return buffer.getvalue()


def files(path: Path, values: Values, columns: int = COLUMNS) -> dict[Path, bytes]:
    """A picture of the first image variable at `path`, of others beside it; an archive where there is no image."""
    grids = pictures(values, columns)
    if not grids:
        return {path.with_suffix(".npz"): archive(values)}
    return {path if not i else path.with_name(f"{path.stem}-{v}.png"): p for i, (v, p) in enumerate(grids.items())}


def write(run: Run, program: Program, sets: Sequence[DataSet], seed: int, n: int = 64) -> None:
    """The run's samples, and reconstructions of its test records where there are an inference net and images."""
    batch = records(sets, n, device_of(program))
    observed = {name: batch[field] for name, field in program.DATA.items()}
    written = files(run / "samples.png", generate(program, n, batch, seed))
    for i, (name, picture) in enumerate(pairs(observed, reconstruct(program, batch, seed)).items()):
        written[run / (f"reconstructions-{name}.png" if i else "reconstructions.png")] = picture
    for path, content in written.items():
        folder.write(path, content)

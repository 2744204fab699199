"""Samples and reconstructions of a program, as tensors and as pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from schematic.graph.model import AnyModel
from schematic.runtime import folder
from schematic.runtime.data import Batch, DataSet
from schematic.runtime.folder import Run
from schematic.runtime.idx import Array
from schematic.runtime.pictures import grid, is_image
from schematic.runtime.program import Program
from schematic.runtime.routes import follow, predictions, round_trips, spec

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
    """`program.sample(n)` under a seed of its own, {} where it has none; conditioning variables are the batch's."""
    if not hasattr(program, "sample"):
        return {}
    with seeded(seed, device_of(program)):
        return program.sample(n, **{name: batch[program.DATA[name]] for name in program.CONDITIONS})


def pictures(values: Values, columns: int = COLUMNS) -> dict[str, bytes]:
    """A PNG grid of every variable that can be shown, by name. Values outside [0, 1] are clipped."""
    shown = {name: v for name, v in values.items() if is_image(v.shape[1:])}
    return {name: grid(numpy(v), columns) for name, v in shown.items()}


def rows(images: Sequence[Tensor], columns: int = COLUMNS) -> bytes:
    """A PNG grid of tensors of as many images each: a row of the first, below it what was made of them, in turn."""
    parts = zip(*(torch.split(each, columns) for each in images), strict=True)
    return grid(numpy(torch.cat([row for part in parts for row in part])), columns)


def returned(
    program: Program, model: AnyModel, batch: Batch, seed: int, columns: int = COLUMNS
) -> dict[str, bytes]:
    """By variable, records above what comes back of them through inference and generation; a picture that the way
    leads through stands between."""
    found = {}
    for route in round_trips(model):
        name = route.target.name
        records = {v.name: batch[program.DATA[v.name]] for v in (*route.reads, route.target)}
        if is_image(records[name].shape[1:]):
            with seeded(seed, device_of(program)):
                values = follow(program, route, records)
            between = [values[v] for v in route.way if values[v].shape == records[name].shape]
            found[name] = rows((records[name], *between, values[name]), columns)
    return found


def classified(program: Program, model: AnyModel, batch: Batch, seed: int, most: int = COLUMNS) -> dict[str, bytes]:
    """By predicted category, its records in a column for each class that they are taken for, `most` at most."""
    found = {}
    for route in predictions(model):
        images = next((v.name for v in route.reads if is_image(v.type.shape)), None)
        if images is not None:
            with seeded(seed, device_of(program)):
                values = follow(program, route, {v.name: batch[program.DATA[v.name]] for v in route.reads})
            classes = values[route.target.name].argmax(1)
            columns = [values[images][classes == c][:most] for c in range(route.target.type.size)]
            blank = torch.ones_like(values[images][:most])
            full = torch.stack([torch.cat((column, blank[len(column) :])) for column in columns], 1)
            found[route.target.name] = grid(numpy(full.flatten(0, 1)), len(columns))
    return found


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
    """The run's samples; of its test records reconstructions and predictions, where the arrows lead to them."""
    batch, model = records(sets, n, device_of(program)), spec(run)
    written = files(run / "samples.png", generate(program, n, batch, seed))
    if model is not None:
        more = records(sets, 8 * n, device_of(program))
        for name, made in (
            ("reconstructions", returned(program, model, batch, seed)),
            ("predictions", classified(program, model, more, seed)),
        ):
            for i, (variable, picture) in enumerate(made.items()):
                written[run / (f"{name}-{variable}.png" if i else f"{name}.png")] = picture
    for path, content in written.items():
        folder.write(path, content)

"""The commands that run a model: they alone import torch, and only when they start to work."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import click

from schematic.cli.options import json_option, model_options


@contextmanager
def run_errors() -> Iterator[None]:
    """What goes wrong with data, devices, programs and run folders is the input's fault: a message and exit code 1."""
    from schematic.runtime.errors import RunError

    try:
        yield
    except RunError as wrong:
        raise click.ClickException(str(wrong)) from wrong


def fresh(stem: str) -> Path:
    """runs/STEM, or runs/STEM-2, ...: the first that is not there."""
    return next(p for n in count(1) if not (p := Path("runs") / (stem if n == 1 else f"{stem}-{n}")).exists())


@click.command()
@model_options
@click.option("--data", metavar="SOURCE", help="digits (embedded, the default), a folder of IDX files, or a .npz file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps, ...: auto is a GPU if there is one.")
@click.option("--out", metavar="RUN", type=click.Path(file_okay=False, path_type=Path), help="The run folder.  [default: runs/FILE]")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--steps", type=click.IntRange(1), help="Training steps, instead of --epochs.")
@click.option("--batch", type=click.IntRange(1), help="Records a step.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@json_option
def train(
    file: Path,
    model: str | None,
    restate: str | None,
    data: str | None,
    device: str,
    out: Path | None,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Compile FILE and train the program, on a GPU where there is one.

    Options override the file's `train` block. The run folder gets the model, its drawing, the program, the objectives
    over time, samples and a checkpoint. Ctrl-C ends training with a checkpoint.

    \b
    Examples:
      schematic train infogan.sg --out runs/infogan
      schematic train vae.sg --data mnist --with 'x : unit(1, 28, 28) = data("image")'
      schematic train gan.sg --device cpu --steps 1000 --seed 1
    """
    from schematic.compiler import pipeline
    from schematic.render import drawing

    if epochs and steps:
        raise click.UsageError("--epochs and --steps both say how long: give one")
    drawn = loaded(file, model, restate)
    program = pipeline.compile(file, model=model, restate=restate)
    with run_errors():
        from schematic.runtime.train import Settings
        from schematic.runtime.train import train as run

        outcome = run(
            program,
            out=out or fresh(file.stem),
            spec=file.read_text(),
            drawing=drawing.svg(drawn),
            block=drawn.train,
            settings=Settings(data, device, epochs, steps, batch, seed),
        )

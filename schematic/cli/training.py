"""The commands that run a model: they alone import torch, and only when they start to work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from schematic.cli.diagnostics import settle
from schematic.cli.options import force_option, json_option, load, model_options
from schematic.cli.output import deliver
from schematic.core.diagnostics import Report

if TYPE_CHECKING:
    from schematic.runtime.splits import Split
    from schematic.runtime.train import Outcome

SPLITS = ("test", "validation", "train")
FOLDER = click.Path(file_okay=False, path_type=Path)


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
@click.option("--data", metavar="SOURCE", help="digits (embedded, the default), a folder, a .npz file: docs/data.md.")
@click.option("--labels", metavar="SHARE", default="", help="Of how many records a `partial` field is seen: 1%, 600.")
@click.option("--binarize", type=click.Choice(["fixed", "dynamic"]), help="Bits drawn from grey values: once, or anew.")
@click.option("--device", default="auto", show_default=True, help="auto is a GPU if there is one; or cpu, cuda, ...")
@click.option("--out", metavar="RUN", type=FOLDER, help="The run folder; without it, a new one under runs.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--steps", type=click.IntRange(1), help="Training steps, instead of --epochs.")
@click.option("--batch", type=click.IntRange(1), help="Records a step.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--resume", is_flag=True, help="Go on with the run that --out holds.")
@json_option
def train(
    file: Path,
    model: str | None,
    restate: str | None,
    data: str | None,
    labels: str,
    binarize: str | None,
    device: str,
    out: Path | None,
    epochs: int | None,
    steps: int | None,
    batch: int | None,
    seed: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Compile FILE and train the program, on a GPU where there is one.

    Options override the file's `train` block. The run folder gets the model, its drawing, the program, the objectives
    over time, samples and a checkpoint. Ctrl-C ends training with a checkpoint, from which --resume goes on.

    \b
    Examples:
      schematic train infogan.sg --out runs/infogan
      schematic train vae.sg --data mnist --with 'x : unit(1, 28, 28) = data("image")'
      schematic train gan.sg --device cpu --steps 1000 --seed 1
      schematic train ada.sg --data 'usps=npz:usps.npz,mnist=idx:mnist#crop=20#resize=16'
      schematic train infogan.sg --out runs/infogan --resume
    """
    from schematic.compiler import pipeline
    from schematic.graph import optimizers
    from schematic.graph.text import model_text
    from schematic.render.drawing import svg

    if epochs and steps:
        raise click.UsageError("--epochs and --steps both say how long: give one")
    if resume and out is None:
        raise click.UsageError("--resume goes on with the run that --out names: give it")
    report = Report()
    program = pipeline.compile(file, report, model=model, restate=restate)
    settle(report)
    drawn = load(file, model, restate, Report())
    with run_errors():
        from schematic.runtime import train as runtime
        from schematic.runtime.prepare import Settings

        outcome = runtime.train(
            program,
            out=out or fresh(file.stem),
            spec=model_text(drawn),
            drawing=svg(drawn),
            block=optimizers.settings(drawn),
            settings=Settings(data, device, epochs, steps, batch, seed, labels=labels, binarize=binarize or ""),
            resume=resume,
        )
    if as_json:
        click.echo(json.dumps(summary(outcome)))
    else:
        click.echo(outcome.message)
    click.get_current_context().exit(int(outcome.reason == "not finite"))


def summary(outcome: Outcome) -> dict[str, Any]:
    """How a run ended, for a program; the objectives are the last that were read, in nats per example."""
    return {
        "run": str(outcome.run.path),
        "reason": outcome.reason,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "objectives": dict(outcome.objectives),
    }


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-n", "--number", default=64, show_default=True, type=click.IntRange(1), help="How many samples.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the samples.")
@click.option("--device", default="auto", show_default=True, help="auto is a GPU if there is one; or cpu, cuda, ...")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of RUN/samples.png. `-` is stdout.")
@force_option
def sample(run: Path, number: int, seed: int, device: str, output: str | None, force: bool) -> None:
    """Draw samples from a trained model: a picture of its images, or a .npz file of what it generates.

    \b
    Examples:
      schematic sample runs/infogan
      schematic sample runs/infogan -n 100 --seed 1 -o digits.png
    """
    with run_errors(), TemporaryDirectory() as folder:
        from schematic.runtime import sample as runtime

        if output is None:
            files = runtime.sample(run, number, seed=seed, device=device)
        else:
            name = "samples.png" if output == "-" else Path(output).name
            files = ()
            for file in runtime.sample(run, number, out=Path(folder) / name, seed=seed, device=device):
                target = output if output == "-" else str(Path(output).with_name(file.name))
                deliver(file.read_bytes(), target, suffix=file.suffix, force=force)
                files = (*files, Path(target))
    if output != "-":
        click.echo("\n".join(map(str, files)))


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True, help="The records to judge on.")
@click.option("-n", "--number", default=1000, show_default=True, type=click.IntRange(2), help="How many samples.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the samples.")
@click.option("--device", default="auto", show_default=True, help="auto is a GPU if there is one; or cpu, cuda, ...")
@json_option
def evaluate(run: Path, split: Split, number: int, seed: int, device: str, as_json: bool) -> None:
    """Judge a trained model on held-out data.

    Prints the bound in nats per example where there is one, without the half of a domain indicator; and, where the
    data have labels, what a classifier of real images thinks of samples, beside the same figures before training.

    \b
    Examples:
      schematic evaluate runs/vae
      schematic evaluate runs/infogan -n 2000 --json
    """
    with run_errors():
        from schematic.runtime import evaluate as runtime

        figures = runtime.evaluate(run, number, seed=seed, device=device, split=split)
    if as_json:
        click.echo(json.dumps(figures))
    elif figures:
        width = max(map(len, figures))
        click.echo("\n".join(f"{name:<{width}}  {value:.4g}" for name, value in figures.items()))
    else:
        click.echo("nothing to judge: the model has no bound, and its data no labelled images", err=True)

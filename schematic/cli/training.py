"""The command that trains a model: it imports torch, and only when it starts to work."""

from __future__ import annotations

import json
import os
import sys
from itertools import count
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from schematic import api
from schematic.cli.diagnostics import run_errors, settle
from schematic.cli.options import FILE, json_option, load, model_option, with_option
from schematic.core.diagnostics import Report

if TYPE_CHECKING:
    from schematic.runtime.prepare import Settings
    from schematic.runtime.train import Outcome

PRECISIONS = ("32", "bf16", "16", "64")
FOLDER = click.Path(file_okay=False, path_type=Path)


def fresh(stem: str) -> Path:
    """runs/STEM, or runs/STEM-2, ...: the first that is not there."""
    return next(p for n in count(1) if not (p := Path("runs") / (stem if n == 1 else f"{stem}-{n}")).exists())


# Options named like a field of runtime.prepare.Settings are handed on as they are.
@click.command()
@click.argument("file", type=FILE, required=False)
@model_option
@with_option
@click.option("--data", metavar="SOURCE", help="digits (embedded, the default), a folder, a .npz file: docs/data.md.")
@click.option("--labels", metavar="SHARE", default="", help="Of how many records a `partial` field is seen: 1%, 600.")
@click.option("--binarize", type=click.Choice(["fixed", "dynamic"]), help="Bits drawn from grey values: once, or anew.")
@click.option("--device", default="auto", show_default=True, help="auto (a GPU if there is one), cpu, cuda or mps.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="32", show_default=True, help="Bits of the nets.")
@click.option("--compile", is_flag=True, help="Nets through torch.compile.")
@click.option("--shard", is_flag=True, help="Of several processes each holds a part of the parameters.")
@click.option("--out", metavar="RUN", type=FOLDER, help="The run folder; without it, a new one under runs.")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--steps", type=click.IntRange(1), help="Training steps, instead of --epochs.")
@click.option("--batch", type=click.IntRange(1), help="Records a step, in all processes together.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all randomness.")
@click.option("--no-tune", is_flag=True, help="Layers in their plain form; without it, the form that is fastest here.")
@click.option("--save-every", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds a checkpoint.")
@click.option("--tensorboard", is_flag=True, help="Objectives and samples for TensorBoard, too: an extra.")
@click.option("--resume", metavar="RUN", type=FOLDER, help="Go on with this run, by its own file and settings.")
@json_option
def train(
    file: Path | None,
    model: str | None,
    restate: str | None,
    out: Path | None,
    no_tune: bool,
    resume: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compile FILE and train the program, on a GPU where there is one.

    Options override the file's `train` block. The run folder gets the model, its drawing, the program, the objectives
    over time, samples, checkpoints and weights. A run that was stopped, by Ctrl-C or by anything else, goes on with
    --resume RUN, which takes nothing else.

    \b
    Examples:
      schematic train infogan.sg --out runs/infogan
      schematic train vae.sg --data mnist --with 'x : unit(1, 28, 28) = data("image")'
      schematic train gan.sg --device cpu --steps 1000 --seed 1
      schematic train ada.sg --data 'usps=npz:usps.npz,mnist=idx:mnist#crop=20#resize=16'
      schematic train --resume runs/infogan
      torchrun --nproc-per-node 2 -m schematic train infogan.sg --out runs/infogan
    """
    if resume is not None:
        outcome = go_on(resume)
    elif file is None:
        raise click.UsageError("FILE, the model to train, or --resume RUN")
    elif options["epochs"] and options["steps"]:
        raise click.UsageError("--epochs and --steps both say how long: give one")
    else:
        from schematic.runtime.prepare import Settings

        options["binarize"] = options["binarize"] or ""
        outcome = begin(file, model, restate, out or fresh(file.stem), Settings(**options, tune=not no_tune))
    failed = int(outcome.reason == "not finite")
    if int(os.environ.get("RANK", "0")) == 0:
        with run_errors():
            api.report(outcome.run.path)
        click.echo(json.dumps(summary(outcome)) if as_json else outcome.message)
    if "WORLD_SIZE" in os.environ:
        leave(failed)
    click.get_current_context().exit(failed)


def leave(code: int) -> NoReturn:
    """Ends one of several processes with the others; gloo's threads may abort an interpreter that shuts down."""
    from schematic.runtime import distributed

    distributed.leave()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def begin(file: Path, model: str | None, restate: str | None, out: Path, settings: Settings) -> Outcome:
    """A new run of a file's model."""
    from schematic.compiler import pipeline
    from schematic.graph import optimizers
    from schematic.graph.text import model_text
    from schematic.render.drawing import svg

    report = Report()
    program = pipeline.compile(file, report, model=model, restate=restate)
    settle(report)
    drawn = load(file, model, restate, Report())
    with run_errors():
        from schematic.runtime import train as runtime

        block, spec = optimizers.settings(drawn), model_text(drawn)
        return runtime.train(program, out=out, spec=spec, drawing=svg(drawn), block=block, settings=settings)


def go_on(run: Path) -> Outcome:
    """A run that was stopped; whatever else is given on the command line is refused."""
    context = click.get_current_context()
    given = [
        p for p in context.command.params if context.get_parameter_source(p.name or "") == ParameterSource.COMMANDLINE
    ]
    if others := [p.opts[0] for p in given if p.name not in ("resume", "as_json")]:
        raise click.UsageError(f"--resume goes on with the settings of the run: leave out {', '.join(others)}")
    with run_errors():
        from schematic.runtime import train as runtime

        return runtime.resume(run)


def summary(outcome: Outcome) -> dict[str, Any]:
    """How a run ended, for a program; the objectives are the last that were read, in nats per example, or null."""
    return {
        "run": str(outcome.run.path),
        "reason": outcome.reason,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "objectives": {g: v if isfinite(v) else None for g, v in outcome.objectives.items()},
        "fault": outcome.fault,
    }

"""The commands that look at a trained model: they import torch, and only when they start to work."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from schematic import api
from schematic.cli.diagnostics import run_errors
from schematic.cli.options import force_option, json_option
from schematic.cli.output import deliver

if TYPE_CHECKING:
    from schematic.runtime.splits import Split

SPLITS = ("test", "validation", "train")
RUN = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("run", type=RUN)
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
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@click.option("--split", type=click.Choice(SPLITS), default="test", show_default=True, help="The records to judge on.")
@click.option("-n", "--number", default=1000, show_default=True, type=click.IntRange(2), help="How many samples.")
@click.option("--k", "ks", multiple=True, type=click.IntRange(1), help="Draws of an importance-weighted bound; again.")
@click.option("--records", type=click.IntRange(1), help="Bounds of the first so many records only.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the samples.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Judge under so many seeds.")
@click.option("--device", default="auto", show_default=True, help="auto is a GPU if there is one; or cpu, cuda, ...")
@json_option
def evaluate(
    runs: tuple[Path, ...],
    split: Split,
    number: int,
    ks: tuple[int, ...],
    records: int | None,
    seed: int,
    seeds: int,
    device: str,
    as_json: bool,
) -> None:
    """Judge a trained model on held-out data, beside the same model before training.

    Prints what the model and its data allow: bounds on log p of the records, the accuracy of predicted labels, what a
    classifier of real images thinks of samples, the error of reconstructions; docs/evaluate.md explains each. Of
    several runs (the same model trained with different seeds), means and standard deviations. The figures are kept in
    RUN/figures.json.

    \b
    Examples:
      schematic evaluate runs/vae
      schematic evaluate runs/vae --k 50 --k 5000 --records 200
      schematic evaluate runs/infogan -n 2000 --json
      schematic evaluate runs/gan --seeds 5
      schematic evaluate runs/ada-0 runs/ada-1 runs/ada-2
    """
    with run_errors():
        from schematic.runtime import evaluate as runtime
        from schematic.runtime import figures

        found = runtime.evaluate(
            runs, number, ks=ks, records=records, seed=seed, seeds=seeds, device=device, split=split
        )
        for run in runs:
            if (run / "report.html").exists():
                api.report(run)
    if as_json:
        click.echo(json.dumps(figures.plain(found)))
    elif found:
        click.echo(figures.table(found))
    else:
        click.echo("nothing to judge: the model has no bound, and its data no labelled images", err=True)

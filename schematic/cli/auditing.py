"""The command that holds losses written by hand against the derived objective."""

from __future__ import annotations

import json
from pathlib import Path

import click

from schematic.cli.options import FILE, force_option, json_option, loaded, model_option, with_option
from schematic.cli.output import deliver


@click.command()
@click.argument("losses", type=FILE)
@click.option("--against", "file", required=True, type=FILE, help="The drawing to hold it against.")
@model_option
@with_option
@click.option("--adapter", type=FILE, help="Says which net is which factor; without it LOSSES_audit.py beside LOSSES.")
@click.option("--init", is_flag=True, help="Write the adapter, with all that can be found out by running LOSSES.")
@click.option("-o", "--output", metavar="FILE", help="Where --init writes; LOSSES_audit.py beside LOSSES by default.")
@force_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of weights, data and draws.")
@click.option("--time", "limit", type=click.FloatRange(1), default=120, show_default=True, help="Seconds it may take.")
@json_option
def audit(losses: Path, file: Path, model: str | None, restate: str | None, adapter: Path | None, init: bool,
          output: str | None, force: bool, seed: int, limit: float, as_json: bool) -> None:  # fmt: skip
    """Tell whether the losses in LOSSES, a Python file of yours, are those that FILE derives.

    Your code runs in a process of its own, in an empty folder, in double precision, with random weights and data; no
    optimizer moves anything, and none of your files is written to. For each group of parameters the value and the
    gradient of every tensor are held against the derived objective. The verdict comes from these numbers alone, never
    from what your code looks like. The exit code is 1 if anything differs.

    \b
    Examples:
      schematic audit --init my_gan.py --against gan.sg
      schematic audit my_gan.py --against gan.sg
      schematic audit my_vae.py --against vae.sg --with 'q_eta : x --> z beta 4' --json
    """
    from schematic.audit.process import Stopped, asked
    from schematic.audit.question import question
    from schematic.audit.screen import text

    drawn = loaded(file, model, restate)
    beside = losses.with_name(f"{losses.stem}_audit.py")
    adapter = adapter or (beside if beside.is_file() else None)
    what = {**question(drawn), "losses": str(losses.resolve()), "seed": seed,
            "adapter": str(adapter.resolve()) if adapter else None}  # fmt: skip
    told = (
        f"running {losses}" + (f" by {adapter}" if adapter else "") + f" in a process of its own, {limit:g} s at most"
    )
    click.echo(told, err=True)
    try:
        if init:
            written = asked("init", what, limit)
            deliver(written["adapter"], output or str(beside), suffix=".py", force=force)
            return
        answer = asked("audit", what, limit)
    except Stopped as stopped:
        raise click.ClickException(str(stopped)) from stopped
    click.echo(json.dumps(answer, indent=2) if as_json else text(drawn.name, answer, what["updates"]), nl=as_json)
    click.get_current_context().exit(int(any(f["verdict"] != "equal" for f in answer["findings"])))

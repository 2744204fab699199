"""The command that holds a model's derivation and its program against exact mathematics."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from schematic.cli.diagnostics import settle
from schematic.cli.options import json_option, loaded, model_options
from schematic.core.diagnostics import Report

if TYPE_CHECKING:
    from schematic.proof.verify import Finding

COLOURS = {"holds": "green", "fails": "red", "fails as known": "yellow", "not refuted here": "yellow",
           "assumed": "yellow"}  # fmt: skip


@click.command()
@model_options
@click.option("--models", type=click.IntRange(1), default=20, show_default=True, help="Random finite models to try.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random models.")
@json_option
def verify(file: Path, model: str | None, restate: str | None, models: int, seed: int, as_json: bool) -> None:
    """Hold FILE's derivation and program against exact mathematics.

    They are tried on random finite models of its graph, on which every expectation is a sum. A claim of the paper that
    is wrong as printed `fails as known`, with the smallest counterexample that was found; beside it stands the
    corrected one. What the derivation assumes where it is not exact is `assumed`. The exit code is 1 if a claim that
    must hold fails.

    \b
    Examples:
      schematic verify infogan.sg
      schematic verify vae.sg --models 100 --seed 1
      schematic verify aavae.sg --json
    """
    from schematic.compiler import pipeline
    from schematic.proof.verify import verify as findings

    drawn = loaded(file, model, restate)
    report = Report()
    pipeline.waits(drawn, report, "error")
    settle(report)
    found = shown_while_running(findings(drawn, models=models, seed=seed))
    if as_json:
        click.echo(json.dumps({"model": drawn.name, "seed": seed, "findings": [asdict(f) for f in found]}, indent=2))
    else:
        table(drawn.name, found, seed)
    click.get_current_context().exit(int(any(f.wrong for f in found)))


def shown_while_running(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """All findings; on a terminal the last claim is told while the next one is tried."""
    if not sys.stderr.isatty():
        return tuple(found)
    from rich.console import Console

    done: list[Finding] = []
    with Console(stderr=True).status("trying the claims") as status:
        for f in found:
            done.append(f)
            status.update(f"{len(done)} claims tried; {f.claim}: {f.verdict}")
    return tuple(done)


def table(name: str, found: tuple[Finding, ...], seed: int) -> None:
    """The findings on stdout, and the counterexamples below."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console(width=None if sys.stdout.isatty() else 140)
    rows = Table(title=f"{name}, seed {seed}", title_justify="left")
    for head in ("claim", "equation", "verdict"):
        rows.add_column(head)
    for head in ("worst error", "models"):
        rows.add_column(head, justify="right")
    for f in found:
        verdict = Text(f.verdict, COLOURS[f.verdict])
        rows.add_row(Text(f.claim), Text(f.equation), verdict, f"{f.error:.1e}", str(f.models))
    out.print(rows)
    for f in found:
        if f.counterexample is not None:
            out.print(Text(f"\n{f.claim} ({f.equation}) {f.verdict}; the smallest counterexample found:"))
            out.print(Text("\n".join(f"  {line}" for line in str(f.counterexample).splitlines())), soft_wrap=True)

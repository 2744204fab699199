"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from schematic.cli.diagnostics import settle
from schematic.core.diagnostics import Report
from schematic.graph.model import AnyModel

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

file_argument = click.argument("file", type=FILE)
model_option = click.option("--model", metavar="NAME", help="This model of the file; without it, the file's last one.")
with_option = click.option(
    "--with", "restate", metavar="STATEMENTS", help="Restates the model, as a block `{ STATEMENTS }` in the file would."
)
force_option = click.option("--force", is_flag=True, help="Write over a file that schematic did not write.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def output_option(what: str) -> Callable[[Command], Command]:
    """`-o FILE`; `what` tells which formats the suffix may choose."""
    return click.option("-o", "--output", metavar="FILE", help=f"{what} `-` is stdout, the default.")


def model_options(command: Command) -> Command:
    """FILE, --model and --with: which model a command is about."""
    return file_argument(model_option(with_option(command)))


def load(file: Path, model: str | None, restate: str | None, report: Report) -> AnyModel:
    """The model that the options name, checked. Raises: SchematicError with every finding if one is an error."""
    from schematic.graph.build import load as build

    loaded = build(file, report, model=model, restate=restate)
    report.check()
    assert loaded is not None, "a report without an error comes with a model"
    return loaded


def loaded(file: Path, model: str | None, restate: str | None) -> AnyModel:
    """The same; its warnings and notes are shown."""
    report = Report()
    found = load(file, model, restate, report)
    settle(report)
    return found

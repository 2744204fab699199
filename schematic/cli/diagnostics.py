"""Diagnostics on their way out: text on stderr, in colour on a terminal, or data for a program."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from schematic.core.diagnostics import Diagnostic, Report, SchematicError, in_order

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Prints diagnostics, by file and place, on stderr; characters that would steer a terminal are replaced."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for d in in_order(diagnostics):
        text = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in d.render())
        if coloured:
            mark = f"{d.severity}[{d.code}]"
            text = text.replace(mark, click.style(mark, fg=COLOURS[d.severity], bold=True), 1)
        click.echo(text, err=True)


def settle(report: Report) -> None:
    """Ends a stage: with an error in the report all of it is raised, else its warnings and notes are shown.

    Raises: SchematicError with everything that was found.
    """
    if report.failed:
        raise SchematicError(report)
    show(report)


def data(d: Diagnostic) -> dict[str, Any]:
    """A diagnostic for a program: `line` and `column` from 1, `length` in characters."""
    return {
        "path": d.span.source.path,
        "line": d.span.line,
        "column": d.span.column,
        "length": d.span.end - d.span.start,
        "code": d.code,
        "severity": d.severity,
        "message": d.message,
        "help": d.help,
    }


@contextmanager
def run_errors() -> Iterator[None]:
    """What goes wrong with data, devices, programs and run folders is the input's fault: a message and exit code 1.

    What a run warns of is said on stderr.
    """
    from schematic.runtime.errors import RunError, RunWarning

    plain = warnings.showwarning

    def said(message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any) -> None:
        if issubclass(category, RunWarning):
            click.echo(f"Warning: {message}", err=True)
        else:
            plain(message, category, filename, lineno, *more)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", RunWarning)
            warnings.showwarning = said  # type: ignore[assignment]
            yield
    except RunError as wrong:
        raise click.ClickException(str(wrong)) from wrong

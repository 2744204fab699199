"""The command `schematic`: the group of commands, and what happens to what goes wrong."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

import click

from schematic.cli.auditing import audit
from schematic.cli.diagnostics import show
from schematic.cli.front import check, compile, derive, fmt, render, swap
from schematic.cli.judging import evaluate, sample
from schematic.cli.proving import verify
from schematic.cli.starting import init
from schematic.cli.studying import diff, identify, relations
from schematic.cli.training import train
from schematic.core.diagnostics import SchematicError
from schematic.core.version import VERSION

INTERNAL = 70  # EX_SOFTWARE of sysexits.h
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class InOrder(click.Group):
    """Lists its commands as they were added, not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings=HELP)
@click.version_option(VERSION, prog_name="schematic")
def cli() -> None:
    """From the drawing of a deep generative model, in text, to its objectives, its code and its training.

    Each command explains itself: schematic derive --help

    \b
    Examples:
      schematic init infogan
      schematic derive infogan.sg
      schematic render infogan.sg -o infogan.svg
      schematic train infogan.sg --out runs/infogan
    """


for commands in (
    (init, check, fmt, render, derive, compile, verify, audit),
    (train, sample, evaluate),
    (swap, diff, identify, relations),
):
    for command in commands:
        cli.add_command(command)


def main() -> None:
    """Runs the command line and exits: 0, 1 the input is at fault, 2 usage, 70 a fault of schematic itself."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of one command line; everything that goes wrong has been said on stderr."""
    try:
        code = cli.main(arguments, prog_name="schematic", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SchematicError as found:
        show(found.diagnostics)
        return 1
    except click.Abort:
        return 130
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except BrokenPipeError:
        # The reader has gone; the interpreter would complain when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    except Exception:
        click.echo(ours(), err=True)
        return INTERNAL


def ours() -> str:
    """One line that takes the blame for the exception at hand; its traceback goes to a file."""
    if os.environ.get("SCHEMATIC_TRACEBACK"):
        traceback.print_exc()
        where = "the traceback is above"
    else:
        with tempfile.NamedTemporaryFile("w", prefix="schematic-", suffix=".txt", delete=False) as file:
            traceback.print_exc(file=file)
        where = f"the traceback is in {file.name}"
    return f"schematic: internal error: this is our fault, not your file's. Please report it; {where}."

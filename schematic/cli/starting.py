"""The command that writes a first model file."""

from __future__ import annotations

from pathlib import Path

import click

from schematic.cli.output import write, writing


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of NAME.sg.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
def init(name: str | None, output: str | None, force: bool) -> None:
    """Write a first model file for you to edit.

    It is a copy of the example NAME; the files that it uses come with it. Without NAME the examples are listed.

    \b
    Examples:
      schematic init
      schematic init gan
      schematic init infogan -o mine.sg
    """
    from schematic.core.names import did_you_mean
    from schematic.studies.starting import copies, starting_points

    points = starting_points()
    if name is None:
        listed(points)
        return
    if name not in points:
        near = did_you_mean(name, points) or "`schematic init` lists them"
        raise click.UsageError(f"there is no example `{name}`; {near}")
    own, *used = copies(name).items()
    target = Path(output or own[0])
    files = {target.parent / file: text for file, text in used}
    if target in files:
        raise click.UsageError(f"`{name}` uses {target.name}: name another file with `-o`")
    files = {target: own[1]} | files
    there = [f"`{file}`" for file, text in files.items() if file.exists() and not same(file, text)]
    if there and not force:
        raise click.UsageError(f"there is {' and '.join(there)} already: name a new file with `-o`, or say `--force`")
    for file, text in files.items():
        with writing(str(file)):
            write(file, text.encode())
    click.echo("\n".join(map(str, files)))


def same(file: Path, text: str) -> bool:
    """Whether a file has this text already."""
    return file.is_file() and file.read_bytes() == text.encode()


def listed(points: dict[str, str]) -> None:
    """The examples on stdout, each with the start of what it says of itself."""
    width = max(map(len, points))
    for name, said in points.items():
        click.echo(f"{name:<{width}}  {said.partition(': ')[0]}")

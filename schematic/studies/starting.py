"""The examples as files to start from: what each is, and what has to be copied to have it."""

from __future__ import annotations

from pathlib import Path

from schematic.core.diagnostics import Report
from schematic.core.source import Source
from schematic.studies.known import folder
from schematic.syntax import ast
from schematic.syntax.parser import parse


def starting_points() -> dict[str, str]:
    """What each example says of itself, by its name: the file's, without .sg."""
    return {file.stem: introduction(file.read_text("utf-8")) for file in sorted(folder().glob("*.sg"))}


def introduction(text: str) -> str:
    """The comment that a file starts with, on one line."""
    said = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        said.append(line.lstrip("# "))
    return " ".join(filter(None, said))


def copies(name: str) -> dict[str, str]:
    """The text of an example and of every file that it uses, directly or not, by file name, its own first.

    Raises: KeyError if there is no example of this name.
    """
    if name not in starting_points():
        raise KeyError(name)
    found: dict[str, str] = {}
    waiting = [f"{name}.sg"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = (folder() / Path(file)).read_text("utf-8")
            tree = parse(Source(file, found[file]), Report())
            waiting += [s.path.text for s in tree.statements if isinstance(s, ast.Use)]
    return found

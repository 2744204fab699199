"""Rows to lines: columns aligned over neighbouring rows, long lines broken at soft spaces, comments in a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from schematic.syntax.text import SOFT, joined, plain

INDENT = "  "
WIDTH = 120
WIDEST_COLUMN = 40
"""A column that would need more is left ragged."""

Kind = Literal["variable", "factor", "equation", "other", "comment"]


@dataclass(frozen=True)
class Row:
    """A statement or a comment that stands alone.

    `cells` are aligned with those of the neighbours of the same kind: a variable's name and type, a factor's name,
    parents and arrow, the left side of an equation. `rest` follows them; a block in it brings lines of its own.
    """

    kind: Kind
    cells: tuple[str, ...]
    rest: str
    blank: bool = False
    comment: str = ""


def laid_out(rows: Sequence[Row], indent: str) -> list[str]:
    """The lines of a file or a block, indented."""
    lines: list[str] = []
    for group in _split(rows, lambda row: row.blank):
        if lines:
            lines.append("")
        lines += _group(group, indent)
    return lines


def _split(rows: Iterable[Row], begins: Callable[[Row], bool]) -> list[list[Row]]:
    groups: list[list[Row]] = []
    for row in rows:
        if not groups or begins(row):
            groups.append([])
        groups[-1].append(row)
    return groups


def _group(rows: list[Row], indent: str) -> list[str]:
    """Rows without a blank line between them."""
    heads = _heads(rows)
    pairs = [
        (_broken(indent + joined(head, row.rest), indent), row.comment) for head, row in zip(heads, rows, strict=True)
    ]
    lines: list[str] = []
    for _, run in groupby(pairs, key=lambda pair: bool(pair[1]) and "\n" not in pair[0]):
        lines += _with_comments(list(run))
    return "\n".join(lines).split("\n")


def _with_comments(pairs: list[tuple[str, str]]) -> list[str]:
    """Comments in one column, or each two spaces behind its line where the column would be too far right."""
    column = max(len(text) for text, _ in pairs)
    if any("\n" in text or column + 2 + len(comment) > WIDTH for text, comment in pairs):
        column = 0
    return [f"{text:<{column}}  {comment}" if comment else text for text, comment in pairs]


def _heads(rows: list[Row]) -> list[str]:
    """The cells of each row as one text, aligned over runs of one kind; own-line comments do not end a run."""
    heads = [""] * len(rows)
    places = [i for i, row in enumerate(rows) if row.kind != "comment"]
    for kind, run in groupby(places, key=lambda i: rows[i].kind):
        where = list(run)
        for i, head in zip(where, _aligned(kind, [rows[i] for i in where]), strict=True):
            heads[i] = head
    return heads


def _aligned(kind: Kind, rows: list[Row]) -> list[str]:
    match kind:
        case "variable":
            name = _width(row.cells[0] for row in rows)
            type_ = _width(plain(row.cells[1]) for row in rows if row.rest)
            return [f"{row.cells[0]:<{name}} : {_padded(row.cells[1], type_ if row.rest else 0)}" for row in rows]
        case "factor":
            name = _width(row.cells[0] for row in rows)
            ends = _width(_ends(row, 0) for row in rows)
            return [f"{row.cells[0]:<{name}} : {_ends(row, ends)}" for row in rows]
        case "equation":
            left = _width(row.cells[0] for row in rows)
            return [f"{row.cells[0]:<{left}} =" for row in rows]
        case "other" | "comment":
            return ["" for _ in rows]


def _width(texts: Iterable[str]) -> int:
    width = max(map(len, texts), default=0)
    return width if width <= WIDEST_COLUMN else 0


def _padded(text: str, width: int) -> str:
    return text + " " * (width - len(plain(text)))


def _ends(row: Row, width: int) -> str:
    """Parents on the left, the arrow on the right of a column."""
    _, parents, arrow = row.cells
    return f"{parents} {arrow:>{max(0, width - len(parents) - 1)}}".lstrip() if parents else f"{arrow:>{width}}"


def _broken(text: str, indent: str) -> str:
    """A statement, its soft spaces turned into line ends where a line would be too long."""
    first, *blocks = text.split("\n")
    if len(first) <= WIDTH:
        return plain(text)
    words = first.split(SOFT)
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= WIDTH:
            lines[-1] += " " + word
        else:
            lines.append(indent + INDENT * 2 + word)
    return "\n".join([*lines, *map(plain, blocks)])

"""The grammar file as LALR tables."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark
from lark.lexer import Lexer

from schematic.syntax.builder import Builder

STARTS = ["file", "loose", "sum", "net"]


class _Fed(Lexer):
    """The parser feeds the tokens itself."""

    def __init__(self, _conf: object) -> None: ...

    def lex(self, _data: object) -> object:  # type: ignore[override]
        return iter(())


def grammar_text() -> str:
    """The text of `schematic.lark`: from the installed package, else from the checkout."""
    packaged = resources.files("schematic").joinpath("grammars/schematic.lark")
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return (Path(__file__).parents[2] / "grammars" / "schematic.lark").read_text("utf-8")


@cache
def tables() -> Lark:
    """The parse tables, built once a process; their callbacks build the syntax tree from the bottom up."""
    return Lark(
        grammar_text(), parser="lalr", lexer=_Fed, start=STARTS, transformer=Builder(),
        keep_all_tokens=True, maybe_placeholders=False,
    )  # fmt: skip

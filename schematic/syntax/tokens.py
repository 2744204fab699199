"""Tokens: what the lexer gives to the parser. `type` is the grammar's name of the terminal."""

from __future__ import annotations

from typing import NamedTuple

from schematic.core.source import Span

SYMBOLS = {
    ":": "COLON", "=": "EQUAL", ",": "COMMA", "(": "LPAR", ")": "RPAR", "{": "LBRACE", "}": "RBRACE",
    "[": "LSQB", "]": "RSQB", ".": "DOT", "..": "RANGE", "+": "PLUS", "-": "MINUS", "*": "STAR", "~": "TILDE",
    "->": "ARROW", "-->": "ARROW", "=>": "ARROW", "==>": "ARROW", "~>": "ARROW", "~~>": "ARROW",
}  # fmt: skip

OPENERS = frozenset({"MODEL", "NET", "TRAIN", "USE"})
"""The reserved words that open a statement."""

NOT_A_TOKEN = "?"
"""The type of a character that is none of the language: the parser says so where it meets one."""

END = "$END"


class Token(NamedTuple):
    type: str
    text: str
    span: Span


def short(text: str) -> str:
    """A word of the user's for a message, cut where it is very long."""
    return text if len(text) <= 40 else f"{text[:37]}..."

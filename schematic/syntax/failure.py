"""Where the parser failed, and how it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from schematic.core.diagnostics import Diagnostic
from schematic.core.names import RESERVED
from schematic.core.source import Span
from schematic.syntax.tokens import END, OPENERS, Token

Level = Literal["file", "block", "train", "expression"]
Tokens = tuple[Token, ...]

OPTION_WORDS = frozenset({"PERFECT", "FIXED", "TEMPERATURE", "WEIGHT", "BETA", "GRADIENT", "DIVERGENCE", "WHEN"})
VALUES = frozenset({"NAME", "INT", "FLOAT", "STRING", "MINUS"})
"""The terminals with which a value begins."""


@dataclass(frozen=True)
class Failure:
    """The parser stands at `tokens[place]`, which it cannot take, in the statement that began at `begin`.

    `expected`: the terminals that it could have taken. `brace`: the `{` of the block around, if any.
    `previous`: the statement before, in the same block.
    """

    tokens: Tokens
    place: int
    begin: int
    expected: frozenset[str]
    level: Level
    brace: Token | None
    previous: object

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    @property
    def before(self) -> Token | None:
        """The token before, if it is of the same statement."""
        return self.tokens[self.place - 1] if self.place > self.begin else None

    @property
    def complete(self) -> bool:
        """Whether the statement could end before the token."""
        return ("RBRACE" if self.brace else END) in self.expected

    @cached_property
    def read(self) -> Tokens:
        """The tokens of the statement that were taken."""
        return self.tokens[self.begin : self.place]

    @cached_property
    def types(self) -> tuple[str, ...]:
        return tuple(t.type for t in self.read)

    @cached_property
    def open_brackets(self) -> Tokens:
        """The `(` and `[` of the statement that are not closed yet."""
        pending: list[Token] = []
        for token in self.read:
            if token.type in ("LPAR", "LSQB"):
                pending.append(token)
            elif token.type in ("RPAR", "RSQB") and pending:
                pending.pop()
        return tuple(pending)

    def ahead(self, offset: int) -> str:
        """The type of a token further on."""
        at = self.place + offset
        return self.tokens[at].type if at < len(self.tokens) else END


@dataclass(frozen=True)
class Verdict:
    """What to say, and how to go on: `feed` these tokens as if they had been written, or give the statement up.

    `resume`: the token to go on at (None: `place` after a `feed`, else the next statement). `skips`: pass over the
    token and keep the statement. `closes`: the block ends here. `retracts`: the statement before was misread.
    """

    diagnostic: Diagnostic
    feed: Tokens = ()
    resume: int | None = None
    skips: bool = False
    closes: bool = False
    retracts: bool = False


def begins_line(tokens: Tokens, place: int) -> bool:
    """Whether no token precedes this one on its line."""
    if place == 0:
        return True
    before = tokens[place - 1].span
    return "\n" in before.source.text[before.end : tokens[place].span.start]


def opens(tokens: Tokens, place: int, level: Level) -> bool:
    """Whether a statement of this level begins at the token, as far as the tokens after it tell."""
    kind = tokens[place].type
    if kind in OPENERS:
        return True
    if level in ("file", "expression") or not (kind == "NAME" or tokens[place].text in RESERVED):
        return False
    at = place + 1
    while level == "train" and tokens[at].type == "COMMA" and tokens[at + 1].type == "NAME":
        at += 2
    if tokens[at].type == "DOT":
        at += 2
    elif tokens[at].type == "LSQB":
        while tokens[at].type in ("LSQB", "INT", "NAME", "RANGE", "PLUS", "MINUS", "RSQB"):
            at += 1
    return at < len(tokens) and tokens[at].type in ("COLON", "EQUAL")


def between(left: Token, right: Token) -> Span:
    """The gap between two tokens of one line, else the second."""
    gap = Span(left.span.source, left.span.end, right.span.start)
    return gap if gap.end > gap.start and "\n" not in gap.source.text[gap.start : gap.end] else right.span


def line_from(tokens: Tokens, place: int) -> str:
    """The text from a token to the last one on its line, for a help."""
    last = place
    while last + 1 < len(tokens) and tokens[last + 1].type not in (END, "RBRACE") and not begins_line(tokens, last + 1):
        last += 1
    span = tokens[place].span.to(tokens[last].span)
    return span.source.text[span.start : span.end]


def spaced(tokens: Tokens) -> str:
    """The text of tokens, on one line."""
    span = tokens[0].span.to(tokens[-1].span)
    return " ".join(span.source.text[span.start : span.end].split())

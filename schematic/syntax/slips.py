"""Why a statement could not be read, in a user's words: one rule for each slip, tried in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.names import RESERVED
from schematic.core.source import Span
from schematic.syntax.tokens import END, OPENERS, Token

Level = Literal["file", "block", "train", "expression"]


@dataclass(frozen=True)
class Failure:
    """The parser stands at `tokens[place]`, which it cannot take, in the statement that began at `begin`.

    `expected`: the terminals that it could have taken. `brace`: the `{` of the block around, if any.
    `previous`: the statement before, in the same block.
    """

    tokens: tuple[Token, ...]
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
        return self.tokens[self.place - 1] if self.place > self.begin else None


@dataclass(frozen=True)
class Verdict:
    """What to say, and how to go on: `feed` these tokens as if they had been written, or give the statement up.

    `resume`: the token to go on at (None: `place` after a `feed`, else the next statement). `closes`: the block
    ends here. `retracts`: the statement before was misread and is taken back.
    """

    diagnostic: Diagnostic
    feed: tuple[Token, ...] = ()
    resume: int | None = None
    closes: bool = False
    retracts: bool = False


def begins_line(tokens: tuple[Token, ...], place: int) -> bool:
    """Whether only space precedes the token on its line."""
    if place == 0:
        return True
    return tokens[place - 1].span.source.text.find("\n", tokens[place - 1].span.end, tokens[place].span.start) >= 0


def opens(tokens: tuple[Token, ...], place: int, level: Level) -> bool:
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


def explain(failure: Failure) -> Verdict:
    for rule in _RULES:
        if verdict := rule(failure):
            return verdict
    return Verdict(error("SG021", failure.token.span, "this is not expected here"))


def _unclosed_block(failure: Failure) -> Verdict | None:
    if failure.brace is None or failure.token.type not in (END, "MODEL", "USE") or "RBRACE" not in failure.expected:
        return None
    last = failure.tokens[failure.place - 1].span.line
    problem = error("SG008", failure.brace.span, "this block is never closed", f"add `}}` after line {last}")
    return Verdict(problem, (Token("RBRACE", "}", failure.token.span),), failure.place)


_RULES: tuple[Callable[[Failure], Verdict | None], ...] = (_unclosed_block,)

"""Text to tokens and comments. A slip that can be mended is reported, and the mended token goes on to the parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from schematic.core.diagnostics import Report, error
from schematic.core.names import RESERVED
from schematic.core.source import Source, Span
from schematic.syntax.ast import Comment
from schematic.syntax.mend import mend
from schematic.syntax.tokens import END, SYMBOLS, Token, short

MAX_NESTING = 100
"""Levels of brackets, and of model expressions: more are an error, so that no later stage recurses without bound."""

_GOOD = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<comment>\#[^\r\n]*)
      | (?P<NAME>[A-Za-z][A-Za-z0-9_]*(?!\w))
      | (?P<FLOAT>[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)(?![\w.]))
      | (?P<INT>[0-9]+(?:(?![\w.])|(?=\.\.)))
      | (?P<STRING>"[^"\x00-\x1f\x7f\ud800-\udfff]*")
      | (?P<symbol>(?:--?|==?|~~?)>(?![-=~<>])|[-=~](?![-=~<>])|\.\.|(?<=[A-Za-z0-9_])\.|\.(?![0-9])|[(){}\[\],:*+])""",
    re.VERBOSE,
)
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Lexed:
    tokens: tuple[Token, ...]
    comments: tuple[Comment, ...]


def lex(source: Source, report: Report) -> Lexed:
    """All tokens of a text, in linear time. Reports the slips inside one word (SG001 to SG007, SG010, SG022 on)."""
    text = source.text
    tokens: list[Token] = []
    comments: list[Comment] = []
    at = previous = 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        match = _GOOD.match(text, at)
        kind = match.lastgroup if match else None
        if match and kind == "comment":
            alone = not tokens or "\n" in (gap := text[previous:at]) or "\r" in gap
            comments.append(_comment(match.group(), alone, Span(source, at, match.end()), report))
        elif match and kind and kind != "space":
            tokens.append(_token(kind, match.group(), Span(source, at, match.end()), report))
        at = match.end() if match else _mend(source, at, tokens, report)
        if kind != "space":
            previous = at
    tokens.append(Token(END, "", Span(source, len(text), len(text))))
    return Lexed(_shallow(tokens, report), tuple(comments))


def _mend(source: Source, at: int, tokens: list[Token], report: Report) -> int:
    """Adds what was probably meant at `at`; returns where to go on."""
    mended = mend(source, at)
    span = Span(source, at, mended.resume)
    if mended.problem:
        report.add(mended.problem)
    for text in mended.texts:
        match = _GOOD.fullmatch(text)
        kind = match.lastgroup if match else None
        tokens.append(_token(kind, text, span, report) if kind else Token(text, source.text[at], span))
    return mended.resume


def _token(kind: str, text: str, span: Span, report: Report) -> Token:
    match kind:
        case "NAME":
            if "__" in text:
                help = f"`{short(re.sub('__+', '_', text))}`"
                report.add(error("SG023", span, f"`{short(text)}` has two underscores in a row; a name has none", help))
            return Token(text.upper() if text in RESERVED else "NAME", text, span)
        case "INT" | "FLOAT":
            if float(text) == float("inf"):
                report.add(error("SG010", span, "the number is too large"))
                return Token(kind, "1", span)
            return Token(kind, text, span)
        case "STRING":
            return Token(kind, text, span)
        case _:
            return Token(SYMBOLS[text], text, span)


def _comment(text: str, alone: bool, span: Span, report: Report) -> Comment:
    if bad := _NO_TEXT.search(text):
        place = Span(span.source, span.start + bad.start(), span.start + bad.end())
        report.add(error("SG022", place, f"U+{ord(bad.group()):04X} is not text"))
    return Comment(text, alone, span=span)


def _shallow(tokens: list[Token], report: Report) -> tuple[Token, ...]:
    """The tokens, or none but the end, with an error, where brackets nest too deeply."""
    depth = 0
    for token in tokens:
        if token.type in ("LPAR", "LBRACE", "LSQB"):
            depth += 1
        elif token.type in ("RPAR", "RBRACE", "RSQB"):
            depth = max(0, depth - 1)
        if depth > MAX_NESTING:
            report.add(error("SG025", token.span, f"brackets nest more than {MAX_NESTING} levels deep here"))
            return (tokens[-1],)
    return tuple(tokens)

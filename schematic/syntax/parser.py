"""Text to syntax tree. After an error reading goes on at the next statement, so that one run reports all of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from typing import Any

from schematic.core.diagnostics import Diagnostic, Report, error
from schematic.core.source import Source, Span
from schematic.syntax import ast
from schematic.syntax.builder import Deep, Rows, Slip
from schematic.syntax.failure import Failure, Level, begins_line, opens
from schematic.syntax.grammar import Machine, Unexpected
from schematic.syntax.lexer import lex
from schematic.syntax.slips import explain
from schematic.syntax.tokens import END, NOT_A_TOKEN, OPENERS, Token

MAX_MENDS = 20
"""A statement with more slips than this is given up."""


def parse(source: Source, report: Report, *, shown: bool = True) -> ast.File:
    """The file, with its comments. What could not be read is in the report and left out.

    `shown` False is for files that a file names (`use`): one that is not made of the language's words, or declares
    nothing, is refused with a single error, SG039, that repeats nothing of what stands in it.
    """
    found = Report()
    lexed = lex(source, found)
    strange = [d.span for d in found] + [t.span for t in lexed.tokens if t.type == NOT_A_TOKEN]
    file = _Reading("file", lexed.tokens, found).result
    read = file if isinstance(file, ast.File) else ast.File(())
    if found.failed and not shown and (strange or not read.statements):
        report.add(_foreign(min([*strange, *(d.span for d in found)], key=lambda span: span.start)))
        return ast.File(())
    report.add(*found)
    return replace(read, comments=lexed.comments)


def parse_statements(source: Source, report: Report) -> tuple[ast.Statement, ...]:
    """The statements of a block, without its braces (`--with 'STATEMENTS'`)."""
    read = _Reading("loose", lex(source, report).tokens, report).result
    return read if isinstance(read, tuple) else ()


def parse_expression(source: Source, report: Report) -> ast.ModelExpr | None:
    """A model expression, `swap(InfoGAN, x, z)`; what could be made of it, or None, if there are errors."""
    deep = _Reading("sum", lex(source, report).tokens, report).result
    return deep.expr if isinstance(deep, Deep) else None


def parse_net(source: Source, report: Report) -> ast.Call | None:
    """A net, `D then mlp(128)`; what could be made of it, or None, if there are errors."""
    net = _Reading("net", lex(source, report).tokens, report).result
    return net if isinstance(net, ast.Call) else None


def _foreign(span: Span) -> Diagnostic:
    blank = "".join(c if c == "\n" else " " for c in span.source.text)
    place = Span(Source(span.source.path, blank), span.start, span.start + 1)
    help = f"`schematic check {span.source.path}` says more"
    return error("SG039", place, "this file is not written in the language", help)


class _Reading:
    """One pass over the tokens. `result` is what the start rule built, or None."""

    def __init__(self, start: str, tokens: tuple[Token, ...], report: Report) -> None:
        self._start = start
        self._tokens = tokens
        self._report = report
        self._machine = Machine(start)
        self._mended: Counter[int] = Counter()
        self._values = self._machine.values
        self.result = self._read()

    def _read(self) -> object:
        place = 0
        tried: set[tuple[int, int]] = set()
        while place < len(self._tokens):
            try:
                result = self._machine.feed(self._tokens[place])
            except Unexpected:
                resume = self._recover(place)
            except Slip as slip:
                self._report.add(slip.diagnostic)
                self._unwind()
                resume = self._next_statement(place, here=True)
            else:
                if self._tokens[place].type == END:
                    return result
                place += 1
                continue
            if (resume, len(self._values)) in tried:  # it would only come back here
                if self._tokens[place].type == END:
                    return None
                self._unwind()
                resume = self._next_statement(place + 1)
            tried.add((resume, len(self._values)))
            place = resume
        return None

    # --- after an error -----------------------------------------------------------------------------------

    def _recover(self, place: int) -> int:
        """Reports the failure at a token; returns where reading goes on."""
        failure = self._failure(place, self._machine.accepts())
        verdict = explain(failure)
        self._report.add(verdict.diagnostic)
        self._mended[failure.begin] += 1
        mends = self._mended[failure.begin] <= MAX_MENDS
        if verdict.skips and mends:
            return place + 1
        if verdict.feed and mends and self._fed(verdict.feed):
            return place if verdict.resume is None else verdict.resume
        if failure.complete and not verdict.retracts:
            self._end_statement(failure.level)
        self._unwind()
        if failure.level == "expression":
            return len(self._tokens)
        if verdict.closes:
            self._machine.feed(Token("RBRACE", "}", self._tokens[place].span))
        if verdict.retracts and self._values and isinstance(self._values[-1], Rows):
            self._values[-1].pop()
        if verdict.resume is not None and not verdict.feed:
            return verdict.resume
        stays = failure.begin == place and not verdict.closes
        return self._past_header(failure) or self._next_statement(place + stays)

    def _fed(self, tokens: tuple[Token, ...]) -> bool:
        """Feeds tokens that a user left out; False if the parser cannot take them either."""
        try:
            for token in tokens:
                self._machine.feed(token)
        except (Unexpected, Slip):
            return False
        return True

    def _failure(self, place: int, expected: frozenset[str]) -> Failure:
        values = self._values
        bottom = _bottom(values)
        begin = place
        if bottom < len(values):
            first = values[bottom] if hasattr(values[bottom], "span") else values[bottom][0]  # the names of a setting
            begin = bisect_left(self._tokens, first.span.start, hi=place, key=lambda t: t.span.start)
        braces = [i for i, v in enumerate(values[:bottom]) if _is_brace(v)]
        brace = values[braces[-1]] if braces else None
        level: Level = "file" if self._start == "file" else "block" if self._start == "loose" else "expression"
        if braces:
            before = values[braces[-1] - 1]
            level = "train" if isinstance(before, Token) and before.type == "TRAIN" else "block"
        rows = values[bottom - 1] if bottom else None
        previous = rows[-1] if isinstance(rows, Rows) and rows else None
        return Failure(self._tokens, place, begin, expected, level, brace, previous)

    def _end_statement(self, level: Level) -> None:
        """Makes a statement of what is complete: by a word that could follow, which is taken back."""
        follows = {"file": "USE", "block": "NET", "train": "NAME"}.get(level)
        if follows and self._fed((Token(follows, "", self._tokens[0].span),)):
            self._values.pop()
            self._machine.states.pop()

    def _unwind(self) -> None:
        """Gives up the statement that is being read."""
        bottom = _bottom(self._values)
        del self._machine.states[bottom + 1 :]
        del self._values[bottom:]

    def _past_header(self, failure: Failure) -> int | None:
        """Into the block of a model or training statement whose head was given up, if it has one."""
        tokens, begin = self._tokens, failure.begin
        opener = tokens[begin]
        if failure.complete or begin == failure.place or opener.type not in ("MODEL", "TRAIN"):
            return None
        for place in range(failure.place, len(tokens)):
            if tokens[place].type == "LBRACE":
                head = (opener, Token("NAME", "_", opener.span)) if opener.type == "MODEL" else (opener,)
                for token in (*head, tokens[place]):
                    self._machine.feed(token)
                return place + 1
            if tokens[place].type in (END, "RBRACE") or (begins_line(tokens, place) and opens(tokens, place, "block")):
                return None
        return None

    def _next_statement(self, place: int, here: bool = False) -> int:
        """The next place that begins a line, or `here`, at which a statement begins or the block ends."""
        failure = self._failure(place, frozenset())
        inside = failure.brace is not None
        depth = 0
        for at in range(place, len(self._tokens)):
            token = self._tokens[at]
            if token.type == "RBRACE" and inside and depth == 0:
                return at
            if ((here and at == place) or token.type in OPENERS or begins_line(self._tokens, at)) and (
                opens(self._tokens, at, failure.level) if depth == 0 else token.type in ("MODEL", "USE")
            ):
                return at
            depth = max(0, depth + (token.type == "LBRACE") - (token.type == "RBRACE"))
        return len(self._tokens) - 1


def _bottom(values: list[Any]) -> int:
    """How many values of the parser's stack stand below the statement that is being read."""
    at = len(values)
    if values and isinstance(values[-1], Token) and values[-1].type == "RBRACE":
        at -= 3  # a block that has just been closed: `{`, its statements, `}`
    while at and not (isinstance(values[at - 1], Rows) or _is_brace(values[at - 1])):
        at -= 1
    return at


def _is_brace(value: object) -> bool:
    return isinstance(value, Token) and value.type == "LBRACE"

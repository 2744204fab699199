"""Diagnostics are data: a stable code, a place, what is wrong in a user's words, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from schematic.core.source import Span

Severity = Literal["error", "warning", "note"]

LONGEST_LINE = 160
"""Of a longer line only the part around the mark is shown."""


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `code` is stable once shipped (`SG204`)."""

    code: str
    severity: Severity
    span: Span
    message: str
    help: str = ""

    def render(self) -> str:
        """The finding as text: `path:LINE:COLUMN: severity[CODE]: message`, the marked line, the help."""
        span = self.span
        head = f"{span.source.path}:{span.line}:{span.column}: {self.severity}[{self.code}]: {self.message}"
        text, before = _excerpt(span.source.line(span.line), span.column - 1)
        width = max(1, min(span.end - span.start, len(text) - before))
        number = str(span.line)
        pad = "".join("\t" if c == "\t" else " " for c in text[:before])
        shown = [f"  {number} | {text}", f"  {' ' * len(number)} | {pad}{'^' * width}"]
        lines = [head, *(shown if text.strip() else ())]  # a file that could not be read has no line to show
        if self.help:
            first, *rest = self.help.splitlines()
            lines += [f"  help: {first}", *(f"        {line}" for line in rest)]
        return "\n".join(lines)


def _excerpt(line: str, place: int) -> tuple[str, int]:
    """The part of a line around a place, and the place in it: all of it unless it is very long."""
    if len(line) <= LONGEST_LINE:
        return line, place
    start = max(0, place - LONGEST_LINE // 2)
    return ("..." if start else "") + line[start : start + LONGEST_LINE] + "...", place - start + 3 * (start > 0)


def error(code: str, span: Span, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code, "error", span, message, help)


def warning(code: str, span: Span, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code, "warning", span, message, help)


def note(code: str, span: Span, message: str, help: str = "") -> Diagnostic:
    return Diagnostic(code, "note", span, message, help)


class SchematicError(Exception):
    """Raised once, with every diagnostic that was collected (warnings and notes too)."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))


class Report:
    """Collects diagnostics while a stage reads on after an error."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found)

    def add(self, *diagnostics: Diagnostic) -> None:
        """Keeps each finding once, in the order of discovery."""
        self._found.update(dict.fromkeys(diagnostics))

    @property
    def failed(self) -> bool:
        return any(d.severity == "error" for d in self)

    def check(self) -> None:
        """Raises SchematicError with everything found so far if any of it is an error."""
        if self.failed:
            raise SchematicError(in_order(self))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Diagnostics by file, then by place."""
    return tuple(sorted(diagnostics, key=lambda d: (d.span.source.path, d.span.start, d.code)))

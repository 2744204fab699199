"""Reading texts in tests."""

from __future__ import annotations

from schematic.core.diagnostics import Diagnostic, Report, in_order
from schematic.core.source import Source
from schematic.syntax import ast
from schematic.syntax.parser import parse


def read(text: str) -> tuple[ast.File, tuple[Diagnostic, ...]]:
    """The file, and what was found wrong with it, in the order of the text."""
    report = Report()
    file = parse(Source("m.sg", text), report)
    return file, in_order(report)


def good(text: str) -> ast.File:
    """The file of a text without errors."""
    file, found = read(text)
    assert not found, "\n".join(d.render() for d in found)
    return file


def block(statements: str) -> tuple[ast.Statement, ...]:
    """The statements of a model."""
    model = good(f"model M {{\n{statements}\n}}").statements[0]
    assert isinstance(model, ast.ModelDecl)
    assert isinstance(model.body, ast.Block)
    return model.body.statements

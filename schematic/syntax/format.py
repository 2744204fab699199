"""The canonical text of a file: one statement a line, columns aligned, comments kept, a second pass changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from schematic.core.source import Span
from schematic.syntax import ast, text
from schematic.syntax.layout import INDENT, Row, laid_out

_LINE_END = re.compile("\r\n|\r|\n")
INLINE = 60
Standing = ast.Statement | ast.TopLevel | ast.Setting


def format(file: ast.File) -> str:
    """The file as text. Reading it back gives an equal file; formatting that gives the same text."""
    last = max((c.span.end for c in file.comments), default=0)
    lines = _Formatter(file.comments).body(file.statements, last + 1, "")
    return "".join(f"{line}\n" for line in lines)


def format_statement(statement: Standing) -> str:
    """One statement as text, without comments."""
    return "\n".join(_Formatter(()).body((statement,), 0, ""))


def format_expression(expression: ast.ModelExpr) -> str:
    """A model expression as text."""
    return text.plain(_Formatter(()).expression(expression, ""))


class _Formatter:
    """Walks the tree in the order of the text and takes each comment once, where it stands.

    A comment inside a statement goes before it; one inside a block stays in the block.
    """

    def __init__(self, comments: Sequence[ast.Comment]) -> None:
        self._left = list(reversed(comments))
        self._hoisted: list[ast.Comment] = []

    # --- comments -----------------------------------------------------------------------------------------

    def _before(self, offset: int) -> list[ast.Comment]:
        """Takes the comments that stand before an offset."""
        taken = []
        while self._left and self._left[-1].span.start < offset:
            taken.append(self._left.pop())
        return taken

    def _trailing(self, offset: int) -> ast.Comment | None:
        """Takes the next comment if it stands before the offset, behind something on its line."""
        if self._left and self._left[-1].span.start < offset and not self._left[-1].alone:
            return self._left.pop()
        return None

    # --- statements ---------------------------------------------------------------------------------------

    def body(self, statements: Sequence[Standing], end: int, indent: str) -> list[str]:
        """The lines of statements and of the comments among them, up to an offset."""
        rows: list[Row] = []
        last: Span | None = None
        follows = [*(s.span.start for s in statements), end][1:]
        for statement, following in zip(statements, follows, strict=True):
            for comment in self._before(statement.span.start):
                rows += _unit([_alone(comment)], _apart(last, comment.span))
                last = comment.span
            outer, self._hoisted = self._hoisted, []
            row = self._row(statement, indent)
            inside = self._hoisted + self._before(statement.span.end)
            self._hoisted = outer
            trailing = self._trailing(following)
            row = replace(row, comment=trailing.text.rstrip() if trailing else "")
            rows += _unit([*map(_alone, inside), row], _apart(last, statement.span))
            last = statement.span.to(trailing.span) if trailing else statement.span
        for comment in self._before(end):
            rows += _unit([_alone(comment)], _apart(last, comment.span))
            last = comment.span
        return laid_out(rows, indent)

    def _row(self, node: Standing, indent: str) -> Row:
        match node:
            case ast.Use():
                return Row("other", (), text.use(node))
            case ast.Train(settings):
                return Row("other", (), "train " + self._braced(settings, node.span, indent))
            case ast.ModelDecl(name, body):
                if isinstance(body, ast.Block):
                    drawn = self._braced(body.statements, body.span, indent, inline=False)
                    return Row("other", (), f"model {name.text} {drawn}")
                return _equation(f"model {name.text}", self.expression(body, indent))
            case ast.NetDecl(name, groups, net, options):
                groups_text = f" in {text.names(groups)}" if groups else ""
                return _equation(f"net {name.text}{groups_text}", text.joined(text.call(net), text.options(options)))
            case ast.Setting(names, value):
                return _equation(text.names(names), text.arg(value))
            case ast.FactorHow(name, how, options):
                return _equation(name.text, text.joined(text.call(how), text.options(options)))
            case ast.VariableDecl(name, index, type_):
                return Row("variable", (name.text + text.index(index), text.call(type_)), text.clauses(node))
            case ast.FactorDecl(name, parents, arrow, target, how, options):
                made = f"= {text.call(how)}" if how else ""
                rest = text.joined(text.end(target), made, text.options(options))
                return Row("factor", (name.text, text.ends(parents), arrow.mark), rest)
            case _:
                assert_never(node)

    def _braced(self, statements: Sequence[Standing], span: Span, indent: str, inline: bool = True) -> str:
        """`{`, the statements on lines of their own, `}`; a short single one stays on the line.

        Comments before the brace go before the statement around.
        """
        self._hoisted += self._before(span.start)
        header = self._trailing(statements[0].span.start if statements else span.end)
        lines = self.body(statements, span.end, indent + INDENT)
        if header:
            return "\n".join([f"{{  {header.text.rstrip()}", *lines, indent + "}"])
        if not lines:
            return "{ }"
        if inline and len(statements) == len(lines) == 1 and len(lines[0]) <= INLINE and "#" not in lines[0]:
            return f"{{ {lines[0].strip()} }}"
        return "\n".join(["{", *lines, indent + "}"])

    # --- model expressions --------------------------------------------------------------------------------

    def expression(self, node: ast.ModelExpr, indent: str) -> str:
        match node:
            case ast.Ref(name):
                return name.text
            case ast.Move(name, model, args):
                given = [self.expression(model, indent), *map(text.arg, args)]
                return f"{name.text}({f',{text.SOFT}'.join(given)})"
            case ast.Without(model, name):
                return f"{self._operand(model, indent, ast.Plus, ast.Times)}{text.SOFT}without {name.text}"
            case ast.Restate(model, block):
                operand = self._operand(model, indent, ast.Plus, ast.Times)
                return f"{operand} {self._braced(block.statements, block.span, indent)}"
            case ast.Times(scale, model):
                return f"{scale.text} * {self._operand(model, indent, ast.Plus)}"
            case ast.Plus(left, right):
                return f"{self.expression(left, indent)}{text.SOFT}+ {self._operand(right, indent, ast.Plus)}"
            case _:
                assert_never(node)

    def _operand(self, node: ast.ModelExpr, indent: str, *looser: type[ast.ModelExpr]) -> str:
        inside = self.expression(node, indent)
        return f"({inside})" if isinstance(node, looser) else inside


def _unit(rows: list[Row], blank: bool) -> list[Row]:
    """Rows that stay together; a blank line goes before the first."""
    return [replace(rows[0], blank=blank), *rows[1:]]


def _alone(comment: ast.Comment) -> Row:
    return Row("comment", (), comment.text.rstrip())


def _equation(left: str, right: str) -> Row:
    if "\n" in right:
        return Row("other", (), f"{left} = {right}")
    return Row("equation", (left,), right)


def _apart(last: Span | None, span: Span) -> bool:
    """Whether a blank line stands between two places of one text."""
    if last is None or last.source is not span.source or span.start < last.end:
        return False
    return len(_LINE_END.findall(span.source.text, last.end, span.start)) > 1

"""Nodes as text on one line, in the language's own spelling.

A `SOFT` space is one at which the formatter may break a long line; `plain` makes ordinary spaces of them.
"""

from __future__ import annotations

from typing import assert_never

from schematic.syntax import ast

SOFT = "\0"


def plain(text: str) -> str:
    return text.replace(SOFT, " ")


def joined(*parts: str) -> str:
    """The parts that are not empty, with a soft space between."""
    return SOFT.join(p for p in parts if p)


def arg(node: ast.Arg) -> str:
    match node:
        case ast.Call():
            return call(node)
        case ast.Number():
            return node.text
        case ast.Text():
            return f'"{node.text}"'
        case _:
            assert_never(node)


def call(node: ast.Call) -> str:
    """`D then mlp(128)`, `Normal(mlp(400), scale: 0.1)`."""
    given = [arg(a) for a in node.args] + [f"{key.text}: {arg(value)}" for key, value in node.options]
    text = node.name.text
    if given or node.parens:
        text += f"({f',{SOFT}'.join(given)})"
    return f"{text}{SOFT}then {call(node.then)}" if node.then else text


def index(node: ast.Index | None) -> str:
    match node:
        case None:
            return ""
        case ast.Index(None, first, None):
            return f"[{first}]"
        case ast.Index(None, first, last):
            return f"[{first}..{last}]"
        case ast.Index(letter, 0):
            return f"[{letter}]"
        case ast.Index(letter, shift):
            return f"[{letter}{shift:+d}]"


def end(node: ast.End) -> str:
    return node.name.text + index(node.index) + (f".{node.part.text}" if node.part else "")


def ends(nodes: tuple[ast.End, ...]) -> str:
    return ", ".join(end(n) for n in nodes)


def names(nodes: tuple[ast.Name, ...]) -> str:
    return ", ".join(n.text for n in nodes)


def option(node: ast.Option) -> str:
    return " ".join((node.name.text, " = ".join(arg(a) for a in node.args))).rstrip()


def options(nodes: tuple[ast.Option, ...]) -> str:
    return joined(*(option(n) for n in nodes))


def data(node: ast.Data | None) -> str:
    if node is None:
        return ""
    fields = f"({f',{SOFT}'.join(arg(f) for f in node.fields)})" if node.fields else ""
    return f"= data{fields}" + (f"{SOFT}given {node.given.text}" if node.given else "")


def clauses(node: ast.VariableDecl) -> str:
    """What follows a variable's type: data, prior, `partial`, in this order."""
    return joined(data(node.data), f"~ {call(node.prior)}" if node.prior else "", "partial" if node.partial else "")


def use(node: ast.Use) -> str:
    return f'use "{node.path.text}"' + (f" as {node.alias.text}" if node.alias else "")

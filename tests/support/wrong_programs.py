"""Each edit of an emitted program's syntax tree, and the checks of programs that have to notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from mutant_models import Mutant
from wrong_plans import Alive, program_noticed, programs_of, right

from schematic.nets.source import needed


def text_mutants() -> Iterator[Mutant]:
    """Each edit of the syntax tree of `draw`, `terms`, the conditionals and the helpers."""
    for name, score in programs_of():
        text = right(name, score).text
        title = f"program of {name}{', score' if score else ''}"
        alive = right(name, score).alive
        for i, (what, line) in enumerate(_edits(text, alive)):
            yield Mutant(
                f"{title}, line {line}: {what}",
                lambda n=name, s=score, i=i, a=alive: program_noticed(right(n, s), _edited(right(n, s).text, i, a)),
            )


METHODS = ("draw", "terms", "score", "log_prob", "forward", "each", "log_reverse")
LEFT_OUT = ("categorical", "bits", "classes", *needed(("table", "linear")))  # stood in for, or networks


def _edits(text: str, alive: Alive) -> list[tuple[str, int]]:
    walker = Editor(-1, alive)
    walker.visit(ast.parse(text))
    return walker.found


def _edited(text: str, place: int, alive: Alive) -> str:
    tree = Editor(place, alive).visit(ast.parse(text))
    return ast.unparse(ast.fix_missing_locations(tree))


class Editor(ast.NodeTransformer):
    """Lists every edit, and makes the one at `place`."""

    def __init__(self, place: int, alive: Alive) -> None:
        self.place, self.alive, self.passing = place, alive.values, alive.outer
        self.found: list[tuple[str, int]] = []
        self.inside = 0

    def edit(self, node: ast.AST, what: str) -> bool:
        """Whether this edit is the one to make."""
        if self.inside:
            self.found.append((what, getattr(node, "lineno", 0)))
        return bool(self.inside) and len(self.found) - 1 == self.place

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node if node.name in LEFT_OUT else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name in LEFT_OUT or not (node.name in METHODS or node.name.startswith("p_")):
            return node
        self.inside += 1
        node.body = [self.visit(statement) for statement in node.body]
        self.inside -= 1
        return node

    def visit_With(self, node: ast.With) -> Any:
        if self.passing and self.edit(node, "theta_0 passes gradient"):
            return node.body
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float) and self.edit(node, f"{node.value} twice"):
            return ast.Constant(2 * node.value)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant) and self.edit(node, "sign"):
            return node.operand
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        shown = ast.unparse(node)
        if not isinstance(node.op, ast.MatMult) and not shown.startswith("torch.eye("):
            nothing = isinstance(node.op, ast.Sub) and ast.unparse(node.right) == "0"
            for side in ("right",) if nothing else ("left", "right"):
                if self.edit(node, f"only the {side} of {shown[:50]}"):
                    found: ast.AST = getattr(node, side)
                    return found
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for i, key in enumerate(node.keys):
            term = len(node.keys) > 1 and isinstance(key, ast.Constant) and ":" in str(key.value)
            if term and self.edit(node, f"dropped {ast.unparse(key)}"):
                del node.keys[i], node.values[i]
                return node
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key), ctx=ast.Load()):
                shown = ast.unparse(node)
                if (name, key) in self.alive and self.edit(node, f"{shown} detached"):
                    return ast.Call(ast.Attribute(node, "detach", ast.Load()), [], [])
            case _:
                pass
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(value=inner, attr="detach" | "exp" | "log" as name) if self.edit(node, f"no {name}"):
                return inner
            case ast.Attribute(value=ast.Subscript(), attr="detach"):
                return node  # detached already
            case ast.Attribute(attr="sum") if self.edit(node, "the mean for a sum"):
                node.func.attr = "mean"
                return node
            case ast.Name(id="categorical") | ast.Attribute(attr="bernoulli"):
                return node.args[0] if self.edit(node, "the mean for a draw") else node
            case ast.Name(id="kl_divergence") if self.edit(node, "a divergence turned round"):
                node.args.reverse()
                return node
            case ast.Name(id="kl_divergence") if self.edit(node, "the prior forgotten"):
                node.args[1] = node.args[0]
                return node
            case ast.Attribute(value=ast.Name(id="self")) if len(node.args) > 1 and self.edit(node, "parents turned"):
                node.args.reverse()
                return node
            case _:
                pass
        return self.generic_visit(node)

"""Every identifier that a file makes, exchanged for another one: what it is called must not count."""

from __future__ import annotations

import ast
import io
import tokenize

KEPT = {"FACTORS", "LOSSES", "STEP", "OUTPUTS", "MAXIMIZED", "FORMS", "BATCH", "forward", "training_step",
        "configure_optimizers", "automatic_optimization"}  # fmt: skip


def made(tree: ast.AST) -> set[str]:
    """The names that a file binds: functions, classes, arguments, variables."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return {n for n in found if not n.startswith("__") and n not in KEPT and n != "self"}


def attributes(tree: ast.AST) -> set[str]:
    """The attributes that a file's classes give themselves: what `self` is given, and their methods."""
    found = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    found |= {f.name for c in classes for f in c.body if isinstance(f, ast.FunctionDef)}
    return {n for n in found if not n.startswith("__") and n not in KEPT}


def foreign(tree: ast.AST) -> set[str]:
    """The names by which the file speaks of what others made: modules, keywords of calls."""
    keywords = {k.arg for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg}
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return keywords | {a.asname or a.name.split(".")[0] for n in imports for a in n.names}


def renamed(text: str) -> str:
    """The same program in other words."""
    tree = ast.parse(text)
    own, inner = made(tree) - foreign(tree), attributes(tree)
    other = {name: f"v{i}" for i, name in enumerate(sorted(own | inner))}
    tokens, last = [], ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        mine = token.type == tokenize.NAME and token.string in (inner if last == "." else own | inner)
        tokens.append((token.type, other[token.string] if mine else token.string))
        last = token.string
    return tokenize.untokenize(tokens)

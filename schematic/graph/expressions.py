"""Model expressions of a file: names looked up, moves made, and what no longer fits told once, at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from schematic.core.diagnostics import Report, SchematicError, error
from schematic.core.names import did_you_mean
from schematic.core.source import Span
from schematic.graph import algebra
from schematic.graph.algebra import At
from schematic.graph.blocks import ANY, Outside
from schematic.graph.checks import family_misfit
from schematic.graph.fitting import Value, finished, terms, watched
from schematic.graph.hows import read_how
from schematic.graph.model import AnyModel, Sum
from schematic.graph.networks import built_in_misfit
from schematic.graph.words import MOVES, unknown, where
from schematic.syntax import ast


@dataclass(frozen=True)
class Entry:
    """A model that a name stands for; None if its declaration failed, which is told there."""

    model: AnyModel | None
    span: Span


@dataclass(frozen=True)
class Scope:
    """What an expression may name. `later`: the models that the file declares further down."""

    models: Mapping[str, Entry]
    outside: Outside = field(default_factory=Outside)
    later: Mapping[str, Span] = field(default_factory=dict)


def evaluate(name: str, expression: ast.ModelExpr, scope: Scope, report: Report, span: Span) -> AnyModel | None:
    """The model of an expression under its new name; None, with its errors in the report."""
    value = _value(expression, scope, report)
    return finished(name, value, expression.span, report, span) if value else None


def _value(expression: ast.ModelExpr, scope: Scope, report: Report) -> Value | None:
    match expression:
        case ast.Ref(name):
            entry = _look_up(name, scope, report)
            return Value(entry.model, plain=True) if entry and entry.model else None
        case ast.Times(number, inner):
            value = _value(inner, scope, report)
            at = At(expression.span, inner.span, (number.span,))
            return value and _made(
                lambda v: algebra.scale(number.value, _term(v), at=at), value, report, plain=value.plain
            )
        case ast.Plus(left, right):
            both = _value(left, scope, report), _value(right, scope, report)
            return _sum(both[0], both[1], expression, report) if both[0] and both[1] else None
        case ast.Without(inner, name):
            value = _value(inner, scope, report)
            at = At(expression.span, inner.span, (name.span,))
            return value and _made(lambda v: algebra.without(v.model, name.text, at=at), value, report)
        case ast.Restate(inner, block):
            value = _value(inner, scope, report)
            return value and restated(value, block.statements, scope.outside, report, At(expression.span, inner.span))
        case ast.Move():
            value = _value(expression.model, scope, report)
            move = _move(expression, value.model if value else None, scope, report)
            if value is None or move is None:
                return None
            return _made(move, value, report, expression.span, swaps=expression.name.text == "swap")


def _look_up(name: ast.Name, scope: Scope, report: Report) -> Entry | None:
    if name.text in scope.models:
        return scope.models[name.text]
    if {name.text, name.text.partition(".")[0], ANY} & scope.outside.broken:
        return None
    if name.text in scope.later:
        words = f"`{name.text}` is declared further down, {where(scope.later[name.text], name.span)}"
        report.add(error("SG109", name.span, words, "declare it above its first use"))
        return None
    near = did_you_mean(name.text, scope.models).removesuffix("?")
    guess = near.removeprefix("did you mean `").removesuffix("`")
    if near:
        there = scope.models[guess].span
        help = f"{near} ({there.source.path}:{there.line})?"
    else:
        help = f"models: {', '.join(scope.models)}" if scope.models else "declare it, or `use` its file"
    report.add(error("SG109", name.span, f"no model `{name.text}`", help))
    return None


# --- moves -----------------------------------------------------------------------------------------------------

Made = Callable[[Value], AnyModel]

_TAKES = {
    "swap": ("two variables", "swap(M, x, z)"),
    "swap_arrows": ("a model alone", "swap_arrows(M)"),
    "perfect": ("a blue factor", "perfect(M, q_phi)"),
    "activate": ("a perfect factor and, if need be, a network", "activate(M, q_phi, dcgan(64))"),
    "rename": ("a name and its new one", "rename(M, a, b)"),
    "importance": ("the number of draws, if need be", "importance(M, 16)"),
    "wake_sleep": ("a model alone", "wake_sleep(M)"),
}


def _move(expression: ast.Move, model: AnyModel | None, scope: Scope, report: Report) -> Made | None:
    """The move with its arguments read; `model` None: the arguments are checked alone."""
    name, args = expression.name, expression.args
    if name.text not in MOVES:
        report.add(unknown("SG119", name, f"no move `{name.text}`", MOVES, listed="moves"))
        return None
    at = At(expression.span, expression.model.span, tuple(a.span for a in args))
    words = [a.name.text if isinstance(a, ast.Call) and not a.parens and a.then is None else None for a in args]
    match name.text, words:
        case "swap", [str(a), str(b)]:
            return lambda v: algebra.swap(v.model, a, b, at=at)
        case "swap_arrows", []:
            return lambda v: algebra.swap_arrows(v.model, at=at)
        case "perfect", [str(a)]:
            return lambda v: algebra.perfect(v.model, a, at=at)
        case "activate", [str(a)]:
            return lambda v: algebra.activate(v.model, a, at=at)
        case "activate", [str(a), _] if isinstance(args[1], ast.Call):
            return _activation(a, args[1], model, scope, report, at)
        case "rename", [str(a), str(b)]:
            return lambda v: algebra.rename(v.model, a, b, at=at)
        case "wake_sleep", []:
            return lambda v: algebra.wake_sleep(v.model, at=at)
        case "importance", []:
            return lambda v: algebra.importance(v.model, at=at)
        case "importance", [None] if isinstance(args[0], ast.Number) and args[0].text.isdigit():
            k = int(args[0].text)
            return lambda v: algebra.importance(v.model, k, at=at)
    takes, form = _TAKES[name.text]
    report.add(error("SG306", args[-1].span if args else expression.span, f"`{name.text}` takes {takes}", f"`{form}`"))
    return None


def _activation(name: str, net: ast.Call, model: AnyModel | None, scope: Scope, report: Report, at: At) -> Made | None:
    """`activate(M, q_phi, NET)`: the network is written on these ends, which it must fit."""
    nets = scope.outside.nets
    declared = {n.name for m in terms(model) for n in m.nets} if model else set()
    how = read_how(net, {*nets, *declared}, report)
    if how is None:
        return None

    def move(v: Value) -> AnyModel:
        active = algebra.activate(v.model, name, how, nets=nets, at=at)
        found = (
            f(m, x) for m in terms(active) for x in m.factors if x.how is how for f in (built_in_misfit, family_misfit)
        )
        if problems := [m.told() for m in found if m is not None]:
            raise SchematicError(problems)
        return active

    return move


def _made(
    move: Made, value: Value, report: Report, at: Span | None = None, *, plain: bool = False, swaps: bool = False
) -> Value | None:
    try:
        after = move(value)
    except SchematicError as refused:
        report.add(*refused.diagnostics)
        return None
    made = replace(value, model=after, plain=plain)
    return watched(made, value.model, at, swaps=swaps) if at is not None else made


def restated(
    value: Value, statements: tuple[ast.Statement, ...], outside: Outside, report: Report, at: At
) -> Value | None:
    """`M { ... }`, and what its new types made unfit."""

    def move(v: Value) -> AnyModel:
        return algebra.restate(v.model, statements, outside=outside, report=report, at=at)

    return _made(move, value, report, at.move)


def _sum(left: Value, right: Value, expression: ast.Plus, report: Report) -> Value | None:
    at = At(expression.span, expression.left.span, (expression.right.span,))
    both = Value(left.model, notes={**left.notes, **right.notes}, misfits={**left.misfits, **right.misfits})
    return _made(lambda v: algebra.add(_term(left), _term(right), at=at), both, report)


def _term(value: Value) -> AnyModel:
    """A term that is no plain name has none: it is called by its place."""
    return value.model if value.plain or isinstance(value.model, Sum) else replace(value.model, name="")

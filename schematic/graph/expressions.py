"""Model expressions of a file: names looked up, moves made, and what no longer fits told once, at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from schematic.core.diagnostics import Diagnostic, Report, SchematicError, error, note
from schematic.core.names import did_you_mean
from schematic.core.source import Span
from schematic.graph import algebra
from schematic.graph.algebra import At
from schematic.graph.blocks import Outside
from schematic.graph.checks import declared_misfits, family_misfits, net_words, owner_problems, type_words
from schematic.graph.defaults import Ends, built_in, default_net, ends, gave_way, links
from schematic.graph.hows import read_how
from schematic.graph.model import AnyModel, Factor, How, Model, Sum
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


@dataclass(frozen=True)
class Value:
    """A model on its way through an expression.

    `notes` and `misfits` are what the moves so far made unfit, by the place of the factor's right side, which a move
    carries along; they are told at the end, if a later block has not mended them.
    """

    model: AnyModel
    plain: bool = False
    notes: Mapping[Span, Diagnostic] = field(default_factory=dict)
    misfits: Mapping[Span, tuple[Ends, Diagnostic]] = field(default_factory=dict)


def evaluate(name: str, expression: ast.ModelExpr, scope: Scope, report: Report, span: Span) -> AnyModel | None:
    """The model of an expression under its new name; None, with its errors in the report."""
    value = _value(expression, scope, report)
    return finished(name, value, expression.span, report, span) if value else None


def finished(name: str, value: Value, place: Span, report: Report, span: Span) -> AnyModel | None:
    mine = Report()
    for model in terms(value.model):
        mine.add(*_unfit(model, value, place))
    report.add(*mine)
    return None if mine.failed else replace(value.model, name=name, span=span)


def terms(model: AnyModel) -> tuple[Model, ...]:
    return tuple(m for _, m in model.terms) if isinstance(model, Sum) else (model,)


def _value(expression: ast.ModelExpr, scope: Scope, report: Report) -> Value | None:
    match expression:
        case ast.Ref(name):
            entry = _look_up(name, scope, report)
            return Value(entry.model, plain=True) if entry and entry.model else None
        case ast.Times(number, inner):
            value = _value(inner, scope, report)
            at = At(expression.span, inner.span, (number.span,))
            return value and _made(
                lambda v: algebra.scale(number.value, v.model, at=at), value, report, plain=value.plain
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
    if name.text in scope.outside.broken or name.text.partition(".")[0] in scope.outside.broken:
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
            how = _read_net(args[1], model, scope, report)
            return (lambda v: algebra.activate(v.model, a, how, at=at)) if how else None
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


def _read_net(call: ast.Call, model: AnyModel | None, scope: Scope, report: Report) -> How | None:
    declared = {n.name for m in terms(model) for n in m.nets} if model else set()
    return read_how(call, {*scope.outside.nets, *declared}, report)


def _made(
    move: Made, value: Value, report: Report, place: Span | None = None, *, plain: bool = False, swaps: bool = False
) -> Value | None:
    try:
        after = move(value)
    except SchematicError as refused:
        report.add(*refused.diagnostics)
        return None
    made = replace(value, model=after, plain=plain)
    return _watched(made, value.model, place, swaps) if place is not None else made


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


# --- what no longer fits -----------------------------------------------------------------------------------------


def _watched(value: Value, before: AnyModel, place: Span, swaps: bool) -> Value:
    """The value with what this move made unfit noted down."""
    notes, misfits = dict(value.notes), dict(value.misfits)
    for old, new in zip(terms(before), terms(value.model), strict=True):
        if old is new:
            continue
        for name, (written, used) in gave_way(new).items():
            how = new.factor(name).how
            assert how is not None
            words = f"{name}'s `{net_words(written)}` does not fit {_ends_words(new, new.factor(name))}"
            notes.setdefault(how.span, note("SG904", place, f"{words}: `{net_words(used)}` is used"))
        if swaps:
            for span, misfit in _moved_nets(old, new, place):
                misfits.setdefault(span, misfit)
    return replace(value, notes=notes, misfits=misfits)


def _ends_words(model: Model, factor: Factor) -> str:
    y = model.indicator
    names = dict.fromkeys(n for n in (*factor.parents, factor.target) if y is None or n != y.name)
    shapes = {n: model.variable(n).type.event_shape for n in names}
    return ", ".join(f"{n} ({', '.join(map(str, s))})" for n, s in shapes.items())


def _moved_nets(old: Model, new: Model, place: Span) -> Iterable[tuple[Span, tuple[Ends, Diagnostic]]]:
    """Declared and `python` networks that a swap put between other shapes: they are one network, with one pair of ends."""
    before = {f.how.span: f for f in old.factors if f.how is not None}
    for factor in new.factors:
        how = factor.how
        if how is None or how.net is None or built_in(how.net) or how.span not in before:
            continue
        was = before[how.span]
        there, here = ends(old, was), ends(new, factor)
        if (there.inputs, there.output) != (here.inputs, here.output):
            yield how.span, (there, _moved_words(old, new, was, factor, how, place))


def _moved_words(old: Model, new: Model, was: Factor, factor: Factor, how: How, place: Span) -> Diagnostic:
    assert how.net is not None
    net = next(n for n in links(how.net) if n.declared or n.kind == "python")
    line = f" ({where(new.net(net.kind).span, place).removeprefix('on ').removeprefix('in ')})" if net.declared else ""
    there, here = ends(old, was), ends(new, factor)
    y = old.indicator
    sources = [p for p in was.parents if y is None or p != y.name]
    if there.output != here.output:
        reason = f"ends in {type_words(old.variable(was.target).type)}"
    else:
        reason = f"takes {', '.join(type_words(old.variable(s).type) for s in sources) or 'nothing'}"
    arrow = f"{factor.name} : {', '.join(factor.parents)} {factor.mark} {factor.target}"
    words = f"after the swap, `{arrow} = {net_words(how.net)}` does not fit: {net.kind}{line} {reason}"
    return error("SG302", place, words, f"restate it: `{{ {factor.name} = {net_words(default_net(here))} }}`")


def _unfit(model: Model, value: Value, place: Span) -> Iterable[Diagnostic]:
    """What the moves of an expression left unfit, each thing once."""
    gone = gave_way(model)
    told = set()
    for factor in model.factors:
        how = factor.how
        if how is None:
            continue
        if factor.name in gone and how.span in value.notes:
            yield value.notes[how.span]
        if how.span in value.misfits:
            there, problem = value.misfits[how.span]
            here = ends(model, factor)
            if (there.inputs, there.output) != (here.inputs, here.output):
                told.add(factor.name)
                yield problem
        for misfit in family_misfits(model, factor):
            yield error(
                "SG302",
                place,
                f"`{factor.name}` does not fit: {misfit.words}",
                f"restate it: `{{ {factor.name} = ... }}`",
            )
    if not told:
        for misfit in declared_misfits(model):
            yield error("SG302", place, misfit.words, f"restate it: `{{ {misfit.factor.name} = ... }}`")
        yield from owner_problems(model)
    for factor in model.factors:
        if factor.implicit and factor.process == "inference" and factor.weight != 1:
            words = f"`{factor.name}` is now `{factor.mark}`, which has no term of its own for its `weight`"
            yield error("SG302", place, words, "restate it without `weight`")

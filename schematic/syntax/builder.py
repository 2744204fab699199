"""The syntax tree from the bottom up: one method for each rule of the grammar, called when the rule is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal, cast

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.source import Span
from schematic.syntax import ast
from schematic.syntax.lexer import MAX_NESTING
from schematic.syntax.tokens import Token


class Slip(Exception):
    """A rule was read whose parts do not go together; the parser reports it and reads on."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Rows(list[Any]):
    """The statements of a file or a block, or the settings of a training block, as far as they are read."""


@dataclass(frozen=True, slots=True)
class Deep:
    """A model expression and the height of its tree."""

    expr: ast.ModelExpr
    height: int

    @property
    def span(self) -> Span:
        return self.expr.span


Parts = list[Any]


def _span(parts: Sequence[Any]) -> Span:
    """From the first part to the last."""
    return cast(Span, parts[0].span.to(parts[-1].span))


def _name(token: Token) -> ast.Name:
    return ast.Name(token.text, span=token.span)


def _names(parts: Parts) -> tuple[ast.Name, ...]:
    return tuple(_name(p) for p in parts if p.type == "NAME")


def _text(token: Token) -> ast.Text:
    return ast.Text(token.text[1:-1], span=token.span)


def _raised(height: int, expr: ast.ModelExpr) -> Deep:
    if height > MAX_NESTING:
        help = "give a part of it a name: `model A = ...`"
        raise Slip(error("SG025", expr.span, f"this expression is more than {MAX_NESTING} levels deep", help))
    return Deep(expr, height)


class Builder:
    """Parts are tokens, nodes, and for rules of several items tuples of nodes; every token of the text is there."""

    # --- a file -------------------------------------------------------------------------------------------

    def file(self, parts: Parts) -> ast.File:
        return ast.File(tuple(parts[0]))

    def declarations(self, parts: Parts) -> Rows:
        return _grown(parts)

    statements = settings = declarations

    def use(self, parts: Parts) -> ast.Use:
        alias = _name(parts[3]) if len(parts) > 2 else None
        return ast.Use(_text(parts[1]), alias, span=_span(parts))

    def net_decl(self, parts: Parts) -> ast.NetDecl:
        groups = parts[3] if len(parts) > 5 else ()
        net, options = parts[-2:]
        return ast.NetDecl(_name(parts[1]), groups, net, options, span=_span(_flat(parts)))

    def model(self, parts: Parts) -> ast.ModelDecl:
        body = parts[-1].expr if isinstance(parts[-1], Deep) else parts[-1]
        return ast.ModelDecl(_name(parts[1]), body, span=_span(parts))

    def train(self, parts: Parts) -> ast.Train:
        return ast.Train(tuple(parts[2]), span=_span(parts))

    def setting(self, parts: Parts) -> ast.Setting:
        return ast.Setting(parts[0], parts[2], span=parts[0][0].span.to(parts[2].span))

    def names(self, parts: Parts) -> tuple[ast.Name, ...]:
        return _names(parts)

    def loose(self, parts: Parts) -> tuple[ast.Statement, ...]:
        return tuple(parts[0])

    # --- a block ------------------------------------------------------------------------------------------

    def block(self, parts: Parts) -> ast.Block:
        return ast.Block(tuple(parts[1]), span=_span(parts))

    def variable(self, parts: Parts) -> ast.VariableDecl:
        index = parts[1] if isinstance(parts[1], ast.Index) else None
        name = _name(parts[0]) if isinstance(parts[0], Token) else parts[0]
        if "." in name.text:
            raise Slip(error("SG021", name.span, f"`{name.text}`: a variable's name has no dot"))
        type_, *clauses = parts[3:] if index else parts[2:]
        decl = ast.VariableDecl(name, index, type_, span=_span(parts))
        for clause in clauses:
            key, value = clause.key, clause.value
            if getattr(decl, key) is not None:
                words = {"data": "`= data`", "prior": "`~`", "partial": "`partial`"}[key]
                raise Slip(error("SG028", clause.span, f"`{name.text}` has {words} twice"))
            decl = replace(decl, **{key: value})
        return decl

    def data(self, parts: Parts) -> Clause:
        call, given = parts[1], parts[2] if len(parts) > 2 else None
        fields = tuple(f for f in call.args if isinstance(f, ast.Text))
        if call.name.text != "data" or call.options or len(fields) < len(call.args):
            words = 'a variable\'s `=` is followed by `data` or `data("field")`'
            raise Slip(error("SG031", call.span, words, '`= data("image")`; a prior follows `~`'))
        return Clause("data", ast.Data(fields, given, span=parts[0].span.to(_span(parts[1:]))), _span(parts))

    def prior(self, parts: Parts) -> Clause:
        return Clause("prior", parts[1], _span(parts))

    def partial(self, parts: Parts) -> Clause:
        return Clause("partial", _name(parts[0]), _span(parts))

    def given(self, parts: Parts) -> ast.Name:
        return _name(parts[1])

    def factor(self, parts: Parts) -> ast.FactorDecl:
        name, _, parents, arrow, target, *rest = parts
        mark = ast.Arrow(cast(ast.ArrowMark, arrow.text), span=arrow.span)
        how = rest[1] if len(rest) > 1 else None
        return ast.FactorDecl(name, parents, mark, target, how, rest[-1], span=_span(_flat(parts)))

    def how(self, parts: Parts) -> ast.FactorHow:
        name, _, net, options = parts
        return ast.FactorHow(name, net, options, span=_span(_flat(parts)))

    def full_name(self, parts: Parts) -> ast.Name:
        return ast.Name("".join(p.text for p in parts), span=_span(parts))

    def parents(self, parts: Parts) -> tuple[ast.End, ...]:
        return tuple(p for p in parts if isinstance(p, ast.End))

    def end(self, parts: Parts) -> ast.End:
        match parts:
            case [name, ast.Index() as index]:
                return ast.End(_name(name), index, span=_span(parts))
            case [name, _, part]:
                return ast.End(_name(name), None, _name(part), span=_span(parts))
            case _:
                return ast.End(_name(parts[0]), span=_span(parts))

    def index(self, parts: Parts) -> ast.Index:
        span = _span(parts)
        match [p.text for p in parts[1:-1]]:
            case [letter] if parts[1].type == "NAME":
                return ast.Index(letter, 0, span=span)
            case [number]:
                return ast.Index(None, int(number), span=span)
            case [letter, ("-" | "+") as sign, shift]:
                return ast.Index(letter, int(sign + shift), span=span)
            case [first, _, last]:
                return ast.Index(None, int(first), int(last), span=span)
        raise AssertionError("the grammar has no other index")

    def options(self, parts: Parts) -> tuple[ast.Option, ...]:
        seen: set[str] = set()
        for option in parts:
            if option.name.text in seen:
                raise Slip(error("SG028", option.span, f"`{option.name.text}` is said twice here"))
            seen.add(option.name.text)
        return tuple(parts)

    def option(self, parts: Parts) -> ast.Option:
        word, *rest = parts
        args = tuple(_bare(p) if isinstance(p, Token) else p for p in rest if not _is(p, "EQUAL"))
        return ast.Option(_name(word), args, span=_span(parts))

    # --- calls --------------------------------------------------------------------------------------------

    def net(self, parts: Parts) -> ast.Call:
        calls = cast(list[ast.Call], parts[::2])
        if len(calls) > MAX_NESTING:
            raise Slip(error("SG025", _span(calls), f"more than {MAX_NESTING} nets are chained here"))
        return reduce(lambda rest, call: replace(call, then=rest, span=call.span.to(rest.span)), reversed(calls))

    def call(self, parts: Parts) -> ast.Call:
        name = _name(parts[0])
        given = parts[2] if len(parts) > 3 else ()
        args = tuple(a for a in given if not isinstance(a, Named))
        options = tuple((a.name, a.value) for a in given if isinstance(a, Named))
        seen: set[str] = set()
        for key, _ in options:
            if key.text in seen:
                raise Slip(error("SG028", key.span, f"`{key.text}` is said twice here"))
            seen.add(key.text)
        return ast.Call(name, args, options, None, len(parts) > 1, span=_span(parts))

    def arguments(self, parts: Parts) -> Parts:
        if len(parts) == 1:
            return parts
        given, _, argument = parts
        if isinstance(given[-1], Named) and not isinstance(argument, Named):
            raise Slip(error("SG035", argument.span, "named options come after the positional ones"))
        given.append(argument)  # in place: long lists stay linear
        return cast(Parts, given)

    move_arguments = arguments

    def named(self, parts: Parts) -> Named:
        return Named(_name(parts[0]), parts[2])

    def string(self, parts: Parts) -> ast.Text:
        return _text(parts[0])

    def number(self, parts: Parts) -> ast.Number:
        return ast.Number("".join(p.text for p in parts), span=_span(parts))

    # --- the algebra --------------------------------------------------------------------------------------

    def plus(self, parts: Parts) -> Deep:
        left, _, right = parts
        return _raised(max(left.height, right.height) + 1, ast.Plus(left.expr, right.expr, span=_span(parts)))

    def times(self, parts: Parts) -> Deep:
        number, _, model = parts
        return _raised(model.height + 1, ast.Times(number, model.expr, span=_span(parts)))

    def without(self, parts: Parts) -> Deep:
        model, _, name = parts
        return _raised(model.height + 1, ast.Without(model.expr, name, span=_span(parts)))

    def restate(self, parts: Parts) -> Deep:
        model, block = parts
        return _raised(model.height + 1, ast.Restate(model.expr, block, span=_span(parts)))

    def ref(self, parts: Parts) -> Deep:
        return Deep(ast.Ref(parts[0], span=_span(parts)), 1)

    def move(self, parts: Parts) -> Deep:
        args = parts[4] if len(parts) > 5 else ()
        move = ast.Move(_name(parts[0]), parts[2].expr, tuple(args), span=_span(parts))
        return _raised(parts[2].height + 1, move)

    def group(self, parts: Parts) -> Deep:
        return Deep(replace(parts[1].expr, span=_span(parts)), parts[1].height)

    def dotted(self, parts: Parts) -> ast.Call:
        return ast.Call(self.full_name(parts), span=_span(parts))


@dataclass(frozen=True, slots=True)
class Named:
    """`key: value` among the arguments of a call."""

    name: ast.Name
    value: ast.Arg


@dataclass(frozen=True, slots=True)
class Clause:
    """What follows a variable's type."""

    key: Literal["data", "prior", "partial"]
    value: ast.Data | ast.Call | ast.Name
    span: Span


def _grown(parts: Parts) -> Rows:
    """The list, longer by one; in place, which keeps long files linear."""
    if not parts:
        return Rows()
    rows, *more = parts
    rows.extend(more)
    return cast(Rows, rows)


def _flat(parts: Parts) -> Parts:
    """The parts, with options in the place of their tuple, so that the last one ends the statement."""
    *others, options = parts
    return [*others, *options]


def _bare(token: Token) -> ast.Call:
    return ast.Call(_name(token), span=token.span)


def _is(part: object, type_: str) -> bool:
    return isinstance(part, Token) and part.type == type_

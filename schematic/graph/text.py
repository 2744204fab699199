"""A model as `.sg` source: reading it back gives an equal model, its log and places aside.

What a move left asleep is not printed: options that say nothing on their arrow now, and, for a built-in network that
does not fit its ends, the default one stands, which is in force.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schematic.graph.defaults import gave_way
from schematic.graph.model import AnyModel, Data, Factor, How, Model, Net, Sum, Train, Type, Value, Variable
from schematic.graph.model import NetDeclaration as Declaration
from schematic.graph.model import Optimizer as Rule
from schematic.graph.options import senseless
from schematic.syntax import ast
from schematic.syntax.format import format


def model_text(model: AnyModel) -> str:
    """The model's file: a block, or, for a sum and for the other readings, the blocks and the expression over them."""
    return format(ast.File(_declarations(model)))


def _declarations(model: AnyModel) -> tuple[ast.TopLevel, ...]:
    if isinstance(model, Sum):
        return _sum(model)
    name = ast.Name(model.name or "M")
    if model.importance is None and not model.wake_sleep:
        return (ast.ModelDecl(name, _block(model)),)
    drawn = ast.Name(f"{name.text}Drawn")
    return ast.ModelDecl(drawn, _block(model)), ast.ModelDecl(name, _reading(model, drawn))


def _reading(model: Model, drawn: ast.Name) -> ast.ModelExpr:
    expression: ast.ModelExpr = ast.Ref(drawn)
    if model.wake_sleep:
        expression = ast.Move(ast.Name("wake_sleep"), expression)
    if model.importance is not None:
        draws = (_number(model.importance),) if model.importance else ()
        expression = ast.Move(ast.Name("importance"), expression, draws)
    return expression


def _sum(total: Sum) -> tuple[ast.TopLevel, ...]:
    declared: list[ast.TopLevel] = []
    expression: ast.ModelExpr | None = None
    for label, (weight, model) in zip(total.labels, total.terms, strict=True):
        drawn = ast.Name(model.name or f"{total.name or 'M'}Term{label}")
        declared.append(ast.ModelDecl(drawn, _block(model)))
        term = _reading(model, drawn)
        if not model.name and isinstance(term, ast.Ref):
            term = ast.Restate(term, ast.Block(()))  # what is no plain name is called by its place
        if weight != 1 or len(total.terms) == 1:
            term = ast.Times(_number(weight), term)
        expression = term if expression is None else ast.Plus(expression, term)
    assert expression is not None
    train = (ast.Train(_settings(total.train)),) if total.train != Train() else ()
    return (*declared, ast.ModelDecl(ast.Name(total.name or "M"), expression), *train)


# --- a block ---------------------------------------------------------------------------------------------------


def _block(model: Model) -> ast.Block:
    y = model.indicator
    statements: list[ast.Statement] = [_variable(v) for v in model.variables]
    statements += [_net_declaration(n) for n in model.nets]
    used = {name: net for name, (_, net) in gave_way(model).items()}
    statements += [_factor(_awake(f, model, used.get(f.name)), y) for f in model.factors]
    if settings := _settings(model.train):
        statements.append(ast.Train(settings))
    return ast.Block(tuple(statements))


def _word(text: str) -> ast.Call:
    return ast.Call(ast.Name(text))


def _call(name: str, args: tuple[ast.Arg, ...], options: tuple[tuple[ast.Name, ast.Arg], ...] = ()) -> ast.Call:
    return ast.Call(ast.Name(name), args, options, parens=bool(args or options))


def _number(value: float) -> ast.Number:
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e15)
    return ast.Number(str(int(value)) if whole else repr(value))


def _value(value: Value, *, quoted: bool = False) -> ast.Arg:
    if isinstance(value, str):
        return ast.Text(value) if quoted else _word(value)
    return _number(value)


def _split(name: str) -> tuple[ast.Name, ast.Index | None]:
    """`z[5]` as its chain and its number."""
    stem, bracket, index = name.partition("[")
    return ast.Name(stem), ast.Index(None, int(index[:-1])) if bracket else None


def _variable(variable: Variable) -> ast.VariableDecl:
    name, index = _split(variable.name)
    if index is None and variable.index is not None:
        index = ast.Index(None, *variable.index)
    prior = None if variable.prior is None else _call(variable.prior.family, tuple(map(_number, variable.prior.args)))
    data = _data(variable.data) if variable.data else None
    return ast.VariableDecl(
        name, index, _type(variable.type), data, prior, ast.Name("partial") if variable.partial else None
    )


def _type(type_: Type) -> ast.Call:
    if type_.kind == "domain":
        return _call("domain", tuple(map(_word, type_.values)))
    sizes = (type_.size, *type_.shape) if type_.kind == "category" else type_.shape
    return _call(type_.kind, tuple(map(_number, sizes)))


def _data(data: Data) -> ast.Data:
    return ast.Data(tuple(map(ast.Text, data.fields)), ast.Name(data.given) if data.given else None)


def _net(net: Net) -> ast.Call:
    args = tuple(_value(a, quoted=net.kind == "python") for a in net.args)
    options = tuple((ast.Name(key), _value(value)) for key, value in net.options)
    return ast.Call(ast.Name(net.kind), args, options, _net(net.then) if net.then else None, bool(args or options))


def _how(how: How) -> ast.Call | None:
    if how.family is None:
        return _net(how.net) if how.net else None
    nets = (_net(how.net),) if how.net else ()
    return _call(how.family, nets, tuple((ast.Name(key), _number(value)) for key, value in how.options))


def _net_declaration(net: Declaration) -> ast.NetDecl:
    fixed = (ast.Option(ast.Name("fixed")),) if net.fixed else ()
    return ast.NetDecl(ast.Name(net.name), tuple(map(ast.Name, net.groups)), _net(net.net), fixed)


def _awake(factor: Factor, model: Model, net: Net | None) -> Factor:
    """The factor with what is in force on its arrow and between its ends."""
    plain = Factor("", (), "", "generative")
    asleep = senseless(factor, model.variable(factor.target).type.kind)
    options: dict[str, Any] = {name: getattr(plain, name) for name in asleep}
    how = factor.how if net is None or factor.how is None else replace(factor.how, net=net)
    return replace(factor, how=how, **options)


def _factor(factor: Factor, y: Variable | None) -> ast.FactorDecl:
    shifts = factor.shifts or (None,) * (len(factor.parents) + 1)
    parents = tuple(
        _end(p, shift, "rest" if factor.each and p == factor.target else None)
        for p, shift in zip(factor.parents, shifts, strict=False)
    )
    return ast.FactorDecl(
        ast.Name(factor.name),
        parents,
        ast.Arrow(_MARKS[factor.mark]),
        _end(factor.target, shifts[-1], "each" if factor.each else None),
        _how(factor.how) if factor.how else None,
        _options(factor, y),
    )


_MARKS: dict[str, ast.ArrowMark] = {"->": "->", "-->": "-->", "=>": "=>", "==>": "==>", "~>": "~>", "~~>": "~~>"}


def _end(variable: str, shift: int | None, part: str | None) -> ast.End:
    name, index = _split(variable)
    return ast.End(name, ast.Index("t", shift) if shift is not None else index, ast.Name(part) if part else None)


def _options(factor: Factor, y: Variable | None) -> tuple[ast.Option, ...]:
    found = [ast.Option(ast.Name(word)) for word in ("perfect", "fixed") if getattr(factor, word)]
    for word in ("temperature", "weight", "beta"):
        if getattr(factor, word) != 1:
            found.append(ast.Option(ast.Name(word), (_number(getattr(factor, word)),)))
    if factor.when is not None and y is not None:
        found.append(ast.Option(ast.Name("when"), (_word(y.name), _word(y.type.values[factor.when]))))
    if gradient := factor.gradient:
        args = (_number(gradient.temperature),) if gradient.name == "gumbel" else ()
        found.append(ast.Option(ast.Name("gradient"), (_call(gradient.name, args),)))
    if (divergence := factor.divergence).name != "nonsaturating":
        penalty = ((ast.Name("penalty"), _number(divergence.penalty)),) if divergence.name == "wasserstein" else ()
        found.append(ast.Option(ast.Name("divergence"), (_call(divergence.name, (), penalty),)))
    return tuple(found)


# --- training settings -----------------------------------------------------------------------------------------


def _settings(train: Train) -> tuple[ast.Setting, ...]:
    found: list[tuple[str, ast.Arg]] = []
    match train.data:
        case None:
            pass
        case str(source):
            found.append(("data", ast.Text(source)))
        case sources:
            found.append(("data", _call("sets", (), tuple((ast.Name(name), ast.Text(s)) for name, s in sources))))
    found += [(word, _number(value)) for word in ("batch", "epochs") if (value := getattr(train, word)) is not None]
    found += [(group, _optimizer(rule)) for group, rule in train.optimizers]
    return tuple(ast.Setting((ast.Name(name),), value) for name, value in found)


def _optimizer(rule: Rule) -> ast.Call:
    numbers = (rule.rate, *rule.betas) if rule.name == "adam" else (rule.rate,)
    options = tuple((ast.Name(name), _value(value)) for name, value in rule.options)
    return _call(rule.name, tuple(map(_number, numbers)), options)

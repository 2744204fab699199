"""The moves that take things away and give them other names: `without` and `rename`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from schematic.core.diagnostics import Diagnostic, SchematicError, error
from schematic.core.names import RESERVED
from schematic.graph.applying import HERE, At, has, on_terms, refuse, replaced
from schematic.graph.blocks import attribute_clashes
from schematic.graph.factors import name_problem
from schematic.graph.model import AnyModel, Factor, Model, Optimizer, Sum
from schematic.graph.words import BUILT_IN, SETTINGS, unknown_at


def without(model: AnyModel, name: str, *, at: At = HERE) -> AnyModel:
    """Removes a factor, or a variable that no factor mentions."""
    return on_terms(model, at, lambda m: _without(m, name, at), lambda m: has(m, name))


def _without(model: Model, name: str, at: At) -> Model:
    if any(f.name == name for f in model.factors):
        return replace(model, factors=tuple(f for f in model.factors if f.name != name))
    variable = next((v for v in model.variables if v.name == name), None)
    if variable is None:
        known = [*(f.name for f in model.factors), *(v.name for v in model.variables)]
        words = f"{model.name or 'the model'} has no factor or variable `{name}`"
        raise SchematicError((unknown_at("SG301", at.arg(0), name, words, known, listed="there are"),))
    users = [f.name for f in model.factors if name in _mentions(f, model)]
    users += [v.name for v in model.variables if v.data and v.data.given == name]
    if users:
        words = f"`{name}` is used by {', '.join(f'`{u}`' for u in users)}"
        refuse(error("SG307", at.arg(0), words, f"`without {users[0]}` first"))
    return replace(model, variables=tuple(v for v in model.variables if v.name != name))


def _mentions(factor: Factor, model: Model) -> set[str]:
    y = model.indicator
    used = {n.partition("[")[0] for n in (*factor.parents, factor.target)} | {*factor.parents, factor.target}
    return used | ({y.name} if y is not None and factor.when is not None else set())


def rename(model: AnyModel, a: str, b: str, *, at: At = HERE) -> AnyModel:
    """Renames a variable, a factor or a group; the new name must be new."""

    def touches(m: Model) -> bool:
        return has(m, a) or a in m.groups

    renamed = on_terms(model, at, lambda m: _rename(m, a, b, at), touches)
    if isinstance(renamed, Sum) and any(a == g for g, _ in renamed.train.optimizers):
        renamed = replace(
            renamed, train=replace(renamed.train, optimizers=_moved_settings(renamed.train.optimizers, a, b))
        )
    return renamed


def _rename(model: Model, a: str, b: str, at: At) -> Model:
    variables = {v.name for v in model.variables}
    if a in variables:
        refuse(*_new_name_problems(b, variables, at))
        return _rename_variable(model, a, b)
    if any(f.name == a for f in model.factors):
        return _rename_factor(model, a, b, at)
    if a in model.groups:
        return _rename_group(model, a, b, at)
    known = [*variables, *(f.name for f in model.factors), *model.groups]
    words = f"{model.name or 'the model'} has no variable, factor or group `{a}`"
    raise SchematicError((unknown_at("SG301", at.arg(0), a, words, known, listed="there are"),))


def _new_name_problems(name: str, taken: Iterable[str], at: At) -> Iterable[Diagnostic]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name or name in RESERVED or name in BUILT_IN:
        yield error(
            "SG306", at.arg(1), f"`{name}` cannot be a name here", "letters, digits and `_`, no word of the language"
        )
    elif name in taken:
        yield error("SG306", at.arg(1), f"`{name}` is in the model already; the new name must be new")


def _rename_variable(model: Model, a: str, b: str) -> Model:
    def new(name: str) -> str:
        stem, bracket, index = name.partition("[")
        return (b if stem == a else stem) + bracket + index

    variables = tuple(
        replace(
            v,
            name=new(v.name),
            data=replace(v.data, given=new(v.data.given)) if v.data is not None and v.data.given else v.data,
        )
        for v in model.variables
    )
    factors = tuple(replace(f, parents=tuple(map(new, f.parents)), target=new(f.target)) for f in model.factors)
    joined = frozenset((new(p), new(v)) for p, v in model.joined)
    return replace(model, variables=variables, factors=factors, joined=joined)


def _rename_factor(model: Model, a: str, b: str, at: At) -> Model:
    problem = name_problem(b, at.arg(1), "SG306")
    refuse(*((problem,) if problem else ()))
    if any(f.name == b for f in model.factors):
        refuse(error("SG306", at.arg(1), f"`{b}` is in the model already; the new name must be new"))
    renamed = replaced(model, a, replace(model.factor(a), name=b))
    refuse(*(replace(d, span=at.arg(1)) for d in attribute_clashes(renamed.factors, renamed.nets)))
    old, new = model.factor(a).group, renamed.factor(b).group
    gone, added = old not in renamed.groups, new not in model.groups
    return _regrouped(renamed, old, new) if old != new and gone and added else renamed


def _rename_group(model: Model, a: str, b: str, at: At) -> Model:
    taken = (*model.groups, *SETTINGS)
    refuse(*_new_name_problems(b, taken, at))
    factors = tuple(
        replace(f, name=f"{f.letter}_{b}{f.name[2 + len(a) :]}") if f.group == a else f for f in model.factors
    )
    renamed = replace(model, factors=factors)
    refuse(*(replace(d, span=at.arg(1)) for d in attribute_clashes(renamed.factors, renamed.nets)))
    return _regrouped(renamed, a, b)


def _regrouped(model: Model, a: str, b: str) -> Model:
    """The nets and training settings of group a as those of group b."""
    nets = tuple(replace(n, groups=tuple(b if g == a else g for g in n.groups)) for n in model.nets)
    optimizers = _moved_settings(model.train.optimizers, a, b)
    return replace(model, nets=nets, train=replace(model.train, optimizers=optimizers))


def _moved_settings(settings: tuple[tuple[str, Optimizer], ...], a: str, b: str) -> tuple[tuple[str, Optimizer], ...]:
    return tuple((b if g == a else g, value) for g, value in settings)

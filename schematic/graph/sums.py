"""Sums of models: what their terms share. Factors of several terms are one conditional if group, parents but for the
indicator, and target agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from schematic.core.diagnostics import Diagnostic, SchematicError, error
from schematic.core.source import NOWHERE, Span
from schematic.graph.blocks import attribute_clashes
from schematic.graph.checks import type_words
from schematic.graph.defaults import Resolved, resolve
from schematic.graph.model import Factor, Model, NetDeclaration, Variable
from schematic.graph.networks import declared_misfits, net_words, owner_problems

Terms = tuple[tuple[float, Model], ...]
Key = tuple[object, ...]


@dataclass
class _Shared:
    """What the terms read so far declare."""

    variables: dict[str, tuple[Variable, str]] = field(default_factory=dict)
    nets: dict[str, NetDeclaration] = field(default_factory=dict)
    conditionals: dict[Key, list[tuple[Factor, Resolved]]] = field(default_factory=dict)
    names: dict[str, Factor] = field(default_factory=dict)


def add_terms(terms: Terms, span: Span = NOWHERE) -> Terms:
    """The terms with the names under which they share; a term whose own name is not alone has none.

    Raises SchematicError where they do not go together.
    """
    shared = _Shared()
    problems: list[Diagnostic] = []
    result = []
    for number, (weight, model) in enumerate(terms, 1):
        label = model.name or f"term {number}"
        problems += _variable_problems(shared, model, label, span)
        problems += _net_problems(shared, model, span)
        result.append((weight, _named(shared, model, span, problems)))
    models = [model for _, model in result]
    if not problems:
        problems += [error("SG303", span, m.words, "give each its own network") for m in declared_misfits(*models)]
        problems += owner_problems(*models)
        named = {f.name: f for m in models for f in m.factors}.values()
        problems += [replace(d, span=span) for d in attribute_clashes(named)]
    if problems:
        raise SchematicError(tuple(dict.fromkeys(problems)))
    names = [model.name for _, model in result]
    return tuple((c, m if names.count(m.name) == 1 else replace(m, name="")) for c, m in result)


def _variable_problems(shared: _Shared, model: Model, label: str, span: Span) -> Iterator[Diagnostic]:
    for variable in model.variables:
        first, home = shared.variables.setdefault(variable.name, (variable, label))
        what = ""
        if (first.type, first.index) != (variable.type, variable.index):
            what = f"is {type_words(first.type)} in {home} and {type_words(variable.type)} in {label}"
        elif first.data is not None and variable.data is not None and first.data != variable.data:
            what = f"has other data in {home} than in {label}"
        elif first.prior is not None and variable.prior is not None and first.prior != variable.prior:
            what = f"has another prior in {home} than in {label}"
        if what:
            yield error("SG303", span, f"`{variable.name}` {what}; a sum needs one declaration")


def _net_problems(shared: _Shared, model: Model, span: Span) -> Iterator[Diagnostic]:
    for net in model.nets:
        first = shared.nets.setdefault(net.name, net)
        if first != net:
            words = f"`net {net.name}` is declared in two ways, {net_words(first.net)} and {net_words(net.net)}"
            yield error("SG303", span, f"{words}; a sum needs one declaration")


def _named(shared: _Shared, model: Model, span: Span, problems: list[Diagnostic]) -> Model:
    """The term with its factors under the names of the sum."""
    y = model.indicator
    before = {key: list(known) for key, known in shared.conditionals.items()}
    factors = []
    for factor in model.factors:
        sources = tuple(p for p in factor.parents if y is None or p != y.name)
        ends = frozenset(zip(factor.parents, factor.shifts or (None,) * len(factor.parents), strict=False))
        key = (factor.group, frozenset((p, t) for p, t in ends if p in sources), factor.target, factor.each)
        here = resolve(model, factor)
        if twin := _twin(factor, before.get(key, [])):
            first, there = twin
            if (here.family, here.options, here.net) != (there.family, there.options, there.net):
                words = f"`{factor.name}` has two right sides, {_how_words(there)} and {_how_words(here)}"
                problems.append(error("SG303", span, f"{words}; they are one conditional", "give both the same"))
            factors.append(replace(factor, name=first.name, parents=_in_order(factor, first, y)))
            continue
        renamed = replace(factor, name=_free_name(shared, factor, sources))
        others = shared.names.keys() | {f.name for f in model.factors if f is not factor}
        if renamed.name in others and renamed.name != factor.name:
            words = f"`{factor.name}` of both terms stands on other ends, and `{renamed.name}` is taken"
            problems.append(error("SG303", span, words, f"`rename` one `{factor.name}`"))
        shared.names.setdefault(renamed.name, factor)
        shared.conditionals.setdefault(key, []).append((renamed, here))
        factors.append(renamed)
    return replace(model, factors=tuple(factors))


def _twin(factor: Factor, known: list[tuple[Factor, Resolved]]) -> tuple[Factor, Resolved] | None:
    """The conditional of an earlier term that this factor is, each taken once: the one of its name, else the first."""
    if not known:
        return None
    named = [i for i, (other, _) in enumerate(known) if other.name == factor.name]
    return known.pop(named[0] if named else 0)


def _how_words(how: Resolved) -> str:
    options = "".join(f", {name}: {value:g}" for name, value in how.options)
    return f"{how.family}({net_words(how.net)}{options})"


def _free_name(shared: _Shared, factor: Factor, sources: tuple[str, ...]) -> str:
    """The factor's name, or, if another conditional has it, one suffixed by the target, else by the sources."""
    holder = shared.names.get(factor.name)
    if holder is None:
        return factor.name
    suffix = factor.target if factor.target != holder.target else "_".join(sources) or "prior"
    return f"{factor.name.partition('.')[0]}.{suffix.replace('[', '_').replace(']', '')}"


def _in_order(factor: Factor, first: Factor, y: Variable | None) -> tuple[str, ...]:
    """The parents in the order of the conditional, in which its module is called."""
    own, drawn = (tuple(p for p in f.parents if y is None or p != y.name) for f in (factor, first))
    if factor.shifts or own == drawn:
        return factor.parents
    place = {p: i for i, p in enumerate(first.parents)}
    last = len(place)
    return tuple(sorted(factor.parents, key=lambda p: last if y is not None and p == y.name else place.get(p, last)))

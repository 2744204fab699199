"""A user's graph on finite variables: the same arrows, on which every expectation is a sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from schematic.calculus.tables import UNITS, Table, Tables, softmax, units
from schematic.calculus.terms import mask, masked
from schematic.compiler.estimators import ENUMERABLE, values
from schematic.graph.model import AnyModel, Factor, Gradient, Model, Prior, Type, Variable


def finite(model: Model, sizes: Mapping[str, int], arrays: frozenset[str] | None = None) -> Model:
    """The model with every variable but the indicator a category of `sizes[name]` classes, and table networks; what
    has units to be predicted, in this model or in the whole of a sum (`arrays`), is an array of that many values.

    Arrows, options, guards, groups and which variables are given stay; families and networks follow the types. What
    is drawn k times for an importance-weighted bound is so still, twice; importance weights of samples are a surrogate
    but for one draw, which is what is left (`surrogate` says what the program has). A gradient penalty has no finite
    form and goes.
    """
    return replace(
        model,
        variables=tuple(_variable(v, sizes, v.name in (arrays or with_units(model))) for v in model.variables),
        factors=tuple(_factor(model, f) for f in model.factors),
        nets=(),
        importance=1 if weighs_samples(model) else model.importance and min(model.importance, DRAWS),
    )


DRAWS = 2  # of an importance-weighted bound


def weighs_samples(model: Model) -> bool:
    """`importance` weighs the samples of an adversary on the generative side."""
    return model.importance is not None and any(f.process == "generative" for f in model.factors if f.adversarial)


def surrogate(small: Model, model: Model) -> Model:
    """A finite model with the importance weights of the user's: of the batch, or of two draws."""
    return replace(small, importance=min(model.importance or 0, DRAWS)) if weighs_samples(model) else small


def with_units(model: Model) -> frozenset[str]:
    """The variables of which every unit is predicted from the others."""
    return frozenset(f.target for f in model.factors if f.each)


def _variable(v: Variable, sizes: Mapping[str, int], array: bool) -> Variable:
    if v.type.kind == "domain":
        return v
    prior = Prior("Categorical") if v.prior else None
    number, classes = units(sizes[v.name]) if array else (0, sizes[v.name])
    return replace(v, type=Type("category", (number,) if array else (), classes), prior=prior)


def _factor(model: Model, f: Factor) -> Factor:
    drawn = model.importance is not None and f.process == "inference" and not f.implicit and not f.adversarial
    many = f.gradient is not None or not 0 < values(model.variable(f.target).type) <= ENUMERABLE
    gradient = Gradient("reinforce") if drawn and many else None
    return replace(f, how=None, gradient=gradient, divergence=replace(f.divergence, penalty=0.0))


def union(model: AnyModel) -> Model:
    """The model itself; of a sum one that has all variables and factors of its terms, to look them up."""
    if isinstance(model, Model):
        return model
    variables: dict[str, Variable] = {}
    for v in (v for _, m in model.terms for v in m.variables):
        one = variables.get(v.name, v)
        variables[v.name] = replace(one, data=one.data or v.data, prior=one.prior or v.prior)
    factors = {f.name: f for _, m in model.terms for f in m.factors}
    return Model(model.name, tuple(variables.values()), tuple(factors.values()))


def kinds_kept(model: Model, sizes: Mapping[str, int], arrays: frozenset[str] | None = None) -> Model:
    """A finite model whose variables in [0, 1] and whose bits stay what they are, one number each, or one a unit."""
    small = finite(model, sizes, arrays)
    kept = (_kept(v, w.type.shape) or w for v, w in zip(model.variables, small.variables, strict=True))
    return replace(small, variables=tuple(kept))


def _kept(v: Variable, shape: tuple[int, ...]) -> Variable | None:
    bounded = v.type.kind == "unit" and v.prior is None
    return replace(v, type=Type(v.type.kind, shape)) if bounded or v.type.kind == "binary" else None


def count(type_: Type) -> int:
    """The values that a variable of a finite model takes; two points of [0, 1] stand for all of it."""
    return len(type_.values) or int((type_.size or 2) ** prod(type_.shape))


def random_sizes(model: Model, rng: np.random.Generator, most: int = 3) -> dict[str, int]:
    """Two to `most` values a variable, of one with units any number that can be read so; the indicator has its
    domains."""
    arrays = with_units(model)
    found = {v.name: len(v.type.values) or int(rng.integers(2, most + 1)) for v in model.variables}
    return tied(model, {n: int(rng.choice([*UNITS])) if n in arrays else size for n, size in found.items()})


def tied(model: Model, sizes: dict[str, int]) -> dict[str, int]:
    """Variables of one data field have its values."""
    return {v.name: sizes[same_field(model, v)] for v in model.variables}


def same_field(model: Model, v: Variable) -> str:
    """The first variable that takes the same data field, itself if it is the first."""
    return next((w.name for w in model.variables if v.data is not None and w.data == v.data), v.name)


def random_tables(model: Model, sizes: Mapping[str, int], rng: np.random.Generator, scale: float = 1.0) -> Tables:
    """A random finite model: a table for each factor, prior and record set (softmax of normal logits).

    Variables of one data set share one joint table, with whether those are observed that are so for some records only;
    a set that holds a field chosen by the domain has one a domain.
    """

    def table(given: tuple[str, ...], targets: tuple[str, ...]) -> Table:
        rows, columns = (tuple(2 if masked(v) else sizes[v] for v in names) for names in (given, targets))
        flat = softmax(rng.normal(0.0, scale, (*rows, int(np.prod(columns)))))
        return Table(given, targets, flat.reshape(*rows, *columns))

    def predicted(f: Factor) -> Table:
        rows = rng.normal(0.0, scale, (sizes[f.target], *units(sizes[f.target])))
        return Table(f.parents, (f.target,), softmax(rows))

    factors = {f.name: predicted(f) if f.each else table(f.parents, (f.target,)) for f in model.factors}
    priors = {v.name: table((), (v.name,)).array for v in model.variables if v.prior}
    def record(given: tuple[str, ...], targets: tuple[str, ...]) -> Table:
        firsts = [v if masked(v) else same_field(model, model.variable(v)) for v in targets]
        fields = tuple(dict.fromkeys(firsts))
        values = table(given, fields).array
        array = np.zeros((*values.shape[: len(given)], *(2 if masked(v) else sizes[v] for v in targets)))
        for place in np.ndindex(*values.shape[len(given) :]):
            array[(..., *(place[fields.index(v)] for v in firsts))] = values[(..., *place)]
        return Table(given, targets, array)

    records = tuple(record(given, targets) for given, targets in record_sets(model))
    return Tables(factors, priors, records)


def record_sets(model: Model) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(the indicator or nothing, the variables, the masks of partial ones) of each independent record; fields chosen by
    the domain join the sets that they are chosen from."""
    joined: list[tuple[set[str], list[str], bool]] = []
    for v in (v for v in model.variables if v.data is not None):
        assert v.data is not None
        homes, names, chosen = set(v.data.sets), [v.name], v.data.given is not None
        for other in [j for j in joined if j[0] & homes]:
            joined.remove(other)
            homes, names, chosen = homes | other[0], [*other[1], *names], chosen or other[2]
        joined.append((homes, names, chosen))
    y = model.indicator.name if model.indicator else ""
    masks = {v.name: (mask(v.name),) for v in model.variables if v.partial}
    found = [(chosen, (*names, *(m for n in names for m in masks.get(n, ())))) for _, names, chosen in joined]
    return [((y,) if chosen else (), names) for chosen, names in found]


def uniform_priors(tables: Tables) -> Tables:
    """The same with the priors that a category can be declared with."""
    return replace(tables, priors={name: np.full(p.shape, 1 / p.size) for name, p in tables.priors.items()})

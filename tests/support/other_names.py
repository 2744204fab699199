"""The same model under other names, in another order: by the algebra's own `rename`."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TypeVar

from schematic.graph import algebra
from schematic.graph.model import AnyModel, Model, Sum

T = TypeVar("T")


def renamed(model: AnyModel, rng: Random) -> AnyModel:
    """New names for variables, groups and factors; variables, factors and parents shuffled; networks left out."""
    terms = [m for _, m in model.terms] if isinstance(model, Sum) else [model]
    taken = {v.name for m in terms for v in m.variables} | {g for m in terms for g in m.groups}
    fresh = [f"n{i}" for i in range(100) if f"n{i}" not in taken]
    rng.shuffle(fresh)
    new = plain(model)
    for name in dict.fromkeys(v.name.partition("[")[0] for m in terms for v in m.variables):
        new = algebra.rename(new, name, fresh.pop())
    for group in dict.fromkeys(g for m in terms for g in m.groups):
        new = algebra.rename(new, group, fresh.pop())
    if isinstance(new, Model):
        for f in new.factors:
            new = algebra.rename(new, f.name, f"{rng.choice('pq')}_{f.group}.{fresh.pop()}")
        return shuffled(new, rng)
    return replace(new, terms=tuple((c, shuffled(m, rng)) for c, m in new.terms))


def plain(model: AnyModel) -> AnyModel:
    """Without networks, which may be declared for a group or not fit other ends."""
    if isinstance(model, Sum):
        return replace(model, terms=tuple((c, plain_term(m)) for c, m in model.terms))
    return plain_term(model)


def plain_term(model: Model) -> Model:
    return replace(model, nets=(), factors=tuple(replace(f, how=None) for f in model.factors))


def shuffled(model: Model, rng: Random) -> Model:
    factors = (f if f.shifts else replace(f, parents=some_order(f.parents, rng)) for f in model.factors)
    return replace(model, variables=some_order(model.variables, rng), factors=some_order(tuple(factors), rng))


def some_order(items: tuple[T, ...], rng: Random) -> tuple[T, ...]:
    return tuple(rng.sample(items, len(items)))

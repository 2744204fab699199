"""Finite models: a table for every density, given or random, and where a density finds its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

import numpy as np

from schematic.calculus.named import Array, Named, combined, summed, taken
from schematic.calculus.terms import Density, Term, densities, masked
from schematic.calculus.text import density_text

BATCH = ""  # the name of the axis of models, which no variable can have


@dataclass(frozen=True)
class Table:
    """A conditional distribution. Axes: a batch or none, the given variables, the targets, which sum to one."""

    given: tuple[str, ...]
    targets: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class Tables:
    """A finite model.

    factors: by name; `given` are the parents in the file's order, the indicator among them. Of `z.rest ~> z.each` the
        axes are (values of z, units, classes): what is said of each unit of a value; the unit itself is not looked at.
    priors: one a variable, axes (size,) after the batch.
    records: the joint of the empirical variables of each data set; `given` is the indicator where fields differ by it.
    """

    factors: Mapping[str, Table]
    priors: Mapping[str, Array] = field(default_factory=dict)
    records: tuple[Table, ...] = ()

    def updated(self, factor: str, array: Array) -> Tables:
        """The same model with other numbers in one factor."""
        table = replace(self.factors[factor], array=array)
        return replace(self, factors={**self.factors, factor: table})


def softmax(logits: Array) -> Array:
    """A conditional table from logits, the target's axis last; complex ones too."""
    weights = np.exp(logits - logits.real.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def domain_sizes(found: Iterable[Density]) -> dict[str, int]:
    """The variables that index domains, with their number: drawn by an indicator or a blue factor, or at a value; masks
    among them."""
    sizes: dict[str, int] = {}
    for d in found:
        labels = d.kind in ("indicator", "blue") and not d.each
        own = d.targets if labels else d.given[-1:] if d.kind == "cases" else ()
        origin = d.given[-1:] if d.perfect else ()
        sizes |= dict.fromkeys((*own, *origin, *(v for v, _ in d.values)), d.domains)
        sizes |= {t: 2 for t in d.targets if masked(t)}
    return sizes


UNITS = {4: (2, 2), 8: (3, 2), 9: (2, 3)}


def units(size: int) -> tuple[int, int]:
    """How so many values are read where a variable has units, (units, classes of each): one unit, if need be."""
    return UNITS.get(size, (1, size))


# --- random models --------------------------------------------------------------------------------------------


def random_tables(
    terms: Iterable[Term], sizes: Mapping[str, int], rng: np.random.Generator, *, scale: float = 1.0, batch: int = 0
) -> Tables:
    """Random tables for everything that terms mention: softmax of normal logits with standard deviation `scale`.

    sizes: of each finite variable; a variable that is not listed has its density's number of domains.
    batch: that many models at once, on a leading axis.
    """
    found = [d for term in terms for d in densities(term)]
    lead = (batch,) if batch else ()
    domains = domain_sizes(found)

    def table(given: tuple[str, ...], targets: tuple[str, ...]) -> Table:
        rows, columns = (tuple(sizes.get(v) or domains[v] for v in names) for names in (given, targets))
        flat = rng.normal(0.0, scale, (*lead, *rows, int(np.prod(columns))))
        return Table(given, targets, softmax(flat).reshape(*lead, *rows, *columns))

    factors: dict[str, Table] = {}
    for d in found:
        hidden = tuple(v for v, _ in d.values if not d.mentions(v))
        given = (*d.given, *hidden)
        if d.each and d.factor:
            size = sizes[d.target]
            rows = rng.normal(0.0, scale, (*lead, size, *units(size)))
            factors[d.factor] = Table(d.given, d.targets, softmax(rows))
        elif d.kind in ("explicit", "implicit", "blue") and d.factor and not d.perfect:
            known = factors.get(d.factor)
            if known is None or len(known.given) < len(given):
                factors[d.factor] = table(given, d.targets)
    priors = {d.target: table((), d.targets).array for d in found if d.kind == "prior"}
    return Tables(factors, priors, tuple(table(*names) for names in _record_sets(found)))


def _record_sets(found: Iterable[Density]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Per data set the indicator, where its fields differ by domain, and the variables that are ever drawn together."""
    sets: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for d in (d for d in found if d.kind == "data"):
        given = d.given or tuple(v for v, _ in d.values)
        joined = d.targets
        for other in [s for s in sets if s[0] == given and set(s[1]) & set(joined)]:
            sets.remove(other)
            joined = tuple(dict.fromkeys((*other[1], *joined)))
        sets.append((given, joined))
    return sets


# --- the numbers of a density ---------------------------------------------------------------------------------


def numbers(d: Density, tables: Tables) -> Named:
    """The numbers of a density on all of its variables. Axes: the batch, the given variables, the targets."""
    match d.kind:
        case "indicator" if (value := d.value(d.target)) is not None and masked(d.target):
            return Named(d.targets, np.eye(3)[value])
        case "indicator":
            return Named(d.targets, np.full(d.domains, 1 / d.domains))
        case "prior":
            return _axes(d, tables.priors.get(d.target), d.targets)
        case "data":
            return _empirical(d, tables.records)
        case "blue":
            return _each(d, tables) if d.each else _blue(d, tables)
        case "explicit" | "implicit":
            return _conditional(d, tables)
        case "cases" | "mixture":
            raise ValueError(f"{density_text(d)} has no table of its own")
        case _:
            assert_never(d.kind)


def _axes(d: Density, array: Array | None, names: tuple[str, ...]) -> Named:
    if array is None:
        raise ValueError(f"{density_text(d)}: no table for it")
    if array.ndim - len(names) not in (0, 1):
        raise ValueError(f"{density_text(d)}: its table has {array.ndim} axes, not ({', '.join(names)})")
    return Named((BATCH, *names) if array.ndim > len(names) else names, array)


def _conditional(d: Density, tables: Tables) -> Named:
    """The factor's table: by name where the density writes the file's variables, else (a copy of one) by position."""
    table = tables.factors.get(d.factor or "")
    if table is None:
        raise ValueError(f"{density_text(d)}: no table for it")
    mine, theirs = (*d.given, *d.targets), (*table.given, *table.targets)
    values = dict(d.values)
    if len(mine) == len(theirs) and set(mine) != set(theirs):
        return _axes(d, table.array, mine)
    if set(mine) - set(theirs) or set(theirs) - set(mine) - set(values):
        raise ValueError(f"{density_text(d)}: its table is over {', '.join(theirs)}")
    found = _axes(d, table.array, theirs)
    return taken(found, {v: values[v] for v in theirs if v not in mine})


def _blue(d: Density, tables: Tables) -> Named:
    """b, its reverse b^r ((1 - b)/(K - 1) for K domains), with the temperature dividing the logit before."""
    found = Named((d.given[-1], *d.targets), np.eye(d.domains)) if d.perfect else _conditional(d, tables)
    table = found.array
    if d.temperature != 1.0:
        powers = table ** (1 / d.temperature)
        table = powers / powers.sum(axis=-1, keepdims=True)
    if d.reverse:
        size = table.shape[-1]
        table = table[..., ::-1] if size == 2 else (1 - table) / (size - 1)
    return Named(found.axes, table)


def _each(d: Density, tables: Tables) -> Named:
    """prod_i b(z_i | z_-i), or of b^r, for every value of z, the first unit varying slowest: axes (batch, z)."""
    table = tables.factors.get(d.factor or "")
    if table is None:
        raise ValueError(f"{density_text(d)}: no table for it")
    units, classes = table.array.shape[-2:]
    value = np.indices((classes,) * units).reshape(units, -1).T
    found = np.ones(())
    for i in range(units):
        others = value.copy()
        others[:, i] = 0
        rows = table.array[..., np.ravel_multi_index(tuple(others.T), (classes,) * units), i, :]
        powers = rows ** (1 / d.temperature)
        own = (powers / powers.sum(axis=-1, keepdims=True))[..., np.arange(len(value)), value[:, i]]
        found = found * ((1 - own) / (classes - 1) if d.reverse else own)
    return Named((BATCH, *d.targets) if table.array.ndim > 3 else d.targets, found)


def _empirical(d: Density, records: tuple[Table, ...]) -> Named:
    """p_data of some variables: those of one set from one record, those of different sets independently."""
    given = d.given or tuple(v for v, _ in d.values)
    sets = [r for r in records if set(r.targets) & set(d.targets) and len(r.given) == len(given)]
    sets = sets or [r for r in records if set(r.targets) & set(d.targets) and not r.given]
    if not set(d.targets) <= {v for r in sets for v in r.targets}:
        raise ValueError(f"{density_text(d)}: no records for it")
    parts = [
        summed(_axes(d, r.array, (*given[: len(r.given)], *r.targets)), set(r.targets) - set(d.targets)) for r in sets
    ]
    return combined(lambda *a: np.prod(np.broadcast_arrays(*a), axis=0), *parts)

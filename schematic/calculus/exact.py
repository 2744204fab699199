"""The oracle: exact values and gradients of terms on finite tables (numpy alone).

A hollow density is read as the categorical of its parents. Every table may have one leading axis more than its
density has variables: a batch of models, evaluated at once; the value then has that axis. Complex tables work
everywhere, which is how gradients are taken: by complex step, exact to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from schematic.calculus.terms import KL, Add, Density, Expect, Log, Mass, Scale, Term, Where, densities
from schematic.calculus.text import density_text, text

Array: TypeAlias = NDArray[Any]
Value: TypeAlias = Any  # float or complex; an array (batch,) when a table has a batch axis
Place: TypeAlias = Mapping[str, int]  # the domain variables that stand at a value

BATCH = ""  # the name of the axis of models, which no variable can have
STEP = 1e-30


@dataclass(frozen=True)
class Table:
    """A conditional distribution. Axes: a batch or none, the given variables, the targets, which sum to one."""

    given: tuple[str, ...]
    targets: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class Tables:
    """A finite model.

    factors: by name; `given` are the parents in the file's order, the indicator among them.
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


# --- what a caller asks -------------------------------------------------------------------------------------


def evaluate(term: Term, tables: Tables, at0: Tables | None = None) -> Value:
    """The exact value of a closed term, in nats; with 0 log 0 = 0.

    Stopped densities, masses, draws from a blue density, and degenerate factors at their fixed value are read from
    `at0` (the tables at theta_0; the same numbers by default). A scored degenerate factor with a variable that no
    draw of its branch binds is a constant, and brings nothing.
    Raises: ValueError if a variable is not bound, or a table is missing or of the wrong shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _Evaluator(tables, at0 or tables, _domain_sizes(densities(term))).value(term, {}, frozenset())
    if set(found.axes) - {BATCH}:
        raise ValueError(f"{text(term)}: not a number, but a function of {', '.join(found.axes)}")
    return found.array if found.axes else found.array.item()


def distribution(density: Density, tables: Tables, at0: Tables | None = None) -> Array:
    """The table of a density. Axes: the batch, the given variables without a value, the targets without one."""
    evaluator = _Evaluator(tables, at0 or tables, _domain_sizes((density,)))
    found = evaluator.density(density, {})
    order = (BATCH, *(v for v in (*density.given, *density.targets) if density.value(v) is None))
    return _aligned(found, tuple(v for v in order if v in found.axes))


def gradient(term: Term, tables: Tables, factors: Iterable[str], at0: Tables | None = None) -> dict[str, Array]:
    """The exact gradient of a term with respect to the logits of factors (each a softmax over its target).

    What is stopped is held at `at0`, by default the tables themselves.
    """
    fixed = at0 or tables
    return gradient_of(lambda moved: evaluate(term, moved, fixed), tables, factors)


def gradient_of(function: Callable[[Tables], Value], tables: Tables, factors: Iterable[str]) -> dict[str, Array]:
    """The gradient of a function of tables with respect to the logits of factors, by complex step.

    The function is called once a factor, with a batch axis of one perturbed table a parameter.
    """
    found = {}
    for name in factors:
        table = tables.factors[name].array
        count = table.size
        turned = np.exp(1j * STEP * np.eye(count)).reshape(count, *table.shape)
        moved = table * turned
        moved = moved / moved.sum(axis=-1, keepdims=True)
        value = np.broadcast_to(np.asarray(function(tables.updated(name, moved))), (count,))
        found[name] = np.imag(value).reshape(table.shape) / STEP
    return found


def factors_of(term: Term, group: str) -> tuple[str, ...]:
    """The factors of a group that a term mentions, in reading order."""
    return tuple(dict.fromkeys(d.factor for d in densities(term) if d.group == group and d.factor))


def softmax(logits: Array) -> Array:
    """A conditional table from logits, the target's axis last; complex ones too."""
    weights = np.exp(logits - logits.real.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def random_tables(
    terms: Iterable[Term], sizes: Mapping[str, int], rng: np.random.Generator, *, scale: float = 1.0, batch: int = 0
) -> Tables:
    """Random tables for everything that terms mention: softmax of normal logits with standard deviation `scale`.

    sizes: of each finite variable; a variable that is not listed has its density's number of domains.
    batch: that many models at once, on a leading axis.
    """
    found = [d for term in terms for d in densities(term)]
    lead = (batch,) if batch else ()
    domains = _domain_sizes(found)

    def table(given: tuple[str, ...], targets: tuple[str, ...]) -> Table:
        rows, columns = (tuple(sizes.get(v) or domains[v] for v in names) for names in (given, targets))
        flat = rng.normal(0.0, scale, (*lead, *rows, int(np.prod(columns))))
        return Table(given, targets, softmax(flat).reshape(*lead, *rows, *columns))

    factors: dict[str, Table] = {}
    for d in found:
        hidden = tuple(v for v, _ in d.values if not d.mentions(v))
        given = (*d.given, *hidden)
        if d.kind in ("explicit", "implicit", "blue") and d.factor and not d.perfect:
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


# --- arrays with named axes ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Named:
    axes: tuple[str, ...]
    array: Array


_NOTHING = _Named((), np.zeros(()))


def _aligned(named: _Named, axes: tuple[str, ...]) -> Array:
    """The array with these axes in this order, of length 1 where it has none."""
    order = [named.axes.index(a) for a in axes if a in named.axes]
    new = tuple(slice(None) if a in named.axes else None for a in axes)
    return np.transpose(named.array, order)[new]


def _combined(operation: Callable[..., Array], *parts: _Named) -> _Named:
    axes = tuple(dict.fromkeys(a for p in parts for a in p.axes))
    return _Named(axes, operation(*(_aligned(p, axes) for p in parts)))


def _weighed(weight: Array, body: Array) -> Array:
    """weight * body, where what has no weight does not count: 0 log 0 = 0."""
    return np.where(weight == 0, 0.0, weight * body)


def _summed(named: _Named, variables: Iterable[str]) -> _Named:
    gone = tuple(i for i, a in enumerate(named.axes) if a in set(variables))
    return _Named(tuple(a for i, a in enumerate(named.axes) if i not in gone), named.array.sum(axis=gone))


def _at(named: _Named, place: Place) -> _Named:
    """The slice at the values of the variables that have one."""
    index = tuple(place.get(a, slice(None)) for a in named.axes)
    return _Named(tuple(a for a in named.axes if a not in place), named.array[index])


def _stacked(variable: str, parts: list[_Named]) -> _Named:
    """One function of a variable from its values."""
    axes = tuple(dict.fromkeys(a for p in parts for a in p.axes))
    arrays = np.broadcast_arrays(*(_aligned(p, axes) for p in parts))
    return _Named((variable, *axes), np.stack(arrays))


# --- the evaluator ------------------------------------------------------------------------------------------


def _domain_sizes(found: Iterable[Density]) -> dict[str, int]:
    """The variables that index domains, with their number: drawn by an indicator or a blue factor, or at a value."""
    sizes: dict[str, int] = {}
    for d in found:
        own = d.targets if d.kind in ("indicator", "blue") else d.given[-1:] if d.kind == "cases" else ()
        origin = d.given[-1:] if d.perfect else ()
        sizes |= dict.fromkeys((*own, *origin, *(v for v, _ in d.values)), d.domains)
    return sizes


@dataclass(frozen=True)
class _Evaluator:
    """`place`: values that variables stand at; `scope`: variables bound further out, each an axis."""

    tables: Tables
    at0: Tables
    domains: Mapping[str, int]

    def value(self, term: Term, place: Place, scope: frozenset[str]) -> _Named:
        match term:
            case Log(d):
                return self._scored((d,), place, scope, lambda p: _Named(p.axes, np.log(p.array)))
            case KL(left, right):
                return self._divergence(left, right, place, scope)
            case Expect(draws, body):
                return self._expectation(draws, body, place, scope)
            case Mass(d, body):
                self._check(d, place, scope)
                return _combined(_weighed, self.density(d, place, stopped=True), self.value(body, place, scope))
            case Scale(factor, body):
                if factor == 0:
                    return _NOTHING
                inner = self.value(body, place, scope)
                return _Named(inner.axes, float(factor) * inner.array)
            case Add(terms):
                return _combined(lambda *a: sum(a, np.zeros(())), *(self.value(t, place, scope) for t in terms))
            case Where():
                return self._guarded(term, place, scope)
            case _:
                assert_never(term)

    # scored densities

    def _scored(
        self, scored: tuple[Density, ...], place: Place, scope: frozenset[str], then: Callable[[_Named], _Named]
    ) -> _Named:
        unbound = any(self._free(d, place) - scope for d in scored)
        if unbound and self._degenerate(scored[0], place):
            return _NOTHING
        for d in scored:
            self._check(d, place, scope)
        return then(self.density(scored[0], place))

    def _divergence(self, left: Density, right: Density, place: Place, scope: frozenset[str]) -> _Named:
        inner = scope | set(left.targets)
        outer = {k: v for k, v in place.items() if k not in left.targets}

        def against(p: _Named) -> _Named:
            q = self.density(right, outer)
            terms = _combined(lambda a, b: _weighed(a, np.log(a) - np.log(b)), p, q)
            return _summed(terms, left.targets)

        return self._scored((left, right), outer, inner, against)

    # binders

    def _expectation(self, draws: tuple[Density, ...], body: Term, place: Place, scope: frozenset[str]) -> _Named:
        if not draws:
            return self.value(body, place, scope)
        first, rest = draws[0], draws[1:]
        if first.kind == "cases":
            return self._by_cases(first, rest, body, place, scope)
        self._check(replace(first, targets=()), place, scope)
        open_ = frozenset(t for t in first.targets if first.value(t) is None)
        held = {t: v for t in first.targets if (v := first.value(t)) is not None}
        after = {**{k: v for k, v in place.items() if k not in first.targets}, **held}
        inner = self._expectation(rest, body, after, (scope | open_) - set(held))
        # what is given reads the values further out, what is drawn its own
        around = {k: v for k, v in place.items() if k not in first.targets}
        probability = self.density(first, around, stopped=first.kind == "blue")
        return _summed(_combined(_weighed, probability, inner), open_)

    def _by_cases(
        self, d: Density, rest: tuple[Density, ...], body: Term, place: Place, scope: frozenset[str]
    ) -> _Named:
        """Domain by domain, with the draws that define the density there: they bind the code that it encapsulates."""
        variable = self._domain(d)
        fixed = {**place, **dict(d.values)}.get(variable)

        def case(value: int) -> _Named:
            return self._expectation((*d.cases[value], *rest), body, {**place, variable: value}, scope - {variable})

        if fixed is not None:
            return case(fixed)
        if variable not in scope:
            raise ValueError(f"{density_text(d)}: {variable} is not bound")
        return _stacked(variable, [case(value) for value in range(len(d.cases))])

    def _guarded(self, term: Where, place: Place, scope: frozenset[str]) -> _Named:
        if term.variable in place:
            return self.value(term.body, place, scope) if place[term.variable] in term.values else _NOTHING
        if term.variable not in scope:
            raise ValueError(f"{text(term)}: {term.variable} is not bound")
        inner = scope - {term.variable}
        parts = [
            self.value(term.body, {**place, term.variable: v}, inner) if v in term.values else _NOTHING
            for v in range(self.domains[term.variable])
        ]
        return _stacked(term.variable, parts)

    # densities

    def density(self, d: Density, place: Place, stopped: bool = False) -> _Named:
        """The density as a function of its variables, those at a value taken out."""
        here = {v: place[v] for v in (*d.given, *d.targets) if v in place} | dict(d.values)
        if d.kind == "cases":
            return self._marginal(d, here)
        if stopped or d.stopped or self._degenerate(d, place):
            return _at(_table(d, self.at0), here)
        found = _table(d, self.tables)
        if d.fixed_at is not None and (variable := self._domain(d)) in found.axes and variable not in here:
            found = self._partly_fixed(found, _table(d, self.at0), variable, d.fixed_at)
        return _at(found, here)

    @staticmethod
    def _partly_fixed(free: _Named, fixed: _Named, variable: str, value: int) -> _Named:
        """Degenerate at one value of its domain: there it holds the numbers of theta_0."""
        size = free.array.shape[free.axes.index(variable)]
        here = _Named((variable,), np.arange(size) == value)
        return _combined(lambda at, a, b: np.where(at, b, a), here, free, fixed)

    def _marginal(self, d: Density, here: Place) -> _Named:
        """p_theta(x | y) of Eq. 6: the product of its draws, summed over what they draw besides the targets."""
        variable = self._domain(d)

        def case(value: int) -> _Named:
            place = {**here, variable: value}
            parts = [self.density(e, {k: v for k, v in place.items() if k not in e.targets}) for e in d.cases[value]]
            hidden = {t for e in d.cases[value] for t in e.targets} - set(d.targets)
            return _summed(_combined(lambda *a: np.prod(np.broadcast_arrays(*a), axis=0), *parts), hidden)

        found = case(here[variable]) if variable in here else _stacked(variable, [case(v) for v in range(len(d.cases))])
        return _at(found, here)

    def _domain(self, d: Density) -> str:
        """The given domain variable of a density, BATCH where there is none."""
        if d.kind == "cases":
            return d.given[-1]
        given = (*(v for v, _ in d.values if v not in d.targets), *d.given)
        return next((v for v in given if v in self.domains), BATCH)

    def _degenerate(self, d: Density, place: Place) -> bool:
        return d.fixed_at is not None and {**place, **dict(d.values)}.get(self._domain(d)) == d.fixed_at

    @staticmethod
    def _free(d: Density, place: Place) -> set[str]:
        given = d.given[-1:] if d.perfect else d.given
        return {v for v in (*given, *d.targets) if v not in place and d.value(v) is None}

    def _check(self, d: Density, place: Place, scope: frozenset[str]) -> None:
        if unbound := self._free(d, place) - scope:
            raise ValueError(f"{density_text(d)}: {', '.join(sorted(unbound))} is not bound")


def _table(d: Density, tables: Tables) -> _Named:
    """The numbers of a density on all of its variables. Axes: the batch, the given variables, the targets."""
    match d.kind:
        case "indicator":
            return _Named(d.targets, np.full(d.domains, 1 / d.domains))
        case "prior":
            return _axes(d, tables.priors.get(d.target), d.targets)
        case "data":
            return _empirical(d, tables.records)
        case "blue":
            return _blue(d, tables)
        case "explicit" | "implicit":
            return _conditional(d, tables)
        case "cases":
            raise ValueError(f"{density_text(d)} has no table of its own")
        case _:
            assert_never(d.kind)


def _axes(d: Density, array: Array | None, names: tuple[str, ...]) -> _Named:
    if array is None:
        raise ValueError(f"{density_text(d)}: no table for it")
    if array.ndim - len(names) not in (0, 1):
        raise ValueError(f"{density_text(d)}: its table has {array.ndim} axes, not ({', '.join(names)})")
    return _Named((BATCH, *names) if array.ndim > len(names) else names, array)


def _conditional(d: Density, tables: Tables) -> _Named:
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
    return _at(found, {v: values[v] for v in theirs if v not in mine})


def _blue(d: Density, tables: Tables) -> _Named:
    """b, its reverse b^r ((1 - b)/(K - 1) for K domains), with the temperature dividing the logit before."""
    found = _Named((d.given[-1], *d.targets), np.eye(d.domains)) if d.perfect else _conditional(d, tables)
    table = found.array
    if d.temperature != 1.0:
        powers = table ** (1 / d.temperature)
        table = powers / powers.sum(axis=-1, keepdims=True)
    if d.reverse:
        size = table.shape[-1]
        table = table[..., ::-1] if size == 2 else (1 - table) / (size - 1)
    return _Named(found.axes, table)


def _empirical(d: Density, records: tuple[Table, ...]) -> _Named:
    """p_data of some variables: those of one set from one record, those of different sets independently."""
    given = d.given or tuple(v for v, _ in d.values)
    sets = [r for r in records if set(r.targets) & set(d.targets) and len(r.given) == len(given)]
    sets = sets or [r for r in records if set(r.targets) & set(d.targets) and not r.given]
    if not set(d.targets) <= {v for r in sets for v in r.targets}:
        raise ValueError(f"{density_text(d)}: no records for it")
    parts = [
        _summed(_axes(d, r.array, (*given[: len(r.given)], *r.targets)), set(r.targets) - set(d.targets)) for r in sets
    ]
    return _combined(lambda *a: np.prod(np.broadcast_arrays(*a), axis=0), *parts)

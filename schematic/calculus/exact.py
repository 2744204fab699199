"""The oracle: exact values and gradients of terms on finite tables (numpy alone).

A hollow density is read as the categorical of its parents. Every table may have one leading axis more than its
density has variables: a batch of models, evaluated at once; the value then has that axis. Complex tables work
everywhere, which is how gradients are taken: by complex step, exact to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias, assert_never

import numpy as np

from schematic.calculus.named import NOTHING, Array, Named, aligned, combined, stacked, summed, taken, weighed
from schematic.calculus.tables import BATCH, Table, Tables, domain_sizes, numbers, random_tables, softmax
from schematic.calculus.terms import (
    KL,
    Add,
    Critic,
    Density,
    Expect,
    Log,
    LogMean,
    Mass,
    Normalized,
    Scale,
    Term,
    Where,
    densities,
)
from schematic.calculus.text import density_text, text

__all__ = [
    "Table", "Tables", "distribution", "evaluate", "factors_of", "gradient", "gradient_of", "random_tables", "softmax",
]  # fmt: skip

Value: TypeAlias = Any  # float or complex; an array (batch,) when a table has a batch axis
Place: TypeAlias = Mapping[str, int]  # the domain variables that stand at a value

STEP = 1e-30


# --- what a caller asks -------------------------------------------------------------------------------------


def evaluate(term: Term, tables: Tables, at0: Tables | None = None) -> Value:
    """The exact value of a closed term, in nats; with 0 log 0 = 0.

    Stopped densities, masses, draws from a blue density, and degenerate factors at their fixed value are read from
    `at0` (the tables at theta_0; the same numbers by default). A scored degenerate factor with a variable that no
    draw of its branch binds is a constant, and brings nothing.
    Raises: ValueError if a variable is not bound, or a table is missing or of the wrong shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _Evaluator(tables, at0 or tables, domain_sizes(densities(term))).value(term, {}, frozenset())
    if set(found.axes) - {BATCH}:
        raise ValueError(f"{text(term)}: not a number, but a function of {', '.join(found.axes)}")
    return found.array if found.axes else found.array.item()


def distribution(density: Density, tables: Tables, at0: Tables | None = None) -> Array:
    """The table of a density. Axes: the batch, the given variables without a value, the targets without one."""
    evaluator = _Evaluator(tables, at0 or tables, domain_sizes((density,)))
    found = evaluator.density(density, {})
    order = (BATCH, *(v for v in (*density.given, *density.targets) if density.value(v) is None))
    return aligned(found, tuple(v for v in order if v in found.axes))


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
    return tuple(dict.fromkeys(d.factor for d in densities(term) if d.factor and group in (d.group or "").split(",")))


# --- the evaluator ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Evaluator:
    """`place`: values that variables stand at; `scope`: variables bound further out, each an axis."""

    tables: Tables
    at0: Tables
    domains: Mapping[str, int]

    def value(self, term: Term, place: Place, scope: frozenset[str]) -> Named:
        match term:
            case Log(d):
                return self._scored((d,), place, scope, lambda p: Named(p.axes, np.log(p.array)))
            case Critic(form, d):
                return self._criticism(form, d, place, scope)
            case KL(left, right):
                return self._divergence(left, right, place, scope)
            case Expect(draws, body):
                return self._expectation(draws, body, place, scope)
            case LogMean():
                return self._log_mean(term, place, scope)
            case Normalized(k, _, _, body):
                if k != 1:
                    raise ValueError(f"{text(term)}: normalized weights are a surrogate, exact for one draw alone")
                return self.value(body, place, scope)
            case Mass(d, body):
                self._check(d, place, scope)
                return combined(weighed, self.density(d, place, stopped=True), self.value(body, place, scope))
            case Scale(factor, body):
                if factor == 0:
                    return NOTHING
                inner = self.value(body, place, scope)
                return Named(inner.axes, float(factor) * inner.array)
            case Add(terms):
                return combined(lambda *a: sum(a, np.zeros(())), *(self.value(t, place, scope) for t in terms))
            case Where():
                return self._guarded(term, place, scope)
            case _:
                assert_never(term)

    # scored densities

    def _scored(
        self, scored: tuple[Density, ...], place: Place, scope: frozenset[str], then: Callable[[Named], Named]
    ) -> Named:
        unbound = any(self._free(d, place) - scope for d in scored)
        if unbound and self._degenerate(scored[0], place):
            return NOTHING
        for d in scored:
            self._check(d, place, scope)
        return then(self.density(scored[0], place))

    def _criticism(self, form: str, d: Density, place: Place, scope: frozenset[str]) -> Named:
        """A function of the logit f of b; in s = 2y - 1, y is the density's, turned round by its reverse."""
        if form == "slope":
            raise ValueError(f"{text(Critic('slope', d))}: a slope needs real variables")
        y, plain = d.target, replace(d, reverse=False, values=tuple(v for v in d.values if v[0] != d.target))
        self._check(replace(d, targets=()), place, scope)
        real, fake = (self.density(replace(plain, values=(*plain.values, (y, v))), place) for v in (1, 0))
        logit = combined(lambda a, b: np.log(a) - np.log(b), real, fake)
        forms = {0: self._formed(form, logit, int(d.reverse)), 1: self._formed(form, logit, 1 - int(d.reverse))}
        known = {**place, **dict(d.values)}.get(y)
        return stacked(y, [forms[0], forms[1]]) if known is None else forms[known]

    @staticmethod
    def _formed(form: str, logit: Named, y: int) -> Named:
        f, s = logit.array, 2 * y - 1
        if form == "hinge":
            return Named(logit.axes, np.where((s * f - 1).real < 0, s * f - 1, 0.0))
        return Named(logit.axes, s * f if form == "linear" else -((f - y) ** 2))

    def _divergence(self, left: Density, right: Density, place: Place, scope: frozenset[str]) -> Named:
        inner = scope | set(left.targets)
        outer = {k: v for k, v in place.items() if k not in left.targets}

        def against(p: Named) -> Named:
            q = self.density(right, outer)
            terms = combined(lambda a, b: weighed(a, np.log(a) - np.log(b)), p, q)
            return summed(terms, left.targets)

        return self._scored((left, right), outer, inner, against)

    # binders

    def _expectation(self, draws: tuple[Density, ...], body: Term, place: Place, scope: frozenset[str]) -> Named:
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
        return summed(combined(weighed, probability, inner), open_)

    def _log_mean(self, term: LogMean, place: Place, scope: frozenset[str]) -> Named:
        """By every k-tuple of the joint draws."""
        drawn = frozenset(t for d in term.draws for t in d.targets)
        around = {k: v for k, v in place.items() if k not in drawn}
        found = [self.value(term.body, around, scope | drawn), *(self.density(d, around) for d in term.draws)]
        axes = tuple(a for a in dict.fromkeys(a for p in found for a in p.axes) if a not in drawn)
        inner = tuple(a for a in dict.fromkeys(a for p in found for a in p.axes) if a in drawn)
        arrays = np.broadcast_arrays(*(aligned(p, (*axes, *inner)) for p in found))
        body, *chances = (a.reshape(*a.shape[: len(axes)], -1) for a in arrays)
        chance = np.prod(np.broadcast_arrays(*chances), axis=0)
        total = np.zeros(body.shape[:-1])
        for places in product(range(body.shape[-1]), repeat=term.k):
            at = list(places)
            total = total + weighed(chance[..., at].prod(axis=-1), np.log(np.exp(body[..., at]).mean(axis=-1)))
        return Named(axes, total)

    def _by_cases(
        self, d: Density, rest: tuple[Density, ...], body: Term, place: Place, scope: frozenset[str]
    ) -> Named:
        """Domain by domain, with the draws that define the density there: they bind the code that it encapsulates."""
        variable = self._domain(d)
        fixed = {**place, **dict(d.values)}.get(variable)

        def case(value: int) -> Named:
            return self._expectation((*d.cases[value], *rest), body, {**place, variable: value}, scope - {variable})

        if fixed is not None:
            return case(fixed)
        if variable not in scope:
            raise ValueError(f"{density_text(d)}: {variable} is not bound")
        return stacked(variable, [case(value) for value in range(len(d.cases))])

    def _guarded(self, term: Where, place: Place, scope: frozenset[str]) -> Named:
        if term.variable in place:
            return self.value(term.body, place, scope) if place[term.variable] in term.values else NOTHING
        if term.variable not in scope:
            raise ValueError(f"{text(term)}: {term.variable} is not bound")
        inner = scope - {term.variable}
        parts = [
            self.value(term.body, {**place, term.variable: v}, inner) if v in term.values else NOTHING
            for v in range(self.domains[term.variable])
        ]
        return stacked(term.variable, parts)

    # densities

    def density(self, d: Density, place: Place, stopped: bool = False) -> Named:
        """The density as a function of its variables, those at a value taken out."""
        here = {v: place[v] for v in (*d.given, *d.targets) if v in place} | dict(d.values)
        if d.kind == "cases":
            return self._marginal(d, here)
        if stopped or d.stopped or self._degenerate(d, place):
            return taken(numbers(d, self.at0), here)
        found = numbers(d, self.tables)
        if d.fixed_at is not None and (variable := self._domain(d)) in found.axes and variable not in here:
            found = self._partly_fixed(found, numbers(d, self.at0), variable, d.fixed_at)
        return taken(found, here)

    @staticmethod
    def _partly_fixed(free: Named, fixed: Named, variable: str, value: int) -> Named:
        """Degenerate at one value of its domain: there it holds the numbers of theta_0."""
        size = free.array.shape[free.axes.index(variable)]
        here = Named((variable,), np.arange(size) == value)
        return combined(lambda at, a, b: np.asarray(np.where(at, b, a)), here, free, fixed)

    def _marginal(self, d: Density, here: Place) -> Named:
        """p_theta(x | y) of Eq. 6: the product of its draws, summed over what they draw besides the targets."""
        variable = self._domain(d)

        def case(value: int) -> Named:
            place = {**here, variable: value}
            parts = [self.density(e, {k: v for k, v in place.items() if k not in e.targets}) for e in d.cases[value]]
            hidden = {t for e in d.cases[value] for t in e.targets} - set(d.targets)
            return summed(combined(lambda *a: np.prod(np.broadcast_arrays(*a), axis=0), *parts), hidden)

        found = case(here[variable]) if variable in here else stacked(variable, [case(v) for v in range(len(d.cases))])
        return taken(found, here)

    def _domain(self, d: Density) -> str:
        """The given domain variable of a density, BATCH where there is none."""
        given = (*(v for v, _ in d.values if v not in d.targets), *reversed(d.given))
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

"""A term as a program means it, by enumeration: a hollow value is a point of the simplex, and so may a table's row be.

Written apart from `compiler/plan.py` and the emitter: it reads the derived term and knows nothing of draws that are
merged, axes, surrogates or code. What passes no gradient is the real part under a complex step. A value in [0, 1] or a
bit v is the point (1 - v, v), and the logit l of its Bernoulli the row (0, l).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from schematic.calculus.tables import Table, Tables
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
    masked,
)
from schematic.calculus.text import text
from schematic.compiler.program import field
from schematic.graph.model import Factor, Model, Type, Variable

Array = np.ndarray[Any, Any]
Draws = tuple[Density, ...]
Point = Array  # (moves or 1, [units,] classes): a value of a variable, for each way in which parameters are moved

STEP = 1e-30
OBSERVED = "_observed"  # behind a partial field's name: which records have a value
GREY = np.array([0.2, 0.9])  # the two values of data in [0, 1]


@dataclass(frozen=True)
class Fields:
    """The joint distribution of the fields of one data set: an axis a field."""

    names: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class Points:
    """A finite model with the parameters of its program. `data`: one entry a set; the indicator is no parent.

    logits   by factor, what its network gives: a table (moves, *parents, [units,] classes), without the last axis where
             there is one logit
    linear   the networks are linear: (moves, outputs, inputs + 1), the bias last
    batch    the records of a batch, over which weights may be normalized
    """

    model: Model
    logits: Mapping[str, Array]
    data: tuple[Fields, ...]
    linear: bool = False
    batch: int = 1

    def value(self, term: Term, at: Mapping[str, Point]) -> Array:
        """The value of an unfolded objective, (moves,), with variables at values. Raises ValueError for other terms."""
        match term:
            case Add(terms):
                return sum((self.value(t, at) for t in terms), np.zeros(1))
            case Scale(factor, body):
                return np.asarray(float(factor) * self.value(body, at))
            case Mass(b, body):
                return np.asarray(np.exp(self.judged(b, at)).real * self.value(body, at))
            case Expect(draws, Normalized(k, top, bottom, body)) if k > 1 or (k == 0 and self.batch > 1):
                return self.weighed(draws, k, top, bottom, body, at)
            case Expect(draws, body):
                return sum((p * self.value(body, v) for p, v in self.configurations(draws, at)), np.zeros(1))
            case Normalized(k, _, _, body) if k < 2:  # the one weight is 1
                return self.value(body, at)
            case LogMean(k, draws, body):
                parts = [(p, np.exp(self.value(body, v))) for p, v in self.configurations(draws, at)]
                tuples = product(parts, repeat=k)
                return sum((_chance(t) * np.log(sum(w for _, w in t) / k) for t in tuples), np.zeros(1))
            case Log(d):
                return self.log(d, at)
            case Critic(form, b):
                return self.criticized(form, b, at)
            case Where(variable, values, _, body):
                return self.value(body, at) if int(at[variable][0, 1].real) in values else np.zeros(1)
            case KL(left, right):
                f, g = self.logs(left, at), self.logs(right, at)
                return np.asarray((np.exp(f) * (f - g)).sum(axis=tuple(range(1, f.ndim))))
            case _:
                raise ValueError(f"not unfolded: {text(term)}")

    def weighed(
        self, draws: Draws, k: int, top: Density, bottom: Density, body: Term, at: Mapping[str, Point]
    ) -> Array:
        """sum_i w~_i body_i over k draws for each record, or over the batch (k = 0), the weights passing no gradient
        (Eq. 47): a sample moves with its own term, not with what it weighs in another's."""
        once = tuple(d for d in draws if d.kind == "data" and k)
        many = tuple(d for d in draws if d not in once)
        total = np.zeros(1)
        for chance, record in self.configurations(once, at):
            parts = []
            for p, v in self.configurations(many, record):
                weight = np.exp(self.judged(top, v) - self.judged(bottom, v)).real
                parts.append((p, weight, self.value(body, v)))
            for t in product(parts, repeat=k or self.batch):
                whole = sum(w for _, w, _ in t)
                for i, (p, w, b) in enumerate(t):
                    others = _chance([*t[:i], *t[i + 1 :]]).real
                    total = total + chance * others * p * w / whole * b
        return total

    def configurations(self, draws: Draws, at: Mapping[str, Point]) -> Iterator[tuple[Array, Mapping[str, Point]]]:
        """Every value of the draws, in order, with its probability, (moves,)."""
        if not draws:
            yield np.ones(1), at
            return
        d, rest = draws[0], draws[1:]
        for chance, values in self.drawn(d, at):
            for inner, found in self.configurations(rest, {**at, **values}):
                yield chance * inner, found

    def drawn(self, d: Density, at: Mapping[str, Point]) -> Iterator[tuple[Array, dict[str, Point]]]:
        if d.kind == "data":
            yield from self.records(d)
            return
        chances = np.exp(self.logs(d, at))
        chances = chances.real if d.stopped else chances
        if d.kind == "implicit" or (d.kind == "explicit" and self.model.variable(d.target).type.kind == "unit"):
            yield np.ones(1), {d.target: chances}
            return
        corners = np.eye(chances.shape[-1])
        units = chances.reshape(len(chances), -1, chances.shape[-1])
        for places in product(range(len(corners)), repeat=units.shape[1]):
            chance = np.prod([units[:, i, c] for i, c in enumerate(places)], axis=0)
            yield chance, {d.target: corners[list(places)].reshape(1, *chances.shape[1:])}

    def records(self, d: Density) -> Iterator[tuple[Array, dict[str, Point]]]:
        """The joint values of the variables of a record, with their probabilities; sets are independent."""
        branch = next((v for _, v in d.values), None)
        wanted = {v: data_field(self.model, v, branch) for v in d.targets}
        sets = [s for s in self.data if set(s.names) & set(wanted.values())]
        for places in np.ndindex(*(n for s in sets for n in s.array.shape)):
            left, chance = list(places), 1.0
            at: dict[str, int] = {}
            for s in sets:
                here = tuple(left.pop(0) for _ in s.names)
                chance *= float(s.array[here])
                at |= dict(zip(s.names, here, strict=True))
            yield np.array([chance]), {v: data_value(self.variable_of(f), at[f]) for v, f in wanted.items()}

    def variable_of(self, name: str) -> Variable:
        """The variable that takes a field; of a mask a bit."""
        if name.endswith(OBSERVED):
            return Variable(name, Type("binary", ()))
        return next(v for v in self.model.variables if v.data is not None and name in v.data.fields)

    # --- densities ---

    def log(self, d: Density, at: Mapping[str, Point]) -> Array:
        if d.kind == "blue":
            return self.judged(d, at)
        found = at[d.target] * self.logs(d, at)
        return np.asarray(found.sum(axis=tuple(range(1, found.ndim))))

    def judged(self, b: Density, at: Mapping[str, Point]) -> Array:
        """log b(y | .) at its value and its temperature, or the sum of those of all units."""
        if b.each:
            units = range(at[b.target].shape[1])
            parts = (at[b.target][:, i] * self.predicted(b, at, i) for i in units)
            return np.asarray(sum((part.sum(-1) for part in parts), np.zeros(1)))
        if b.domains > 2:
            return np.asarray(log_chances(self.row(b, at) / b.temperature, b.reverse)[:, b.value(b.target)])
        right = (b.value(b.target) == 1) != b.reverse
        logit = self.row(b, at) / b.temperature
        return np.asarray(-np.log1p(np.exp(-logit if right else logit)))

    def predicted(self, b: Density, at: Mapping[str, Point], i: int) -> Array:
        """log b(z_i | z_-i) of all values of a unit, (moves, classes): the network sees it at its first one."""
        others = at[b.target].copy()
        others[:, i] = np.eye(others.shape[-1])[0]
        row = self.row(b, {**at, b.target: others})[:, i] / b.temperature
        single = self.model.variable(b.target).type.kind != "category"
        return log_chances(np.stack((np.zeros(row.shape), row), axis=-1) if single else row, b.reverse)

    def criticized(self, form: str, b: Density, at: Mapping[str, Point]) -> Array:
        """What a divergence makes of the logit f at y, s = 2y - 1."""
        f, y = self.row(b, at) / b.temperature, int((b.value(b.target) == 1) != b.reverse)
        match form:
            case "linear":
                return np.asarray((2 * y - 1) * f)
            case "square":
                return np.asarray(-((f - y) ** 2))
            case "hinge":
                margin = (2 * y - 1) * f - 1
                return np.where(margin.real < 0, margin, 0)
            case _:
                raise ValueError(f"a slope needs real variables: {form}")

    def logs(self, d: Density, at: Mapping[str, Point]) -> Array:
        """The log probabilities of all values, (moves, [units,] classes)."""
        variable = self.model.variable(d.target)
        if d.kind == "prior":
            return np.log(prior_chances(variable))[None]
        row = self.row(d, at)
        if variable.type.kind != "category":
            row = np.stack((np.zeros(row.shape), row), axis=-1)
        return log_chances(row)

    def row(self, d: Density, at: Mapping[str, Point]) -> Array:
        """What the network gives at the values of the parents: a table between its rows where a value is no corner."""
        f = self.model.factor(str(d.factor))
        found = self.logits[f.name]
        parents = [self.model.variable(p) for p in f.parents if self.model.variable(p).type.kind != "domain"]
        if self.linear:
            values = [at[v.name] if v.type.kind == "category" else at[v.name][..., 1:] for v in parents]
            inputs = [x.reshape(len(x), -1) for x in values]
            ones = [np.ones((1, 1))] * (1 if parents else 2)
            moves = max(len(x) for x in (*inputs, found))
            joined = np.concatenate([np.broadcast_to(x, (moves, x.shape[1])) for x in (*inputs, *ones)], axis=1)
            given = (found * joined[:, None]).sum(axis=-1)
            return np.asarray(given.reshape(len(given), *_output(self.model.variable(f.target))))
        for v in parents:
            weights = joint(at[v.name])
            found = (found * weights.reshape(*weights.shape, *(1 for _ in found.shape[2:]))).sum(axis=1)
        return found

    # --- gradients ---

    def gradient(self, term: Term, factor: str) -> Array:
        """The gradient with respect to the logits of a factor, by complex step."""
        plain = self.logits[factor]
        count = plain.size
        moved = plain + 1j * STEP * np.eye(count).reshape(count, *plain.shape[1:])
        value = replace(self, logits={**self.logits, factor: moved}).value(term, {})
        return np.asarray((np.broadcast_to(value, (count,)).imag / STEP).reshape(plain.shape[1:]))


def _chance(parts: Sequence[tuple[Array, ...]]) -> Array:
    """The probability of independent draws, which stands first in each."""
    found = np.ones(1)
    for part in parts:
        found = found * part[0]
    return found


def log_chances(row: Array, reverse: bool = False) -> Array:
    """The log softmax of logits (..., classes); `reverse`: what it gives to the others, spread evenly."""
    chances = np.exp(row - row.real.max(axis=-1, keepdims=True))
    others = chances @ (1 - np.eye(row.shape[-1])) / (row.shape[-1] - 1) if reverse else chances
    return np.asarray(np.log(others) - np.log(chances.sum(axis=-1, keepdims=True)))


def joint(point: Point) -> Array:
    """The joint probability of all values, (moves, values), the units being independent."""
    units = point.reshape(len(point), -1, point.shape[-1])
    found = np.ones((len(point), 1))
    for i in range(units.shape[1]):
        found = (found[:, :, None] * units[:, i, None, :]).reshape(len(point), -1)
    return found


def data_field(model: Model, name: str, branch: int | None) -> str:
    """The field that a variable takes in a branch, or that says whether it is observed."""
    of = masked(name)
    return field(model, name, branch) if of is None else field(model, of, branch) + OBSERVED


def data_value(v: Variable, place: int) -> Point:
    """The point (1, [units,] classes) of a value that data have."""
    classes = v.type.size or 2
    values = np.array([[1 - g, g] for g in GREY]) if v.type.kind == "unit" else np.eye(classes)
    return values[list(np.unravel_index(place, (classes,) * prod(v.type.shape)))].reshape(1, *v.type.shape, classes)


def prior_chances(v: Variable) -> Array:
    """([units,] classes): the probabilities of an explicit prior."""
    classes = v.type.size or 2
    uniform = v.type.kind == "category" or v.prior is None
    one = 0.5 if uniform or v.prior is None else v.prior.args[0]
    return np.broadcast_to(np.full(classes, 1 / classes) if uniform else [1 - one, one], (*v.type.shape, classes))


def points(model: Model, tables: Tables) -> Points:
    """The program's parameters and data from the density tables of a finite model; an axis of the indicator stands at
    its first value. With other kinds than categories the networks are linear, and random; so is the table of what has
    units, which are independent in a program."""
    data = tuple(_sets(model, tables.records))
    rng = np.random.default_rng([int(1e9 * t.array.flat[0]) for t in tables.factors.values()])
    if any(v.type.kind not in ("category", "domain") for v in model.variables):
        shapes = {f.name: (1, prod(_output(model.variable(f.target))), _inputs(model, f) + 1) for f in model.factors}
        return Points(model, {name: rng.normal(size=shape) for name, shape in shapes.items()}, data, linear=True)
    logits = {}
    for f in model.factors:
        t, target = tables.factors[f.name], model.variable(f.target)
        domains = (0 if model.variable(v).type.kind == "domain" else slice(None) for v in t.given)
        array = np.log(t.array[tuple(domains)])
        if target.type.shape and not f.each:
            array = rng.normal(size=(*array.shape[:-1], *_output(target)))
        single = not _output(target)
        logits[f.name] = (array[..., 1] - array[..., 0] if single else array)[None]
    return Points(model, logits, data)


def _output(v: Variable) -> tuple[int, ...]:
    """The shape of what a network says of a variable: an indicator of more than two domains has a logit each."""
    return v.type.event_shape if len(v.type.values) < 3 else (len(v.type.values),)


def _inputs(model: Model, f: Factor) -> int:
    """The numbers that a network reads; a 1 where it has no parents."""
    parents = (v for p in f.parents if (v := model.variable(p)).type.kind != "domain")
    return sum(prod(v.type.event_shape) for v in parents) or 1


def _sets(model: Model, records: Iterable[Table]) -> Iterator[Fields]:
    """Each data set's fields: jointly distributed as in the records of the last domain that reads them; fields that
    only another domain reads are independent of those."""
    parts: dict[str, list[Fields]] = {}
    for r in records:
        domains = range(r.array.shape[0])[::-1] if r.given else (0,)
        for v in domains:
            joint = r.array[v] if r.given else r.array
            homes: dict[str, dict[str, str]] = {}
            for name in r.targets:
                where = data_field(model, name, v)
                home = where.rpartition("/")[0]
                if not any(where in p.names for p in parts.get(home, [])):
                    homes.setdefault(home, {})[where] = name
            for home, fields in homes.items():
                keep = [r.targets.index(n) for n in fields.values()]
                array = joint.sum(axis=tuple(i for i in range(joint.ndim) if i not in keep))
                order = [sorted(keep).index(k) for k in keep]
                parts.setdefault(home, []).append(Fields(tuple(fields), np.transpose(array, order)))
    for found in parts.values():
        array = np.ones(())
        for p in found:
            array = np.multiply.outer(array, p.array)
        yield Fields(tuple(n for p in found for n in p.names), array)


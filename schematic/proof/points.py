"""A term as a program means it, by enumeration: a hollow value is a point of the simplex, and so may a table's row be.

Written apart from `compiler/plan.py` and the emitter: it reads the derived term and knows nothing of draws that are
merged, axes, surrogates or code. What passes no gradient is the real part under a complex step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from schematic.calculus.tables import Table, Tables
from schematic.calculus.terms import KL, Add, Density, Expect, Log, Mass, Scale, Term
from schematic.calculus.text import text
from schematic.compiler.program import field
from schematic.graph.model import Model

Array = np.ndarray[Any, Any]
Point = Array  # (moves, classes) or (1, classes): a value of a variable, for each way in which parameters are moved

STEP = 1e-30


@dataclass(frozen=True)
class Fields:
    """The joint distribution of the fields of one data set: an axis a field."""

    names: tuple[str, ...]
    array: Array


@dataclass(frozen=True)
class Points:
    """A finite model with the parameters of its program: logits (moves, *parents, classes) by factor, those of a blue
    one (moves, *parents); the indicator is no parent. `data`: one entry a set."""

    model: Model
    logits: Mapping[str, Array]
    data: tuple[Fields, ...]

    def value(self, term: Term, at: Mapping[str, Point]) -> Array:
        """The value of an unfolded objective, (moves,), with variables at values. Raises ValueError for other terms."""
        match term:
            case Add(terms):
                return sum((self.value(t, at) for t in terms), np.zeros(1))
            case Scale(factor, body):
                return np.asarray(float(factor) * self.value(body, at))
            case Mass(b, body):
                return np.asarray(np.exp(self.judged(b, at)).real * self.value(body, at))
            case Expect(draws, body):
                return self.expectation(draws, body, at)
            case Log(d):
                return self.log(d, at)
            case KL(left, right):
                f, g = self.logs(left, at), self.logs(right, at)
                return np.asarray((np.exp(f) * (f - g)).sum(-1))
            case _:
                raise ValueError(f"not unfolded: {text(term)}")

    def expectation(self, draws: tuple[Density, ...], body: Term, at: Mapping[str, Point]) -> Array:
        if not draws:
            return self.value(body, at)
        d, rest = draws[0], draws[1:]
        if d.kind == "implicit":
            point = np.exp(self.logs(d, at))
            return self.expectation(rest, body, {**at, d.target: point.real if d.stopped else point})
        if d.kind == "data":
            return sum((p * self.expectation(rest, body, {**at, **v}) for p, v in self.records(d)), np.zeros(1))
        chances = np.exp(self.logs(d, at))
        chances = chances.real if d.stopped else chances
        corners = np.eye(chances.shape[-1])[:, None, :]
        parts = (chances[:, i] * self.expectation(rest, body, {**at, d.target: c}) for i, c in enumerate(corners))
        return sum(parts, np.zeros(1))

    def records(self, d: Density) -> Iterator[tuple[float, dict[str, Point]]]:
        """The joint values of the variables of a record, with their probabilities; sets are independent."""
        branch = next((v for _, v in d.values), None)
        wanted = {v: field(self.model, v, branch) for v in d.targets}
        sets = [s for s in self.data if set(s.names) & set(wanted.values())]
        for places in np.ndindex(*(n for s in sets for n in s.array.shape)):
            left, chance = list(places), 1.0
            at: dict[str, int] = {}
            for s in sets:
                here = tuple(left.pop(0) for _ in s.names)
                chance *= float(s.array[here])
                at |= dict(zip(s.names, here, strict=True))
            yield chance, {v: np.eye(self.model.variable(v).type.size)[[at[f]]] for v, f in wanted.items()}

    # --- densities ---

    def log(self, d: Density, at: Mapping[str, Point]) -> Array:
        if d.kind == "blue":
            return self.judged(d, at)
        return np.asarray((at[d.target] * self.logs(d, at)).sum(-1))

    def judged(self, b: Density, at: Mapping[str, Point]) -> Array:
        """log b(y | .) at its value and its temperature."""
        right = (b.value(b.target) == 1) != b.reverse
        logit = self.row(b, at) / b.temperature
        return np.asarray(-np.log1p(np.exp(-logit if right else logit)))

    def logs(self, d: Density, at: Mapping[str, Point]) -> Array:
        """The log probabilities of all values, (moves, classes)."""
        if d.kind == "prior":
            size = self.model.variable(d.target).type.size
            return np.full((1, size), -np.log(size))
        row = self.row(d, at)
        top = row.real.max(axis=-1, keepdims=True)
        return np.asarray(row - top - np.log(np.exp(row - top).sum(axis=-1, keepdims=True)))

    def row(self, d: Density, at: Mapping[str, Point]) -> Array:
        """The table at the values of the parents; between its rows where a value is no corner."""
        f = self.model.factor(str(d.factor))
        found = self.logits[f.name]
        for p in f.parents:
            if self.model.variable(p).type.kind != "domain":
                weights = at[p].reshape(*at[p].shape, *(1 for _ in found.shape[2:]))
                found = (found * weights).sum(axis=1)
        return found

    # --- gradients ---

    def gradient(self, term: Term, factor: str) -> Array:
        """The gradient with respect to the logits of a factor, by complex step."""
        plain = self.logits[factor]
        count = plain.size
        moved = plain + 1j * STEP * np.eye(count).reshape(count, *plain.shape[1:])
        value = replace(self, logits={**self.logits, factor: moved}).value(term, {})
        return np.asarray((np.broadcast_to(value, (count,)).imag / STEP).reshape(plain.shape[1:]))


def points(model: Model, tables: Tables) -> Points:
    """The program's parameters and data from the density tables of a finite model; an axis of the indicator stands at
    its first value."""
    y = model.indicator.name if model.indicator else ""
    logits = {}
    for f in model.factors:
        t = tables.factors[f.name]
        array = np.log(np.take(t.array, 0, axis=t.given.index(y)) if y in t.given else t.array)
        logits[f.name] = (array[..., 1] - array[..., 0] if f.adversarial else array)[None]
    return Points(model, logits, tuple(_sets(model, tables.records)))


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
                data, where = model.variable(name).data, field(model, name, v)
                assert data is not None
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


"""The smallest counterexample to a claim: the fewest values, then the simplest numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from schematic.calculus.tables import Tables
from schematic.proof.claims import Array, Case
from schematic.proof.points import points

TENTHS = 10
ATTEMPTS = 12  # random tables of a smaller size that are tried

Broken = Callable[[Case], float | None]
"""The error of a claim that does not hold of a case; None where it holds, or does not apply."""


@dataclass(frozen=True)
class Counterexample:
    """A finite model on which a claim does not hold. `tables`: nested lists by the name of a density, an axis for
    each of its given variables and then for each of its targets."""

    sizes: dict[str, int]
    tables: dict[str, Any]
    error: float

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} has {size}" for name, size in self.sizes.items())
        lines = (f"{name} = {_shown(table)}" for name, table in self.tables.items())
        return "\n".join((f"values: {sizes}; error {self.error:.2e}", *lines))


def counterexample(case: Case, error: float) -> Counterexample:
    t, found, numbers = case.tables, {}, points(case.model, case.tables)
    for f in case.model.factors:
        name = _density(f.name, (f.target,), f.parents)
        if numbers.linear:
            found[f"weights and bias of {name}"] = numbers.logits[f.name][0].tolist()
        else:
            found[name] = t.factors[f.name].array.tolist()
    found |= {f"p({name})": array.tolist() for name, array in t.priors.items()}
    found |= {_density("p_data", r.targets, r.given): r.array.tolist() for r in t.records}
    sizes = {v.name: case.sizes[v.name] for v in case.model.variables if v.type.kind != "domain"}
    return Counterexample(sizes, found, error)


def shrunk(case: Case, broken: Broken, other: Callable[[Case, dict[str, int], int], Case]) -> Case:
    """A case that is still broken, as small and as simple as was found; `other` makes a random one of given sizes."""
    error = broken(case)
    assert error is not None, "what is shrunk is broken"
    enough = min(error / 10, 1e-3)

    def still(other: Case) -> bool:
        found = broken(other)
        return found is not None and not found < enough

    for sizes in _smaller(case):
        smaller = next((c for i in range(ATTEMPTS) if still(c := other(case, sizes, i))), None)
        if smaller is not None:
            case = smaller
            break
    for place in _places(case.tables):
        for simple in (_uniform, _tenths):
            simpler = replace(case, tables=_changed(case.tables, place, simple))
            if still(simpler):
                case = simpler
                break
    return case


def _smaller(case: Case) -> Iterator[dict[str, int]]:
    """Two values for each, else for all but one; the indicator keeps its domains."""
    least = {v.name: len(v.type.values) or 2 for v in case.model.variables}
    if case.sizes != least:
        yield least
        yield from ({**least, name: size} for name, size in case.sizes.items() if size > least[name])


# --- simple numbers -----------------------------------------------------------------------------------------------

Place = tuple[str, str | int]


def _places(t: Tables) -> tuple[Place, ...]:
    records = (("record", i) for i in range(len(t.records)))
    return (*(("prior", n) for n in t.priors), *records, *(("factor", n) for n in t.factors))


def _changed(t: Tables, place: Place, simple: Callable[[Array, int], Array]) -> Tables:
    match place:
        case "prior", str(name):
            return replace(t, priors={**t.priors, name: simple(t.priors[name], 1)})
        case "factor", str(name):
            return t.updated(name, simple(t.factors[name].array, 1))
        case _, number:
            changed = (
                replace(r, array=simple(r.array, len(r.targets))) if i == number else r for i, r in enumerate(t.records)
            )
            return replace(t, records=tuple(changed))


def _uniform(array: Array, targets: int) -> Array:
    """The same everywhere over the last axes."""
    return np.full(array.shape, 1 / np.prod(array.shape[array.ndim - targets :]))


def _tenths(array: Array, targets: int) -> Array:
    """Multiples of 1/10, none zero; finer where there are more than five values."""
    shape = (*array.shape[: array.ndim - targets], -1)
    rows = array.reshape(shape)
    parts = TENTHS * (1 + rows.shape[-1] // 6)
    counts = np.maximum(1, np.round(rows * parts))
    largest = counts.argmax(axis=-1)[..., None]
    rest = parts - counts.sum(axis=-1, keepdims=True)
    np.put_along_axis(counts, largest, np.take_along_axis(counts, largest, -1) + rest, -1)
    return np.asarray((counts / parts).reshape(array.shape))


# --- as text ------------------------------------------------------------------------------------------------------


def _density(name: str, targets: tuple[str, ...], given: tuple[str, ...]) -> str:
    inside = ", ".join(targets) + (f" | {', '.join(given)}" if given else "")
    return f"{name}({inside})"


def _shown(table: Any) -> str:
    if isinstance(table, list):
        return f"[{', '.join(map(_shown, table))}]"
    exact = Fraction(table).limit_denominator(100)
    return str(exact) if abs(float(exact) - table) < 1e-12 else f"{table:.6g}"

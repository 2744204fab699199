"""Factors by what they are: how often a batch, the values of a variable or a half stand in a coefficient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import log, pi, prod
from typing import Any

Data = dict[str, Any]
Sizes = Mapping[int, float]  # a coefficient by the size of the batch

NEAR = 1e-5


@dataclass(frozen=True)
class Factor:
    """A number with its reading. `parts` say what is done with what: ("sum", "x"), ("mean", "batch")."""

    value: float
    parts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.value:.4g}"


def near(a: float, b: float) -> bool:
    return abs(a - b) <= NEAR * max(abs(a), abs(b), 1e-12)


def same(a: Sizes, b: Sizes) -> bool:
    return all(near(a[n], b[n]) for n in a)


def named(ratio: Sizes, variables: Data) -> Factor:
    """The reading of a positive ratio: the first that holds at every size of batch."""
    first = next(iter(ratio.values()))
    for at, plain, parts in readings(variables):
        if all(near(c, plain * at(n)) for n, c in ratio.items()):
            return Factor(first, parts)
    return Factor(first)


def readings(variables: Data) -> Iterator[tuple[Callable[[int], float], float, tuple[tuple[str, str], ...]]]:
    """Readings of a factor, the plainest first: (its dependence on the batch, the rest, what it means)."""
    summed = {name: v for name, v in variables.items() if v["kind"] != "category"}
    counts = {name: prod(v["event"]) for name, v in summed.items() if prod(v["event"]) > 1}
    batches: tuple[tuple[Callable[[int], float], tuple[tuple[str, str], ...]], ...] = (
        (lambda n: 1.0, ()),
        (lambda n: float(n), (("sum", "batch"),)),
        (lambda n: 1.0 / n, (("mean", "batch"),)),
    )
    for half in (1.0, 2.0, 0.5):
        for at, batch in batches:
            yield at, half, batch
    for name, d in counts.items():
        for half in (1.0, 2.0, 0.5):
            for at, batch in batches:
                yield at, half / d, (*batch, ("mean", name))
                yield at, half * d, (*batch, ("sum", name))


def said(factor: Factor, variables: Data) -> str:
    """A factor in words, for a term: "4 times", "a mean over the 64 values of x, where they are summed"."""
    told = []
    for what, of in factor.parts:
        if of == "batch":
            told.append("a sum over the batch, where its mean is taken" if what == "sum"
                        else "divided by the batch once more")  # fmt: skip
        else:
            d = prod(variables[of]["event"])
            told.append(f"a mean over the {d} values of {of}, where they are summed" if what == "mean"
                        else f"{d} times, as if the {d} values of {of} were summed once more")  # fmt: skip
    rest = f"{factor} times" if not near(factor.value, 1.0) else "as it is"
    return ", and ".join(told) + f" (factor {factor})" if told else rest


def constant_name(value: float, copies: int | None, dims: Mapping[str, int]) -> str:
    """A constant by what it is, where it is known."""
    if copies and near(abs(value), log(copies)):
        return f"{'-' if value < 0 else ''}log {copies}, the number of importance samples"
    for name, d in dims.items():
        for half in (1.0, 0.5):
            if near(abs(value), half * d / 2 * log(2 * pi)):
                return f"the Normal's own constant, {d}/2 log 2 pi of {name}"
    return f"{value:.6g}"

"""What a run is judged by: figures with their units and their values at step 0, as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean

from schematic.runtime.folder import Run, write

FILE = "figures.json"


@dataclass(frozen=True)
class Figure:
    """One number. `before` is its value at step 0; `sd` the standard deviation (n - 1) where `value` is a mean."""

    name: str
    value: float
    before: float | None
    unit: str
    sd: float | None = None


Figures = tuple[Figure, ...]


def over(found: Sequence[Figures]) -> Figures:
    """The mean of each figure that all have, and its standard deviation where there are several."""
    if len(found) == 1:
        return found[0]
    named = [{f.name: f for f in figures} for figures in found]
    return tuple(_mean([by[f.name] for by in named]) for f in found[0] if all(f.name in by for by in named))


def _mean(several: Sequence[Figure]) -> Figure:
    values, befores = [f.value for f in several], [f.before for f in several if f.before is not None]
    mean = fmean(values)
    sd = sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
    before = fmean(befores) if len(befores) == len(several) else None
    return Figure(several[0].name, mean, before, several[0].unit, sd)


def plain(figures: Figures) -> list[dict[str, object]]:
    """For JSON: `sd` only where it is known."""
    return [{k: v for k, v in asdict(f).items() if k != "sd" or v is not None} for f in figures]


def save(run: Run, figures: Figures) -> None:
    """Writes figures.json into the run's folder."""
    write(run / FILE, json.dumps(plain(figures), indent=2) + "\n")


def table(figures: Figures) -> str:
    """A row a figure: name, value, value at step 0, unit."""
    heads = ("figure", "value", "at step 0", "unit")
    rows = [heads, *((f.name, _number(f), "" if f.before is None else f"{f.before:.4g}", f.unit) for f in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {before:>{widths[2]}}  {unit}".rstrip()
        for name, value, before, unit in rows
    )


def _number(f: Figure) -> str:
    return f"{f.value:.4g}" if f.sd is None else f"{f.value:.4g} ± {f.sd:.2g}"

"""Figures of a trained model on held-out data, each beside its value at step 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schematic.graph.model import AnyModel
from schematic.runtime import figures, measures
from schematic.runtime.errors import RunError
from schematic.runtime.figures import Figure, Figures
from schematic.runtime.folder import Run
from schematic.runtime.program import instantiate
from schematic.runtime.routes import spec, terms
from schematic.runtime.sample import Trained, reload
from schematic.runtime.splits import Split


def evaluate(
    runs: Path | Sequence[Path],
    n: int = 1000,
    *,
    ks: Sequence[int] = (),
    records: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    device: str = "auto",
    split: Split = "test",
) -> Figures:
    """The figures of a run; of several, their means and standard deviations. Those that it has no data or no density
    for are left out (`measures`). Writes each run's own into its figures.json.

    `n` samples are judged; `ks` are the draws of importance-weighted bounds, on the first `records` of the split (all
    if None). With `seeds` a run is judged under as many seeds from `seed` on: the deviation of one run's figures is
    over these, that of several over the runs. Raises RunError.
    """
    paths = [runs] if isinstance(runs, Path) else list(runs)
    found = []
    for path in paths:
        trained = reload(path, device, split)
        own = figures.over([_judge(path, trained, n, ks, records, seed + i) for i in range(seeds)])
        figures.save(Run(path), own)
        found.append(own)
    return figures.over(found)


def own(path: Path, trained: Trained) -> AnyModel | None:
    """The run's model; None where the run was not given one. Raises RunError where it is not its program's."""
    model = spec(Run(path))
    factors = [f for m in terms(model) for f in m.factors if not f.perfect] if model is not None else []
    missing = [f.name for f in factors if not hasattr(trained.program, f.attribute)]
    if missing:
        raise RunError(f"{path / 'model.sg'} is of another program: `{missing[0]}` is not in it", "train it again")
    return model


def _judge(path: Path, trained: Trained, n: int, ks: Sequence[int], records: int | None, seed: int) -> Figures:
    """One run under one seed; before training its parameters were those of its own seed."""
    cls: Any = type(trained.program)
    model, start = own(path, trained), instantiate(cls, int(trained.config["seed"]), trained.device)
    found = measures.of_samples(trained, n, seed)
    if model is not None:
        found = [
            *measures.of_bounds(trained, model, ks, records, seed),
            *measures.of_predictions(trained, model),
            *measures.of_clusters(trained, model),
            *found,
            *measures.of_round_trips(trained, model, seed),
        ]
    judged: list[Figure] = []
    for measure in found:
        before = {name: value for name, value, _ in measure(start)}
        judged += [Figure(name, value, before.get(name), unit) for name, value, unit in measure(trained.program)]
    return tuple(judged)

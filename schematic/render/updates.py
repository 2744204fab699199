"""The table of updates: who moves, towards what, by which optimizer, past which values, beside what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schematic.calculus.terms import Density, Objective, densities
from schematic.graph.model import AnyModel, Factor, Model, Optimizer, Sum
from schematic.graph.optimizers import optimizer
from schematic.render.picture import Label, label


@dataclass(frozen=True)
class Held:
    """A factor of the objective that this update leaves alone, and why."""

    label: Label
    reason: str


@dataclass(frozen=True)
class UpdateRow:
    """One update of a training step.

    moved      the factors whose parameters move
    optimizers one a group; `steps` of it: updates a training step
    stopped    draws and weights that pass no gradient
    held       factors that are read here and not trained
    """

    objective: Objective
    moved: tuple[Label, ...]
    optimizers: tuple[tuple[str, Optimizer], ...]
    stopped: tuple[Density, ...]
    held: tuple[Held, ...]


def updates(model: AnyModel, objectives: Iterable[Objective]) -> tuple[UpdateRow, ...]:
    """One row for each objective, in their order."""
    terms = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    return tuple(_row(model, terms, o) for o in objectives)


def _row(model: AnyModel, terms: tuple[Model, ...], objective: Objective) -> UpdateRow:
    read = {d.factor for d in densities(objective.term)}
    moved: dict[Label, None] = {}
    held: dict[Held, None] = {}
    for owner, f in ((m, f) for m in terms for f in m.factors):
        reason = _reason(f, objective.groups)
        if not reason:
            moved[label(owner, f)] = None
        elif f.name in read:
            held[Held(label(owner, f), reason)] = None
    optimizers = tuple((g, optimizer(model, g)) for g in objective.groups)
    return UpdateRow(objective, tuple(moved), optimizers, tuple(dict.fromkeys(_stopped(objective))), tuple(held))


def _reason(factor: Factor, groups: tuple[str, ...]) -> str:
    """Why an update leaves a factor alone; empty if it trains it."""
    if factor.perfect:
        return "perfect"
    if factor.fixed:
        return "fixed"
    return "" if factor.group in groups else "trained in another update"


def _stopped(objective: Objective) -> Iterator[Density]:
    """Outer samples at theta_0, draws that pass no gradient, and the probabilities that weigh."""
    for s in objective.summands:
        yield from (d for d in s.outer if d.factor is not None)
        yield from (d for d in s.draws if d.stopped)
        yield from s.masses


def logs(model: AnyModel) -> tuple[tuple[str, str], ...]:
    """The transform log: what moves assumed, with its source, each once."""
    match model:
        case Model():
            return tuple(dict.fromkeys((a.text, a.source) for a in model.log))
        case Sum():
            return tuple(dict.fromkeys(line for _, m in model.terms for line in logs(m)))

"""The moves of the algebra as values, and the models that a few of them lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, assert_never

from schematic.core.diagnostics import SchematicError
from schematic.graph import algebra
from schematic.graph.checks import unused
from schematic.graph.model import AnyModel
from schematic.studies.labelled import Form
from schematic.studies.matching import arrows, variables
from schematic.studies.skeleton import form, terms

Name = Literal["swap", "swap_arrows", "perfect", "activate", "without", "importance", "wake_sleep"]


@dataclass(frozen=True)
class Move:
    """One move with what it names; of `importance` the number of draws, 0 for the batch."""

    name: Name
    args: tuple[str, ...] = ()

    def text(self, model: str) -> str:
        """The expression that moves the model of an expression."""
        match self.name, self.args:
            case "without", (name,):
                return f"{model} without {name}"
            case "importance", ("0",):
                return f"importance({model})"
            case _:
                return f"{self.name}({', '.join((model, *self.args))})"

    def applied(self, model: AnyModel) -> AnyModel:
        """Raises: SchematicError where it does not apply."""
        match self.name:
            case "swap":
                return algebra.swap(model, *self.args)
            case "swap_arrows":
                return algebra.swap_arrows(model)
            case "perfect":
                return algebra.perfect(model, *self.args)
            case "activate":
                return algebra.activate(model, *self.args)
            case "without":
                return algebra.without(model, *self.args)
            case "importance":
                return algebra.importance(model, int(self.args[0]) or None)
            case "wake_sleep":
                return algebra.wake_sleep(model)
            case _:
                assert_never(self.name)


def expression(name: str, moves: tuple[Move, ...]) -> str:
    """The expression of a chain: `perfect(swap_arrows(InfoGAN), q_phi)`."""
    for move in moves:
        name = move.text(name)
    return name


@dataclass(frozen=True)
class Goal:
    """What a model that is looked for lets a chain do: take things away, and the readings that it has."""

    factors: int
    variables: int
    draws: frozenset[int]
    wake_sleep: bool


def goal(model: AnyModel) -> Goal:
    parts = [m for _, m in terms(model)]
    draws = frozenset(m.importance for m in parts if m.importance is not None)
    return Goal(len(arrows(model)), len(variables(model)), draws, any(m.wake_sleep for m in parts))


def possible(model: AnyModel, towards: Goal) -> Iterator[Move]:
    """The moves that apply to a model and do not lead away from the goal for good."""
    here = arrows(model)
    yield Move("swap_arrows")
    names = [v.name for v in variables(model).values() if v.type.kind != "domain"]
    yield from (Move("swap", pair) for pair in combinations(names, 2))
    judges = dict.fromkeys(a.factor.name for a in here if a.factor.adversarial and a.factor.process == "inference")
    perfect = {a.factor.name for a in here if a.factor.perfect}
    yield from (Move("activate" if name in perfect else "perfect", (name,)) for name in judges)
    if len(here) > towards.factors:
        yield from (Move("without", (name,)) for name in dict.fromkeys(a.factor.name for a in here))
    if len(variables(model)) > towards.variables:
        yield from (Move("without", (v.name,)) for _, m in terms(model) for v in unused(m))
    if all(m.importance is None for _, m in terms(model)):
        yield from (Move("importance", (str(k),)) for k in sorted(towards.draws))
    if towards.wake_sleep and not any(m.wake_sleep for _, m in terms(model)):
        yield Move("wake_sleep")


@dataclass(frozen=True)
class Reached:
    """A model that moves lead to."""

    moves: tuple[Move, ...]
    model: AnyModel


def stepped(level: Sequence[Reached], towards: Goal, seen: set[Form], most: int) -> Iterator[Reached]:
    """What one move more leads to: graphs that were not seen, up to `most` in all."""
    for state in level:
        for move in possible(state.model, towards):
            if len(seen) >= most:
                return
            try:
                moved = move.applied(state.model)
            except SchematicError:
                continue
            shape = form(moved).form
            if shape not in seen:
                seen.add(shape)
                yield Reached((*state.moves, move), moved)

"""One training step, `init` and `step`: straight-line tensor code that reads nothing back from the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from schematic.graph.model import Optimizer
from schematic.runtime.data import Batch
from schematic.runtime.optim import build
from schematic.runtime.program import Program

DECAY = 0.5  # of a run, its end, over which the learning rates fall


@dataclass(frozen=True)
class Update:
    """One update of a step: its groups move together. `fresh` asks for a new batch, `redraw` for a new draw."""

    groups: tuple[str, ...]
    fresh: bool
    redraw: bool


@dataclass(frozen=True)
class Trainer:
    """A program with what trains it. The optimizers carry the state."""

    program: Program
    updates: tuple[Update, ...]
    parameters: Mapping[str, tuple[nn.Parameter, ...]]
    optimizers: Mapping[str, torch.optim.Optimizer]
    rates: Mapping[str, float]
    generator: torch.Generator


def schedule(program: Program) -> tuple[Update, ...]:
    """The updates of one step in the program's order; a group's repeated update gets a fresh batch and draw."""
    updates: list[Update] = []
    moved: set[str] = set()
    for groups, redraw in zip(program.UPDATES, program.REDRAW, strict=True):
        fresh = not updates or bool(moved & set(groups))
        updates.append(Update(groups, fresh, redraw or fresh))
        moved |= set(groups)
    return tuple(updates)


def init(program: Program, optimizers: Mapping[str, Optimizer], generator: torch.Generator) -> Trainer:
    """The trainer of a program that stands on its device already."""
    parameters = {group: tuple(program.parameters_of(group)) for group in program.GROUPS}
    built = {group: build(optimizers[group], parameters[group]) for group in program.GROUPS}
    rates = {group: optimizers[group].rate for group in program.GROUPS}
    return Trainer(program, schedule(program), parameters, built, rates, generator)


def anneal(trainer: Trainer, done: float) -> None:
    """The learning rates when a share `done` of the run is over: constant, then falling to 0 over the last DECAY.

    A falling rate averages out the noise of the batches (about 0.3 nats of the digits' bound).
    """
    share = min(1.0, (1.0 - done) / DECAY)
    for group, optimizer in trainer.optimizers.items():
        for parameters in optimizer.param_groups:
            parameters["lr"] = share * trainer.rates[group]


def step(trainer: Trainer, batches: Iterator[Batch]) -> dict[str, Tensor]:
    """One step in place; each group's objective before its (last) update, in nats per example, detached scalars.

    `batches` gives (batch, *event) tensors by field. Gradients are taken for exactly the update's parameters and
    ascended: the paper's "max over theta", which leaves no stray gradient in another group.
    """
    values: dict[str, Tensor] = {}
    batch: Batch = {}
    draw: dict[str, object] = {}
    for update, following in zip(trainer.updates, (*trainer.updates[1:], None), strict=True):
        if update.fresh:
            batch = next(batches)
        if update.redraw:
            draw = trainer.program.draw(batch, trainer.generator)
        # Groups of one update share one objective; the first speaks for all.
        value = trainer.program.objective(draw, update.groups[0])
        keep = following is not None and not following.redraw
        ascend(trainer, update.groups, value, keep)
        values.update(dict.fromkeys(update.groups, value.detach()))
    return values


def ascend(trainer: Trainer, groups: tuple[str, ...], value: Tensor, keep: bool) -> None:
    """Moves the groups' parameters up the gradient of the value; `keep` its graph for the next update's sake."""
    parameters = list(dict.fromkeys(p for group in groups for p in trainer.parameters[group]))
    gradients = torch.autograd.grad(value, parameters, retain_graph=keep, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = laid_out(gradient, parameter)
    for group in groups:
        trainer.optimizers[group].step()
        for parameter in trainer.parameters[group]:  # one that two groups share moves once an update
            parameter.grad = None


def laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient with its elements in the parameter's order in memory, which is all that fused optimizers see."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)

"""One training step, `init` and `step`: straight-line tensor code that reads nothing back from the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim.swa_utils import get_ema_multi_avg_fn

from schematic.graph.model import Optimizer
from schematic.runtime.data import Batch
from schematic.runtime.distributed import ALONE, World
from schematic.runtime.optim import build
from schematic.runtime.program import Draw, Made, Program
from schematic.runtime.schedule import share

Parameters = tuple[nn.Parameter, ...]
Context = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Update:
    """One update of a step: its groups move together. `fresh` asks for a new batch, `redraw` for a new draw.

    `parameters` are what each group moves; a parameter of two groups moves once, with the first. `shared`: it scores
    what its draw has made, whose parameters have not moved since.
    """

    groups: tuple[str, ...]
    fresh: bool
    redraw: bool
    parameters: Mapping[str, Parameters]
    shared: bool


@dataclass(frozen=True)
class Trainer:
    """A program with what trains it. The optimizers carry the state.

    averages  moving averages of the groups' parameters, where they are asked for
    scaler    scales objectives up, so that their gradients are not lost in 16 bits; off unless the program needs it
    world     the processes that train together
    noise     a context for draws, in which the processes share their noise
    saved     a context for a step, in which sharded parameters are not kept whole for the way back
    """

    program: Program
    updates: tuple[Update, ...]
    parameters: Mapping[str, Parameters]
    optimizers: Mapping[str, torch.optim.Optimizer]
    rules: Mapping[str, Optimizer]
    averages: Mapping[str, tuple[Tensor, ...]]
    generator: torch.Generator
    scaler: GradScaler
    world: World = ALONE
    noise: Context = nullcontext
    saved: Context = nullcontext
    sharded: bool = False


@dataclass(frozen=True)
class Reading:
    """What a step says of itself, by group: scalars on the device, detached.

    objectives  in nats per example, before the group's (last) update
    gradients   the norms of that update's gradients before they are clipped; only of groups for which they were taken
    """

    objectives: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


def schedule(program: Program, parameters: Mapping[str, Parameters]) -> tuple[Update, ...]:
    """The updates of one step in the program's order; a group's repeated update gets a fresh batch and draw."""
    updates: list[Update] = []
    moved: set[str] = set()
    shared = getattr(program, "SHARED", (False,) * len(program.UPDATES))
    for groups, redraw, shares in zip(program.UPDATES, program.REDRAW, shared, strict=True):
        fresh = not updates or bool(moved & set(groups))
        first = {p: group for group in reversed(groups) for p in parameters[group]}
        own = {group: tuple(p for p in parameters[group] if first[p] == group) for group in groups}
        updates.append(Update(groups, fresh, redraw or fresh, own, shares))
        moved |= set(groups)
    return tuple(updates)


def init(program: Program, optimizers: Mapping[str, Optimizer], generator: torch.Generator) -> Trainer:
    """The trainer of a program that stands on its device already."""
    parameters = {group: tuple(program.parameters_of(group)) for group in program.GROUPS}
    averaged = [group for group in program.GROUPS if optimizers[group].average]
    return Trainer(
        program,
        schedule(program, parameters),
        parameters,
        {group: build(optimizers[group], parameters[group]) for group in program.GROUPS},
        dict(optimizers),
        {group: tuple(p.detach().clone() for p in parameters[group]) for group in averaged},
        generator,
        GradScaler(enabled=False),
    )


def anneal(trainer: Trainer, n: int, steps: int) -> None:
    """The learning rates for the n-th of `steps` steps, n from 1."""
    for group, optimizer in trainer.optimizers.items():
        rule = trainer.rules[group]
        for parameters in optimizer.param_groups:
            parameters["lr"] = share(rule, n, steps) * rule.rate


def average(trainer: Trainer, n: int) -> None:
    """Takes the parameters after step n into their moving averages; the first steps count for more, so that where the
    parameters began is soon forgotten."""
    for group, averages in trainer.averages.items():
        decay = min(trainer.rules[group].average or 0.0, (1 + n) / (10 + n))
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(list(averages), list(trainer.parameters[group]), n)  # type: ignore[no-untyped-call]


def step(
    trainer: Trainer,
    batches: Iterator[Batch],
    measured: bool = False,
    before: Callable[[Update, Draw], None] = lambda update, draw: None,
) -> Reading:
    """One step in place. `batches` gives (batch, *event) tensors by field; `measured` asks for the gradients' norms;
    `before` sees each update's draw.

    Gradients are taken for exactly the update's parameters and ascended: the paper's "max over theta", which leaves no
    stray gradient in another group.
    """
    objectives: dict[str, Tensor] = {}
    gradients: dict[str, Tensor] = {}
    batch: Batch = {}
    draw: Draw = {}
    made: Made = {}
    program, sharing = trainer.program, any(u.shared for u in trainer.updates)
    with trainer.saved():
        for update, following in zip(trainer.updates, (*trainer.updates[1:], None), strict=True):
            if update.fresh:
                batch = next(batches)
            if update.redraw:
                made = {}
                with trainer.noise():
                    draw = program.draw(batch, trainer.generator, *((made,) if sharing else ()))
            before(update, draw)
            # Groups of one update share one objective; the first speaks for all.
            value = program.objective(draw, update.groups[0], *((made,) if update.shared else ()))
            keep = following is not None and not following.redraw
            gradients.update(ascend(trainer, update, value, keep, measured))
            objectives.update(dict.fromkeys(update.groups, value.detach()))
    return Reading(objectives, gradients)


def ascend(trainer: Trainer, update: Update, value: Tensor, keep: bool, measured: bool) -> dict[str, Tensor]:
    """Moves the update's parameters up the gradient of the value; `keep` the graph for the next update's sake.

    Gives the norms of the gradients by group, of those that are `measured` or clipped.
    """
    parameters = [p for own in update.parameters.values() for p in own]
    scaled = trainer.scaler.scale(value)
    gradients: list[Tensor | None] = list(torch.autograd.grad(scaled, parameters, retain_graph=keep, allow_unused=True))
    if not trainer.sharded:  # the gradients of sharded parameters are means already
        gradients = trainer.world.mean(gradients)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = laid_out(gradient, parameter)
    norms = {}
    for group, own in update.parameters.items():
        clip = trainer.rules[group].clip
        trainer.scaler.unscale_(trainer.optimizers[group])
        if measured or clip:
            norms[group] = norm(trainer, own, value)
        if clip:  # Pascanu et al., 2013, Algorithm 1
            torch.nn.utils.clip_grads_with_norm_(own, clip, norms[group])
        trainer.scaler.step(trainer.optimizers[group])
        for parameter in own:
            parameter.grad = None
    trainer.scaler.update()
    return norms


def norm(trainer: Trainer, parameters: Parameters, like: Tensor) -> Tensor:
    """The norm of the parameters' gradient; 0 where they have none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.zeros_like(like.detach())
    local = torch.nn.utils.get_total_norm(gradients)
    return trainer.world.total(local.square()).sqrt() if trainer.sharded else local


def laid_out(gradient: Tensor | None, parameter: Tensor) -> Tensor | None:
    """The gradient with its elements in the parameter's order in memory, which is all that fused optimizers see."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)

"""Where a run went wrong: the step and the term of the objective that is not finite, found by going there again."""

from __future__ import annotations

import torch
from torch import Tensor

from schematic.core.names import greek
from schematic.runtime.checkpoint import State
from schematic.runtime.prepare import Plan
from schematic.runtime.program import Draw
from schematic.runtime.state import restore
from schematic.runtime.step import Trainer, Update, anneal, average, step


class _Found(Exception):
    pass


def find(plan: Plan, state: State, last: int) -> str:
    """What is not finite, in words: the steps from the state on are taken again, up to the `last`, and every term and
    its gradient is looked at. Empty where they are finite this time, as may be where a device adds in another order."""

    def look(update: Update, draw: Draw) -> None:
        if said := fault(plan.trainer, update, draw):
            raise _Found(said)

    for n in range(restore(plan, state) + 1, last + 1):
        anneal(plan.trainer, n, plan.steps)
        try:
            step(plan.trainer, plan.batches, before=look)
        except _Found as found:
            return f"at step {n} {found}"
        average(plan.trainer, n)
    return ""


def fault(trainer: Trainer, update: Update, draw: Draw) -> str:
    """The first term of an update's objective that is not finite, or whose gradient is not; empty if there is none."""
    groups = ", ".join(map(greek, update.groups))
    parameters = [p for own in update.parameters.values() for p in own]
    for name, term in trainer.program.terms(draw, update.groups[0]).items():
        wrong = ""
        if not trainer.world.agreed(term.detach().isfinite().all()):
            wrong = f"the term `{name}` of {groups} is {term.item()}"
        elif term.requires_grad:
            gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
            if not trainer.world.agreed(_finite(gradients)):
                wrong = f"the gradient of the term `{name}` of {groups} is not finite"
        if wrong:
            return wrong
    return ""


def _finite(tensors: tuple[Tensor | None, ...]) -> Tensor:
    present = [t.isfinite().all() for t in tensors if t is not None]
    return torch.stack(present).all() if present else torch.tensor(True)

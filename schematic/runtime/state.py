"""What a run is at one step, taken for a checkpoint and put back: all that the next step depends on.

States are whole: of a sharded program, too, so that any number of processes may go on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from schematic.runtime import device as devices
from schematic.runtime.checkpoint import State
from schematic.runtime.errors import RunError
from schematic.runtime.prepare import Plan
from schematic.runtime.sharding import gathered, plain


def capture(plan: Plan, step: int) -> State:
    """Parameters and their moving averages, optimizers, data order, random states, step: all learning rates follow
    from it. Every process takes part; tensors may be those of the program itself."""
    trainer, shards = plan.trainer, plan.shards
    names, whole = _names(plan), _whole(plan)
    return {
        "step": step,
        "program": shards.state_dict() if shards else plan.program.state_dict(),
        "averages": {
            names[p]: whole(mean, p)
            for group, means in trainer.averages.items()
            for mean, p in zip(means, trainer.parameters[group], strict=True)
        },
        "optimizers": {
            group: _mapped(optimizer.state_dict(), trainer.parameters[group], whole)
            for group, optimizer in trainer.optimizers.items()
        },
        "scaler": trainer.scaler.state_dict(),
        "batches": plan.batches.state(),
        "random": {
            "run": trainer.generator.get_state(),
            "processes": plan.world.gather(devices.random_states(plan.device)),
        },
    }


def restore(plan: Plan, state: State) -> int:
    """Puts the plan where the state stands, and gives its step. Raises RunError where it is of another program."""
    trainer, names, part = plan.trainer, _names(plan), _part(plan)
    try:
        (plan.shards or plan.program).load_state_dict(state["program"])
        for group, means in trainer.averages.items():
            for mean, p in zip(means, trainer.parameters[group], strict=True):
                mean.copy_(part(state["averages"][names[p]], p))
        for group, optimizer in trainer.optimizers.items():
            optimizer.load_state_dict(_mapped(state["optimizers"][group], trainer.parameters[group], part))
        trainer.scaler.load_state_dict(state["scaler"])
        plan.batches.load_state(state["batches"])
        trainer.generator.set_state(state["random"]["run"])
        if plan.world.rank < len(state["random"]["processes"]):
            devices.restore(state["random"]["processes"][plan.world.rank], plan.device)
    except (RuntimeError, KeyError, ValueError) as e:
        raise RunError("the checkpoint is of another program than program.py", "train the model again") from e
    return int(state["step"])


Change = Callable[[Tensor, nn.Parameter], Tensor]


def _names(plan: Plan) -> dict[nn.Parameter, str]:
    """The plain name of each parameter; one of several, where it is shared."""
    return {p: plain(name) for name, p in cast(nn.Module, plan.program).named_parameters()}


def _whole(plan: Plan) -> Change:
    """From a tensor that goes with a parameter of this process to that of the whole one."""
    if plan.shards is None:
        return lambda tensor, p: tensor
    shapes = _shapes(plan)
    return lambda tensor, p: gathered(tensor, shapes[p], plan.world.size).cpu()


def _part(plan: Plan) -> Change:
    shards = plan.shards
    return (lambda tensor, p: tensor) if shards is None else (lambda tensor, p: shards.part(tensor, p))


def _shapes(plan: Plan) -> dict[nn.Parameter, torch.Size]:
    assert plan.shards is not None
    named = cast(nn.Module, plan.program).named_parameters()
    return {p: shape for name, p in named if (shape := plan.shards.shape(name)) is not None}


def _mapped(state: Mapping[str, Any], parameters: tuple[nn.Parameter, ...], change: Change) -> dict[str, Any]:
    """An optimizer's state with what goes with its parameters changed; counts of steps stay."""
    entries = {
        index: {
            name: change(value, parameters[index]) if isinstance(value, Tensor) and name != "step" else value
            for name, value in entry.items()
        }
        for index, entry in state["state"].items()
    }
    return {**state, "state": entries}

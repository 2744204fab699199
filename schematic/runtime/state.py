"""What a run is at one step, taken for a checkpoint and put back: all that the next step depends on."""

from __future__ import annotations

from typing import Any

from schematic.runtime import device as devices
from schematic.runtime.checkpoint import State
from schematic.runtime.errors import RunError
from schematic.runtime.prepare import Plan


def capture(plan: Plan, step: int) -> State:
    """Parameters and their moving averages, optimizers, data order, random states, step. Learning rates follow from
    the step."""
    return {
        "step": step,
        "program": plan.program.state_dict(),
        "averages": {},
        "optimizers": {group: o.state_dict() for group, o in plan.trainer.optimizers.items()},
        "batches": plan.batches.state(),
        "random": devices.random_states(plan.trainer.generator, plan.device),
    }


def restore(plan: Plan, state: State) -> int:
    """Puts the plan where the state stands, and gives its step. Raises RunError where it is of another program."""
    try:
        plan.program.load_state_dict(state["program"])
        for group, optimizer in plan.trainer.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][group])
        plan.batches.load_state(state["batches"])
        devices.restore(state["random"], plan.trainer.generator, plan.device)
        step: Any = state["step"]
    except (RuntimeError, KeyError, ValueError) as e:
        raise RunError("the checkpoint is of another program than program.py", "train the model again") from e
    return int(step)

"""Where a program runs, and the random states that a checkpoint keeps."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from schematic.runtime.errors import RunError

THREADS = 4  # the nets are small: more threads wait for one another


def choose(name: str) -> torch.device:
    """`auto` is the first of cuda, mps, cpu that is there. Raises RunError for a device that is not."""
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RunError(f"no device `{name}`", f"auto, {', '.join(present)}") from None
    if not present.get(device.type, False) or (device.index or 0) >= max(1, torch.cuda.device_count()):
        raise RunError(f"the device `{name}` is not there", "--device auto takes what is")
    return device


def set_up() -> None:
    """A few CPU threads, unless the environment says how many."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(THREADS, torch.get_num_threads()))


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's own generators, which dropout and Pyro's distributions draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state(device)
    return states


def restore(states: dict[str, Any], device: torch.device) -> None:
    """Puts back what `random_states` took."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "device" in states:
        torch.cuda.set_rng_state(states["device"], device)

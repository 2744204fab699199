"""Optimizers: what the file's `train` block and the command line say, else defaults by what kind of model it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import nn

from schematic.core.names import did_you_mean
from schematic.graph.model import Optimizer
from schematic.graph.optimizers import ADVERSARIAL, DENSITY
from schematic.runtime.errors import RunError

FUSED = ("cpu", "cuda", "mps", "xpu")  # the devices for which torch has the fused kernel


Settings = Sequence[tuple[str, Optimizer]]


def resolve(groups: Collection[str], adversarial: bool, file: Settings, asked: Settings) -> dict[str, Optimizer]:
    """The optimizer of each trained group: what is asked, else what the file says, else the default of its kind.

    A file may speak of groups that train nothing (a perfect discriminator's). Raises RunError where what is asked does.
    """
    for group, _ in asked:
        if group not in groups:
            help = did_you_mean(group, groups) or f"groups: {', '.join(groups)}"
            raise RunError(f"an optimizer is set for `{group}`, which is no group that is trained", help)
    default = ADVERSARIAL if adversarial else DENSITY
    chosen = {**dict(file), **dict(asked)}
    return {group: chosen.get(group, default) for group in groups}


def build(optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """A torch optimizer that maximizes. Fused or foreach: a step is a few kernels, whatever the number of tensors."""
    match optimizer.name:
        case "adam":
            fused = all(p.device.type in FUSED for p in parameters)
            return torch.optim.Adam(parameters, optimizer.rate, optimizer.betas, maximize=True, fused=fused)
        case "sgd":
            return torch.optim.SGD(parameters, optimizer.rate, maximize=True, foreach=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, optimizer.rate, maximize=True, foreach=True)

"""Optimizers: what the file's `train` block and the command line say, else defaults by what kind of model it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from schematic.core.names import did_you_mean
from schematic.graph.model import ADVERSARIAL, DENSITY, Optimizer
from schematic.runtime.errors import RunError

FUSED = ("cpu", "cuda", "mps", "xpu")  # the devices for which torch has the fused kernel


def resolve(
    groups: Iterable[str], adversarial: bool, *settings: Sequence[tuple[str, Optimizer]]
) -> dict[str, Optimizer]:
    """The optimizer of each group: the last setting that names it, else the default. Raises RunError for no group."""
    names = list(groups)
    chosen = {group: setting for setting_ in settings for group, setting in setting_}
    for group in chosen:
        if group not in names:
            help = did_you_mean(group, names) or f"groups: {', '.join(names)}"
            raise RunError(f"an optimizer is set for `{group}`, which is no group that is trained", help)
    default = ADVERSARIAL if adversarial else DENSITY
    return {group: chosen.get(group, default) for group in names}


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

"""Lightning without Lightning: the shape of a LightningModule is enough, and so the package need not be there.

`step_of` makes one training step of a module that has `training_step` and `configure_optimizers`, by automatic or
manual optimization. The class that the user's file inherits from is `LightningModule` here, whatever is installed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

NAMES = ("lightning", "lightning.pytorch", "pytorch_lightning")


class LightningModule(nn.Module):
    """What a training step may ask of its module. Logging does nothing."""

    automatic_optimization = True
    current_epoch = 0
    global_step = 0
    device = torch.device("cpu")
    trainer = SimpleNamespace(is_global_zero=True, current_epoch=0, global_step=0, is_last_batch=False)
    logger = None

    def log(self, *args: Any, **kwargs: Any) -> None: ...

    log_dict = log

    def save_hyperparameters(self, *args: Any, **kwargs: Any) -> None:
        """Keeps what `__init__` was called with as `hparams`."""
        frame = inspect.currentframe()
        assert frame is not None and frame.f_back is not None
        given = {k: v for k, v in frame.f_back.f_locals.items() if k not in ("self", "__class__")}
        self.hparams = Hyperparameters({**given, **given.get("kwargs", {})})

    def optimizers(self) -> Any:
        made: list[Any] = self.__dict__["made"]
        return made[0] if len(made) == 1 else made

    def lr_schedulers(self) -> Any:
        return SimpleNamespace(step=lambda *a, **k: None)

    def manual_backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        torch.autograd.backward(loss, *args, **kwargs)

    def clip_gradients(self, *args: Any, **kwargs: Any) -> None: ...

    def toggle_optimizer(self, optimizer: Any, *args: Any) -> None:
        """Only what the optimizer holds asks for gradients."""
        held = {id(p) for g in optimizer.param_groups for p in g["params"]}
        self.__dict__["asked"] = [(p, p.requires_grad) for p in self.parameters()]
        for o in self.__dict__["made"]:
            for p in (p for g in o.param_groups for p in g["params"]):
                p.requires_grad_(id(p) in held)

    def untoggle_optimizer(self, *args: Any) -> None:
        for p, asked in self.__dict__.pop("asked", ()):
            p.requires_grad_(asked)


class Hyperparameters(dict[str, Any]):
    """A dict whose keys are attributes, too."""

    __getattr__ = dict.__getitem__


def install() -> None:
    """Puts the stand-in where the package would be imported from."""
    for name in NAMES:
        module = ModuleType(name)
        module.__dict__.update(LightningModule=LightningModule, LightningDataModule=object, Callback=object,
                               Trainer=lambda *a, **k: SimpleNamespace(fit=lambda *a, **k: None),
                               seed_everything=lambda *a, **k: None, __path__=[])  # fmt: skip
        sys.modules[name] = module
    sys.modules["lightning"].pytorch = sys.modules["lightning.pytorch"]  # type: ignore[attr-defined]


def step_of(step: Any) -> Callable[..., Any] | None:
    """A training step as a function: itself, or that of a LightningModule (an instance, or its class)."""
    if inspect.isclass(step):
        step = step()
    if not hasattr(step, "training_step") or not hasattr(step, "configure_optimizers"):
        return step  # type: ignore[no-any-return]
    made = optimizers(step.configure_optimizers())
    step.__dict__["made"] = made
    takes = len(inspect.signature(step.training_step).parameters)

    def stepped(batch: Any) -> None:
        if not step.automatic_optimization:
            step.training_step(*(batch, 0)[:takes])
            return
        for i, optimizer in enumerate(made):
            if len(made) > 1:
                step.toggle_optimizer(optimizer)
            loss = step.training_step(*(batch, 0, i)[:takes])
            loss = loss["loss"] if isinstance(loss, dict) else loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if len(made) > 1:
                step.untoggle_optimizer(optimizer)

    stepped.module = step  # type: ignore[attr-defined]
    return stepped


def optimizers(found: Any) -> list[torch.optim.Optimizer]:
    """The optimizers among what `configure_optimizers` may return."""
    if isinstance(found, torch.optim.Optimizer):
        return [found]
    if isinstance(found, dict):
        return optimizers(found.get("optimizer"))
    if isinstance(found, Sequence):
        return [o for f in found for o in optimizers(f)]
    return []

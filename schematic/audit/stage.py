"""The stage on which the user's code runs: float64 on the CPU, nets that are plain functions, optimizers that only say
what they would move.

Everything is patched in the process that runs their code and nowhere else. Batch normalization, dropout and spectral
normalization stand still (torch's own layers stay in evaluation mode; the user's modules keep their mode), so that a
net gives one value for one input, whoever calls it. Gradient clipping does nothing. No optimizer moves a parameter:
what it was called on is recorded, gradients and all, so that every loss of a step meets the same weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from schematic.audit.randomness import Drawn, Recorder, Replay

Line = tuple[str, int]  # a file and a line of it


@dataclass
class Backward:
    """A call of `backward`: the losses, before anything flows."""

    losses: tuple[Tensor, ...]
    line: Line | None
    iteration: int = 0


@dataclass
class Step:
    """A call of `step`: which parameters the optimizer holds, with their gradients as they stood."""

    optimizer: int
    parameters: tuple[Tensor, ...]
    gradients: tuple[Tensor | None, ...]
    maximize: bool
    line: Line | None
    iteration: int = 0


Event = Backward | Step


@dataclass
class Stage:
    """What happens on the stage. `files`: whose lines count as the user's; `watch` is called before a loss flows."""

    files: Callable[[str], bool]
    events: list[Event] = field(default_factory=list)
    lines: dict[Any, tuple[Tensor, Line]] = field(default_factory=dict)  # autograd node -> its value, where it was made
    pool: list[Drawn] = field(default_factory=list)  # what is drawn
    size: int = 1  # of the batch
    apart: bool = False  # a layer was given rows that are not those of the whole batch
    watch: Callable[[Backward], None] | None = None

    def here(self) -> Line | None:
        """The innermost line of the user's that is running."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if self.files(frame.f_code.co_filename):
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return None

    def forget(self) -> None:
        """A new run begins."""
        self.events.clear()
        self.lines.clear()
        self.apart = False


LAYERS = (F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose2d)


def _rows(layer: Any, value: Tensor) -> int:
    """The records that a layer is given; a linear one may have them behind other axes."""
    return value.numel() // max(1, value.shape[-1]) if layer is F.linear else len(value)


class Trace(TorchFunctionMode):
    """Single precision becomes double, every device the CPU, and each value remembers the line that made it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = _double(func, args), {k: _one(k, v) for k, v in (kwargs or {}).items()}
        if func is Tensor.float or func is Tensor.half:
            func = Tensor.double
        value = func(*args, **kwargs)
        if func in LAYERS and args[0].dim() > 1 and _rows(func, args[0]) % self.stage.size:
            self.stage.apart = True
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, Tensor) and v.dtype == torch.float32 and type(v) is Tensor:
                value = value.double()
            if isinstance(v, Tensor) and v.grad_fn is not None and v.grad_fn not in self.stage.lines:
                line = self.stage.here()
                if line is not None:
                    self.stage.lines[v.grad_fn] = (v, line)
        return value


def _double(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Positional arguments with double precision for single, the CPU for any device."""
    named = func in (Tensor.to, Tensor.type)
    return tuple(_argument(a, named) for a in args)


def _argument(a: Any, named: bool) -> Any:
    if a is torch.float32 or a is torch.float16:
        return torch.float64
    if isinstance(a, torch.device) or (named and isinstance(a, str) and a.split(":")[0] in ("cuda", "mps", "xpu")):
        return torch.device("cpu")
    return torch.float64 if named and isinstance(a, str) and "FloatTensor" in a else a


def _one(name: str, value: Any) -> Any:
    return torch.device("cpu") if name == "device" else _argument(value, False)


def set_up(stage: Stage) -> None:
    """Patches torch in this process; it stays so until the process ends."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    vars(torch)["FloatTensor"] = vars(torch.cuda)["FloatTensor"] = torch.DoubleTensor
    torch.compile = lambda model=None, *a, **k: model if model is not None else (lambda m: m)  # type: ignore[assignment]
    torch.from_numpy = _doubled(torch.from_numpy)
    Tensor.cuda = lambda self, *a, **k: self  # type: ignore[method-assign]
    nn.Module.cuda = lambda self, *a, **k: self  # type: ignore[method-assign]
    nn.Module.half = nn.Module.float = nn.Module.double  # type: ignore[method-assign]
    nn.Module.to = _module_to  # type: ignore[method-assign,assignment]
    nn.Module.train = _train  # type: ignore[method-assign,assignment]
    for name in ("dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"):
        if hasattr(F, name):
            setattr(F, name, lambda input, *a, **k: input)
    for method in (*vars(torch.optim.Optimizer).values(), Recorder.__torch_dispatch__, Replay.__torch_dispatch__):
        _uncompiled(method)
    nn.utils.clip_grad_norm_ = nn.utils.clip_grad_value_ = lambda *a, **k: torch.ones(())  # type: ignore[assignment]
    _watch_optimizers(stage)
    _watch_backward(stage)


def _uncompiled(method: Any) -> None:
    """Keeps torch from importing its compiler, which takes seconds, at the first call of a method that it exempts."""
    plain = getattr(method, "__wrapped__", None)
    if plain is not None:
        setattr(plain, "__dynamo_disable", plain)


def _doubled(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def made(*args: Any, **kwargs: Any) -> Tensor:
        value = make(*args, **kwargs)
        return value.double() if value.is_floating_point() else value

    return made


def _module_to(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    return self


def _train(self: nn.Module, mode: bool = True) -> nn.Module:
    """`train` that leaves torch's own layers in evaluation mode."""
    for module in self.modules():
        module.training = mode and not type(module).__module__.startswith("torch.")
    return self


def _watch_optimizers(stage: Stage) -> None:
    create = torch.optim.Optimizer.__init__

    def created(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        self.step = MethodType(step, self)  # type: ignore[method-assign]

    def step(self: torch.optim.Optimizer, closure: Callable[[], Any] | None = None, *a: Any, **k: Any) -> Any:
        value = closure() if closure is not None else None
        held = tuple(p for g in self.param_groups for p in g["params"])
        gradients = tuple(None if p.grad is None else p.grad.detach().clone() for p in held)
        maximize = any(g.get("maximize") for g in self.param_groups)
        stage.events.append(Step(id(self), held, gradients, maximize, stage.here()))
        return value

    torch.optim.Optimizer.__init__ = created  # type: ignore[method-assign]


def _watch_backward(stage: Stage) -> None:
    flow = torch.autograd.backward

    def backward(tensors: Any, grad_tensors: Any = None, retain_graph: Any = None, *a: Any, **k: Any) -> None:
        losses = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
        event = Backward(losses, stage.here())
        if stage.watch is not None:
            stage.watch(event)
        stage.events.append(event)
        flow(tensors, grad_tensors, retain_graph, *a, **k)

    torch.autograd.backward = backward


@contextmanager
def on(stage: Stage) -> Iterator[None]:
    """While the user's code runs."""
    with Trace(stage):
        yield

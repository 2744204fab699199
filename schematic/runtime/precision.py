"""Networks in lower precision, and compiled: densities and objectives stay in 32 bits, as do parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, cast, get_args

import torch
import torch._functorch.config as functorch
from torch import Tensor, nn

from schematic.runtime.errors import RunError
from schematic.runtime.program import Program

Precision = Literal["32", "bf16", "16", "64"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
AUTOCAST = {"bf16": torch.bfloat16, "16": torch.float16}


def check(precision: Precision, device: torch.device) -> None:
    """Raises RunError where the device cannot compute in this precision."""
    missing = (precision == "64" and device.type == "mps") or (
        precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported()
    )
    if missing:
        raise RunError(f"the device `{device}` does not compute with --precision {precision}", "--precision 32")


def lower(program: Program, precision: Precision, device: torch.device) -> None:
    """Lets the program's networks compute in 16 bits, where it does no harm (torch.autocast), and give 32."""
    if precision in AUTOCAST:
        for net in networks(program):
            cast(Any, net).forward = partial(_lowered, net.forward, device.type, AUTOCAST[precision])


def compiled(program: Program) -> None:
    """Lets torch.compile compile the program's networks, each when it is first called."""
    functorch.donated_buffer = False  # a graph may be gone back through twice: a draw serves several updates
    for net in networks(program):
        net.compile()


def networks(program: Program) -> list[nn.Module]:
    """The networks within the program's conditionals, each once."""
    conditionals = cast(nn.Module, program).children()
    return list(dict.fromkeys(net for conditional in conditionals for net in conditional.children()))


def _lowered(forward: Callable[..., Any], kind: str, dtype: torch.dtype, *args: Any, **kwargs: Any) -> Any:
    with torch.autocast(kind, dtype):
        value = forward(*args, **kwargs)
    return value.float() if isinstance(value, Tensor) else value

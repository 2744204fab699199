"""Emitted programs, loaded as modules. They stand alone; what is read from them here is design.md's interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import ModuleType
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from schematic.runtime.errors import RunError
from schematic.runtime.fields import Shape

Draw = dict[str, Any]
Made = dict[Any, Any]  # what a draw's values were drawn from, by branch and variable: only where SHARED is


class Program(Protocol):
    """An instance of an emitted class, an `nn.Module`: see design.md, "The emitted program"."""

    GROUPS: dict[str, tuple[str, ...]]
    FIELDS: dict[str, Shape]
    UPDATES: tuple[tuple[str, ...], ...]
    REDRAW: tuple[bool, ...]  # one an update: a fresh draw is due before it
    SHARED: tuple[bool, ...]  # one an update: it scores what its draw has made; absent where none does
    ADVERSARIAL: tuple[str, ...]  # the groups of the blue factors
    TYPES: dict[str, str]  # the type of each field: "unit", "category", ...
    DATA: dict[str, str]  # variable -> its field
    CONDITIONS: tuple[str, ...]  # the variables that `sample` must be given

    def draw(
        self, batch: Mapping[str, Tensor], generator: torch.Generator | None = None, made: Made | None = None
    ) -> Draw: ...
    def objective(self, draw: Draw, group: str, made: Made | None = None) -> Tensor: ...
    def terms(self, draw: Draw, group: str) -> dict[str, Tensor]: ...  # its summands, by name
    def sample(self, n: int, **given: Tensor) -> dict[str, Tensor]: ...
    def infer(self, **given: Tensor) -> dict[str, Tensor]: ...  # where there is an inference net
    def parameters_of(self, group: str) -> list[nn.Parameter]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state: Mapping[str, Tensor]) -> Any: ...
    def to(self, where: torch.device | torch.dtype) -> Any: ...


def partial_fields(program: object) -> tuple[str, ...]:
    """PARTIAL, the fields that only some records have; a batch says which ones in `FIELD_observed`. Absent: none."""
    fields: tuple[str, ...] = getattr(program, "PARTIAL", ())
    return fields


def load_class(text: str, origin: str) -> type[nn.Module]:
    """The emitted class of a program's text; `origin` names it in errors.

    Raises RunError where the text does not run or holds no such class.
    """
    module = ModuleType(f"schematic_program_{digest(text)[:12]}")
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up
    try:
        exec(compile(text, origin, "exec"), module.__dict__)
    except Exception as e:
        raise RunError(f"{origin}: the program does not run: {type(e).__name__}: {e}") from e
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, nn.Module)]
    programs = [c for c in classes if c.__module__ == module.__name__ and hasattr(c, "UPDATES")]
    if len(programs) != 1:
        raise RunError(f"{origin}: {len(programs)} emitted classes, not one", "`schematic compile` writes one a file")
    return programs[0]


def instantiate(cls: type[nn.Module], seed: int, device: torch.device) -> Program:
    """The program on a device, its parameters drawn from this seed on the CPU: the same start everywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast(Program, cls().to(device))


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()

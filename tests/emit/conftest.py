"""Programs compiled from text, as modules in float64 with their data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.build import parse

Compile = Callable[..., Any]


def source(text: str, model: str | None = None) -> str:
    """The program of a model file's text."""
    report = Report()
    found = parse(text, report, model=model)
    report.check()
    assert found is not None
    return pipeline.text(found, report)


def load(code: str) -> Any:
    """The program's class."""
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(code, "emitted.py", "exec"), scope)
    (found,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    return found


@pytest.fixture
def emitted() -> Compile:
    """source text -> Python text."""
    return source


@pytest.fixture
def program() -> Compile:
    """source text -> an instance in float64, its parameters drawn from a fixed seed."""

    def made(text: str, model: str | None = None, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        return load(source(text, model))().double()

    return made


@pytest.fixture
def batch() -> Compile:
    """A program -> a batch for it, categories one-hot, on a device; every other record has its partial fields."""

    def made(p: Any, n: int = 6, seed: int = 1, device: str = "cpu") -> dict[str, torch.Tensor]:
        g = torch.Generator().manual_seed(seed)
        found = {}
        for name, shape in p.FIELDS.items():
            value = torch.rand(n, *shape, generator=g, dtype=torch.float64)
            if p.TYPES[name] == "category":
                value = torch.nn.functional.one_hot(value.argmax(-1), shape[-1]).double()
            elif p.TYPES[name] == "binary":
                value = (value < 0.5).double()
            found[name] = value.to(device)
        return found | {f"{name}_observed": (torch.arange(n) % 2 == 0).to(device) for name in getattr(p, "PARTIAL", ())}

    return made


@pytest.fixture
def gradients() -> Compile:
    """(program, value, group) -> the group's gradients, None where none flows."""

    def found(p: Any, value: torch.Tensor, group: str) -> list[torch.Tensor | None]:
        return list(torch.autograd.grad(value, list(p.parameters_of(group)), retain_graph=True, allow_unused=True))

    return found

"""The front end grows with a model as the model does: twice the factors, about twice the work."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.build import parse


def wide(factors: int) -> str:
    """As many pairs of a code and an image of it, independent of each other."""
    lines = [
        f'  x{i} : unit(2) = data("f{i}")  z{i} : real(1) ~ Normal(0, 1)'
        f"  p_theta.{i} : z{i} -> x{i} = linear  q_eta.{i} : x{i} --> z{i} = linear"
        for i in range(factors // 2)
    ]
    return "\n".join(("model Wide {", *lines, "}"))


def deep(levels: int) -> str:
    """A code above a code: every one is inferred from the one below."""
    lines = [f"  z{i} : real(4)  p_theta.{i} : z{i + 1} -> z{i} = linear" for i in range(1, levels)]
    lines += [f"  q_eta.{i} : z{i} --> z{i + 1} = linear" for i in range(1, levels)]
    ends = [f"  z{levels} : real(4) ~ Normal(0, 1)  p_theta.0 : z1 -> x = linear  q_eta.0 : x --> z1 = linear"]
    return "\n".join(("model Deep {", '  x : unit(8) = data("image")', *lines, *ends, "}"))


def work(text: str) -> int:
    """Calls of Python functions from text to code: a measure of time that nothing else on the machine disturbs."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        report = Report()
        model = parse(text, report)
        assert model is not None
        pipeline.text(model, report)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(("made", "size", "most"), ((wide, 200, 2.3), (deep, 50, 3.2)))
def test_twice_the_factors(made: Callable[[int], str], size: int, most: float) -> None:
    """A deep one has terms that speak of all levels below, each by its draws: the quadratic part has a small share."""
    work(made(20))  # what is read once, the grammar and the networks
    assert work(made(2 * size)) < most * work(made(size))


def test_many_levels_need_no_deep_stack() -> None:
    report = Report()
    model = parse(deep(300), report)
    assert model is not None and "class Deep(nn.Module)" in pipeline.text(model, report)

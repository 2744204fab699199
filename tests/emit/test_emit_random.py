"""Random finite graphs: what the emitted program computes, averaged over everything that it can draw, against the
objective's summands evaluated by enumeration. Values and gradients, score functions and enumeration included."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any
from unittest.mock import patch

import torch
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from random_models import models
from torch import Tensor
from torch.nn.functional import logsigmoid

from schematic.calculus.terms import KL, Density, Log, Objective, Summand
from schematic.compiler import estimators, pipeline
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.model import Model

PATHS = 300  # draws of a program that a test is willing to run
EXACT = {"rtol": 1e-9, "atol": 1e-11}


class Choices:
    """One run of a program with every random choice taken from a script; what it could have chosen is noted."""

    def __init__(self, script: tuple[int, ...]) -> None:
        self.script, self.sizes, self.weight = script, [], torch.ones((), dtype=torch.float64)

    def choose(self, probabilities: Tensor) -> int:
        place = len(self.sizes)
        self.sizes.append(len(probabilities))
        chosen = self.script[place] if place < len(self.script) else 0
        self.weight = self.weight * probabilities[chosen].detach() / probabilities.sum().detach()
        return chosen

    def categorical(self, probs: Tensor, generator: object) -> Tensor:
        rows = [torch.eye(probs.shape[-1])[self.choose(row)] for row in probs.reshape(-1, probs.shape[-1])]
        return torch.stack(rows).double().reshape(probs.shape)


def data(p: Any) -> dict[str, Tensor]:
    """A distribution for each field, all independent."""
    g = torch.Generator().manual_seed(7)
    return {f: torch.rand(shape[-1], generator=g, dtype=torch.float64).softmax(0) for f, shape in p.FIELDS.items()}


def runs(p: Any) -> Iterator[tuple[Any, Tensor]]:
    """Every draw of a batch of one record, with its probability."""
    pending: list[tuple[int, ...]] = [()]
    fields = data(p)
    count = 0
    while pending:
        script = pending.pop()
        choices = Choices(script)
        type(p).draw.__globals__["categorical"] = choices.categorical
        batch = {f: torch.eye(len(d)).double()[[choices.choose(d)]] for f, d in fields.items()}
        yield p.draw(batch), choices.weight
        taken = (*script, *(0 for _ in choices.sizes[len(script) :]))
        for place in range(len(script), len(choices.sizes)):
            pending += [(*taken[:place], other) for other in range(1, choices.sizes[place])]
        count += 1
        assume(count + len(pending) <= PATHS)


def programmed(p: Any, group: str) -> Tensor:
    """The expectation of the program's objective."""
    return sum((w * p.objective(draw, group) for draw, w in runs(p)), torch.zeros((), dtype=torch.float64))


class Oracle:
    """The summands of an objective, by enumeration of every draw with the program's own conditionals."""

    def __init__(self, p: Any, model: Model) -> None:
        self.p, self.model, self.fields = p, model, data(p)

    def value(self, o: Objective) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for s in o.summands:
            draws = [(d, True) for d in s.outer] + [(d, d.stopped) for d in s.draws]
            total = total + float(s.scale) * self.expectation(s, draws, {})
        return total

    def expectation(self, s: Summand, draws: list[tuple[Density, bool]], at: dict[str, Tensor]) -> Tensor:
        if not draws:
            weight = prod(torch.sigmoid(self.logit(m, at)).detach() for m in s.masses)
            return weight * self.atom(s.atom, at)
        (d, stopped), rest = draws[0], draws[1:]
        if d.kind == "implicit":
            made = self.module(d)(*self.parents(d, at))
            return self.expectation(s, rest, {**at, d.target: made.detach() if stopped else made})
        if d.kind == "data" and len(d.targets) > 1:
            split = [(Density("data", "p", None, (t,), d.given, values=d.values), stopped) for t in d.targets]
            return self.expectation(s, [*split, *rest], at)
        probabilities = self.probabilities(d, s, at)
        probabilities = probabilities.detach() if stopped else probabilities
        total = torch.zeros((), dtype=torch.float64)
        for probability, corner in zip(probabilities, torch.eye(len(probabilities)).double(), strict=True):
            total = total + probability * self.expectation(s, rest, {**at, d.target: corner[None]})
        return total

    def probabilities(self, d: Density, s: Summand, at: dict[str, Tensor]) -> Tensor:
        size = self.model.variable(d.target).type.size
        if d.kind == "prior":
            return torch.full((size,), 1 / size, dtype=torch.float64)
        if d.kind == "data":
            found = self.model.variable(d.target).data
            assert found is not None
            return self.fields[found.fields[s.branch or 0 if found.given else 0]]
        return self.logits(d, at)[0].softmax(-1)

    def module(self, d: Density) -> Any:
        assert d.factor is not None
        return getattr(self.p, d.factor.replace(".", "_"))

    def parents(self, d: Density, at: dict[str, Tensor]) -> list[Tensor]:
        assert d.factor is not None
        y = self.model.indicator
        return [at[v] for v in self.model.factor(d.factor).parents if y is None or v != y.name]

    def logits(self, d: Density, at: dict[str, Tensor]) -> Tensor:
        if d.kind == "prior":
            return torch.zeros(1, self.model.variable(d.target).type.size, dtype=torch.float64)
        return self.module(d).net(*self.parents(d, at))

    def logit(self, d: Density, at: dict[str, Tensor]) -> Tensor:
        sign = 1 if d.value(d.target) == 1 else -1
        return sign * self.logits(d, at)[0] / d.temperature

    def atom(self, atom: Log | KL, at: dict[str, Tensor]) -> Tensor:
        match atom:
            case Log(d) if d.kind == "blue":
                return logsigmoid(self.logit(d, at))
            case Log(d):
                return (at[d.target] * self.logits(d, at).log_softmax(-1)).sum()
            case KL(left, right):
                q, g = (self.logits(d, at).log_softmax(-1) for d in (left, right))
                return (q.exp() * (q - g)).sum()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a program takes too long to shrink
)
@given(model=models(), seed=st.integers(0, 1000), limit=st.sampled_from((64, 0)))
def test_programs_compute_their_objectives(model: Model, seed: int, limit: int) -> None:
    """`limit` 0: nothing is enumerated, every trained discrete draw takes the score function."""
    code = text(model, limit)
    assume(code is not None)
    found = pipeline.derive(model, Report())
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(code, "emitted.py", "exec"), scope)
    (cls,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    torch.manual_seed(seed)
    p = cls().double()
    for parameter in p.parameters():
        torch.nn.init.normal_(parameter)
    oracle = Oracle(p, model)
    for what in ("score(", ".exp()", ".detach()", "no_grad():  # theta_0", "kl_divergence(", "frozen("):
        event(f"{what} {what in code.split('def draw')[1].split('def objective')[0]}")
    for o in found:
        groups = [g for g in o.groups if g in p.GROUPS]
        if not groups:
            continue
        ours, theirs = programmed(p, groups[0]), oracle.value(o)
        torch.testing.assert_close(ours, theirs, **EXACT)
        for group in groups:
            moved = list(p.parameters_of(group))
            a, b = (torch.autograd.grad(v, moved, retain_graph=True, allow_unused=True) for v in (ours, theirs))
            for one, other in zip(a, b, strict=True):
                zero = torch.zeros(())
                torch.testing.assert_close(
                    one if one is not None else zero.expand_as(other if other is not None else zero),
                    other if other is not None else torch.zeros_like(one if one is not None else zero),
                    check_dtype=False,
                    **EXACT,
                )


def text(model: Model, limit: int) -> str | None:
    """The program, with another limit to enumeration; None where the model cannot be compiled."""
    with patch.object(estimators, "ENUMERABLE", limit):
        try:
            return pipeline.text(model, Report())
        except SchematicError:
            return None

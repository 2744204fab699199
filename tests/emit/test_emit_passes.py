"""Passes that a step saves: values and every gradient are those of the plain form, of every example and more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from schematic.compiler import pipeline
from schematic.compiler.emit import Header, emit
from schematic.compiler.plan import plan
from schematic.compiler.plan_passes import plain
from schematic.compiler.program import Plan
from schematic.core.diagnostics import Report
from schematic.graph.build import load_all, parse

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))
HEADER = Header("", "", "", "")
VAE = "model V { x : unit(6) = data  z : real(3) ~ Normal(0, 1)  p_theta : z -> x  q_eta : x --> z }"
DISCRETE = (
    "model D { x : unit(6) = data  z : category(9, 3) ~ Categorical"
    "  p_theta : z -> x = mlp(4)  q_eta : x --> z = mlp(5) }"
)
SHARED_NET = (
    "model S { x : unit(6) = data  z : real(3) ~ Normal(0, 1)  y : domain(fake, real)  net D in phi = mlp(7)"
    "  p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = D  q_eta : x, y -> z = D then mlp(4) }"
)
LADDER = (
    "model L { x : unit(6) = data  u : real(3)  z : real(2) ~ Normal(0, 1)  p_theta : u -> x = mlp(4)"
    "  p_theta.u : z -> u = mlp(4)  q_eta : x --> u = mlp(4)  q_eta.z : u --> z = mlp(4) }"
)
PARTIAL = (
    "model P { x : unit(6) = data  l : category(3) ~ Categorical = data partial  z : real(2) ~ Normal(0, 1)"
    "  p_theta : z, l -> x = mlp(4)  q_eta.l : x --> l = mlp(4)  q_eta.z : x, l --> z = mlp(4) }"
)
MORE = {"partial": PARTIAL, "discrete": DISCRETE, "shared net": SHARED_NET, "two levels": LADDER}


def planned(model: Any) -> Plan:
    report = Report()
    found = plan(model, pipeline.derive(model, report), report)
    report.check()
    return found


def instance(plan: Plan) -> Any:
    """The program in float64, its parameters drawn from a fixed seed."""
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(emit(plan, HEADER), "emitted.py", "exec"), scope)
    (found,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    torch.manual_seed(0)
    return found().double()


def moving(p: nn.Module, value: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of all parameters, moved in this update or not."""
    names, parameters = zip(*p.named_parameters(), strict=True)
    gradients = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return {n: g for n, g in zip(names, gradients, strict=True) if g is not None}


def held(plan: Plan, batch: Any) -> None:
    """The program beside its plain form, under the same draws."""
    p, q = instance(plan), instance(plain(plan))
    q.load_state_dict(p.state_dict())
    shared = dict(zip(p.UPDATES, getattr(p, "SHARED", (False,) * len(p.UPDATES)), strict=True))
    assert not hasattr(q, "SHARED") and any(shared.values()) == any(u.made for u in plan.updates)
    made: dict[Any, Any] = {}
    records = batch(p) | {f"{f}_observed": torch.arange(6) % 2 == 0 for f in getattr(p, "PARTIAL", ())}
    torch.manual_seed(1)
    draw = p.draw(records, torch.Generator().manual_seed(1), *([made] if any(shared.values()) else []))
    torch.manual_seed(1)
    other = q.draw(records, torch.Generator().manual_seed(1))
    for groups, shares in shared.items():
        group = groups[0]
        expected = q.objective(other, group)
        for found in (p.objective(draw, group), *([p.objective(draw, group, made)] if shares else [])):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
            here, there = moving(p, found), moving(q, expected)
            for name in [n for g in groups for f in p.GROUPS[g] for n in there if n.startswith(f.replace(".", "_"))]:
                torch.testing.assert_close(here[name], there[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples(path: Path, batch: Any) -> None:
    for model in load_all(path, Report())[-1:]:
        held(planned(model), batch)


@pytest.mark.parametrize("text", MORE.values(), ids=MORE)
def test_more_models(text: str, batch: Any) -> None:
    held(planned(parse(text, Report())), batch)


def test_what_is_saved() -> None:
    """An autoencoder's encoder runs once a step, a discriminator once over both branches; where the other is meant,
    nothing is saved: a network from Python, in which records may meet, and what has moved since the draw."""

    def saved(text: str) -> list[tuple[list[str], list[list[str]]]]:
        found = planned(parse(text, Report())).updates
        return [([c.branch for c, _ in u.made], [[c.branch for c in cs] for cs in u.joined]) for u in found]

    assert saved(VAE) == [(["data"], [])]
    gan = (
        "model G {{ x : unit(6) = data  z : real(3) ~ Normal(0, 1)  y : domain(fake, real)"
        "  p_theta : z, y ==> x  q_phi : x ~> y = {0} }}"
    )
    assert saved(gan.format("mlp(4)")) == [([], [["fake", "real"]]), ([], [])]
    assert saved(gan.format('python("torch.nn:Identity")')) == [([], []), ([], [])]


def test_a_moved_parameter_counts(batch: Any) -> None:
    """Without what the draw has made, objective is a function of the parameters as they are now."""
    p = instance(planned(parse(VAE, Report())))
    draw = p.draw(batch(p), torch.Generator().manual_seed(1))
    before = p.objective(draw, "eta").item()
    with torch.no_grad():
        p.q_eta.net.head.linear.bias.add_(0.1)
    assert abs(p.objective(draw, "eta").item() - before) > 1e-4

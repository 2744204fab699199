"""Networks from Python (`python("package.module:Name")`) in emitted programs."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from schematic.core.diagnostics import Report
from schematic.graph.build import parse

SEEN: list[tuple[Any, Any]] = []


class Block(nn.Module):
    """A network that takes one batch axis alone, as most do."""

    def __init__(self, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> None:
        super().__init__()
        SEEN.append((inputs, output))
        self.output = output
        self.linear = nn.Linear(sum(map(_size, inputs)) or 1, _size(output))

    def forward(self, *parents: Tensor) -> Tensor:
        if not parents:
            return self.linear(torch.ones(1).to(self.linear.weight)).reshape(self.output)
        assert all(p.dim() == 2 for p in parents)
        return self.linear(torch.cat(parents, -1)).reshape(-1, *self.output)


class Outer:
    Inner = Block


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


@pytest.fixture(autouse=True)
def module() -> Iterator[None]:
    """`own.blocks`, a package that the program can import."""
    package, blocks = types.ModuleType("own"), types.ModuleType("own.blocks")
    blocks.Block, blocks.Outer = Block, Outer  # type: ignore[attr-defined]
    sys.modules.update({"own": package, "own.blocks": blocks})
    SEEN.clear()
    yield
    for name in ("own", "own.blocks"):
        del sys.modules[name]


def test_it_is_made_from_shapes_and_sees_one_batch_axis(program: Any, batch: Any, gradients: Any) -> None:
    """Enumerated values and importance samples stand before the batch; the network does not see them."""
    p = program(
        "model M { x : binary(3) = data  t : category(3) ~ Categorical  z : real(2) ~ Normal(0, 1)"
        '  p_theta : z, t -> x = python("own.blocks:Block")  q_eta.t : x --> t = python("own.blocks:Outer.Inner")'
        '  q_eta.z : x, t --> z = Normal(python("own.blocks:Block")) } model I = importance(M, 4)'
    )
    assert SEEN == [(((2,), (3,)), (3,)), (((3,),), (3,)), (((3,), (3,)), (4,))]
    draw = p.draw(batch(p))
    x, z, t = (draw["data"][v] for v in "xzt")
    assert z.shape == (4, 3, 6, 2)
    scored = p.p_theta(z, t)
    for i in range(4):
        for j in range(3):
            logits = p.p_theta.net.net(z[i, j], t[j])
            torch.testing.assert_close(scored.base_dist.logits[i, j], logits)
    value = p.objective(draw, "eta")
    assert all(g is not None and g.isfinite().all() for group in p.GROUPS for g in gradients(p, value, group))
    assert len(list(p.parameters_of("theta"))) == 2 and x.shape == (6, 3)


def test_a_learned_prior_and_a_declared_one(program: Any, batch: Any, gradients: Any) -> None:
    p = program(
        'net F = python("own.blocks:Block")  model M { x : binary(3) = data  z : real(2)'
        '  p_theta : z -> x = F  p_xi : -> z = Normal(python("own.blocks:Block"), scale: 1)  q_eta : x --> z }'
    )
    draw = p.draw(batch(p))
    value = p.objective(draw, "eta")
    assert all(g is not None for group in ("theta", "xi", "eta") for g in gradients(p, value, group))
    assert p.sample(5)["x"].shape == (5, 3)


def test_one_that_is_fixed_passes_gradient_and_stays(program: Any, batch: Any, gradients: Any) -> None:
    p = program(
        'net V = python("own.blocks:Block") fixed  model M { x : unit(3) = data  z : real(2) ~ Normal(0, 1)'
        "  h : real(4)  p_theta : z -> x = mlp(4)  q_eta : x --> z }"
        "  model N = M { h : real(4)  q_psi : x ==> h = V  p_xi : z -> h = Normal(mlp(4), scale: 1) }"
    )
    held = [q for name, q in p.named_parameters() if "net_V" in name or "V" in name.split(".")[0]]
    moved = {id(q) for group in p.GROUPS for q in p.parameters_of(group)}
    assert held and not moved & {id(q) for q in held}


def test_it_is_imported_when_the_program_runs(emitted: Any) -> None:
    code = emitted(
        'model M { x : binary(3) = data  z : real(2) ~ Normal(0, 1)  p_theta : z -> x = python("no.such.module:Name")'
        "  q_eta : x --> z }"
    )
    names = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.ImportFrom) and n.module == "no.such.module"]
    assert [a.name for n in names for a in n.names] == ["Name"]


@pytest.mark.parametrize("text", ("a:b()", "a b:c", "a;b:c", "a:b c", "a", ":b", "a:", "a.:b", "class:B", "a.None:B"))
def test_nothing_else_than_a_name_is_taken(text: str) -> None:
    report = Report()
    parse(f'model M {{ x : binary(3) = data  p_theta : -> x = python("{text}") }}', report)
    assert [d.code for d in report] == ["SG110"]


@pytest.mark.parametrize(
    "nets",
    (
        'p_theta : z -> x = python("own.blocks:Block") then mlp(3)',
        'p_theta : z -> x = mlp(7) then python("own.blocks:Block")',
        'p_theta : z -> x = mlp(7) then python("own.blocks:Block") then linear',
        "p_theta : z -> x = F",
        "p_theta : z -> x = F then mlp(3)",
        "p_theta : z -> x = F then G  p_theta.w : z -> w = F",
        "p_theta : z -> x = F  p_theta.w : z -> w = F",
        "p_theta : z -> x = F  p_xi : z -> w = F then linear",
        "p_theta : z -> x = F  p_xi : z -> w = H",
    ),
)
def test_it_stands_in_a_chain_and_has_several_targets(program: Any, batch: Any, gradients: Any, nets: str) -> None:
    """Its output is what the network after it reads, or, with several targets, one linear head each."""
    p = program(
        'net F in theta = python("own.blocks:Block")  net G = mlp(4)'
        '  net H = linear then python("own.blocks:Block")'
        '  model M { x : real(3) = data("x")  w : binary(2) = data("w")  z : real(2) ~ Normal(0, 1)'
        f"  q_eta : x, w --> z  {nets} }}"
    )
    draw = p.draw(batch(p))
    value = p.objective(draw, "eta")
    for group in p.GROUPS:
        found = gradients(p, value, group)
        assert found and all(g is not None and g.isfinite().all() for g in found)
    if "theta.w" in nets or "xi" in nets:
        own = ("theta",) if "theta.w" in nets else ("theta", "xi")
        shared = [{id(q) for q in getattr(p, f.replace(".", "_")).parameters()} for g in own for f in p.GROUPS[g]]
        assert bool(shared[0] & shared[1]) == ("theta.w" in nets)
    p = p.to("meta")
    assert p.objective(p.draw(batch(p, device="meta")), "eta").shape == ()


def test_it_hands_no_target_to_a_declared_network() -> None:
    report = Report()
    parse(
        'net G in a = mlp(3)  model M { x : real(2) = data  z : real(2) ~ Normal(0, 1)  q_e : x --> z'
        '  p_a : z -> x = python("a:B") then G }',
        report,
    )
    assert [d.code for d in report] == ["SG202"] and "has no target: declare it" in next(iter(report)).render()

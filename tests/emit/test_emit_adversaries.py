"""Adversaries over several domains, and over every unit of a code, against formulas written out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

DOMAINS = (
    'model K {{ x : unit(3) = data("p/x", "q/x", "r/x") given y  z : real(2)  y : domain(a, b, c)'
    "  p_eta : x, y ==> z = mlp(5)  q_phi : z ~> y = mlp(4) {0} }} {1}"
)
UNITS = (
    "model P {{ x : binary(6) = data  z : {0}  p_theta : z -> x = mlp(4)  q_eta : x ==> z = mlp(5)"
    "  q_phi : z.rest ~> z.each = mlp(4) {1} }}"
)


def same(p: Any, gradients: Any, value: Tensor, expected: Tensor, *groups: str) -> None:
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
    for group in groups:
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", ("", "divergence minimax", "temperature 2", "weight 0.5"))
def test_three_domains(program: Any, batch: Any, gradients: Any, options: str) -> None:
    """phi: 1/3 sum_y E log q(y | z); the others: 1/3 sum_y E log (1 - q(y | z)) / 2, by minimax -log q(y | z)."""
    p = program(DOMAINS.format(options, ""))
    draw = p.draw(batch(p))
    phi = theta = torch.zeros((), dtype=torch.float64)
    for y, name in enumerate("abc"):
        z = draw[name]["z"]
        log_q = p.q_phi.net(z.detach()).log_softmax(-1)[:, y]
        phi = phi + log_q.mean() / 3
        q = (p.q_phi.net(z) / (2 if "temperature" in options else 1)).softmax(-1)[:, y]
        fooled = -q.log() if "minimax" in options else ((1 - q) / 2).log()
        theta = theta + fooled.mean() / 3 * (0.5 if "weight" in options else 1)
    value = p.objective(draw, "phi")
    same(p, gradients, value, phi, "phi")
    assert all(g is None for g in gradients(p, value, "eta"))
    same(p, gradients, p.objective(draw, "eta"), theta, "eta")


def test_the_reverse_is_stable_where_the_adversary_is_sure(program: Any) -> None:
    """log (1 - q) / 2 at logits 80 apart, where 1 - q is 0 in floating point."""
    p = program(DOMAINS.format("", ""))
    reverse = type(p).terms.__globals__["log_reverse"]
    logits = torch.tensor([80.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    found = reverse(logits)
    expected = torch.tensor([math.log(2) - 80 - math.log(2), -math.log(2), -math.log(2)], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    found[0].backward()
    torch.testing.assert_close(logits.grad, torch.tensor([-1.0, 0.5, 0.5], dtype=torch.float64))


def test_two_domains_are_the_general_case_at_two(program: Any) -> None:
    p = program(DOMAINS.format("", ""))
    reverse = type(p).terms.__globals__["log_reverse"]
    logits = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(reverse(logits), logits.log_softmax(-1).flip(-1))


def test_several_generated_domains_and_importance(program: Any, batch: Any, gradients: Any) -> None:
    """Weights (1 - q) / (2 q), normalized over the draws of a record."""
    p = program(
        "model K { x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(a, b, c)"
        "  p_eta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4) } model I = importance(K, 4)"
    )
    draw = p.draw(batch(p))
    expected = torch.zeros((), dtype=torch.float64)
    for y, name in enumerate("ab"):
        q = p.q_phi.net(draw[name]["x"]).softmax(-1)[..., y]
        odds = ((1 - q) / (2 * q)).detach()
        expected = expected + (odds / odds.sum(0) * ((1 - q) / 2).log()).sum(0).mean() / 3
    same(p, gradients, p.objective(draw, "eta"), expected, "eta")
    p = p.to("meta")
    assert p.objective(p.draw(batch(p, device="meta")), "eta").shape == ()


@pytest.mark.parametrize("options", ("", "temperature 2"))
@pytest.mark.parametrize("type_", ("unit(3)", "unit(2, 2)", "binary"))
def test_every_unit_from_the_others(program: Any, batch: Any, gradients: Any, type_: str, options: str) -> None:
    """phi: sum_i log q(z_i | z_-i), its input with unit i at 0; eta: log p(x | z) + sum_i log q(1 - z_i | z_-i)."""
    p = program(UNITS.format(type_, options))
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    flat = z.reshape(6, -1)

    def predicted(value: Tensor, given: Tensor, heat: float) -> Tensor:
        total = torch.zeros(6, dtype=torch.float64)
        for i in range(flat.shape[1]):
            others = given.clone()
            others[:, i] = 0
            f = p.q_phi.net(others.reshape(z.shape)).reshape(6, -1)[:, i] / heat
            total = total + value[:, i] * logsigmoid(f) + (1 - value[:, i]) * logsigmoid(-f)
        return total

    judged = predicted(flat.detach(), flat.detach(), 1)
    value = p.objective(draw, "phi")
    same(p, gradients, value, judged.mean(), "phi")
    assert all(g is None for g in gradients(p, value, "eta"))
    logits = p.p_theta.net(z)
    scored = (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum(-1)
    expected = (scored + predicted(1 - flat, flat, 2 if options else 1)).mean()
    same(p, gradients, p.objective(draw, "eta"), expected, "theta", "eta")


@pytest.mark.parametrize("options", ("", "temperature 2"))
def test_every_category_from_the_others(program: Any, batch: Any, gradients: Any, options: str) -> None:
    """The reverse spreads over the other classes: log (1 - q(z_i | z_-i)) / 2; unit i is seen at its first class."""
    p = program(UNITS.format("category(3, 2)", options))
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    total = torch.zeros(6, dtype=torch.float64)
    for i in range(2):
        others = z.clone()
        others[:, i] = torch.eye(3)[0]
        q = (p.q_phi.net(others)[:, i] / (2 if options else 1)).softmax(-1)
        total = total + (z[:, i] * ((1 - q) / 2).log()).sum(-1)
    logits = p.p_theta.net(z)
    scored = (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).sum(-1)
    same(p, gradients, p.objective(draw, "eta"), (scored + total).mean(), "theta", "eta")


@pytest.mark.parametrize("gradient", ("enumerate", "reinforce", "straight_through"))
def test_units_that_are_drawn(program: Any, batch: Any, gradients: Any, gradient: str) -> None:
    p = program(
        "model P { x : binary(6) = data  z : binary(3)  p_theta : z -> x = mlp(4)  q_eta : x --> z = mlp(5) gradient "
        + gradient
        + "  q_phi : z.rest ~> z.each = mlp(4) }"
    )
    draw = p.draw(batch(p))
    for group in ("phi", "theta", "eta"):
        found = gradients(p, p.objective(draw, group), group)
        assert all(g is not None and g.isfinite().all() for g in found)
    p = p.to("meta")
    assert p.objective(p.draw(batch(p, device="meta")), "eta").shape == ()

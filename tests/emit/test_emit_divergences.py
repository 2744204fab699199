"""The divergences of a discriminator (semantics.md, rule 12), against formulas written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

GAN = (
    "model M {{ x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
    "  p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4) {} }}"
)


def saturating(f: Tensor, y: int) -> tuple[Tensor, Tensor]:
    return logsigmoid((2 * y - 1) * f), -logsigmoid((2 * y - 1) * f)


def square(f: Tensor, y: int) -> tuple[Tensor, Tensor]:
    return -((f - y) ** 2), -((f - (1 - y)) ** 2)


def hinge(f: Tensor, y: int) -> tuple[Tensor, Tensor]:
    s = 2 * y - 1
    return -relu(1 - s * f), -s * f


def linear(f: Tensor, y: int) -> tuple[Tensor, Tensor]:
    s = 2 * y - 1
    return s * f, -s * f


def logit(f: Tensor, y: int) -> tuple[Tensor, Tensor]:
    s = 2 * y - 1
    return logsigmoid(s * f), -s * f


@pytest.mark.parametrize(
    ("name", "formula"),
    (
        ("minimax", saturating),
        ("least_squares", square),
        ("hinge", hinge),
        ("wasserstein(penalty: 0)", linear),
        ("kl", logit),
    ),
)
@pytest.mark.parametrize("temperature", (1.0, 2.0))
def test_values_and_gradients(
    program: Any, batch: Any, gradients: Any, name: str, formula: Any, temperature: float
) -> None:
    """The temperature divides the logit where the others maximize it, and leaves phi's own training alone."""
    p = program(GAN.format(f"divergence {name}" + (f" temperature {temperature}" if temperature != 1 else "")))
    draw = p.draw(batch(p))
    fake, real = draw["fake"]["x"], draw["real"]["x"]
    phi = 0.5 * formula(p.q_phi(fake.detach()).logits, 0)[0].mean() + 0.5 * formula(p.q_phi(real).logits, 1)[0].mean()
    theta = 0.5 * formula(p.q_phi(fake).logits / temperature, 0)[1].mean()
    for group, expected in (("phi", phi), ("theta", theta)):
        value = p.objective(draw, group)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_gradient_penalty(program: Any, batch: Any, gradients: Any) -> None:
    """-(10/2) E(|grad f| - 1)^2 at points between a generated and a given record; the slope by finite differences."""
    p = program(GAN.format("divergence wasserstein(penalty: 10)"))
    draw = p.draw(batch(p), torch.Generator().manual_seed(0))
    x, fake, real = draw["penalty"]["x"], draw["fake"]["x"], draw["real"]["x"]
    place = (x - fake) / (real - fake)
    assert not x.requires_grad and ((place >= 0) & (place <= 1)).all()
    torch.testing.assert_close(place, place[:, :1].expand_as(place))
    steps = [1e-6 * e for e in torch.eye(3, dtype=torch.float64)]
    slopes = torch.stack([(p.q_phi(x + e).logits - p.q_phi(x - e).logits) / 2e-6 for e in steps], 1)
    penalty = -5 * (slopes.norm(dim=1) - 1).square().mean()
    compared = 0.5 * p.q_phi(real).logits.mean() - 0.5 * p.q_phi(fake.detach()).logits.mean()
    value = p.objective(draw, "phi")
    torch.testing.assert_close(value, compared + penalty, rtol=0, atol=1e-7)
    for a, b in zip(gradients(p, value, "phi"), gradients(p, compared + penalty, "phi"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    assert all(g is None for g in gradients(p, value, "theta"))
    assert p.UPDATES == (("phi",), ("theta",))


def test_a_penalty_on_pairs(program: Any, batch: Any) -> None:
    """One place on the line for all variables of a record; a step runs on the meta device."""
    p = program(
        "model M { x : unit(1, 4, 4) = data  z : real ~ Normal(0, 1)  y : domain(fake, real)  p_theta : z, y ==> x"
        "  q_eta : x ==> z when y = real  q_phi : x, z ~> y = mlp(4) divergence wasserstein(penalty: 1) }"
    )
    draw = p.draw(batch(p))
    mixed, fake, real = draw["penalty"], draw["fake"], draw["real"]
    places = [((mixed[v] - fake[v]) / (real[v] - fake[v])).reshape(6, -1)[:, 0] for v in ("x", "z")]
    torch.testing.assert_close(*places)
    p = p.to("meta")
    value = p.objective(p.draw(batch(p, device="meta")), "phi")
    torch.autograd.grad(value, list(p.parameters_of("phi")))

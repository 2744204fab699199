"""Sums of models (semantics.md, rule 7) in emitted programs, against formulas written out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from schematic.compiler import pipeline
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.build import parse

VAE = (
    "model V {{ x : unit(3) = data  z : real(2) ~ Normal(0, 1)"
    "  p_theta : z -> x = mlp(5) {0}  q_eta : x --> z = mlp(3) }}\n"
)
GAN = (
    "model G {{ x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
    "  p_theta : z, y ==> x = mlp(5) {0}  q_phi : x ~> y = mlp(4) }}\n"
)
HALF = (
    'model Half { x : unit(3) = data("a/x")  z : unit(2) = data("b/x")  y : domain(fake, real)'
    "  p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4)  q_eta : x, y -> z = Laplace(mlp(3), scale: 1) }\n"
)


def same(p: Any, gradients: Any, value: Tensor, expected: Tensor, *groups: str) -> None:
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
    for group in groups:
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def bits(logits: Tensor, x: Tensor) -> Tensor:
    return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def bound(p: Any, x: Tensor, z: Tensor) -> Tensor:
    prior = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z))
    kl = torch.distributions.kl_divergence(p.q_eta(x).base_dist, prior).sum(-1)
    return (bits(p.p_theta.net(z), x) - kl).mean()


def test_a_bound_and_an_adversary(program: Any, batch: Any, gradients: Any) -> None:
    """V + 0.1 G: one p_theta, scored in one term and hollow in the other; every scale is its term's."""
    p = program(VAE.format("") + GAN.format("") + "model S = V + 0.1 * G")
    assert p.GROUPS == {"phi": ("q_phi",), "theta": ("p_theta",), "eta": ("q_eta",)}
    assert p.FIELDS == {"x": (3,)} and p.UPDATES == (("phi",), ("theta", "eta"))
    draw = p.draw(batch(p))
    assert draw.keys() == {"V.data", "G.fake", "G.real"}
    fake = draw["G.fake"]["x"]
    torch.testing.assert_close(fake, torch.sigmoid(p.p_theta.net(draw["G.fake"]["z"])))
    expected = bound(p, draw["V.data"]["x"], draw["V.data"]["z"]) + 0.05 * logsigmoid(p.q_phi(fake).logits).mean()
    same(p, gradients, p.objective(draw, "theta"), expected, "theta", "eta")
    judged = logsigmoid(-p.q_phi(fake.detach()).logits).mean() + logsigmoid(p.q_phi(draw["G.real"]["x"]).logits).mean()
    value = p.objective(draw, "phi")
    same(p, gradients, value, 0.05 * judged, "phi")
    assert all(g is None for group in ("theta", "eta") for g in gradients(p, value, group))
    assert p.sample(4).keys() == {"z", "x"} and p.infer(x=batch(p)["x"]).keys() == {"z"}


@pytest.mark.parametrize("fixed", ("V", "G"))
def test_fixed_belongs_to_the_factor_in_its_own_term(program: Any, batch: Any, gradients: Any, fixed: str) -> None:
    where = ("fixed", "") if fixed == "V" else ("", "fixed")
    p = program(VAE.format(where[0]) + GAN.format(where[1]) + "model S = V + G")
    draw = p.draw(batch(p))
    value = p.objective(draw, "eta")
    free, held = draw["V.data"], draw["G.fake"]
    elbo = bound(p, free["x"], free["z"])
    fooled = 0.5 * logsigmoid(p.q_phi(torch.sigmoid(p.p_theta.net(held["z"]))).logits).mean()
    expected = fooled if fixed == "V" else elbo
    for a, b in zip(gradients(p, value, "theta"), gradients(p, expected, "theta"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
    for a, b in zip(gradients(p, value, "eta"), gradients(p, elbo, "eta"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_two_halves(program: Any, batch: Any, gradients: Any) -> None:
    """CycleGAN: G and F shared by both halves, a discriminator for each side, one group."""
    p = program(HALF + "model C = Half + swap(Half, x, z)")
    assert p.GROUPS == {"phi": ("q_phi", "q_phi.z"), "theta": ("p_theta",), "eta": ("q_eta",)}
    one = batch(p)
    draw = p.draw(one)
    assert set(draw) == {"Half.fake", "Half.real", "2.fake", "2.real"}
    x, z = one["a/x"], one["b/x"]
    fake_x, fake_z = torch.sigmoid(p.p_theta.net(z)), p.q_eta(x).mean

    def laplace(loc: Tensor, value: Tensor) -> Tensor:
        return (-(value - loc).abs() - math.log(2)).sum(-1)

    expected = 0.5 * (
        laplace(torch.sigmoid(p.q_eta.net(fake_x)), z) + logsigmoid(p.q_phi.net(fake_x))
        + bits(p.p_theta.net(fake_z), x) + logsigmoid(p.q_phi_z.net(fake_z))
    ).mean()  # fmt: skip
    same(p, gradients, p.objective(draw, "theta"), expected, "theta", "eta")
    judged = 0.5 * (
        logsigmoid(-p.q_phi.net(fake_x.detach())) + logsigmoid(p.q_phi.net(x))
        + logsigmoid(-p.q_phi_z.net(fake_z.detach())) + logsigmoid(p.q_phi_z.net(z))
    ).mean()  # fmt: skip
    same(p, gradients, p.objective(draw, "phi"), judged, "phi")
    assert p.sample(6, z=z).keys() == {"x"}


def test_terms_of_every_reading_add(program: Any, batch: Any, gradients: Any) -> None:
    """Branches, gradients and samples of an importance-weighted bound, of sleep, and of a penalized critic, on meta."""
    p = program(
        VAE.format("") + "model W { x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
        "  p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4) divergence wasserstein(penalty: 10) }"
        "  model S = importance(V, 3) + wake_sleep(V) + 0.5 * W + W"
    )
    draw = p.draw(batch(p))
    parts = {"1.data", "2.data", "2.model", "3.fake", "3.real", "3.penalty", "4.fake", "4.real", "4.penalty"}
    assert set(draw) == parts and draw["1.data"]["z"].shape == (3, 6, 2)
    for group in p.GROUPS:
        assert all(g is not None for g in gradients(p, p.objective(draw, group), group))
    p = p.to("meta")
    for group in p.GROUPS:
        assert p.objective(p.draw(batch(p, device="meta")), group).shape == ()


def test_a_scaled_model_is_a_sum_of_one(program: Any, batch: Any, gradients: Any) -> None:
    p = program(VAE.format("") + "model S = 2 * V")
    draw = p.draw(batch(p))
    expected = 2 * bound(p, draw["V.data"]["x"], draw["V.data"]["z"])
    same(p, gradients, p.objective(draw, "eta"), expected, "theta", "eta")


def test_every_stage_of_a_sum_has_a_text() -> None:
    for stage in ("objectives", "plan", "python"):
        report = Report()
        model = parse(HALF + "model C = Half + swap(Half, x, z)", report)
        assert model is not None
        text = pipeline.text(model, report, stage)  # type: ignore[arg-type]
        assert text and all(len(line) <= 120 for line in text.splitlines())


def test_nothing_to_train_is_told() -> None:
    report = Report()
    model = parse(VAE.format("fixed").replace("mlp(3) }", "mlp(3) fixed }"), report)
    assert model is not None
    with pytest.raises(SchematicError, match="nothing in V is trained"):
        pipeline.text(model, report)

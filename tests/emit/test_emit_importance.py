"""Importance weighting (semantics.md, rule 6) in emitted programs, against formulas written out by hand."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import RenyiELBO
from torch import Tensor
from torch.nn.functional import logsigmoid

VAE = (
    "model V { x : binary(3) = data  z : real(2) ~ Normal(0, 1)  p_theta : z -> x = mlp(3)  q_eta : x --> z = mlp(3) }"
    " model I = importance(V, 5)"
)
MIXED = (
    "model V {{ x : binary(3) = data  t : category(3) ~ Categorical  z : real(2) ~ Normal(0, 1)"
    "  p_theta : z, t -> x = mlp(3)  q_eta.t : x --> t = mlp(3) {0}  q_eta.z : x, t --> z = mlp(3) }}"
    " model I = importance(V, {1})"
)
GAN = (
    "model G {{ x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
    "  p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4) {0} }} model I = importance(G{1})"
)
TINY = 1e-7  # one-hot log-probabilities clamp at the precision of the parameters


def bits(logits: Tensor, x: Tensor) -> Tensor:
    return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def same(p: Any, gradients: Any, value: Tensor, expected: Tensor, *groups: str, within: float = 1e-9) -> None:
    torch.testing.assert_close(value, expected, rtol=0, atol=within)
    for group in groups:
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=within)


def gaussian(net: Tensor, z: Tensor) -> Tensor:
    loc, raw = net.chunk(2, -1)
    scale = torch.nn.functional.softplus(raw) + 1e-4
    return (-((z - loc) / scale).square() / 2 - scale.log() - math.log(2 * math.pi) / 2).sum(-1)


def standard(z: Tensor) -> Tensor:
    return (-z.square() / 2 - math.log(2 * math.pi) / 2).sum(-1)


def test_the_bound(program: Any, batch: Any, gradients: Any) -> None:
    """E log 1/5 sum_i p(x, z_i) / q(z_i | x), gradients through the samples included."""
    p = program(VAE)
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    assert z.shape == (5, 6, 2)
    weights = bits(p.p_theta.net(z), x) + standard(z) - gaussian(p.q_eta.net(x), z)
    expected = (weights.exp().mean(0)).log().mean()
    same(p, gradients, p.objective(draw, "eta"), expected, "theta", "eta")


def test_pyro_computes_the_same_bound(program: Any, batch: Any, gradients: Any) -> None:
    """RenyiELBO(alpha=0) over the same model and guide, record by record, with the samples of the draw."""
    p = program(VAE)
    one = batch(p, n=1)
    draw = p.draw(one)
    x, z = draw["data"]["x"], draw["data"]["z"]
    taken = iter(z)

    class Given(pyro.distributions.Delta):
        def log_prob(self, value: Tensor) -> Tensor:
            return p.q_eta(x).log_prob(value)

    def model() -> None:
        code = pyro.sample("z", pyro.distributions.Normal(torch.zeros(1, 2).double(), 1.0).to_event(1))
        pyro.sample("x", p.p_theta(code), obs=x)

    def guide() -> None:
        pyro.sample("z", Given(next(taken), event_dim=1))

    loss = RenyiELBO(alpha=0, num_particles=5).loss(model, guide)
    torch.testing.assert_close(p.objective(draw, "eta").item(), -loss, rtol=0, atol=1e-9)


def test_one_sample_is_the_evidence_lower_bound(program: Any, batch: Any, gradients: Any) -> None:
    p = program(VAE.replace("(V, 5)", "(V, 1)"))
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    expected = (bits(p.p_theta(z[0]).base_dist.logits, x) + standard(z[0]) - p.q_eta(x).log_prob(z[0])).mean()
    same(p, gradients, p.objective(draw, "eta"), expected, "theta", "eta")


def test_an_enumerated_variable_stands_outside(program: Any, batch: Any, gradients: Any) -> None:
    """sum_t q(t | x) [log 1/4 sum_i p(x | z_i, t) p(z_i) / q(z_i | x, t) + log p(t) - log q(t | x)]"""
    p = program(MIXED.format("", 4))
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    assert z.shape == (4, 3, 6, 2) and draw["data"]["t"].shape == (3, 6, 3)
    total = torch.zeros(6, dtype=torch.float64)
    log_q = p.q_eta_t.net(x).log_softmax(-1)
    for t, one in enumerate(torch.eye(3, dtype=torch.float64)):
        there = one.expand(6, 3)
        own = standard(z[:, t]) - gaussian(p.q_eta_z.net(x, there), z[:, t])
        inside = bits(p.p_theta.net(z[:, t], there), x) + own
        total = total + log_q[:, t].exp() * (inside.exp().mean(0).log() - math.log(3) - log_q[:, t])
    same(p, gradients, p.objective(draw, "eta"), total.mean(), "theta", "eta", within=TINY)


def test_the_score_function_multiplies_the_whole_log_mean(program: Any, batch: Any, gradients: Any) -> None:
    """A discrete code alone: the mean over every draw of two records is the exact value and gradient."""
    p = program(
        "model V { x : binary(3) = data  t : category(3) ~ Categorical  p_theta : t -> x = mlp(3)"
        "  q_eta : x --> t = mlp(3) gradient reinforce } model I = importance(V, 2)"
    )
    one = batch(p, n=2)
    x = one["x"]
    eye = torch.eye(3, dtype=torch.float64)
    log_q = p.q_eta.net(x).log_softmax(-1)  # (record, t)
    scored = bits(p.p_theta.net(eye)[:, None].expand(3, 2, 3), x).T - math.log(3)  # (record, t)
    expected = torch.zeros((), dtype=torch.float64)
    for i, j in product(range(3), repeat=2):
        pair = torch.stack([(scored - log_q)[:, i], (scored - log_q)[:, j]])
        expected = expected + ((log_q[:, i] + log_q[:, j]).exp() * pair.exp().mean(0).log()).mean()
    value = torch.zeros((), dtype=torch.float64)
    total: dict[str, list[Tensor]] = {}
    for chosen in product(range(3), repeat=4):
        t = eye[list(chosen)].reshape(2, 2, 3)
        weight = (t * log_q).sum().exp().detach()
        here = p.objective({"data": {"x": x, "t": t}}, "eta")
        value = value + weight * here.detach()
        for group in ("theta", "eta"):
            found = [weight * g for g in gradients(p, here, group)]
            total[group] = [a + b for a, b in zip(total.get(group, [0.0] * len(found)), found, strict=True)]
    torch.testing.assert_close(value, expected.detach(), rtol=0, atol=TINY)
    for group in ("theta", "eta"):
        for a, b in zip(total[group], gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=TINY)


@pytest.mark.parametrize("options", ("gradient reinforce", "gradient gumbel(1)", "gradient straight_through", ""))
def test_every_estimator_draws_k_times(program: Any, batch: Any, gradients: Any, options: str) -> None:
    p = program(MIXED.format(options, 4))
    draw = p.draw(batch(p))
    assert draw["data"]["t"].shape == ((4, 6, 3) if options else (3, 6, 3))
    found = gradients(p, p.objective(draw, "eta"), "eta")
    assert all(g is not None and g.isfinite().all() for g in found)
    p = p.to("meta")
    assert p.objective(p.draw(batch(p, device="meta")), "eta").shape == ()


def test_weighed_bounds(program: Any, batch: Any, gradients: Any) -> None:
    """Reading 3: 1/2 sum_o E_o[ D(x) log 1/4 sum_i p(x | z_i) p(z_i) / q(z_i | x) ], x and D passing no gradient."""
    p = program(
        "model G { x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
        "  p_theta : z, y -> x = mlp(5)  q_eta : x, y --> z = mlp(3)  q_phi : x ~~> y = mlp(4) }"
        " model I = importance(G, 4)"
    )
    draw = p.draw(batch(p))
    expected = torch.zeros((), dtype=torch.float64)
    for branch in ("fake", "real"):
        x, z = draw[branch]["x"], draw[branch]["z"]
        assert z.shape == (4, 6, 2) and not x.requires_grad
        weights = bits(p.p_theta.net(z), x) + standard(z) - gaussian(p.q_eta.net(x), z)
        expected = expected + 0.5 * (torch.sigmoid(p.q_phi.net(x)).detach() * weights.exp().mean(0).log()).mean()
    value = p.objective(draw, "eta")
    same(p, gradients, value, expected, "theta", "eta")
    assert all(g is None for g in gradients(p, value, "phi"))


@pytest.mark.parametrize("temperature", (1.0, 2.0))
@pytest.mark.parametrize("k", (0, 4))
def test_a_weighed_generator(program: Any, batch: Any, gradients: Any, temperature: float, k: int) -> None:
    """1/2 sum_i w_i log D(G(z_i)), w = D / (1 - D) normalized over the k draws of a record, or over the batch."""
    heat = f"temperature {temperature}" if temperature != 1 else ""
    p = program(GAN.format(heat, f", {k}" if k else ""))
    draw = p.draw(batch(p))
    fake = draw["fake"]["x"]
    assert fake.shape == ((4, 6, 3) if k else (6, 3))
    f = p.q_phi(fake).logits / temperature
    odds = (torch.sigmoid(f) / torch.sigmoid(-f)).detach()
    weighed = (odds / odds.sum(0) * logsigmoid(f)).sum(0)
    value = p.objective(draw, "theta")
    same(p, gradients, value, 0.5 * weighed.mean(), "theta")
    (name,) = p.terms(draw, "theta")
    assert "surrogate" in name
    real, plain = p.q_phi(draw["real"]["x"]).logits, p.q_phi(fake.detach()).logits
    same(p, gradients, p.objective(draw, "phi"), 0.5 * (logsigmoid(real).mean() + logsigmoid(-plain).mean()), "phi")


def test_the_weights_move_nothing(program: Any, batch: Any, gradients: Any) -> None:
    """A discriminator on generated and encoded pairs: both branches carry gradient and are weighed, by D/(1-D) and
    (1-D)/D; a scored code beside them is weighed, too, and does not weigh."""
    p = program(
        "model G { x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
        "  p_theta : z, y ==> x = mlp(5)  q_phi : x, z ~> y = mlp(4)  q_eta : x ==> z when y = real"
        "  q_xi : x -> z = mlp(3) when y = fake } model I = importance(G, 3)"
    )
    draw = p.draw(batch(p))
    fake, real = draw["fake"], draw["real"]
    assert fake["z"].shape == (3, 6, 2) and real["z"].shape == (6, 2)
    f, g = p.q_phi(fake["x"], fake["z"]).logits, p.q_phi(real["x"], real["z"]).logits
    w = f.detach().softmax(0)
    scored = gaussian(p.q_xi.net(fake["x"]), fake["z"])
    expected = 0.5 * (w * (logsigmoid(f) + scored)).sum(0).mean() + 0.5 * logsigmoid(-g).mean()
    same(p, gradients, p.objective(draw, "xi"), expected, "theta", "eta", "xi")

"""Emitted programs against formulas written out by hand: values, and the gradient of every group."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn.functional import logsigmoid

HEAD = """
  x : unit(3) = data("image")
  z : real(2) ~ Normal(0, 1)
"""
Y = "  y : domain(fake, real)\n"
GAN = "model GAN {" + HEAD + Y + "p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4) }"
INFOGAN = GAN.replace("model GAN", "model M").replace(" }", "  q_eta : x, y -> z = mlp(6) }")
BIGAN = (
    "model M {" + HEAD + Y + "p_theta : z, y ==> x = mlp(5)  q_phi : x, z ~> y"
    "  q_eta : x ==> z = mlp(5) when y = real }"
)
VAE = "model M {" + HEAD + "p_theta : z -> x = mlp(5)  q_eta : x --> z = mlp(4) }"
TWO = (
    'model M { x : unit(3) = data("image")  a : real(2)  b : real(2) ~ Normal(0, 1)'
    " p_theta.1 : b -> a = mlp(3)  p_theta.2 : a -> x = mlp(3)"
    " q_eta.1 : x --> a = mlp(3)  q_eta.2 : a --> b = mlp(3) }"
)
CVAE = (
    'model M { x : unit(3) = data("image")  c : category(4) = data("label")  z : real(2) ~ Normal(0, 1)'
    " p_theta : z, c -> x = mlp(3)  q_eta : x, c --> z = mlp(3) }"
)
CGAN = (
    'model M { x : unit(3) = data("image")  c : category(4) = data("label")  z : real(2) ~ Normal(0, 1)'
    " y : domain(fake, real)  p_theta : z, c, y ==> x = mlp(3)  q_phi : x, c ~> y = mlp(3) }"
)
ADA = (
    'model M { y : domain(target, source)  z : real(3) = data("t/image", "s/image") given y'
    ' t : category(4) = data("s/label")  x : real(2)'
    " p_theta : z ==> x = mlp(3)  q_phi : x ~> y = mlp(3)  p_eta : x -> t = mlp(3) when y = source }"
)


def d(p: Any, *values: Tensor) -> Tensor:
    """log D / (1 - D): the logit of q(y=1 | .)."""
    return p.q_phi(*values).logits


def bce(logits: Tensor, x: Tensor) -> Tensor:
    return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def diagonal(q: Any) -> Normal:
    return Normal(q.base_dist.loc, q.base_dist.scale)


def kl(q: Any) -> Tensor:
    """KL(q || Normal(0, 1)) of a diagonal normal, written out."""
    m, s = q.base_dist.loc, q.base_dist.scale
    return (0.5 * (m**2 + s**2 - 1) - s.log()).sum(-1)


@pytest.fixture
def agree(program: Any, batch: Any, gradients: Any) -> Any:
    """Compiles, draws, and compares every update with its formula by value and gradient; what is drawn anew keeps the
    draw's noise because formulas read the draw. Groups outside `moved` get no gradient."""

    def run(text: str, formulas: dict[str, Any], none: dict[str, tuple[str, ...]]) -> Any:
        p = program(text)
        draw = p.draw(batch(p), torch.Generator().manual_seed(3))
        updates = {g: us for us in p.UPDATES for g in us}
        assert set(formulas) == {us[0] for us in p.UPDATES}
        for first, formula in formulas.items():
            expected = formula(p, draw)
            for group in updates[first]:
                value = p.objective(draw, group)
                assert value.shape == ()
                torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
                for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
                    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
                    assert a is not None and a.abs().sum() > 0
                terms = p.terms(draw, group)
                torch.testing.assert_close(sum(terms.values()), value, rtol=0, atol=1e-12)
                for other in none.get(first, ()):
                    assert all(g is None for g in gradients(p, value, other))
        return p, draw

    return run


def test_gan(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        fake, real = draw["fake"]["x"].detach(), draw["real"]["x"]
        return 0.5 * logsigmoid(d(p, real)).mean() + 0.5 * logsigmoid(-d(p, fake)).mean()

    def theta(p: Any, draw: Any) -> Tensor:
        return 0.5 * logsigmoid(d(p, torch.sigmoid(p.p_theta.net(draw["fake"]["z"])))).mean()

    p, draw = agree(GAN, {"phi": phi, "theta": theta}, {"phi": ("theta",)})
    assert {b: sorted(v) for b, v in draw.items()} == {"fake": ["x", "z"], "real": ["x"]}
    assert p.REDRAW == (True, False)


def test_infogan(agree: Any) -> None:
    def theta(p: Any, draw: Any) -> Tensor:
        z = draw["fake"]["z"]
        x = p.p_theta(z)
        scored = diagonal(p.q_eta(x)).log_prob(z).sum(-1)
        return 0.5 * (scored + logsigmoid(d(p, x))).mean()

    def phi(p: Any, draw: Any) -> Tensor:
        fake = draw["fake"]["x"].detach()
        return 0.5 * logsigmoid(d(p, draw["real"]["x"])).mean() + 0.5 * logsigmoid(-d(p, fake)).mean()

    agree(INFOGAN, {"phi": phi, "theta": theta}, {"phi": ("theta", "eta")})


def test_aae_by_swap(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        fake = draw["fake"]["z"].detach()
        return 0.5 * logsigmoid(d(p, draw["real"]["z"])).mean() + 0.5 * logsigmoid(-d(p, fake)).mean()

    def theta(p: Any, draw: Any) -> Tensor:
        x = draw["fake"]["x"]
        z = p.q_eta(x)
        return 0.5 * (bce(p.p_theta(z).base_dist.logits, x) + logsigmoid(d(p, z))).mean()

    text = INFOGAN + " model AAE = swap(M, x, z)"
    _, draw = agree(text, {"phi": phi, "eta": theta}, {"phi": ("theta", "eta")})
    assert draw["real"].keys() == {"z"}


def elbo(p: Any, x: Tensor, z: Tensor) -> Tensor:
    return bce(p.p_theta(z).base_dist.logits, x) - kl(p.q_eta(x))


@pytest.mark.parametrize("moves", (True, False))
def test_vae(agree: Any, moves: bool) -> None:
    """Drawn directly, and InfoGAN's mirror image with the perfect discriminator: the same up to the 1/2 (Lemma 2)."""
    branch, scale = ("real", 0.5) if moves else ("data", 1.0)

    def both(p: Any, draw: Any) -> Tensor:
        return scale * elbo(p, draw[branch]["x"], draw[branch]["z"]).mean()

    text = INFOGAN + " model V = perfect(swap_arrows(M), q_phi)" if moves else VAE
    p, draw = agree(text, {"theta": both}, {})
    assert draw.keys() == {branch}
    assert not hasattr(p, "q_phi")


def test_aavae(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        return 0.5 * logsigmoid(d(p, draw["real"]["x"])).mean() + 0.5 * logsigmoid(-d(p, draw["fake"]["x"])).mean()

    def both(p: Any, draw: Any) -> Tensor:
        parts = [
            0.5 * (torch.sigmoid(d(p, draw[o]["x"])).detach() * elbo(p, draw[o]["x"], draw[o]["z"])).mean()
            for o in ("real", "fake")
        ]
        return parts[0] + parts[1]

    text = INFOGAN + " model A = swap_arrows(M)"
    _, draw = agree(text, {"phi": phi, "theta": both}, {"phi": ("theta", "eta"), "theta": ("phi",)})
    assert not draw["fake"]["x"].requires_grad and draw["fake"]["z"].requires_grad
    assert draw["fake"].keys() == draw["real"].keys() == {"x", "z"}


def test_temperature_weighs_and_leaves_the_discriminator(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        return 0.5 * logsigmoid(d(p, draw["real"]["x"])).mean() + 0.5 * logsigmoid(-d(p, draw["fake"]["x"])).mean()

    def both(p: Any, draw: Any) -> Tensor:
        parts = [
            0.5 * (torch.sigmoid(d(p, draw[o]["x"]) / 1.5).detach() * elbo(p, draw[o]["x"], draw[o]["z"])).mean()
            for o in ("real", "fake")
        ]
        return parts[0] + parts[1]

    text = INFOGAN + " model A = swap_arrows(M) { q_phi = mlp(4) temperature 1.5 }"
    agree(text, {"phi": phi, "theta": both}, {"phi": ("theta", "eta"), "theta": ("phi",)})


def test_bigan(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        fake, real = ({k: v.detach() for k, v in draw[b].items()} for b in ("fake", "real"))
        right = logsigmoid(d(p, real["x"], real["z"])).mean() + logsigmoid(-d(p, fake["x"], fake["z"])).mean()
        return 0.5 * right

    def both(p: Any, draw: Any) -> Tensor:
        z, x = draw["fake"]["z"], draw["real"]["x"]
        return 0.5 * logsigmoid(d(p, p.p_theta(z), z)).mean() + 0.5 * logsigmoid(-d(p, x, p.q_eta(x))).mean()

    agree(BIGAN, {"phi": phi, "theta": both}, {"phi": ("theta", "eta")})


def test_ada(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        source, target = (p.p_theta(draw[b]["z"]).detach() for b in ("source", "target"))
        return 0.5 * logsigmoid(d(p, source)).mean() + 0.5 * logsigmoid(-d(p, target)).mean()

    def both(p: Any, draw: Any) -> Tensor:
        source, target = (p.p_theta(draw[b]["z"]) for b in ("source", "target"))
        label = (p.p_eta.net(source).log_softmax(-1) * draw["source"]["t"]).sum(-1)
        confused = 0.5 * logsigmoid(-d(p, source)).mean() + 0.5 * logsigmoid(d(p, target)).mean()
        return confused + 0.5 * label.mean()

    p, _ = agree(ADA, {"phi": phi, "theta": both}, {"phi": ("theta", "eta")})
    assert p.FIELDS == {"t/image": (3,), "s/image": (3,), "s/label": (4,)}


def test_cvae(agree: Any) -> None:
    def both(p: Any, draw: Any) -> Tensor:
        x, c, z = (draw["data"][v] for v in "xcz")
        return (bce(p.p_theta(z, c).base_dist.logits, x) - kl(p.q_eta(x, c))).mean()

    p, _ = agree(CVAE, {"theta": both}, {})
    assert p.CONDITIONS == ("c",)


def test_cgan(agree: Any) -> None:
    def phi(p: Any, draw: Any) -> Tensor:
        fake, real = draw["fake"], draw["real"]
        right = logsigmoid(d(p, real["x"], real["c"])).mean() + logsigmoid(-d(p, fake["x"].detach(), fake["c"])).mean()
        return 0.5 * right

    def theta(p: Any, draw: Any) -> Tensor:
        fake = draw["fake"]
        return 0.5 * logsigmoid(d(p, p.p_theta(fake["z"], fake["c"]), fake["c"])).mean()

    agree(CGAN, {"phi": phi, "theta": theta}, {"phi": ("theta",)})


def test_two_level_vae(agree: Any) -> None:
    def both(p: Any, draw: Any) -> Tensor:
        x, a, b = (draw["data"][v] for v in "xab")
        scored = bce(p.p_theta_2(a).base_dist.logits, x) + diagonal(p.p_theta_1(b)).log_prob(a).sum(-1)
        return (scored - diagonal(p.q_eta_1(x)).log_prob(a).sum(-1) - kl(p.q_eta_2(a))).mean()

    p, draw = agree(TWO, {"theta": both}, {})
    assert p.GROUPS == {"theta": ("p_theta.1", "p_theta.2"), "eta": ("q_eta.1", "q_eta.2")}
    assert draw["data"]["b"].requires_grad


@pytest.mark.parametrize(
    ("family", "prior"),
    (
        ("Normal", "Normal(1, 2)"),
        ("Laplace", "Laplace(0, 2)"),
        ("Laplace", "Normal(0, 1)"),
        ("Normal", "Laplace(0, 1)"),
    ),
)
def test_divergence_of_each_family(program: Any, batch: Any, family: str, prior: str) -> None:
    """Closed forms against the mean of log q - log p over many samples."""
    p = program(
        f'model M {{ x : real(3) = data("image")  z : real(2) ~ {prior}'
        f"  p_theta : z -> x = mlp(3)  q_eta : x --> z = {family}(mlp(3)) }}"
    )
    one = batch(p, n=2)
    name = next(k for k in p.terms(p.draw(one), "theta") if "KL" in k)
    value = p.terms(p.draw(one), "theta")[name]
    q = p.q_eta(one["image"])
    torch.manual_seed(0)
    z = q.sample((100_000,))
    name, _, arguments = prior.rstrip(")").partition("(")
    base = getattr(torch.distributions, name)(*(torch.tensor(float(a)).double() for a in arguments.split(",")))
    sampled = (q.log_prob(z) - Independent(base.expand((2,)), 1).log_prob(z)).mean()
    assert abs(value + sampled) < 0.02


def test_learned_prior(program: Any, batch: Any, gradients: Any) -> None:
    """A factor with no parents is a learned prior, the one density of z: its pair with the entropy is a divergence."""
    p = program(
        'model M { x : unit(3) = data("image")  z : real(2)'
        " p_theta.z : -> z  p_theta.x : z -> x = mlp(3)  q_eta : x --> z = mlp(3) }"
    )
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    expected = (bce(p.p_theta_x(z).base_dist.logits, x) - kl_divergence(p.q_eta(x), p.p_theta_z(batch=(6,)))).mean()
    value = p.objective(draw, "theta")
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    for group in ("theta", "eta"):
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert p.sample(4)["x"].shape == (4, 3)


def test_fixed_scale_and_weight_and_beta(program: Any, batch: Any) -> None:
    p = program(
        'model M { x : real(3) = data("image")  z : real(2) ~ Normal(0, 1)'
        " p_theta : z -> x = Normal(mlp(3), scale: 0.1) weight 0.25  q_eta : x --> z = mlp(3) beta 4 }"
    )
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    scored = Normal(p.p_theta.net(z), torch.tensor(0.1, dtype=torch.float64)).log_prob(x).sum(-1)
    expected = (0.25 * scored - 4 * kl(p.q_eta(x))).mean()
    torch.testing.assert_close(p.objective(draw, "theta"), expected, rtol=0, atol=1e-12)


def test_wake_sleep(agree: Any) -> None:
    """Each side scores what the other one draws; no sample passes gradient (Eq. 20)."""
    text = (
        "model H { x : binary(3) = data  h : binary(2) ~ Bernoulli(0.5)  z : real(2)"
        " p_theta.z : h -> z = mlp(3)  p_theta.x : z -> x = mlp(3)"
        " q_lambda.z : x --> z = mlp(3)  q_lambda.h : z --> h = mlp(3) }"
        " model WS = wake_sleep(H)"
    )

    def wake(p: Any, draw: Any) -> Tensor:
        x, z, h = (draw["data"][v].detach() for v in "xzh")
        return (bce(p.p_theta_x(z).base_dist.logits, x) + diagonal(p.p_theta_z(h)).log_prob(z).sum(-1)).mean()

    def sleep(p: Any, draw: Any) -> Tensor:
        x, z, h = (draw["model"][v].detach() for v in "xzh")
        return (bce(p.q_lambda_h(z).base_dist.logits, h) + diagonal(p.q_lambda_z(x)).log_prob(z).sum(-1)).mean()

    p, _ = agree(text, {"theta": wake, "lambda": sleep}, {"theta": ("lambda",), "lambda": ("theta",)})
    assert p.UPDATES == (("theta",), ("lambda",)) and p.REDRAW == (True, True)


def test_bernoulli_is_the_finite_one(program: Any, batch: Any) -> None:
    """Bits: log prob of the logits, finite however sure they are."""
    head = "x : binary(3) = data  z : real(2) ~ Normal(0, 1)"
    p = program("model M { " + head + "  p_theta : z -> x  q_eta : x --> z }")
    q = p.p_theta(torch.full((1, 2), 1e6, dtype=torch.float64))
    assert torch.isfinite(q.log_prob(torch.zeros(1, 3, dtype=torch.float64))).all()
    assert isinstance(q.base_dist, Bernoulli)

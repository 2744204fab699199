"""Every file of examples/ against its formula, written out by hand: the value, the gradient of each group of
parameters, and which groups receive none.

A formula reads what was drawn and calls the program's networks, `p.q_phi.net` and the like; distributions, divergences,
weights and scales are written here. D(x) below is the probability of the given domain, f its logit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import logsigmoid, softplus

from schematic.compiler import pipeline

EXAMPLES = {p.stem: p for p in (Path(__file__).parents[2] / "examples").glob("*.sg")}
Draw = dict[str, dict[str, Tensor]]
Formula = Callable[[Any, Draw], dict[str, Tensor]]


# --- densities, in nats, (*axes, batch) ---------------------------------------------------------------------------


def bits(logits: Tensor, x: Tensor, event: int = 3) -> Tensor:
    """sum of x log s + (1 - x) log(1 - s), s the logistic function of the logits."""
    return (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).flatten(-event).sum(-1)


def chosen(logits: Tensor, one_hot: Tensor) -> Tensor:
    return (one_hot * logits.log_softmax(-1)).sum(-1)


def two(net: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation."""
    loc, raw = net.chunk(2, -1)
    return loc, softplus(raw) + 1e-4


def gaussian(net: Tensor, z: Tensor) -> Tensor:
    loc, scale = two(net)
    return (-((z - loc) / scale).square() / 2 - scale.log() - math.log(2 * math.pi) / 2).sum(-1)


def standard(z: Tensor) -> Tensor:
    return (-z.square() / 2 - math.log(2 * math.pi) / 2).sum(-1)


def kl(net: Tensor) -> Tensor:
    """KL(Normal(m, s) || Normal(0, 1))."""
    m, s = two(net)
    return ((m.square() + s.square() - 1) / 2 - s.log()).sum(-1)


def kl_normals(first: Tensor, second: Tensor) -> Tensor:
    (m, s), (n, t) = two(first), two(second)
    return ((t / s).log() + (s.square() + (m - n).square()) / (2 * t.square()) - 0.5).sum(-1)


def kl_classes(logits: Tensor, other: Tensor) -> Tensor:
    f = logits.log_softmax(-1)
    return (f.exp() * (f - other.log_softmax(-1))).sum(-1)


def logit(p: Any, *values: Tensor, by: str = "q_phi") -> Tensor:
    return getattr(p, by).net(*values)


def told(p: Any, fake: tuple[Tensor, ...], real: tuple[Tensor, ...], by: str = "q_phi") -> Tensor:
    """1/2 E_real log D + 1/2 E_fake log(1 - D), the samples passing no gradient."""
    f, g = (logit(p, *(v.detach() for v in values), by=by) for values in (fake, real))
    return (logsigmoid(g).mean() + logsigmoid(-f).mean()) / 2


def held(module: Any, *values: Tensor) -> Tensor:
    """The network's output, its parameters passing no gradient."""
    return functional_call(module.net, {k: v.detach() for k, v in module.net.named_parameters()}, values)


def generated(p: Any, *values: Tensor) -> Tensor:
    return torch.sigmoid(p.p_theta.net(*values))


# --- generative adversarial networks ------------------------------------------------------------------------------


def gan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = draw["fake"], draw["real"]
    return {
        "phi": told(p, (fake["x"],), (real["x"],)),
        "theta": logsigmoid(logit(p, generated(p, fake["z"]))).mean() / 2,
    }


def hinge_gan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = logit(p, draw["fake"]["x"].detach()), logit(p, draw["real"]["x"])
    zero = torch.zeros_like(fake)
    judged = (torch.minimum(zero, real - 1) + torch.minimum(zero, -fake - 1)).mean() / 2
    return {"phi": judged, "theta": logit(p, generated(p, draw["fake"]["z"])).mean() / 2}


def lsgan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = logit(p, draw["fake"]["x"].detach()), logit(p, draw["real"]["x"])
    fooled = -(logit(p, generated(p, draw["fake"]["z"])) - 1).square().mean() / 2
    return {"phi": -((real - 1).square() + fake.square()).mean() / 2, "theta": fooled}


def wgan_gp(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = logit(p, draw["fake"]["x"].detach()), logit(p, draw["real"]["x"])
    between = draw["penalty"]["x"].detach().requires_grad_()
    (slope,) = torch.autograd.grad(logit(p, between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    judged = (real.mean() - fake.mean()) / 2 - 5 * penalty
    return {"phi": judged, "theta": logit(p, generated(p, draw["fake"]["z"])).mean() / 2}


def iwgan(p: Any, draw: Draw) -> dict[str, Tensor]:
    """sum_i w_i log D, w = D / (1 - D), normalized over the batch and passing no gradient (Eq. 44)."""
    f = logit(p, generated(p, draw["fake"]["z"]))
    return {**gan(p, draw), "theta": (f.detach().softmax(0) * logsigmoid(f)).sum() / 2}


def cgan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = draw["fake"], draw["real"]
    f = logit(p, generated(p, fake["z"], fake["c"]), fake["c"])
    return {"phi": told(p, (fake["x"], fake["c"]), (real["x"], real["c"])), "theta": logsigmoid(f).mean() / 2}


def iwcgan(p: Any, draw: Draw) -> dict[str, Tensor]:
    f = logit(p, generated(p, draw["fake"]["z"], draw["fake"]["c"]), draw["fake"]["c"])
    return {**cgan(p, draw), "theta": (f.detach().softmax(0) * logsigmoid(f)).sum() / 2}


def infogan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake = draw["fake"]
    x = generated(p, fake["z"])
    scored = gaussian(p.q_eta.net(x), fake["z"]) + logsigmoid(logit(p, x))
    return {"phi": told(p, (fake["x"],), (draw["real"]["x"],)), "theta": scored.mean() / 2}


def infogan_code(p: Any, draw: Draw) -> dict[str, Tensor]:
    """The trunk that phi and eta share learns from log q(c | x) in eta's update, and from log D in phi's alone."""
    fake = draw["fake"]
    x = generated(p, fake["n"], fake["c"])
    scored = chosen(p.q_eta.net(x), fake["c"]) + logsigmoid(held(p.q_phi, x))
    return {"phi": told(p, (fake["x"],), (draw["real"]["x"],)), "theta": scored.mean() / 2}


def mad_gan(p: Any, draw: Draw) -> dict[str, Tensor]:
    """1/3 sum_y E log q(y | x); each generator 1/3 E log (1 - q(y | x)) / 2 at its own y."""
    phi = theta = torch.zeros((), dtype=torch.float64)
    for y, name in enumerate(("first", "second", "real")):
        phi = phi + logit(p, draw[name]["x"].detach()).log_softmax(-1)[:, y].mean() / 3
    for y, (name, net) in enumerate((("first", p.p_theta_1.net), ("second", p.p_theta_2.net))):
        q = logit(p, torch.sigmoid(net(draw[name]["z"]))).softmax(-1)[:, y]
        theta = theta + ((1 - q) / 2).log().mean() / 3
    return {"phi": phi, "theta": theta}


def bigan(p: Any, draw: Draw) -> dict[str, Tensor]:
    fake, real = draw["fake"], draw["real"]
    fooled = logsigmoid(logit(p, generated(p, fake["z"]), fake["z"])).mean()
    fooled = fooled + logsigmoid(-logit(p, real["x"], p.q_eta.net(real["x"]))).mean()
    return {"phi": told(p, (fake["x"], fake["z"]), (real["x"], real["z"])), "theta": fooled / 2}


def ada(p: Any, draw: Draw) -> dict[str, Tensor]:
    target, source = (p.p_theta.net(draw[name]["z"]) for name in ("usps", "mnist"))
    confused = 0.3 * (logsigmoid(-logit(p, source)).mean() + logsigmoid(logit(p, target)).mean())
    labelled = chosen(p.p_eta.net(source), draw["mnist"]["t"]).mean()
    return {"phi": told(p, (target,), (source,)), "theta": (confused + labelled) / 2}


def cyclegan(p: Any, draw: Draw) -> dict[str, Tensor]:
    """Two halves: log D of the translation and the absolute error of its way back, over the scale."""
    there, back = draw["Half.fake"], draw["2.fake"]

    def error(net: Any, given: Tensor, value: Tensor) -> Tensor:
        scale = 100.0
        return (-(value - torch.sigmoid(net(given))).abs() / scale - math.log(2 * scale)).flatten(1).sum(-1)

    x, z = generated(p, there["z"]), torch.sigmoid(p.q_eta.net(back["x"]))
    first = error(p.q_eta.net, x, there["z"]) + logsigmoid(logit(p, x))
    second = error(p.p_theta.net, z, back["x"]) + logsigmoid(logit(p, z, by="q_phi_z"))
    phi = told(p, (there["x"],), (draw["Half.real"]["x"],))
    phi = phi + told(p, (back["z"],), (draw["2.real"]["z"],), by="q_phi_z")
    return {"phi": phi, "theta": (first + second).mean() / 2}


def mode_gan(p: Any, draw: Draw) -> dict[str, Tensor]:
    """A GAN, and 0.2 log D(G(E(s))) - 0.2 |s - G(E(s))|^2 / 2 (Che et al. 2017, Eqs. 2 and 3)."""
    plain, s = draw["1.fake"], draw["Modes.fake"]["s"]
    x = generated(p, p.q_eta.net(s))
    constant = -math.log(2 * math.pi) / 2
    closeness = (-(s - x).square() / 2 + constant).flatten(1).sum(-1)
    theta = logsigmoid(logit(p, generated(p, plain["z"]))) + 0.2 * logsigmoid(logit(p, x)) + 0.2 * closeness
    return {"phi": told(p, (plain["x"],), (draw["1.real"]["x"],)), "theta": theta.mean() / 2}


def vae_gan_features(p: Any, draw: Draw) -> dict[str, Tensor]:
    """- KL + log Normal(F(s); F(G(z)), 1), and a GAN on the features, of scale 1 (Larsen et al. 2016, Eqs. 4 to 8)."""
    s, z, real = draw["Features.data"]["s"], draw["Features.data"]["z"], draw["FeatureGAN.real"]["x"]
    fake = draw["FeatureGAN.fake"]
    f, g = p.q_phi_f.net(fake["x"].detach()), p.q_phi_f.net(real)
    phi = logsigmoid(logit(p, g)).mean() + logsigmoid(-logit(p, f)).mean()
    near = standard(p.q_phi_f.net(s) - p.q_phi_f.net(generated(p, z)))
    fooled = logsigmoid(logit(p, p.q_phi_f.net(generated(p, fake["z"]))))
    return {"phi": phi, "eta": (near - kl(p.q_eta.net(s)) + fooled).mean()}


# --- autoencoders -------------------------------------------------------------------------------------------------


def aae(p: Any, draw: Draw) -> dict[str, Tensor]:
    x = draw["fake"]["x"]
    z = p.q_eta.net(x)
    scored = bits(p.p_theta.net(z), x) + logsigmoid(logit(p, z))
    return {"phi": told(p, (z,), (draw["real"]["z"],)), "eta": scored.mean() / 2}


def avb(p: Any, draw: Draw) -> dict[str, Tensor]:
    """The logit stands for the KL of the posterior E(x, e) (Mescheder et al. 2017, Eq. 3.6)."""
    fake, real = draw["fake"], draw["real"]
    z = p.q_eta.net(fake["x"], fake["e"])
    scored = bits(p.p_theta.net(z), fake["x"]) + logit(p, fake["x"], z)
    return {"phi": told(p, (fake["x"], z), (real["x"], real["z"])), "eta": scored.mean() / 2}


def elbo(p: Any, x: Tensor, z: Tensor, *c: Tensor, beta: float = 1) -> Tensor:
    return bits(p.p_theta.net(z, *c), x) - beta * kl(p.q_eta.net(x, *c))


def vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    return {"theta": elbo(p, draw["real"]["x"], draw["real"]["z"]).mean() / 2}


def vae_direct(p: Any, draw: Draw) -> dict[str, Tensor]:
    return {"theta": elbo(p, draw["data"]["x"], draw["data"]["z"]).mean()}


def beta_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    return {"theta": elbo(p, draw["data"]["x"], draw["data"]["z"], beta=4).mean()}


def cvae(p: Any, draw: Draw) -> dict[str, Tensor]:
    return {"theta": elbo(p, *(draw["data"][v] for v in "xzc")).mean()}


def iwae(p: Any, draw: Draw, *c: str) -> dict[str, Tensor]:
    """E log 1/16 sum_i p(x, z_i) / q(z_i | x)."""
    x, z, given = draw["data"]["x"], draw["data"]["z"], [draw["data"][v] for v in c]
    assert len(z) == 16
    many = [v.expand(16, *v.shape) for v in given]
    weights = bits(p.p_theta.net(z, *many), x) + standard(z) - gaussian(p.q_eta.net(x, *given), z)
    return {"theta": (weights.logsumexp(0) - math.log(16)).mean()}


def iwcvae(p: Any, draw: Draw) -> dict[str, Tensor]:
    return iwae(p, draw, "c")


def aavae(p: Any, draw: Draw, *c: str) -> dict[str, Tensor]:
    """1/2 E_data D(x) ELBO(x) + 1/2 E_generated D(x) ELBO(x), x and D passing no gradient (Eq. 23)."""
    total = torch.zeros((), dtype=torch.float64)
    for origin in ("fake", "real"):
        x, z, *given = (draw[origin][v] for v in ("x", "z", *c))
        weight = torch.sigmoid(logit(p, x.detach(), *given)).detach()
        total = total + (weight * elbo(p, x.detach(), z, *given)).mean() / 2
    fake, real = (tuple(draw[o][v] for v in ("x", *c)) for o in ("fake", "real"))
    return {"phi": told(p, fake, real), "theta": total}


def aacvae(p: Any, draw: Draw) -> dict[str, Tensor]:
    return aavae(p, draw, "c")


def vae_gan(p: Any, draw: Draw) -> dict[str, Tensor]:
    """Lemma 2's half bound and 0.1 of a GAN."""
    of_vae, of_gan = ({b: draw[f"{name}.{b}"] for b in ("fake", "real") if f"{name}.{b}" in draw}
                      for name in ("VAE", "GAN"))  # fmt: skip
    game, bound = gan(p, of_gan), vae(p, of_vae)
    return {"phi": 0.1 * game["phi"], "theta": bound["theta"] + 0.1 * game["theta"]}


def two_level_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    x, z1 = draw["data"]["x"], draw["data"]["z1"]
    z2 = draw["data"]["z2"]
    scored = bits(p.p_theta_2.net(z1), x) + gaussian(p.p_theta_1.net(z2), z1) - gaussian(p.q_eta_1.net(x), z1)
    return {"theta": (scored - kl(p.q_eta_2.net(z1))).mean()}


def multimodal_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    x, w, z = (draw["data"][v] for v in "xwz")
    scored = bits(p.p_theta_x.net(z), x) + chosen(p.p_theta_w.net(z), w)
    return {"theta": (scored - kl(p.q_eta.net(x, w))).mean()}


def classes(draw: Draw) -> tuple[Tensor, Tensor]:
    """Every class, (10, batch, 10), beside the code that was drawn for it, (10, batch, 16)."""
    t, z = draw["data"]["t"], draw["data"]["z"]
    assert t.shape == (10, len(t[0]), 10) and z.shape == (10, len(t[0]), 16)
    return t, z


def discrete_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    """sum_t q(t | x) [log p(x | z, t) - KL_z] - KL_t, the sum being exact."""
    x, (t, z) = draw["data"]["x"], classes(draw)
    many = x.expand(10, *x.shape)
    inside = bits(p.p_theta.net(z, t), many) - kl(p.q_eta_z.net(many, t))
    chances = p.q_eta_t.net(x).softmax(-1).T
    prior = kl_classes(p.q_eta_t.net(x), torch.zeros(10).double())
    return {"theta": ((chances * inside).sum(0) - prior).mean()}


def learned_prior_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    """sum_t q(t | x) [log p(x | z) - KL(q(z | x, t) || p(z | t))] - KL(q(t | x) || p(t)), both priors learned."""
    x, (t, z) = draw["data"]["x"], classes(draw)
    many = x.expand(10, *x.shape)
    inside = bits(p.p_theta_x.net(z), many) - kl_normals(p.q_eta_z.net(many, t), p.p_theta_z.net(t))
    chances = p.q_eta_t.net(x).softmax(-1).T
    prior = kl_classes(p.q_eta_t.net(x), p.p_theta_t.net())
    return {"theta": ((chances * inside).sum(0) - prior).mean()}


def binary_vae(p: Any, draw: Draw) -> dict[str, Tensor]:
    """The bound, with (reward - baseline) grad log q(h | x) beside it, the baseline being the others' mean reward."""
    x, h = draw["data"]["x"], draw["data"]["h"]
    f = p.q_eta.net(x)
    one = torch.sigmoid(f)
    entropy = (one * logsigmoid(f) + (1 - one) * logsigmoid(-f) + math.log(2)).sum(-1)
    reward = bits(p.p_theta.net(h), x)
    others = (reward.sum() - reward) / (len(reward) - 1)
    score = bits(f, h, 1)
    return {"theta": (reward - entropy + (reward - others).detach() * (score - score.detach())).mean()}


def helmholtz(p: Any, draw: Draw) -> dict[str, Tensor]:
    """E_{data, q} log p(x | h); E_{p(h), p} log q(h | x) (Hinton et al. 1995)."""
    wake, sleep = draw["data"], draw["model"]
    return {
        "theta": bits(p.p_theta.net(wake["h"].detach()), wake["x"]).mean(),
        "lambda": bits(p.q_lambda.net(sleep["x"].detach()), sleep["h"], 1).mean(),
    }


def pm(p: Any, draw: Draw) -> dict[str, Tensor]:
    """E sum_i log q(z_i | z_-i); E [log p(x | z) + sum_i log q(1 - z_i | z_-i)]; unit i is seen as 0."""
    x = draw["data"]["x"]
    z = torch.sigmoid(p.q_eta.net(x))

    def predicted(value: Tensor, given: Tensor) -> Tensor:
        total = torch.zeros(len(x), dtype=torch.float64)
        for i in range(8):
            f = p.q_phi.net(given * (torch.arange(8) != i))[:, i]
            total = total + value[:, i] * logsigmoid(f) + (1 - value[:, i]) * logsigmoid(-f)
        return total

    scored = bits(p.p_theta.net(z), x) + predicted(1 - z, z)
    return {"phi": predicted(z.detach(), z.detach()).mean(), "eta": scored.mean()}


FORMULAS: dict[str, Formula] = {f.__name__: f for f in (
    gan, hinge_gan, lsgan, wgan_gp, iwgan, cgan, iwcgan, infogan, infogan_code, mad_gan, bigan, ada, cyclegan,
    mode_gan, vae_gan_features, aae, avb, vae, vae_direct, beta_vae, cvae, iwae, iwcvae, aavae, aacvae, vae_gan,
    two_level_vae, multimodal_vae, discrete_vae, learned_prior_vae, binary_vae, helmholtz, pm,
)}  # fmt: skip
ELSEWHERE = {"svae": "test_emit_partial", "aasvae": "test_emit_partial"}


def test_every_example_has_a_formula() -> None:
    assert EXAMPLES.keys() == FORMULAS.keys() | ELSEWHERE.keys()
    assert all((Path(__file__).parent / f"{file}.py").exists() for file in ELSEWHERE.values())


@pytest.mark.parametrize("name", FORMULAS)
def test_the_program_computes_its_formula(name: str, batch: Any, gradients: Any) -> None:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(pipeline.compile(EXAMPLES[name]), "emitted.py", "exec"), scope)
    torch.manual_seed(0)
    (cls,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    p = cls().double()
    draw = p.draw(batch(p, n=3), torch.Generator().manual_seed(1))
    expected = FORMULAS[name](p, draw)
    updates = {groups[0]: groups for groups in p.UPDATES}
    assert expected.keys() == updates.keys()
    for first, groups in updates.items():
        value = p.objective(draw, first)
        torch.testing.assert_close(value, expected[first], rtol=1e-9, atol=1e-9)
        for group in groups:
            ours, theirs = gradients(p, value, group), gradients(p, expected[first], group)
            for a, b in zip(ours, theirs, strict=True):
                torch.testing.assert_close(zero(a, b), zero(b, a), rtol=1e-7, atol=1e-9)
            assert any(a is not None and a.abs().sum() > 0 for a in ours), group
        moved = {id(v) for group in groups for v in p.parameters_of(group)}
        for group in p.GROUPS.keys() - set(groups):
            pairs = zip(p.parameters_of(group), gradients(p, value, group), strict=True)
            found = any(g is not None and bool(g.any()) for v, g in pairs if id(v) not in moved)
            assert found == receives(name, first, group), (first, group)


def zero(a: Tensor | None, b: Tensor | None) -> Tensor:
    """A gradient, zeros where none flows."""
    return a if a is not None else torch.zeros_like(b) if b is not None else torch.zeros(())


def receives(name: str, update: str, group: str) -> bool:
    """A discriminator's parameters are in the way of what fools it, and are not moved; nothing else leaks. They are
    held where it weighs, and where the update moves a trunk that it shares."""
    return update != "phi" and group == "phi" and name not in ("aavae", "aacvae", "infogan_code")


def restatements() -> list[tuple[str, str]]:
    """What the examples' comments say of the code that people copy: (file, statements)."""
    found = []
    for name, path in EXAMPLES.items():
        comment = " ".join(line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#"))
        found += [(name, statements) for statements in re.findall(r"--with '([^']*)'", comment)]
    return sorted(found)


def test_comments_have_restatements() -> None:
    assert {"infogan", "cgan", "aae", "ada", "gan", "pm"} <= {name for name, _ in restatements()}


@pytest.mark.parametrize(("name", "statements"), restatements())
def test_a_restatement_in_a_comment_compiles_to_another_objective(name: str, statements: str) -> None:
    plain, restated = (pipeline.compile(EXAMPLES[name], stage="objectives", restate=r) for r in (None, statements))
    compile(pipeline.compile(EXAMPLES[name], restate=statements), "emitted.py", "exec")
    if name != "vae_direct":  # there it is the density that changes, which formulas do not show
        assert plain != restated


def test_the_autoencoder_that_people_copy(batch: Any, gradients: Any) -> None:
    """0.999 of minus the mean squared error of a sigmoid, up to a constant, and 0.001 log D."""
    (statements,) = (s for name, s in restatements() if name == "aae")
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(pipeline.compile(EXAMPLES["aae"], restate=statements), "emitted.py", "exec"), scope)
    p = scope["AAE"]().double()
    draw = p.draw(batch(p, n=3))
    x = draw["fake"]["x"]
    z = p.q_eta.net(x)
    error = (x - torch.sigmoid(p.p_theta.net(z))).square().mean()
    expected = (-0.999 * error + 0.001 * logsigmoid(logit(p, z)).mean()) / 2
    for group in ("eta", "theta"):
        ours, theirs = gradients(p, p.objective(draw, group), group), gradients(p, expected, group)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=2e-4, atol=1e-9)

"""Partial variables against formulas written out by hand: each record is taken by itself, by what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal
from torch.nn.functional import logsigmoid, one_hot

Compile = Callable[..., Any]
CLASSES, ALPHA = 3, 10.0
X = 'x : unit(4) = data("image")  z : real(2) ~ Normal(0, 1)'
T = f't : category({CLASSES}) = data("label") partial'
Y = "y : domain(fake, real)"
SVAE = f"model M {{ {X} {T} p_theta : z, t -> x = mlp(5)  q_eta.t : x --> t = mlp(4) weight 10  q_eta : x, t --> z }}"
AASVAE = f"""model M {{ {X} {T} {Y} p_theta : z, t, y -> x = mlp(5)  q_phi : x ~~> y = mlp(3)
  q_eta.t : x, y --> t = mlp(4) weight 10  q_eta : x, t, y --> z }}"""
CGAN = f"model M {{ {X} {T} {Y} p_theta : z, t, y ==> x = mlp(5)  q_phi : x, t ~> y = mlp(3) }}"
CVAE = f"model M {{ {X} {T} p_theta : z, t -> x = mlp(5)  q_eta : x --> z = mlp(4) }}"
SEEN = torch.tensor([True, False, False, True, False, True])


@pytest.fixture
def compiled(program: Compile, batch: Compile) -> Compile:
    """source text -> the program, a batch in which half of the labels are missing, and a draw."""

    def made(text: str) -> tuple[Any, dict[str, Tensor], Any]:
        p = program(text)
        assert p.PARTIAL == ("label",)
        records = batch(p) | {"label_observed": SEEN}
        return p, records, p.draw(records, torch.Generator().manual_seed(0))

    return made


def same(p: Any, ours: Tensor, theirs: Tensor, group: str) -> None:
    """Value, and the gradient of every parameter of the model."""
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    parameters = list(p.parameters_of(group))
    for a, b in zip(
        torch.autograd.grad(ours, parameters, retain_graph=True, allow_unused=True),
        torch.autograd.grad(theirs, parameters, retain_graph=True, allow_unused=True),
        strict=True,
    ):
        zero = torch.zeros(())
        torch.testing.assert_close(zero if a is None else a, zero if b is None else b, rtol=1e-9, atol=1e-12)


def still(p: Any, value: Tensor, *groups: str) -> None:
    """No parameter of these groups has a gradient."""
    for group in groups:
        found = torch.autograd.grad(value, list(p.parameters_of(group)), retain_graph=True, allow_unused=True)
        assert all(g is None for g in found)


def known(p: Any, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """log p(x | z, t) - KL(q(z | x, t), p(z)) of one record."""
    logits = p.p_theta(z, t).base_dist.logits
    log_p: Tensor = (x * logits - torch.nn.functional.softplus(logits)).sum(-1)
    q: Any = p.q_eta(x, t).base_dist
    kl: Tensor = 0.5 * (q.loc**2 + q.scale**2 - 1 - 2 * q.scale.log()).sum(-1)
    return log_p - kl


def of_records(p: Any, draw: dict[str, Tensor], seen: list[bool]) -> Tensor:
    """The bound of Kingma et al. (2014), Eqs. 6, 7 and 9, record by record, without log p(t) of what is observed."""
    found = []
    for i, observed in enumerate(seen):
        x = draw["x"][i : i + 1]
        q = Categorical(logits=p.q_eta_t(x).logits)
        if observed:
            t = draw["t observed"][i : i + 1]
            found.append(known(p, x, t, draw["z observed"][i : i + 1]) + ALPHA * (t * q.logits).sum(-1))
            continue
        total = -(q.probs * q.logits).sum(-1) - math.log(CLASSES)  # H(q) + sum_t q(t) log p(t)
        for c in range(CLASSES):
            t = one_hot(torch.tensor([c]), CLASSES).double()
            total = total + q.probs[:, c] * known(p, x, t, draw["z"][c, i : i + 1])
        found.append(total)
    return torch.cat(found)


def test_semi_supervised_vae(compiled: Compile) -> None:
    p, _, draw = compiled(SVAE)
    same(p, p.objective(draw, "theta"), of_records(p, draw["data"], SEEN.tolist()).mean(), "theta")
    same(p, p.objective(draw, "eta"), of_records(p, draw["data"], SEEN.tolist()).mean(), "eta")


def test_adversary_activated_semi_supervised_vae(compiled: Compile) -> None:
    """Every sample, given or generated, is weighed by D(x); nothing is observed of a generated one."""
    p, _, draw = compiled(AASVAE)
    fake, real = draw["fake"], draw["real"]
    assert "t observed" not in fake and not fake["x"].requires_grad

    def weighed(values: dict[str, Tensor], seen: list[bool]) -> Tensor:
        return 0.5 * (torch.sigmoid(p.q_phi(values["x"]).logits).detach() * of_records(p, values, seen)).mean()

    ours, theirs = p.objective(draw, "eta"), weighed(fake, [False] * 6) + weighed(real, SEEN.tolist())
    same(p, ours, theirs, "theta")
    same(p, ours, theirs, "eta")
    still(p, ours, "phi")
    judged = 0.5 * (logsigmoid(p.q_phi(real["x"]).logits) + logsigmoid(-p.q_phi(fake["x"]).logits)).mean()
    same(p, p.objective(draw, "phi"), judged, "phi")


def test_conditional_gan_with_labels_for_some(compiled: Compile) -> None:
    """Generated samples take labels from the prior; given ones count where they have one, in a mean over all."""
    p, records, draw = compiled(CGAN)
    fake, real = draw["fake"], draw["real"]
    torch.testing.assert_close(real["t"], records["label"])
    x = p.p_theta(fake["z"], fake["t"])
    judged = logsigmoid(p.q_phi(real["x"], real["t"]).logits)[SEEN].sum() / len(SEEN)
    fooled = logsigmoid(-p.q_phi(x.detach(), fake["t"]).logits).mean()
    ours = p.objective(draw, "phi")
    same(p, ours, 0.5 * judged + 0.5 * fooled, "phi")
    still(p, ours, "theta")
    same(p, p.objective(draw, "theta"), 0.5 * logsigmoid(p.q_phi(x, fake["t"]).logits).mean(), "theta")


def test_a_label_that_nothing_infers(compiled: Compile) -> None:
    """log p(x | z, t) counts where t is observed, the KL everywhere."""
    p, _, draw = compiled(CVAE)
    x, t, z = (draw["data"][v] for v in "xtz")
    q = p.q_eta(x)
    kl = torch.distributions.kl_divergence(Normal(q.base_dist.loc, q.base_dist.scale), Normal(0.0, 1.0)).sum(-1)
    scored = p.p_theta(z, t).log_prob(x)
    theirs = (scored * SEEN).mean() - kl.mean()
    same(p, p.objective(draw, "theta"), theirs, "theta")
    same(p, p.objective(draw, "eta"), theirs, "eta")


def test_a_discriminator_of_what_is_observed_and_of_what_is_inferred(compiled: Compile) -> None:
    """z is read off the record where it is there, else computed: four passes of D, each with its own logits."""
    p, _, draw = compiled(f"""model M {{ x : unit(4) = data("image") {T.replace("t :", "z :")} {Y}
        p_theta : x ==> z = mlp(5)  q_phi : z ~> y = mlp(3) }}""")
    found = []
    for name, sign in (("fake", -1), ("real", 1)):
        one = draw[name]
        z = torch.where(SEEN[:, None], one["z observed"], one["z"].detach())
        found.append(0.5 * logsigmoid(sign * p.q_phi(z).logits).mean())
    same(p, p.objective(draw, "phi"), found[0] + found[1], "phi")


def test_a_trunk_of_the_discriminator_reads_what_is_observed(compiled: Compile) -> None:
    """f is phi's own, of a code that the others infer and of a label: computed once more for phi, for either label."""
    p, records, draw = compiled(f"""model M {{ {X} {T} f : real(2) {Y} q_eta : x, y ==> z = mlp(4)
        q_eta.t : x ==> t = mlp(4)  q_phi.f : z, t ==> f = mlp(3)  q_phi : f ~> y = mlp(3) }}""")
    z, inferred = (net(records["image"]).detach() for net in (p.q_eta, p.q_eta_t))
    t = torch.where(SEEN[:, None], records["label"], inferred)
    fake = logsigmoid(-p.q_phi(p.q_phi_f(z, t)).logits).mean()
    real = logsigmoid(p.q_phi(p.q_phi_f(draw["real"]["z"], t)).logits).mean()
    ours = p.objective(draw, "phi")
    same(p, ours, 0.5 * (fake + real), "phi")
    still(p, ours, "eta")


@pytest.mark.parametrize("text", (SVAE, AASVAE, CGAN, CVAE))
def test_what_is_missing_is_never_read(compiled: Compile, text: str) -> None:
    """Whatever stands in a label that is not observed, values and gradients are the same."""
    p, records, draw = compiled(text)
    other = records["label"].roll(1, -1)
    changed = records | {"label": torch.where(SEEN[:, None], records["label"], other)}
    again = p.draw(changed, torch.Generator().manual_seed(0))
    for group in p.GROUPS:
        same(p, p.objective(draw, group), p.objective(again, group), group)


def test_masks_of_any_kind(program: Compile, batch: Compile) -> None:
    """A mask of numbers is that of truth values."""
    p = program(SVAE)
    truth, numbers = (batch(p) | {"label_observed": m} for m in (SEEN, SEEN.float()))
    values = [p.objective(p.draw(b, torch.Generator().manual_seed(0)), "eta") for b in (truth, numbers)]
    assert torch.equal(*values)

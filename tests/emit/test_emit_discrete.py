"""Discrete codes: enumeration, score function, and the biased estimators, on the emitted program."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

HIERARCHY = (
    'model M {{ x : binary(3) = data("image")  a : binary(2) ~ Bernoulli(0.3)  t : category(3) ~ Categorical'
    "  p_theta : a, t -> x = mlp(3)  q_eta.t : x --> t = mlp(3) {0}  q_eta.a : x, t --> a = mlp(3) {0} }}"
)
BITS = torch.tensor(list(product((0.0, 1.0), repeat=2)), dtype=torch.float64)
CLASSES = torch.eye(3, dtype=torch.float64)


def bits(logits: Tensor, x: Tensor) -> Tensor:
    return -torch.nn.functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


def bound(p: Any, x: Tensor) -> Tensor:
    """sum_{t, a} q(t | x) q(a | x, t) [log p(x | a, t) + log p(a) + log p(t) - log q(t | x) - log q(a | x, t)]"""
    prior = BITS @ torch.tensor([0.3, 0.3]).double().log() + (1 - BITS) @ torch.tensor([0.7, 0.7]).double().log()
    total = torch.zeros(len(x), dtype=torch.float64)
    log_t = p.q_eta_t.net(x).log_softmax(-1)
    for t, one in enumerate(CLASSES):
        there = one.expand(len(x), 3)
        logits = p.q_eta_a.net(x, there)
        for a, pair in enumerate(BITS):
            log_a = bits(logits, pair)
            scored = bits(p.p_theta.net(pair.expand(len(x), 2), there), x)
            weight = (log_t[:, t] + log_a).exp()
            total = total + weight * (scored + prior[a] - torch.tensor(3.0).double().log() - log_t[:, t] - log_a)
    return total.mean()


def test_enumeration_is_exact(program: Any, batch: Any, gradients: Any) -> None:
    p = program(HIERARCHY.format(""))
    one = batch(p)
    draw = p.draw(one)
    assert draw["data"]["t"].shape == (3, 6, 3) and draw["data"]["a"].shape == (4, 3, 6, 2)
    value, expected = p.objective(draw, "eta"), bound(p, one["image"])
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-7)
    for group in ("theta", "eta"):
        for a, b in zip(gradients(p, value, group), gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


def test_score_function_is_unbiased(program: Any, batch: Any, gradients: Any) -> None:
    """The mean over every draw of two records (the baseline needs two) is the exact value and gradient."""
    p = program(HIERARCHY.format("gradient reinforce"))
    one = batch(p, n=2)
    x = one["image"]
    total: dict[str, list[Tensor]] = {}
    value = torch.zeros((), dtype=torch.float64)
    for t in product(range(3), repeat=2):
        for a in product(range(4), repeat=2):
            draw = {"data": {"x": x, "t": CLASSES[list(t)], "a": BITS[list(a)]}}
            q_t, q_a = p.q_eta_t(x), p.q_eta_a(x, draw["data"]["t"])
            weight = (q_t.log_prob(draw["data"]["t"]) + q_a.log_prob(draw["data"]["a"])).sum().exp().detach()
            here = p.objective(draw, "eta")
            value = value + weight * here.detach()
            for group in ("theta", "eta"):
                found = [weight * g for g in gradients(p, here, group)]
                total[group] = [a + b for a, b in zip(total.get(group, [0.0] * len(found)), found, strict=True)]
    expected = bound(p, x)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-7)
    for group in ("theta", "eta"):
        for a, b in zip(total[group], gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


def test_surrogates_have_value_zero_and_are_marked(program: Any, batch: Any) -> None:
    p = program(HIERARCHY.format("gradient reinforce"))
    terms = p.terms(p.draw(batch(p)), "eta")
    marked = [v for k, v in terms.items() if "surrogate" in k]
    assert len(marked) == 2 and all(v == 0 and v.requires_grad for v in marked)


def test_the_score_function_beside_an_enumerated_draw(program: Any, batch: Any, gradients: Any) -> None:
    """t enumerated outside, a sampled inside with a reward of its own for each t; and the other way round."""
    for first, second in (("gradient enumerate", "gradient reinforce"), ("gradient reinforce", "gradient enumerate")):
        text = HIERARCHY.replace("{0}", first, 1).replace("{0}", second).format()
        p = program(text)
        one = batch(p, n=1)
        x = one["image"]
        value, expected = torch.zeros((), dtype=torch.float64), bound(p, x)
        inner = first == "gradient enumerate"
        total: list[Tensor] = []
        choices = product(range(4), repeat=3) if inner else ((t,) for t in range(3))
        for chosen in choices:
            draw = p.draw(one)["data"]
            if inner:
                draw["a"] = BITS[list(chosen)][:, None]
                log_q = p.q_eta_a(x, draw["t"]).log_prob(draw["a"])
            else:
                draw["t"] = CLASSES[list(chosen)]
                log_q = p.q_eta_t(x).log_prob(draw["t"])
            here = p.objective({"data": draw}, "eta")
            weight = log_q.sum().exp().detach()
            value = value + weight * here.detach()
            found = [weight * g for g in gradients(p, here, "eta")]
            total = [a + b for a, b in zip(total or [torch.zeros(())] * len(found), found, strict=True)]
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-7)
        for a, b in zip(total, gradients(p, expected, "eta"), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-7)


@pytest.mark.parametrize("how", ("gumbel(0.5)", "straight_through"))
def test_biased_estimators(program: Any, batch: Any, gradients: Any, how: str) -> None:
    p = program(HIERARCHY.format(f"gradient {how}"))
    draw = p.draw(batch(p, n=50))
    t, a = draw["data"]["t"], draw["data"]["a"]
    torch.testing.assert_close(t.sum(-1), torch.ones(50, dtype=torch.float64))
    assert t.requires_grad and a.requires_grad
    if how == "straight_through":
        torch.testing.assert_close(t.detach().round(), t.detach())
        torch.testing.assert_close(a.detach().round(), a.detach())
    assert all(g is not None and g.isfinite().all() for g in gradients(p, p.objective(draw, "eta"), "eta"))


def test_more_than_64_values_take_the_score_function(emitted: Any) -> None:
    text = "model M {{ x : binary(3) = data  h : binary({}) ~ Bernoulli(0.5)  p_theta : h -> x  q_eta : x --> h }}"
    assert "bits(6" in emitted(text.format(6)) and "score(" not in emitted(text.format(6))
    assert "bits(" not in emitted(text.format(7)) and "score(" in emitted(text.format(7))


def test_samples_follow_their_distribution(program: Any) -> None:
    head = "x : category(3) = data  z : real(1) ~ Normal(0, 1)"
    p = program("model M { " + head + "  p_theta : z -> x = linear  q_eta : x --> z }")
    draws = p.sample(20_000, torch.Generator().manual_seed(0))
    expected = p.p_theta.net(draws["z"]).softmax(-1).mean(0)
    torch.testing.assert_close(draws["x"].mean(0), expected, rtol=0, atol=0.02)


def test_arrays_of_categories(program: Any, batch: Any) -> None:
    p = program(
        'model M { x : category(3, 2) = data  t : category(2, 3) ~ Categorical  p_theta : t -> x = mlp(3)'
        "  q_eta : x --> t = mlp(3) }"
    )
    draw = p.draw(batch(p))
    assert draw["data"]["t"].shape == (8, 6, 3, 2) and draw["data"]["t"][:, 0].unique(dim=0).shape[0] == 8
    assert p.p_theta(draw["data"]["t"]).log_prob(draw["data"]["x"]).shape == (8, 6)
    assert p.objective(draw, "eta").isfinite()


def test_independent_enumerated_codes(program: Any, batch: Any) -> None:
    """A term that depends on the second code alone is weighed by both, though nothing it reads leads to the first."""
    p = program(
        "model M { x : category(3) = data  h : category(2) ~ Categorical  t : category(2) ~ Categorical"
        "  z : category(2) ~ Categorical  q_eta.t : x --> t  q_eta.z : h --> z"
        "  p_theta.h : z -> h  p_theta.t : h, z -> t  p_theta.x : z -> x }"
    )
    draw = p.draw(batch(p))
    assert draw["data"]["z"].shape == (2, 2, 6, 2) and draw["data"]["t"].shape == (2, 6, 2)
    scored = p.p_theta_h.net(CLASSES[:2, :2]).log_softmax(-1)  # (z, h)
    chosen = draw["data"]["h"].argmax(-1)
    weight = p.q_eta_z.net(draw["data"]["h"]).softmax(-1)
    expected = sum(weight[:, z] * scored[z, chosen] for z in range(2)).mean()
    (value,) = [v for k, v in p.terms(draw, "theta").items() if "log p_θ(h | z)" in k]
    torch.testing.assert_close(value, expected)


def test_every_component_has_its_own_surrogate(program: Any, batch: Any) -> None:
    """An encoder that lacks y is drawn from once for each inferred domain."""
    p = program(
        "model M { x : category(3) = data  z : category(2) ~ Categorical  y : domain(fake, real)"
        "  p_theta : z -> x  q_phi : x ~~> y  q_eta : x --> z gradient reinforce }"
    )
    terms = p.terms(p.draw(batch(p)), "eta")
    assert sum("surrogate" in name for name in terms) == 4
    assert {name.partition(": ")[0] for name in terms} == {"fake", "real"}
    assert "fake: log p_θ(x | z)" in terms and "fake: log p_θ(x | z), y=real" in terms

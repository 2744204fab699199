"""Model sets that no one has named compile by the same rules: derived, verified, emitted, trained and sampled."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.proof.verify import verify

X, C, Z = 'x : unit(1, 4, 4) = data("image")', 'c : category(3) = data("label")', "z : real(4) ~ Normal(0, 1)"
Y = "y : domain(fake, real)"
FEATURES = "f : real(5)  q_phi.e : x, c ==> f = mlp(6)  q_phi : f ~> y = linear"
UNNAMED = {
    "importance-weighted, adversary-activated conditional VAE, and a GAN on its features": f"""
        model CGAN {{ {X} {C} {Z} {Y} p_theta : z, c, y ==> x = mlp(6)  q_phi : x, c ~> y = mlp(6) }}
        model A = importance(swap_arrows(CGAN {{ q_eta : x, c, y -> z = mlp(6) }}), 3)
        model B = CGAN {{ {FEATURES} }}
        model M = A + 0.5 * B""",
    "sleep in one term, an adversary on the code in the other": f"""
        model H {{ {X} h : binary(3) ~ Bernoulli(0.3)  p_theta : h -> x = mlp(5)  q_lambda : x --> h = mlp(5) }}
        model G {{ {X} h : binary(3) ~ Bernoulli(0.3) {Y} q_lambda : x --> h = mlp(5) when y = fake  q_phi : h ~> y }}
        model M = wake_sleep(H) + 0.3 * G""",
    "a code of classes and numbers, compared, inferred and importance-weighted": f"""
        model V {{ {X} t : category(3) ~ Categorical  {Z}
          p_theta : z, t -> x = mlp(5)  q_eta.t : x --> t  q_eta.z : x, t --> z = mlp(5) beta 0.5 }}
        model G {{ {X} t : category(3) ~ Categorical  {Z} {Y}
          p_theta : z, t, y ==> x = mlp(5)  q_psi : x, t ~> y = mlp(4) temperature 2 divergence minimax }}
        model M = importance(V, 2) + 2 * G""",
    "three domains, features, labels in the last, units that are told from the others": """
        model M { y : domain(a, b, c)  x : unit(6) = data("a/x", "b/x", "c/x") given y  t : category(3) = data("c/t")
          f : unit(3)  q_theta : x ==> f = mlp(5)  q_phi : f ~> y = mlp(4) weight 0.2
          p_eta : f -> t = linear when y = c  q_psi : f.rest ~> f.each = mlp(4) weight 0.1 }""",
    "a tower: two levels, a learned prior of classes, a skip connection": f"""
        model M {{ {X} u : real(3)  v : real(2)  t : category(3)
          p_theta.t : -> t  p_theta.v : t -> v = mlp(3)  p_theta.u : v -> u = mlp(3)  p_theta.x : u, v -> x = mlp(5)
          q_eta.u : x --> u = mlp(5)  q_eta.v : u --> v = mlp(4)  q_eta.t : v, u --> t weight 2 }}""",
    "encoder and decoder on both sides of one game, each pair with noise of its own": f"""
        model M {{ {X} {Z} n : real(2) ~ Normal(0, 1)  {Y}
          p_theta : z, n ==> x = mlp(5) when y = fake  q_eta : x, n ==> z = mlp(5) when y = real
          q_phi : x, z ~> y = mlp(5) divergence kl  q_xi : x -> n = mlp(4) when y = fake weight 0.4 }}""",
    "a translation that is judged, cycled and told in labels, of two sets": f"""
        model H {{ a : unit(6) = data("a/i")  b : unit(6) = data("b/i")  l : category(2) = data("b/l") {Y}
          p_theta : b, y ==> a = mlp(5)  q_phi : a ~> y = mlp(4)  q_eta : a, y -> b = Laplace(mlp(5), scale: 0.5)
          q_psi : a -> l = mlp(4) when y = fake }}
        model M = H + 0.5 * swap(H {{ q_psi : a -> l = mlp(4) when y = fake fixed }} without q_psi, a, b)""",
    "a perfect adversary on one half, an active one on the other": f"""
        model I {{ {X} {Z} {Y} p_theta : z, y ==> x = mlp(5)  q_phi : x ~> y = mlp(4)  q_eta : x, y -> z = mlp(4) }}
        model P = perfect(swap_arrows(I), q_phi)
        model A = swap_arrows(I) {{ q_phi = mlp(4) temperature 3 }}
        model M = P + A""",
    "partial labels, a generator of pairs, a trunk of two groups": f"""
        net D in phi, eta = mlp(6, 5)
        model S {{ {X} t : category(3) = data("label") ~ Categorical partial  {Z}
          p_theta : z, t -> x = mlp(5)  q_eta.t : x --> t = D then mlp(4) weight 3  q_eta.z : x, t --> z = mlp(5) }}
        model G {{ {X} t : category(3) ~ Categorical  {Z} {Y}
          p_theta : z, t, y ==> x = mlp(5)  q_phi : x ~> y = D  q_eta.t : x -> t = D then mlp(4) when y = fake }}
        model M = S + 2 * G""",
    "bits by the score function under an adversary, a relaxed class beside them": f"""
        model M {{ {X} h : binary(7) ~ Bernoulli(0.5)  t : category(3) ~ Categorical  {Y}
          p_theta : h, t, y -> x = mlp(5)  q_eta.h : x, y --> h = mlp(5) gradient reinforce
          q_eta.t : x, h, y --> t = mlp(4) gradient gumbel(0.5)  q_phi : x ~~> y = mlp(4) }}""",
    "two adversaries of one indicator, on data and on a hollow code of it": f"""
        model M {{ {X} {Z} k : real(2)  {Y}
          p_theta : z, y ==> x = mlp(5)  q_eta : x ==> k = mlp(4)  p_xi : k -> z = mlp(4) when y = fake
          q_phi : x ~> y = mlp(4) divergence least_squares  q_psi : k ~> y = linear divergence hinge weight 0.5 }}""",
}


@pytest.mark.parametrize("name", UNNAMED)
def test_it_is_verified_and_trains(name: str) -> None:
    report = Report()
    model = parse(UNNAMED[name], report, model="M")
    assert model is not None and not report.failed, [d.render() for d in report]
    found = list(verify(model, models=1))
    assert not [f for f in found if f.wrong], found
    assert any(f.claim.startswith("the program computes") for f in found)
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(pipeline.text(model, Report()), "emitted.py", "exec"), scope)
    torch.manual_seed(0)
    (cls,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    p = cls()
    batch = {f: torch.rand(5, *shape) for f, shape in p.FIELDS.items()}
    batch = {f: v.softmax(-1) if p.TYPES[f] == "category" else v for f, v in batch.items()}
    batch |= {f"{f}_observed": torch.tensor([1.0, 0, 0, 1, 0]) for f in getattr(p, "PARTIAL", ())}
    for groups in p.UPDATES:
        for group in groups:
            value = p.objective(p.draw(batch), group)
            moved = torch.autograd.grad(value, list(p.parameters_of(group)), allow_unused=True)
            assert value.isfinite() and any(g is not None and bool(g.any()) for g in moved), group
    given = {v: batch[p.DATA[v]] for v in p.CONDITIONS}
    assert p.sample(5, **given)

"""Plans: who draws what and how, what passes no gradient, when a draw is stale."""

from __future__ import annotations

import pytest

from schematic.compiler import estimators, pipeline, plan_text
from schematic.compiler.plan import plan
from schematic.compiler.program import Plan
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.build import parse
from schematic.graph.model import Gradient, Model, Prior, Type

X = 'x : unit(3) = data("image")  z : real(2) ~ Normal(0, 1)  '
Y = "y : domain(fake, real)  "


def planned(text: str) -> Plan:
    report = Report()
    model = parse(text, report)
    report.check()
    assert isinstance(model, Model)
    found = plan(model, pipeline.derive(model, report), report)
    report.check()
    return found


def hows(p: Plan, branch: str) -> dict[str, str]:
    return {d.key: d.how for d in p.branch(branch).draws if not d.hidden}


@pytest.mark.parametrize(
    ("type_", "family", "implicit", "gradient", "trained", "how"),
    (
        (Type("real", (2,)), "Normal", False, None, True, "path"),
        (Type("real", (2,)), "Laplace", False, None, False, "path"),
        (Type("real", (2,)), "Normal", True, None, True, "map"),
        (Type("real", (2,)), "Delta", False, None, True, "map"),
        (Type("unit", (2,)), "Bernoulli", False, None, True, "mean"),
        (Type("binary", (6,)), "Bernoulli", False, None, True, "enumerate"),
        (Type("binary", (7,)), "Bernoulli", False, None, True, "score"),
        (Type("binary", (7,)), "Bernoulli", False, None, False, "sample"),
        (Type("category", (), 64), "Categorical", False, None, True, "enumerate"),
        (Type("category", (3,), 4), "Categorical", False, None, True, "enumerate"),
        (Type("category", (4,), 4), "Categorical", False, None, True, "score"),
        (Type("category", (), 65), "Categorical", False, Gradient("enumerate"), True, "enumerate"),
        (Type("category", (), 2), "Categorical", False, Gradient("reinforce"), True, "score"),
        (Type("category", (), 2), "Categorical", False, Gradient("gumbel", 0.5), True, "gumbel"),
        (Type("category", (), 2), "Categorical", False, Gradient("straight_through"), True, "straight_through"),
    ),
)
def test_estimators(
    type_: Type, family: str, implicit: bool, gradient: Gradient | None, trained: bool, how: str
) -> None:
    assert estimators.draw(type_, family, implicit, gradient, trained, 1) == how  # type: ignore[arg-type]


def test_enumerated_draws_share_the_64_values_of_a_record() -> None:
    p = planned(
        "model M { " + X + "a : category(8) ~ Categorical  b : category(8) ~ Categorical  c : category(2) ~ Categorical"
        "  p_theta : a, b, c -> x  q_eta.a : x --> a  q_eta.b : x --> b  q_eta.c : x --> c }"
    )
    assert hows(p, "data") == {"x": "data", "a": "enumerate", "b": "enumerate", "c": "score"}
    assert p.branch("data").drawn("a").axes == (8,) and p.branch("data").drawn("b").axes == (8, 8)


def test_uniform_priors_of_partial_variables() -> None:
    assert estimators.prior_of(Type("category", (), 3), None) == Prior("Categorical")
    assert estimators.prior_of(Type("binary"), None) == Prior("Bernoulli", (0.5,))


def test_what_a_discriminator_sees_is_cut() -> None:
    p = planned("model M { " + X + Y + "p_theta : z, y ==> x  q_phi : x ~> y }")
    phi, theta = p.updates
    assert phi.detached == (("fake", "x"),) and theta.detached == ()
    assert p.branch("fake").drawn("x").reach == {"theta"}
    assert p.steps == ((("phi",), True), (("theta",), False))


def test_outer_samples_hold_no_graph_and_are_hidden_by_inferred_values() -> None:
    p = planned("model M { " + X + Y + "p_theta : z, y -> x  q_phi : x ~~> y  q_eta : x, y --> z }")
    outer, x, z = p.branch("fake").draws
    assert (outer.hidden, outer.key, x.outer, x.reach, x.depends) == (True, "z.outer", True, frozenset(), {"theta"})
    assert z.reach == {"eta"} and not z.outer
    weighed = p.updates[1].terms[0]
    assert len(weighed.masses) == 1 and weighed.masses[0].detached


def test_a_fixed_discriminator_leaves_one_update() -> None:
    p = planned("model M { " + X + Y + "p_theta : z, y ==> x  q_phi : x ~> y fixed }")
    assert [u.groups for u in p.updates] == [("theta",)]
    assert dict(p.groups) == {"theta": ("p_theta",)}


def test_fields_of_each_domain() -> None:
    p = planned(
        'model M { y : domain(a, b)  x : real(2) = data("A/v", "B/v") given y  t : category(3) = data("B/t")'
        "  h : real(2)  p_theta : x ==> h  q_phi : h ~> y  p_eta : h -> t when y = b }"
    )
    assert [f for f, _ in p.fields] == ["A/v", "B/v", "B/t"]
    assert hows(p, "a") == {"x": "data", "h": "map"} and hows(p, "b") == {"x": "data", "t": "data", "h": "map"}


def test_a_divergence_without_a_closed_form_is_sampled() -> None:
    p = planned(
        "model M { x : unit(3) = data  z : unit(2) ~ Uniform(0, 1)"
        "  p_theta : z -> x  q_eta : x --> z = Bernoulli(mlp(3)) }"
    )
    (term,) = [t for t in p.updates[0].terms if t.right is not None]
    assert term.how == "sampled" and term.left.target == "z"


def test_a_plan_is_shown() -> None:
    factors = "p_theta : z, h -> x  q_eta.z : x --> z  q_eta.h : x --> h"
    shown = plan_text.show(planned("model M { " + X + "h : binary(9) ~ Bernoulli(0.5)  " + factors + " }"))
    assert "h ~ q_η(h | x): sampled, score function" in shown and "z ~ q_η(z | x): reparameterized" in shown
    assert "adam(0.001, 0.9, 0.999)" in shown


def test_a_penalty_cannot_stand_on_what_is_enumerated() -> None:
    text = (
        "model M {{ x : unit(3) = data  c : category(4) ~ Categorical  y : domain(fake, real)  p_theta : c -> x"
        "  q_eta : x, y --> c {}  q_phi : c ~> y divergence wasserstein(penalty: 10) }}"
    )
    assert planned(text.format("gradient reinforce"))
    with pytest.raises(SchematicError, match="SG421"):
        planned(text.format(""))

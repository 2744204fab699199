"""The networkx view, the default networks, and what is not compiled yet."""

from __future__ import annotations

import pytest

from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.graph.defaults import resolve
from schematic.graph.model import AnyModel, Model, Net
from schematic.graph.pending import pending
from schematic.graph.view import to_networkx


def built(text: str) -> AnyModel:
    report = Report()
    model = parse(text, report)
    assert model is not None, "\n".join(d.render() for d in report)
    return model


def test_an_edge_for_each_parent_of_each_factor() -> None:
    text = """model M { x : unit(1, 8, 8) = data  z : real(3) ~ Normal(0, 1)  y : domain(fake, real)  h : real
      p_theta : z, y ==> x  q_phi : x ~> y  q_eta : x --> z  q_eta.2 : x -> z  p_a : -> h }"""
    graph = to_networkx(built(text))
    edges = {(a, b, d["factor"], d["process"], d["implicit"], d["adversarial"]) for a, b, d in graph.edges(data=True)}
    assert edges == {
        ("z", "x", "p_theta", "inference", True, False),
        ("y", "x", "p_theta", "inference", True, False),
        ("x", "y", "q_phi", "generative", False, True),
        ("x", "z", "q_eta", "inference", False, False),
        ("x", "z", "q_eta.2", "generative", False, False),
    }
    assert list(graph) == ["x", "z", "y", "h"]
    assert graph.nodes["h"]["factors"] == ("p_a",) and not graph.nodes["h"]["given"]
    assert graph.nodes["x"]["given"] and graph.nodes["x"]["shape"] == (1, 8, 8) and graph.nodes["x"]["kind"] == "unit"
    assert graph.nodes["y"]["values"] == ("fake", "real")


def test_a_sum_draws_its_terms_over_one_another() -> None:
    text = "model M { x : real = data  z : real  q_a : x --> z }\nmodel S = M + 2 * M { q_a : x -> z }"
    graph = to_networkx(built(text))
    assert [(d["term"], d["process"]) for *_, d in graph.edges(data=True)] == [("M", "inference"), ("2", "generative")]


ENDS = [
    ("category(3, 8, 8)", "real", Net("mlp", (400, 400))),
    ("unit(1, 8, 8)", "unit(3, 8, 8)", Net("resnet", (64,))),
    ("unit(1, 8, 8)", "real", Net("dcgan", (64,))),
    ("real(3)", "unit(1, 8, 8)", Net("dcgan", (64,))),
    ("binary(3)", "category(4)", Net("table")),
    ("binary(10)", "category(4)", Net("table")),
    ("binary(10)", "category(5)", Net("mlp", (400, 400))),
    ("real(3)", "category(4)", Net("mlp", (400, 400))),
    ("unit(28, 28)", "real(3)", Net("mlp", (400, 400))),
]


@pytest.mark.parametrize(("source", "target", "net"), ENDS)
def test_the_default_network_follows_from_the_shapes(source: str, target: str, net: Net) -> None:
    model = built(f"model M {{ a : {source} = data  b : {target}  y : domain(u, v)  p_a : a, y -> b }}")
    assert isinstance(model, Model)
    assert resolve(model, model.factors[0]).net == net


FAMILIES = [("real", "Normal"), ("unit", "Bernoulli"), ("binary", "Bernoulli"), ("category(3)", "Categorical")]


@pytest.mark.parametrize(("target", "family"), FAMILIES)
def test_the_family_follows_the_target(target: str, family: str) -> None:
    model = built(f"model M {{ a : {target}  p_a : -> a = mlp(3) }}")
    assert isinstance(model, Model)
    assert resolve(model, model.factors[0]).family == family


PENDING = [
    ("model M { ⟦x[1..3] : real = data  p_a : -> x }", "a chain"),
]


@pytest.mark.parametrize(("marked", "words"), PENDING)
def test_what_is_not_compiled_yet_is_told_at_its_place(marked: str, words: str) -> None:
    (found,) = pending(built(marked.replace("⟦", "")))
    assert (found.code, found.severity) == ("SG601", "warning")
    assert found.message == f"{words} is not compiled yet"
    assert found.span.start == marked.index("⟦")


def test_what_is_compiled_is_not_pending() -> None:
    text = """model M { x : real = data  z : real ~ Normal(0, 1)  y : domain(a, b)
      p_a : z, y ==> x  q_b : x ~> y perfect }"""
    assert pending(built(text)) == ()

"""Figures of runs: bounds against densities summed by hand, routes read off graphs, accuracies counted by hand."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

import schematic as sg
from schematic.runtime import bounds, measures
from schematic.runtime.bounds import estimate, evidence
from schematic.runtime.data import load
from schematic.runtime.errors import RunError
from schematic.runtime.evaluate import evaluate
from schematic.runtime.figures import Figure, over, table
from schematic.runtime.program import load_class
from schematic.runtime.routes import clusters, follow, predictions, round_trips
from schematic.runtime.sample import reload

EXAMPLES = Path(__file__).parents[2] / "examples"

IMAGE = 'x : unit(1, 8, 8) = data("image")'
VAE = f"model VAE {{ {IMAGE} z : real(4) ~ Normal(0, 1) p_theta : z -> x = linear q_eta : x --> z = linear }}"
BITS = """model Bits {
  x : binary(5) = data
  h : binary(3) ~ Bernoulli(0.5)
  t : category(3) ~ Categorical
  p_theta : h, t -> x = mlp(8)
  q_eta.h : x --> h = mlp(8)
  q_eta.t : x --> t = mlp(8)
}"""


def program_of(text: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return load_class(sg.emit(sg.parse(text)), "program.py")()


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    return (x * logsigmoid(logits) + (1 - x) * logsigmoid(-logits)).flatten(1).sum(1)


def named(figures: tuple[Figure, ...]) -> dict[str, Figure]:
    return {f.name: f for f in figures}


# --- bounds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [None, 1, 4, 7])
def test_a_bound_whose_weights_are_equal_is_log_p(k: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder of one value and an encoder equal to the prior leave log p(x), for any draws, made in parts too."""
    monkeypatch.setattr(bounds, "DRAWS", 3)
    program = program_of(VAE)
    with torch.no_grad():
        for name, parameter in program.named_parameters():
            if name != "p_theta.net.head.linear.bias":
                parameter.zero_()
        program.q_eta.net.head.linear.bias[4:] = float(np.log(np.expm1(1 - 1e-3)))  # softplus gives scale 1
    x = torch.rand(6, 1, 8, 8)
    expected = bernoulli(program.p_theta.net.head.linear.bias, x.flatten(1)).mean().item()
    found = evidence(sg.parse(VAE).drawn)
    assert found is not None and found.latent and found.dimensions == 64
    assert estimate(found, program, {"image": x}, k, 0) == pytest.approx(expected, rel=1e-5)


def test_many_draws_reach_log_p_that_is_summed_over_all_codes() -> None:
    """Twenty-four codes of bits and a class: log p(x) by hand, above the plain bound, met by 3,000 draws."""
    program, x = program_of(BITS, 1), torch.bernoulli(torch.full((8, 5), 0.4))
    codes = [(torch.tensor(h), t) for h in np.ndindex(2, 2, 2) for t in torch.eye(3)]
    with torch.no_grad():
        scores = [program.p_theta(h.float().expand(8, 3), t.expand(8, 3)).log_prob(x) for h, t in codes]
    expected = (torch.stack(scores).logsumexp(0) - log(24)).mean().item()
    found = evidence(sg.parse(BITS).drawn)
    assert found is not None
    plain, many = (estimate(found, program, {"x": x}, k, 0) for k in (None, 3000))
    assert plain is not None and many is not None and plain < expected - 0.01
    assert many == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("change", ["VAE { q_eta : x --> z = linear beta 4 }", "importance(VAE, 5)", "wake_sleep(VAE)"])
def test_the_bound_forgets_what_training_changed(change: str) -> None:
    """Weights, importance and wake-sleep change what is maximized, not what bounds log p."""
    x = {"image": torch.rand(5, 1, 8, 8)}
    other = f"{VAE} model M = {change}"
    values = [estimate(e, program_of(t), x, 3, 0) for t in (VAE, other) if (e := evidence(sg.parse(t).drawn))]
    assert len(values) == 2 and values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_domain_indicator_does_not_halve_the_bound() -> None:
    """The VAE by Lemma 2 is the VAE drawn without an adversary; so is the bound of one whose adversary is learned."""
    half = (
        f"model A {{ {IMAGE} z : real(4) ~ Normal(0, 1) y : domain(fake, real) p_theta : z, y -> x = linear "
        "q_phi : x ~~> y = linear q_eta : x, y --> z = linear } "
    )
    x = {"image": torch.rand(5, 1, 8, 8)}
    plain = program_of(VAE)
    values = []
    for text in (VAE, half, f"{half} model B = perfect(A, q_phi)"):
        program, found = program_of(text), evidence(sg.parse(text).drawn)
        program.load_state_dict(plain.state_dict(), strict=False)
        assert found is not None
        values.append(estimate(found, program, x, 4, 0))
    assert values[1] == pytest.approx(values[0], rel=1e-5) and values[2] == pytest.approx(values[0], rel=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "p_theta : z ==> x y : domain(a, b) q_phi : x ~> y",  # nothing is scored
        "p_theta : z -> x q_eta : x ==> z",  # a hollow encoder has no density
        "p_theta : z -> x q_eta : x --> z p_a : -> z",  # two densities of one code are no density
        "p_theta : z -> x p_b : -> x q_eta : x --> z",
    ],
)
def test_no_bound_is_made_up(text: str) -> None:
    head = f"model M {{ {IMAGE} z : real(4) ~ Normal(0, 1) "
    assert evidence(sg.parse(head + text + " }").drawn) is None


def test_without_latent_variables_it_is_the_likelihood() -> None:
    text = 'model C { x : unit(1, 8, 8) = data("image") t : category(10) = data("label") p_theta : x -> t = linear }'
    found, program = evidence(sg.parse(text).drawn), program_of(text)
    x, t = torch.rand(4, 1, 8, 8), torch.eye(10)[:4]
    assert found is not None and not found.latent and found.dimensions == 1
    expected = program.p_theta(x).log_prob(t).mean().item()
    assert estimate(found, program, {"image": x, "label": t}, None, 0) == pytest.approx(expected)


# --- routes -------------------------------------------------------------------------------------------------


def ways(found: Any) -> list[tuple[str, list[str], list[str]]]:
    return [(r.target.name, [f.name for f in r.factors], [v.name for v in r.reads]) for r in found]


PAIR = """model Half {
  x : unit(3, 8, 8) = data("a/image")
  z : unit(3, 8, 8) = data("b/image")
  y : domain(fake, real)
  p_theta : z, y ==> x = conv(2)
  q_phi : x ~> y = conv(2)
  q_eta : x, y -> z = Laplace(conv(2), scale: 0.1)
}
model Pair = Half + swap(Half, x, z)"""


def test_routes_are_read_off_the_arrows() -> None:
    label = 't : category(10) = data("label")'
    semi = (
        f"{IMAGE} {label} partial z : real(4) ~ Normal(0, 1) p_theta : z, t -> x q_eta.t : x --> t q_eta.z : x, t --> z"
    )
    drawn = sg.parse(f"model M {{ {semi} }}").drawn
    assert ways(predictions(drawn)) == [("t", ["q_eta.t"], ["x"])]
    assert ways(round_trips(drawn)) == [("x", ["q_eta.t", "q_eta.z", "p_theta"], ["x"])]
    two = f"{IMAGE} {label} z : real(4) ~ Normal(0, 1) p_theta.x : z -> x p_theta.t : z -> t q_eta : x --> z"
    assert ways(predictions(sg.parse(f"model M {{ {two} }}").drawn)) == [("t", ["q_eta", "p_theta.t"], ["x"])]
    both = two.replace("q_eta : x", "q_eta : x, t")  # the label is needed to infer the code that predicts it
    assert predictions(sg.parse(f"model M {{ {both} }}").drawn) == ()
    given = f"{IMAGE} {label} z : real(4) ~ Normal(0, 1) p_theta : z, t -> x q_eta : x, t --> z"
    assert ways(round_trips(sg.parse(f"model M {{ {given} }}").drawn)) == [("x", ["q_eta", "p_theta"], ["x", "t"])]
    assert ways(round_trips(sg.parse(PAIR).drawn)) == [
        ("x", ["q_eta", "p_theta"], ["x"]),
        ("z", ["p_theta", "q_eta"], ["z"]),
    ]
    assert round_trips(sg.load(EXAMPLES / "gan.sg").drawn) == ()


def test_a_round_trip_calls_the_factors_in_turn() -> None:
    program, x = program_of(PAIR), torch.rand(3, 3, 8, 8)
    route = next(r for r in round_trips(sg.parse(PAIR).drawn) if r.target.name == "x")
    values = follow(program, route, {"x": x})
    assert torch.equal(values["z"], program.q_eta(x).mean)
    assert torch.equal(values["x"], program.p_theta(program.q_eta(x).mean).mean)


# --- runs ---------------------------------------------------------------------------------------------------


def test_accuracy_where_the_model_reads_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Domain adaptation is judged on the target's own labels; what is counted by hand is what is said."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        images, labels = random.integers(0, 256, (60, 16, 16), np.uint8), np.arange(60) % 10
        np.savez(tmp_path / f"{name}.npz", image=images, label=labels)
    data = f"usps=npz:{tmp_path / 'a.npz'},mnist=npz:{tmp_path / 'b.npz'}"
    run = sg.train(sg.load(EXAMPLES / "ada.sg"), data=data, out=tmp_path / "ada", steps=3, batch=8).run.path
    figures = named(evaluate(run, device="cpu"))
    assert set(figures) == {"accuracy_usps", "accuracy_mnist"}
    program: Any = reload(run, "cpu").program
    fields, kinds = {"image": (1, 16, 16), "label": (10,)}, {"image": "unit", "label": "category"}
    for name, file in (("usps", "a"), ("mnist", "b")):
        (records,) = load(f"npz:{tmp_path / file}.npz", fields, kinds)
        with torch.no_grad():
            classes = program.p_eta(program.p_theta(records.test["image"])).mean.argmax(1)
        right = (classes == records.test["label"].argmax(1)).float().mean().item()
        assert figures[f"accuracy_{name}"].value == pytest.approx(right)


def test_purity_of_classes_that_nothing_labels() -> None:
    """Two classes of four records: the first is all one label, the second half and half."""
    text = f"model M {{ {IMAGE} t : category(2) ~ Categorical p_theta : t -> x = linear q_eta : x --> t = linear }}"
    program, images = program_of(text), torch.zeros(4, 1, 8, 8)
    with torch.no_grad():
        for parameter in program.q_eta.parameters():
            parameter.zero_()
        program.q_eta.net.head.linear.weight[1, 0] = 1.0
    images[2:, 0, 0, 0] = 1.0
    labels = torch.eye(3)[torch.tensor([0, 0, 1, 2])]
    (route,) = clusters(sg.parse(text).drawn)
    ((name, value, _),) = measures._purity("purity", route, route.reads[0], {"image": images, "label": labels})(program)
    assert (name, value) == ("purity", 0.75)


def test_a_run_is_judged_beside_its_start(tmp_path: Path) -> None:
    run = sg.train(sg.load(EXAMPLES / "cvae.sg"), data="digits", out=tmp_path / "cvae", steps=150).run.path
    found = evaluate(run, 300, ks=(5, 50), records=100, device="cpu")
    figures = named(found)
    assert figures["iw_bound_50"].value > figures["iw_bound_5"].value > figures["elbo"].value - 0.1
    assert figures["elbo"].unit == "nats per example, grey"
    assert figures["elbo_bits"].value == pytest.approx(-figures["elbo"].value / (64 * log(2)))
    asked = figures["conditional_accuracy"]
    assert asked.value > 0.9 and asked.before is not None and asked.before < 0.3
    back = figures["reconstruction_error"]
    assert back.before is not None and back.value < 0.6 * back.before
    kept = json.loads((run / "figures.json").read_text())
    assert [set(f) for f in kept] == [{"name", "value", "before", "unit"}] * len(found)
    assert [f["value"] for f in kept] == [f.value for f in found]
    twice = named(evaluate([run, run], 300, device="cpu"))["conditional_accuracy"]
    assert twice.sd == 0
    (run / "model.sg").write_text((run / "model.sg").read_text().replace("q_eta", "q_lambda"))
    with pytest.raises(RunError, match="of another program: `q_lambda` is not in it"):
        evaluate(run)


def test_means_over_seeds_and_the_table() -> None:
    a, b = Figure("modes", 9.0, 2.0, "of 10 classes"), Figure("modes", 10.0, 4.0, "of 10 classes")
    (mean,) = over([(a, Figure("only", 1.0, None, "")), (b,)])
    assert (mean.value, mean.before, mean.sd) == (9.5, 3.0, pytest.approx(0.5**0.5))
    heads, row = table((mean,)).splitlines()
    assert heads.split() == ["figure", "value", "at", "step", "0", "unit"]
    assert row.split() == ["modes", "9.5", "±", "0.71", "3", "of", "10", "classes"]

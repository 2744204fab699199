"""`schematic verify`: its table, its JSON, its exit code, and the smallest counterexample to what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import schematic.cli.main as entry
from schematic.calculus import rules
from schematic.calculus.exact import evaluate, gradient
from schematic.calculus.rules import RULES, Rewrite, Rule
from schematic.calculus.terms import Scale, Term
from schematic.compiler import objectives as reading
from schematic.core.diagnostics import Report
from schematic.graph.build import load, parse
from schematic.graph.model import Model
from schematic.proof.finite import uniform_priors
from schematic.proof.points import points
from schematic.proof.programs import tabled
from schematic.proof.verify import program_cases, random_case, random_cases, verify

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Model:
    report = Report()
    model = load(EXAMPLES / f"{name}.sg", report)
    assert isinstance(model, Model) and not report.failed
    return model


def run(*arguments: str | Path) -> tuple[int, str, str]:
    with CliRunner().isolation() as (out, err, _):
        code = entry.run(["verify", *map(str, arguments)])
        return code, out.getvalue().decode(), err.getvalue().decode()


# --- the two oracles agree -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("vae_direct", "discrete_vae", "two_level_vae", "vae", "aavae", "iwae", "helmholtz"))
@pytest.mark.parametrize("seed", range(3))
def test_without_hollow_arrows_points_and_density_tables_are_one(name: str, seed: int) -> None:
    """A hollow value is a point for programs and a categorical for the mathematics; without any they must agree."""
    model = example(name)
    sizes = {v.name: 2 + seed % 2 if v.type.kind != "domain" else 2 for v in model.variables}
    case = random_case(model, sizes, np.random.default_rng(seed))
    case = replace(case, tables=uniform_priors(case.tables))
    numbers = points(tabled(case.model), case.tables)
    for o in case.objectives:
        assert numbers.value(o.term, {})[0] == pytest.approx(evaluate(o.term, case.tables), abs=1e-13)
        for f in case.moved(o):
            theirs = gradient(o.term, case.tables, (f,))[f]
            y = case.tables.factors[f].given.index("y") if "y" in case.tables.factors[f].given else None
            theirs = theirs if y is None else np.take(theirs, 0, axis=y)
            ours = numbers.gradient(o.term, f)
            if case.model.factor(f).adversarial:
                ours, theirs = ours, theirs[..., 1]
            np.testing.assert_allclose(ours, theirs, atol=1e-13)


# --- findings ------------------------------------------------------------------------------------------------------


def test_the_paper_is_refuted_where_it_is_wrong_and_confirmed_where_it_is_right() -> None:
    found = {f.equation: f for f in verify(example("infogan"), models=8)}
    for equation in ("Eq. 10", "Eq. 14", "Eq. 16, corrected", "Eq. 30, corrected"):
        assert found[equation].verdict == "holds" and found[equation].error < 1e-12 and found[equation].models == 8
    assert found["Eq. 16"].verdict == found["Eq. 30"].verdict == "fails as known"
    assert not any(f.wrong for f in found.values())
    for equation in ("Eq. 16", "Eq. 30"):
        smallest = found[equation].counterexample
        assert smallest is not None and set(smallest.sizes.values()) == {2} and smallest.error > 1e-4
        plain = [p for table in smallest.tables.values() for p in np.ravel(table)]
        assert all(abs(10 * p - round(10 * p)) < 1e-9 for p in plain), "simple numbers"


def test_claims_are_about_graphs_to_which_they_apply() -> None:
    of = {name: {f.equation for f in verify(example(name), models=2)} for name in ("gan", "vae", "vae_direct", "aavae")}
    assert {"Eq. 10", "Eq. 14", "Eq. 30"} <= of["gan"] and "Eq. 16" not in of["gan"]
    assert "Eq. 19" in of["vae"] and "Eq. 19" not in of["aavae"] and "Eqs. 13, 23" in of["aavae"]
    assert "Burda et al. 2015" in of["vae_direct"] and "Eq. 10" not in of["vae_direct"]
    assert all("emitted code" in equations for equations in of.values())


def test_the_same_seed_gives_the_same_models() -> None:
    first, again, other = (next(random_cases(example("gan"), 1, seed)) for seed in (3, 3, 4))
    one, two, three = (c.tables.factors["p_theta"].array for c in (first, again, other))
    assert np.array_equal(one, two) and not np.array_equal(one, three)


@pytest.fixture
def wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """b^r is taken with twice its weight."""

    def twice(rule: Rule) -> Rule:
        def apply(term: Term, context: rules.Context) -> Rewrite | None:
            done = rule.apply(term, context)
            return done and replace(done, term=Scale(2, done.term))

        return replace(rule, apply=apply)

    table = tuple(twice(r) if r.name == "reverse" else r for r in RULES)
    monkeypatch.setattr(reading, "derive", lambda start, context: rules.derive(start, context, table))


def test_a_wrong_rule_fails_with_a_small_counterexample(wrong_rule: None) -> None:
    found = {f.claim: f for f in verify(example("gan"), models=4)}
    broken = [f for f in found.values() if f.wrong]
    assert {"calculus", "semantics"} <= {f.equation for f in broken}
    for f in broken:
        assert f.counterexample is not None and max(f.counterexample.sizes.values()) == 2
    code, out, _ = run(EXAMPLES / "gan.sg", "--models", "2")
    assert code == 1 and "the smallest counterexample found" in out


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(EXAMPLES / "infogan.sg", "--models", "3", "--seed", "5")
    assert code == 0 and not err
    for word in ("claim", "equation", "verdict", "worst error", "models", "InfoGAN, seed 5", "Eq. 16, corrected"):
        assert word in out
    assert "fails as known" in out and "p_theta(x | z, y) = [[[" in out


def test_json() -> None:
    code, out, _ = run(EXAMPLES / "vae.sg", "--models", "2", "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0 and found["model"] == "VAE" and found["seed"] == 0
    lemma = next(f for f in found["findings"] if f["equation"] == "Eq. 19")
    assert lemma["verdict"] == "holds" and lemma["error"] < 1e-12 and lemma["models"] == 2


def test_other_models_of_a_file() -> None:
    code, out, _ = run(EXAMPLES / "vae_direct.sg", "--with", "q_eta : x --> z beta 4", "--models", "2")
    assert code == 0 and "VAE" in out
    code, out, err = run(EXAMPLES / "vae.sg", "--model", "Nothing")
    assert code == 1 and "Nothing" in err and not out


def test_a_form_that_is_not_compiled_yet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "chain.sg"
    path.write_text("model M { z[1..3] : real(2) = data  h : real ~ Normal(0, 1)  p_theta : h -> z  q_eta : z --> h }")
    code, out, err = run(path)
    assert code == 1 and "not compiled yet" in err and not out


def test_a_graph_with_an_error_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.sg"
    path.write_text("model M { x : real(2) = data  z : real(2) ~ Normal(0, 1)  p_theta : z => x  q_eta : x --> z }")
    code, out, err = run(path)
    assert code == 1 and "SG204" in err and not out


def test_a_wake_sleep_graph_and_divergences_are_verified(tmp_path: Path) -> None:
    path = tmp_path / "models.sg"
    path.write_text(
        "model H { x : binary(3) = data  h : binary(2) ~ Bernoulli(0.3)  p_theta : h -> x  q_lambda : x --> h }\n"
        "model WS = wake_sleep(H)\n"
        "model G { x : unit(3) = data  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)  p_theta : z, y ==> x\n"
        "  q_phi : x ~> y divergence hinge }"
    )
    for name in ("H", "WS", "G"):
        code, out, err = run(path, "--model", name, "--models", "3")
        assert code == 0 and "the program computes its objective" in out and not err


def test_bits_and_numbers_in_the_unit_interval_are_tried_as_they_are_too() -> None:
    first, second = program_cases(example("binary_vae"), 2, 0)
    assert [v.type.kind for v in first.model.variables] == ["category", "category"]
    assert [v.type.kind for v in second.model.variables] == ["unit", "binary"]
    assert [points(tabled(c.model), c.tables).linear for c in (first, second)] == [False, True]


@pytest.mark.parametrize("divergence", ("", "divergence minimax temperature 2 weight 0.3"))
@pytest.mark.parametrize(
    "code",
    (
        "z : unit(8)  q_eta : x ==> z",
        "z : category(3, 2)  q_eta : x ==> z",
        "z : binary(3)  q_eta : x --> z",
        "z : category(3, 2) ~ Categorical  y : domain(f, r)  q_eta : x, y ==> z  q_psi : z ~> y",
    ),
)
def test_every_unit_from_the_others_is_verified(code: str, divergence: str) -> None:
    text = f"model M {{ x : unit(1, 8, 8) = data  {code}  p_theta : z -> x  q_phi : z.rest ~> z.each {divergence} }}"
    assert_verified(text)


@pytest.mark.parametrize("divergence", ("", "divergence minimax", "temperature 2 weight 0.3"))
@pytest.mark.parametrize(
    "arrows",
    (
        "z : real(2) ~ Normal(0, 1)  p_theta : z, y ==> x",
        "z : real(2) ~ Normal(0, 1)  p_theta : z, y ==> x  q_eta : x, y -> z",
        "h : real(2)  q_eta : x ==> h  p_theta : h -> x when y = c",
    ),
)
def test_three_domains_are_verified(arrows: str, divergence: str) -> None:
    source = "h" if "h :" in arrows else "x"
    data = 'data("a/i", "b/i", "c/i") given y' if source == "h" else "data"
    assert_verified(f"""model M {{ y : domain(a, b, c)  x : unit(1, 8, 8) = {data}  {arrows}
        q_phi : {source} ~> y {divergence} }}""")


def assert_verified(text: str) -> None:
    """Every claim holds that speaks of the model, and its program is among what was run."""
    report = Report()
    model = parse(text, report)
    assert model is not None and not report.failed, [d.render() for d in report]
    found = list(verify(model, models=2))
    assert not [f for f in found if f.wrong] and any(f.claim.startswith("the program computes") for f in found)


def test_a_sum_knows_the_units_of_each_of_its_terms() -> None:
    """z is one array in both terms, though one of them predicts no unit of it."""
    head = "x : binary(6) = data  z : binary(3) ~ Bernoulli(0.5)  q_eta : x --> z"
    assert_verified(f"""model A {{ {head} p_theta : z -> x }}  model B {{ {head} q_phi : z.rest ~> z.each }}
        model C = A + 0.5 * B""")


def test_weights_of_explicit_samples_are_constants() -> None:
    """A generator that scores: each draw moves with its own term, not with what it weighs in the others'."""
    assert_verified("""model M { x : binary(3) = data  z : real(3) ~ Normal(0, 1)  y : domain(f, r)
        p_theta : z, y --> x gradient gumbel(0.7)  q_phi : x ~> y }  model N = importance(M, 4)""")

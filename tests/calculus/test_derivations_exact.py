"""The derivations of real files, step by step against the oracle, and their summands against their terms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schematic.calculus.exact import Tables, evaluate, factors_of, gradient, random_tables
from schematic.calculus.terms import Add, Expect, Mass, Objective, Scale, Summand, Term, Where, densities, mask
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.build import load_all
from schematic.graph.model import Model
from schematic.proof.finite import finite

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))

UNSEEN = {
    "a hollow middle": """
        model M {
          x : real(3) = data("x")  z : real(2) ~ Normal(0, 1)  h : real(2)  y : domain(a, b)
          p_theta.h : z ==> h   p_theta : h, y ==> x   q_phi : x ~> y   q_eta : x, y -> z
        }""",
    "three levels": """
        model M {
          x : binary(3) = data("x")  u : real(2) ~ Normal(0, 1)  v : real(2)  w : real(2)
          p_theta : v -> x  p_theta.v : w -> v  p_theta.w : u -> w
          q_eta.v : x --> v  q_eta.w : v --> w  q_eta.u : w, x --> u
        }""",
    "two codes, weights and a condition": """
        model M {
          x : unit(3) = data("s/x")  c : category(3) = data("s/c")  z : real(2) ~ Normal(0, 1)
          t : category(2) ~ Categorical  y : domain(made, real)
          p_theta : z, t, c, y ==> x  q_phi : x, c ~> y  q_eta : x, y -> z weight 0.5  q_lambda : x, y -> t
        }
        model N = swap_arrows(M)
        model O = perfect(N, q_phi)
        model P = swap(M, x, z)""",
}


def models(path: Path) -> list[Model]:
    """The models of a file as finite ones, which have few importance draws and no gradient penalty."""
    report = Report()
    found = load_all(path, report)
    assert not report.failed, [d.message for d in report]
    return [finite(m, {v.name: 2 for v in m.variables}) for m in found if isinstance(m, Model)]


def derived(model: Model) -> tuple[Objective, ...]:
    report = Report()
    found = objectives(model, report)
    assert not report.failed, [d.message for d in report]
    return found


def tables(model: Model, terms: list[Term], seed: int) -> Tables:
    sizes = {v.name: 2 + i % 2 for i, v in enumerate(model.variables) if v.type.kind != "domain"}
    return random_tables(terms, sizes, np.random.default_rng(seed))


def as_term(s: Summand) -> Term:
    """scale * E_outer[masses * E_draws[atom]], over the records in which it counts."""
    counted: Term = s.atom
    for name, observed in s.observed:
        counted = Where(mask(name), (int(observed),), "", counted)
    inner: Term = Expect(s.draws, counted)
    for mass in s.masses:
        inner = Mass(mass, inner)
    return Scale(s.scale, Expect(s.outer, inner))


def held(model: Model) -> None:
    """Every step keeps value and gradient but for what it drops, and nothing that is dropped at last is missed."""
    for objective in derived(model):
        derivation = objective.derivation
        before = derivation.start
        stages = [before, *(s.after for s in derivation.steps)]
        now = tables(model, stages, 1)
        at0 = replace(tables(model, stages, 2), priors=now.priors, records=now.records)
        names = [f for g in objective.groups for f in factors_of(Add(tuple(stages)), g)]
        for step in derivation.steps:
            total = Add((step.after, *step.dropped))
            assert evaluate(total, now, at0) == pytest.approx(evaluate(before, now, at0), abs=1e-11), step.rule
            same(gradient(before, now, names, at0), gradient(step.after, now, names, at0))
            before = step.after
        summed = Add(tuple(as_term(s) for s in objective.summands))
        assert evaluate(summed, now, at0) == pytest.approx(evaluate(objective.term, now, at0), abs=1e-11)
        same(gradient(summed, now, names, at0), gradient(objective.term, now, names, at0))
        assert densities(objective.term)


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-12)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples(path: Path) -> None:
    for model in models(path):
        held(model)


@pytest.mark.parametrize("name", UNSEEN)
def test_models_that_no_paper_draws(name: str, tmp_path: Path) -> None:
    (tmp_path / "models.sg").write_text(UNSEEN[name])
    for model in models(tmp_path / "models.sg"):
        held(model)

"""Every rewrite leaves value and gradient as they are, but for exactly the terms that it lists as dropped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import currently_in_test_context, given, note, settings
from hypothesis import strategies as st
from paper_terms import (
    DECODER,
    ENCODER,
    JUDGE,
    P_X,
    P_Y,
    P_Z,
    PERFECT,
    REVERSED,
    SIZES,
    aae,
    aavae,
    at,
    gan,
    infogan,
    terms,
    vae,
)

from schematic.calculus.exact import Tables, evaluate, factors_of, gradient, random_tables
from schematic.calculus.rules import RULES, Rule, derive, rewrite
from schematic.calculus.structure import Context, tidy
from schematic.calculus.terms import ZERO, Add, Critic, Density, Expect, Log, Normalized, Term, Where, substitute
from schematic.calculus.text import text

OTHERS = Context("y", frozenset({"theta", "eta"}), frozenset())
JUDGES = Context("y", frozenset({"phi"}), frozenset())
RANDOM = Context("y", frozenset({"theta"}), frozenset())

PAPER = {
    "Eq. 4": (gan()[0], JUDGES),
    "Eq. 5": (gan()[1], OTHERS),
    "Eq. 15, phi": (infogan()[0], JUDGES),
    "Eq. 15, theta": (infogan()[1], OTHERS),
    "Eq. 35, phi": (aae()[0], JUDGES),
    "Eq. 35, theta": (aae()[1], OTHERS),
    "Eq. 19": (aavae(PERFECT), OTHERS),
    "Eq. 23": (aavae(REVERSED), OTHERS),
    "Eq. 23, heated": (aavae(replace(REVERSED, temperature=1.5)), OTHERS),
}


def two_models(term: Term, seed: int) -> tuple[Tables, Tables]:
    first, second = (random_tables([term], SIZES, np.random.default_rng(s)) for s in (seed, seed + 1))
    return first, second


def constant(term: Term, context: Context, seed: int) -> None:
    tables, at0 = two_models(term, seed)
    for group in context.groups:
        for found in gradient(term, tables, factors_of(term, group), at0).values():
            np.testing.assert_allclose(found, 0.0, atol=1e-12)


def unchanged(before: Term, after: Term, dropped: tuple[Term, ...], context: Context, seed: int) -> None:
    if currently_in_test_context():
        note(f"{text(before)}\n-> {text(after)}\ndropped: {'; '.join(map(text, dropped))}")
    tables, at0 = two_models(before, seed)
    total = Add((after, *dropped))
    assert evaluate(total, tables, at0) == pytest.approx(evaluate(before, tables, at0), abs=1e-12, rel=1e-11)
    moved = [f for group in sorted(context.groups) for f in factors_of(before, group)]
    old, new = gradient(before, tables, moved, at0), gradient(total, tables, moved, at0)
    for name in moved:
        np.testing.assert_allclose(new[name], old[name], atol=1e-12)


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("seed", range(5))
def test_every_step_of_the_paper_s_derivations(name: str, seed: int) -> None:
    start, context = PAPER[name]
    term = tidy(start)
    unchanged(start, term, (), context, seed)
    derivation = derive(term, context)
    assert derivation.steps
    for step in derivation.steps:
        unchanged(term, step.after, step.dropped, context, seed)
        constant(Add(step.dropped), context, seed)
        term = step.after


def test_every_rule_is_used_by_the_paper() -> None:
    """The logit by a hinge GAN, weights by an importance-weighted one, a known mask by a code that is partly observed,
    the others by what the paper writes out."""
    hinge = Expect((P_Y, P_X), Critic("linear", REVERSED))
    weighted = Expect((P_Y, P_X), Normalized(4, REVERSED, JUDGE, Log(REVERSED)))
    missing = Density("indicator", "p", None, ("z?",), values=(("z?", 0),))
    partly = Expect((P_Z, missing), Where("z?", (0,), "z is missing", Log(DECODER)))
    cases = [*PAPER.values(), (hinge, OTHERS), (weighted, OTHERS), (partly, OTHERS)]
    used = {step.rule for start, context in cases for step in derive(tidy(start), context).steps}
    assert used == {rule.name for rule in RULES}


def test_the_vae_by_moves_is_the_vae() -> None:
    """Lemma 2: the derived objective normalizes to half the evidence lower bound."""
    end = derive(tidy(aavae(PERFECT)), OTHERS).end
    for seed in range(5):
        tables, at0 = two_models(aavae(PERFECT), seed)
        assert evaluate(end, tables, at0) == pytest.approx(evaluate(vae(), tables, at0), abs=1e-13)


def test_a_value_is_put_in_up_to_where_the_variable_is_bound_anew() -> None:
    term = Expect((P_Z, replace(ENCODER, given=("y",), targets=("t",)), P_Y, P_X), Log(JUDGE))
    found = substitute(term, "y", 1)
    assert isinstance(found, Expect)
    assert found == replace(term, draws=(P_Z, at(term.draws[1], "y", 1), P_Y, P_X))
    guarded = Where("y", (0,), "", Log(JUDGE))
    assert substitute(guarded, "y", 0) == Log(at(JUDGE, "y", 0))
    assert substitute(guarded, "y", 1) == ZERO


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
@settings(max_examples=60, deadline=None)
@given(term=terms(), seed=st.integers(0, 10**6))
def test_every_rule_on_random_terms(rule: Rule, term: Term, seed: int) -> None:
    done = rewrite(rule, term, RANDOM)
    unchanged(term, done.term, done.dropped, RANDOM, seed)
    if rule.name == "unreached":
        constant(Add(done.dropped), RANDOM, seed)


@settings(max_examples=100, deadline=None)
@given(terms(), st.integers(0, 10**6))
def test_tidying_on_random_terms(term: Term, seed: int) -> None:
    unchanged(term, tidy(term), (), RANDOM, seed)
    assert tidy(tidy(term)) == tidy(term)

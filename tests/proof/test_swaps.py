"""The paper's moves on the real files: what a swap of arrows, or of data and code, does to the objectives.

The left side is always the evaluation of the very terms that `derive` prints; the right side is written out by hand.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schematic.calculus.exact import evaluate, gradient, gradient_of
from schematic.calculus.tables import Tables
from schematic.calculus.terms import KL, Log, Objective, Summand
from schematic.calculus.text import text
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.algebra import perfect, swap, swap_arrows
from schematic.graph.build import load
from schematic.graph.model import Model
from schematic.proof.finite import finite, random_sizes, random_tables

EXAMPLES = Path(__file__).parents[2] / "examples"
seeds = st.integers(0, 2**32 - 1)


def example(name: str) -> Model:
    report = Report()
    model = load(EXAMPLES / f"{name}.sg", report)
    assert isinstance(model, Model) and not report.failed
    return model


def derived(model: Model) -> dict[tuple[str, ...], Objective]:
    report = Report()
    found = {tuple(sorted(o.groups)): o for o in objectives(model, report)}
    assert not report.failed
    return found


def a_finite_model(model: Model, seed: int) -> tuple[Model, Tables]:
    rng = np.random.default_rng(seed)
    sizes = random_sizes(model, rng, most=4)
    small = finite(model, sizes)
    return small, random_tables(small, sizes, rng)


def same_gradient(ours, hand, tables: Tables, factors: tuple[str, ...]) -> None:
    mine, theirs = gradient(ours, tables, factors), gradient_of(hand, tables, factors)
    for f in factors:
        assert np.abs(theirs[f]).max() > 1e-6
        assert np.abs(mine[f] - theirs[f]).max() < 1e-10


# --- the tables by their letters ----------------------------------------------------------------------------------


def letters(t: Tables, *factors: str):
    """Arrays of the factors at y=0 and the given distributions. Batched tables keep their axis in front."""
    found = []
    for name in factors:
        table = t.factors[name]
        found.append(np.take(table.array, 0, axis=table.given.index("y") - len(table.given) - 1))
    return found


def data_and_prior(t: Tables):
    return t.records[0].array, t.priors["z"]


def elbo(t: Tables):
    """E_data[ E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)) ], Eq. 17."""
    p, q = letters(t, "p_theta", "q_eta")
    data, prior = data_and_prior(t)
    inner = np.swapaxes(np.log(p), -1, -2) + np.log(prior) - np.log(q)
    return (data * (q * inner).sum(-1)).sum(-1)


# --- Lemma 2 --------------------------------------------------------------------------------------------------


def shape(s: Summand) -> tuple:
    """A summand without where it came from: its mathematics alone."""

    def bare(d):
        return (d.letter, d.group, d.targets, tuple(g for g in d.given if g != "y"))

    atom = (bare(s.atom.density),) if isinstance(s.atom, Log) else (bare(s.atom.left), bare(s.atom.right))
    draws = tuple(bare(d) for d in (*s.outer, *s.draws))
    return (type(s.atom).__name__, atom, draws, tuple(bare(m) for m in s.masses))


def test_swapped_infogan_with_the_perfect_discriminator_is_half_the_evidence_lower_bound() -> None:
    model = perfect(swap_arrows(example("infogan")), "q_phi")
    (o,) = derived(model).values()
    (plain,) = derived(example("vae_direct")).values()
    ours = {shape(s): s.scale for s in o.summands}
    assert ours == {shape(s): s.scale / 2 for s in plain.summands}
    assert sorted(ours.values()) == [Fraction(-1, 2), Fraction(1, 2)]
    assert {type(s.atom) for s in o.summands} == {Log, KL}


def test_the_constants_that_lemma_2_drops_are_named() -> None:
    (o,) = derived(perfect(swap_arrows(example("infogan")), "q_phi")).values()
    dropped = " · ".join(text(d) for step in o.derivation.steps for d in step.dropped)
    for constant in ("log p_θ(x | z, y=1)", "log p(z | y=1)", "log q_η(z | x, y=1)", "KL(q_*ʳ(y | x"):
        assert constant in dropped


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_lemma_2_holds_exactly(seed: int) -> None:
    """Lemma 2, Eq. 19 line 1: value and gradients, on random finite models of the real file."""
    model, t = a_finite_model(perfect(swap_arrows(example("infogan")), "q_phi"), seed)
    (o,) = derived(model).values()
    assert abs(evaluate(o.term, t) - elbo(t) / 2) < 1e-10
    same_gradient(o.term, lambda moved: elbo(moved) / 2, t, ("p_theta", "q_eta"))


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_lemma_2_holds_from_the_paper_s_form_on(seed: int) -> None:
    """Eq. 19 line 1 as the paper writes it, before any rule, less the constants that are named."""
    model, t = a_finite_model(perfect(swap_arrows(example("infogan")), "q_phi"), seed)
    (o,) = derived(model).values()
    dropped = sum(evaluate(d, t) for step in o.derivation.steps for d in step.dropped)
    assert abs(evaluate(o.derivation.start, t) - dropped - elbo(t) / 2) < 1e-10
    same_gradient(o.derivation.start, lambda moved: elbo(moved) / 2, t, ("p_theta", "q_eta"))


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_the_active_adversary_at_its_optimum_gives_the_vae_too(seed: int) -> None:
    """AAVAE with D* = p_data / (p_g + p_data) is the VAE: 1/2 (p_d + p_g) D* = 1/2 p_d, for any theta."""
    model, t = a_finite_model(swap_arrows(example("infogan")), seed)
    p, _ = letters(t, "p_theta", "q_eta")
    data, prior = data_and_prior(t)
    fake = prior @ p
    best = np.stack([fake, data], axis=-1) / (fake + data)[:, None]
    t = t.updated("q_phi", best)
    o = derived(model)["eta", "theta"]
    assert abs(evaluate(o.term, t) - elbo(t) / 2) < 1e-10
    same_gradient(o.term, lambda moved: elbo(moved) / 2, t, ("p_theta", "q_eta"))


# --- Figure 3(c), Eqs. 35 and 36 ---------------------------------------------------------------------------------


def aae_discriminator(t: Tables):
    """Eq. 36: 1/2 E_data log(1 - D(E(x))) + 1/2 E_p(z) log D(z)."""
    (encoder,) = letters(t, "q_eta")
    judge, (data, prior) = t.factors["q_phi"].array, data_and_prior(t)
    code = data @ encoder
    return ((code * np.log(judge[..., 0])).sum(-1) + (prior * np.log(judge[..., 1])).sum(-1)) / 2


def aae_autoencoder(t: Tables):
    """Eq. 35 line 2, y=0: 1/2 E_data[ log p(x | z) + log D(z) ], z = E(x)."""
    encoder, decoder = letters(t, "q_eta", "p_theta")
    judge, (data, _) = t.factors["q_phi"].array, data_and_prior(t)
    inner = np.swapaxes(np.log(decoder), -1, -2) + np.log(judge[..., 1])[..., None, :]
    return (data * (encoder * inner).sum(-1)).sum(-1) / 2


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_swapping_data_and_code_gives_the_adversarial_autoencoder(seed: int) -> None:
    model, t = a_finite_model(swap(example("infogan"), "x", "z"), seed)
    found = derived(model)
    assert abs(evaluate(found["phi",].term, t) - aae_discriminator(t)) < 1e-10
    same_gradient(found["phi",].term, aae_discriminator, t, ("q_phi",))
    assert abs(evaluate(found["eta", "theta"].term, t) - aae_autoencoder(t)) < 1e-10
    same_gradient(found["eta", "theta"].term, aae_autoencoder, t, ("p_theta", "q_eta"))


@pytest.mark.parametrize("name", ["infogan", "gan", "cgan", "bigan", "ada"])
def test_the_moves_are_involutions_and_commute_on_the_real_files(name: str) -> None:
    model = example(name)

    def same(a: Model, b: Model) -> bool:
        return replace(a, log=(), name="") == replace(b, log=(), name="")

    assert same(swap_arrows(swap_arrows(model)), model)
    assert same(swap(swap(model, "x", "z"), "x", "z"), model)
    assert same(swap_arrows(swap(model, "x", "z")), swap(swap_arrows(model), "x", "z"))

"""The paper's theorems, exactly, on random finite models; where the paper is wrong as printed, that too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from paper_terms import (
    DECODER,
    ENCODER,
    GENERATOR,
    HALF,
    JUDGE,
    P_DATA,
    P_X,
    P_Y,
    P_Z,
    PERFECT,
    REVERSED,
    SIZES,
    aavae,
    at,
    elbo,
    gan,
    infogan,
    vae,
)

from schematic.calculus.exact import Tables, Value, distribution, evaluate, gradient, gradient_of, random_tables
from schematic.calculus.measures import (
    evidence,
    jsd,
    kl,
    mixture,
    mutual_information,
    optimal_discriminator,
    posterior,
    reverse,
)
from schematic.calculus.terms import KL, Add, Density, Expect, Log, Mass, Scale, Term

Array = NDArray[Any]
SEEDS = range(20)
EXACT = 1e-13


def model(term: Term, seed: int) -> Tables:
    return random_tables([term], SIZES, np.random.default_rng(seed), scale=1.5)


def same(a: dict[str, Array], b: dict[str, Array]) -> None:
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=EXACT)


def three_domains() -> tuple[Term, Density]:
    """A GAN over three domains, two of them generated."""
    judge = replace(JUDGE, domains=3)
    p_x = replace(P_X, cases=((P_Z, at(GENERATOR, "y", 0)), (P_Z, at(GENERATOR, "y", 1)), (P_DATA,)), domains=3)
    free = tuple(tuple(replace(d, fixed_at=2, domains=3) if d.factor else d for d in case) for case in p_x.cases)
    p_x = replace(p_x, cases=free)
    return Expect((replace(P_Y, domains=3), p_x), Log(replace(judge, reverse=True))), p_x


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("domains", [2, 3])
def test_lemma_1_for_any_discriminator(domains: int, seed: int) -> None:
    """Eq. 10; over K domains with the generalised Jensen-Shannon divergence."""
    theta, p_x = (gan()[1], P_X) if domains == 2 else three_domains()
    tables = model(theta, seed)
    target = posterior(reverse(tables.factors["q_phi"].array), mixture(distribution(p_x, tables)))

    def right(moved: Tables) -> Value:
        parts = distribution(p_x, moved)
        return jsd(parts) - kl(parts, target).mean(axis=-1)

    same(gradient(theta, tables, ["p_theta"]), gradient_of(right, tables, ["p_theta"]))


@pytest.mark.parametrize("seed", SEEDS)
def test_equation_14_at_the_optimal_discriminator(seed: int) -> None:
    theta = gan()[1]
    tables = model(theta, seed)
    best = optimal_discriminator(distribution(P_X, tables))
    tables = tables.updated("q_phi", best)

    def right(moved: Tables) -> Value:
        parts = distribution(P_X, moved)
        return jsd(parts) - kl(parts[..., 0, :], parts[..., 1, :]) / 2

    same(gradient(theta, tables, ["p_theta"]), gradient_of(right, tables, ["p_theta"]))


def test_the_optimal_discriminator_leaves_phi_nothing_to_learn() -> None:
    """Eq. 13."""
    phi = gan()[0]
    tables = model(phi, 0)
    assert np.abs(gradient(phi, tables, ["q_phi"])["q_phi"]).max() > 1e-3
    best = tables.updated("q_phi", optimal_discriminator(distribution(P_X, tables)))
    np.testing.assert_allclose(gradient(phi, best, ["q_phi"])["q_phi"], 0.0, atol=EXACT)


def _infogan_errors(seed: int) -> tuple[float, float]:
    """How far Eq. 16 is from the gradient of Eq. 15: as printed, and with I_theta(x; z | y) and a KL for each z."""
    theta = infogan()[1]
    tables = model(theta, seed)
    left = gradient(theta, tables, ["p_theta"])["p_theta"]
    p_z, marginal = tables.priors["z"], mixture(distribution(P_X, tables))
    likelihood = tables.factors["q_eta"].array[:, 0] * reverse(tables.factors["q_phi"].array)[:, :1]  # x, z at y=0
    target = posterior(likelihood, marginal)  # q^r(x | z, y=0)

    def printed(moved: Tables) -> Value:
        parts = distribution(P_X, moved)
        return jsd(parts) - kl(parts[..., 0, None, :], target) @ p_z / 2

    def corrected(moved: Tables) -> Value:
        parts = distribution(P_X, moved)
        each = distribution(at(GENERATOR, "y", 0), moved)  # z, x
        information = mutual_information(p_z[:, None] * each) / 2
        return jsd(parts) + information - kl(each, target) @ p_z / 2

    errors = (gradient_of(f, tables, ["p_theta"])["p_theta"] - left for f in (printed, corrected))
    first, second = (float(np.abs(e).max()) for e in errors)
    return first, second


def test_equation_16_fails_as_printed_and_holds_with_the_mutual_information() -> None:
    errors = np.array([_infogan_errors(seed) for seed in SEEDS])
    assert errors[:, 1].max() < EXACT
    assert errors[:, 0].min() > 1e-4
    assert errors[:, 0].max() > 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_equations_24_to_29(seed: int) -> None:
    """Eq. 24 with the log Z(y) that the paper leaves out, Eq. 27, and Eq. 28."""
    theta = gan()[1]
    tables = model(theta, seed)
    moved = tables.updated("p_theta", model(theta, seed + 100).factors["p_theta"].array)
    before, parts = mixture(distribution(P_X, tables)), distribution(P_X, moved)
    likelihood = reverse(tables.factors["q_phi"].array)
    target, log_z = posterior(likelihood, before), np.log(evidence(likelihood, before))
    value = -(kl(parts, target) - kl(parts, before) - log_z).mean()
    assert evaluate(theta, moved) == pytest.approx(value, abs=EXACT)
    assert jsd(parts) == pytest.approx(kl(parts, before).mean() - kl(mixture(parts), before), abs=EXACT)
    stationary = gradient_of(lambda t: kl(mixture(distribution(P_X, t)), before), tables, ["p_theta"])
    np.testing.assert_allclose(stationary["p_theta"], 0.0, atol=EXACT)


@pytest.mark.parametrize("values", [2, 20])
def test_equation_30_fails_as_printed_and_holds_with_log_z(values: int) -> None:
    rng = np.random.default_rng(values)
    parts = rng.dirichlet(np.ones(values), (20_000, 2))
    likelihood = reverse(rng.dirichlet(np.ones(2), (20_000, values)))
    prior = mixture(parts)
    left = jsd(parts)
    printed = kl(parts, posterior(likelihood, prior)).mean(axis=-1)
    corrected = printed - np.log(evidence(likelihood, prior)).mean(axis=-1)
    assert 0.01 < (left > printed + 1e-12).mean() < 0.9
    assert np.all(left <= corrected + 1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_lemma_2(seed: int) -> None:
    """Eq. 19 line 1 with q_* reading the origin is half the bound of Eq. 17, up to what is constant at theta_0."""
    term = aavae(PERFECT)
    tables, at0 = model(term, seed), model(term, seed + 100)
    at0 = replace(at0, priors=tables.priors, records=tables.records)
    groups = ["p_theta", "q_eta"]
    same(gradient(term, tables, groups, at0), gradient(vae(), tables, groups, at0))
    # what is dropped: log p_theta(x | z, y=1), the code's prior against q_eta(z | x, y=1), KL(q_*^r || p(y)) = log 2
    made = (P_Z, at(replace(DECODER, stopped=True), "y", 0))
    scored = Add((Log(at(DECODER, "y", 1)), Log(P_Z), Scale(-HALF * 2, Log(at(ENCODER, "y", 1)))))
    constant = Scale(HALF, Expect(made, Expect((P_Z,), scored)))
    total = evaluate(vae(), tables, at0) + evaluate(constant, tables, at0) - np.log(2)
    assert evaluate(term, tables, at0) == pytest.approx(total, abs=EXACT)


@pytest.mark.parametrize("seed", SEEDS)
def test_line_2_of_lemma_2_is_equal_in_gradient_at_theta_0_only(seed: int) -> None:
    """Eq. 19 line 2 lacks log p_theta(x), whose expectation under p_theta0(x) is stationary at theta_0 alone."""
    tables, elsewhere = model(infogan()[1], seed), model(infogan()[1], seed + 100)
    elsewhere = replace(elsewhere, priors=tables.priors, records=tables.records)
    p_z, p_data = tables.priors["z"], tables.records[0].array
    outer = distribution(P_X, tables)

    def line_2(t: Tables) -> Value:
        marginal = np.log(mixture(distribution(P_X, t)))
        joint, encoder = distribution(at(DECODER, "y", 0), t) * p_z[:, None] / 2, distribution(at(ENCODER, "y", 0), t)
        given = (encoder * (np.log(np.swapaxes(joint, -1, -2)) - np.log(encoder))).sum(axis=-1) - marginal
        made = np.log(p_data / 2) - marginal
        return (given @ outer[1] + made @ outer[0]) / 2

    groups = ["p_theta", "q_eta"]
    same(gradient_of(line_2, tables, groups), gradient(vae(), tables, groups))
    away, plain = gradient_of(line_2, elsewhere, groups), gradient(vae(), elsewhere, groups)
    np.testing.assert_allclose(away["q_eta"], plain["q_eta"], atol=EXACT)
    assert np.abs(away["p_theta"] - plain["p_theta"]).max() > 1e-4


def _posterior(decoder: Array, p_z: Array) -> Array:
    """p(z | x) of decoder (..., z, x): axes x, z."""
    joint = np.swapaxes(decoder * p_z[:, None], -1, -2)
    return np.asarray(joint / joint.sum(axis=-1, keepdims=True))


def unfolded_aavae(judge: Density = JUDGE) -> Term:
    """semantics.md: 1/2 E_data[D ELBO] + 1/2 E_generated[D ELBO], x and D passing no gradient."""
    weighed = Mass(at(judge, "y", 1), elbo())
    made = (P_Z, at(replace(DECODER, stopped=True), "y", 0))
    return Add((Scale(HALF, Expect((P_DATA,), weighed)), Scale(HALF, Expect(made, weighed))))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_aavae_weighs_every_sample(temperature: float, seed: int) -> None:
    """Eq. 23 unfolds to the bound weighed by q^r(y=0 | x), on data and on generated samples."""
    weigher = replace(REVERSED, temperature=temperature)
    term, unfolded = aavae(weigher), unfolded_aavae(replace(JUDGE, temperature=temperature))
    tables, at0 = model(term, seed), model(term, seed + 100)
    groups = ["p_theta", "q_eta"]
    same(gradient(term, tables, groups, at0), gradient(unfolded, tables, groups, at0))


@pytest.mark.parametrize("seed", SEEDS)
def test_aavae_with_the_optimal_discriminator_is_the_vae(seed: int) -> None:
    """1/2 (p_data + p_g) D* = 1/2 p_data, for any theta."""
    term = unfolded_aavae()
    tables = model(term, seed)
    at0 = tables.updated("q_phi", optimal_discriminator(distribution(P_X, tables)))
    assert evaluate(term, tables, at0) == pytest.approx(evaluate(vae(), tables), abs=EXACT)
    groups = ["p_theta", "q_eta"]
    same(gradient(term, tables, groups, at0), gradient(vae(), tables, groups))
    # any other discriminator gives something else
    assert abs(evaluate(term, tables) - evaluate(vae(), tables)) > 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_is_a_bound(seed: int) -> None:
    """ELBO = E log p(x) - KL(q || p(z | x))."""
    tables = model(vae(), seed)
    p_z, p_x = tables.priors["z"], tables.records[0].array
    decoder, encoder = (distribution(at(d, "y", 0), tables) for d in (DECODER, ENCODER))
    gap = kl(encoder, _posterior(decoder, p_z)) @ p_x
    assert 2 * evaluate(vae(), tables) == pytest.approx(np.log(p_z @ decoder) @ p_x - gap, abs=EXACT)


def test_a_kl_is_its_expectation() -> None:
    closed = Expect((P_DATA,), KL(at(ENCODER, "y", 0), P_Z))
    q = at(ENCODER, "y", 0)
    sampled = Expect((P_DATA, q), Add((Log(q), Scale(-HALF * 2, Log(P_Z)))))
    for seed in SEEDS:
        tables = model(closed, seed)
        assert evaluate(closed, tables) == pytest.approx(evaluate(sampled, tables), abs=EXACT)
        same(gradient(closed, tables, ["q_eta"]), gradient(sampled, tables, ["q_eta"]))

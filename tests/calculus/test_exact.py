"""Exact values against loops over joint values, written without arrays; gradients against other ways to them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_terms import (
    DECODER,
    ENCODER,
    JUDGE,
    P_DATA,
    P_X,
    P_Y,
    P_Z,
    SIZES,
    aavae,
    at,
    gan,
    infogan,
    terms,
    vae,
)

from schematic.calculus.exact import (
    Table,
    Tables,
    distribution,
    evaluate,
    factors_of,
    gradient,
    gradient_of,
    random_tables,
    softmax,
)
from schematic.calculus.terms import KL, Add, Density, Expect, Log, Mass, Scale, Term, Where, densities

Env = dict[str, int]


class Loops:
    """The same numbers by plain recursion: one assignment of values at a time."""

    def __init__(self, tables: Tables, at0: Tables) -> None:
        self.tables, self.at0 = tables, at0

    def probability(self, d: Density, env: Env, held: bool = False) -> float:
        env = {**env, **dict(d.values)}
        fixed = d.fixed_at is not None and env["y"] == d.fixed_at
        tables = self.at0 if held or d.stopped or fixed else self.tables
        if d.kind == "indicator":
            return 1 / d.domains
        if d.kind == "prior":
            return float(tables.priors[d.target][env[d.target]])
        if d.kind == "data":
            (records,) = [r for r in tables.records if d.target in r.targets]
            place = records.targets.index(d.target)
            spots = np.ndindex(records.array.shape)
            return sum(float(records.array[v]) for v in spots if v[place] == env[d.target])
        if d.perfect:
            return float((env["y"] == env["o"]) != d.reverse)
        table = tables.factors[str(d.factor)].array
        row = table[tuple(env[g] for g in d.given)]
        if d.kind != "blue":
            return float(row[env[d.target]])
        logits = [math.log(p) / d.temperature for p in row]
        weights = [math.exp(v) for v in logits]
        own: float = weights[env[d.target]] / sum(weights)
        return (1 - own) / (len(row) - 1) if d.reverse else own

    def samples(self, draws: tuple[Density, ...], env: Env) -> Iterator[tuple[float, Env]]:
        if not draws:
            yield 1.0, env
            return
        first, rest = draws[0], draws[1:]
        if first.kind == "cases":
            value = {**env, **dict(first.values)}["y"]
            for p, inner in self.samples(first.cases[value], env):
                for q, last in self.samples(rest, {**inner, "y": value}):
                    yield p * q, last
            return
        size = first.domains if first.target == "y" else SIZES[first.target]
        for value in range(size):
            # what is given is read before the target takes its new value
            p = self.probability(first, {**env, first.target: value}, held=first.kind == "blue")
            for q, last in self.samples(rest, {**env, first.target: value}):
                yield p * q, last

    def value(self, term: Term, env: Env) -> float:
        match term:
            case Log(d):
                return math.log(self.probability(d, env))
            case KL(left, right):
                total = 0.0
                for value in range(SIZES[left.target]):
                    p = self.probability(left, {**env, left.target: value})
                    total += p * math.log(p / self.probability(right, {**env, left.target: value}))
                return total
            case Expect(draws, body):
                return sum(p * self.value(body, inner) for p, inner in self.samples(draws, env))
            case Mass(d, body):
                return self.probability(d, env, held=True) * self.value(body, env)
            case Scale(factor, body):
                return float(factor) * self.value(body, env)
            case Add(parts):
                return sum(self.value(t, env) for t in parts)
            case Where(variable, values, _, body):
                return self.value(body, env) if env[variable] in values else 0.0


def two_models(term: Term, seed: int) -> tuple[Tables, Tables]:
    first, second = (random_tables([term], SIZES, np.random.default_rng(s)) for s in (seed, seed + 1))
    return first, second


@settings(max_examples=300, deadline=None)
@given(terms(), st.integers(0, 10**6))
def test_values_agree_with_loops(term: Term, seed: int) -> None:
    tables, at0 = two_models(term, seed)
    assert evaluate(term, tables, at0) == pytest.approx(Loops(tables, at0).value(term, {}), abs=1e-12, rel=1e-11)


@settings(max_examples=60, deadline=None)
@given(terms(), st.integers(0, 10**6))
def test_complex_step_agrees_with_central_differences(term: Term, seed: int) -> None:
    tables, at0 = two_models(term, seed)
    for name in tables.factors:
        exact = gradient(term, tables, [name], at0)[name]
        logits = np.log(tables.factors[name].array)
        for place in itertools.islice(np.ndindex(logits.shape), 8):
            step = np.zeros(logits.shape)
            step[place] = 1e-5
            up, down = (evaluate(term, tables.updated(name, softmax(logits + s)), at0) for s in (step, -step))
            assert exact[place] == pytest.approx((up - down) / 2e-5, abs=1e-8, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(terms(), st.integers(0, 10**6))
def test_a_batch_of_models_is_each_of_them(term: Term, seed: int) -> None:
    many = random_tables([term], SIZES, np.random.default_rng(seed), batch=3)
    values = np.broadcast_to(evaluate(term, many), (3,))
    for i in range(3):
        one = Tables(
            {k: Table(t.given, t.targets, t.array[i]) for k, t in many.factors.items()},
            {k: a[i] for k, a in many.priors.items()},
            tuple(Table(r.given, r.targets, r.array[i]) for r in many.records),
        )
        assert values[i] == pytest.approx(evaluate(term, one), abs=1e-13)


def test_gradient_of_an_expectation_by_hand() -> None:
    """d/dl_x E_{p(x)}[f(x)] = p(x) (f(x) - E[f]) for a softmax p, f = log D."""
    theta = gan()[1]
    tables, _ = two_models(theta, 5)
    generator, judge = tables.factors["p_theta"].array, tables.factors["q_phi"].array
    found = gradient(theta, tables, ["p_theta", "q_phi"])
    p = generator[:, 0]
    f = np.log(judge[:, 1])
    by_hand = 0.5 * tables.priors["z"][:, None] * p * (f - (p @ f)[:, None])
    np.testing.assert_allclose(found["p_theta"][:, 0], by_hand, atol=1e-15)
    np.testing.assert_array_equal(found["p_theta"][:, 1], 0.0)  # degenerate at y=1
    # d/dl log softmax_k = 1[k] - softmax, for phi under the mixture of both domains
    p_x = distribution(P_X, tables)
    row = 0.5 * p_x[0][:, None] * (np.eye(2)[1] - judge) + 0.5 * p_x[1][:, None] * (np.eye(2)[0] - judge)
    np.testing.assert_allclose(found["q_phi"], row, atol=1e-15)


def test_what_is_stopped_weighs_or_is_drawn_by_the_adversary_passes_no_gradient() -> None:
    term = aavae()
    tables, at0 = two_models(term, 3)
    assert evaluate(term, tables, at0) != evaluate(term, tables)
    drawn = Expect((P_Z, P_DATA, JUDGE), Log(DECODER))
    assert evaluate(drawn, tables, at0) != evaluate(drawn, tables)
    assert not np.any(gradient(drawn, tables, ["q_phi"])["q_phi"])
    stopped = Expect((P_Z, at(replace(DECODER, stopped=True), "y", 0)), Log(JUDGE_AT_ONE))
    assert not np.any(gradient(stopped, tables, ["p_theta"])["p_theta"])
    weighed = Expect((P_DATA,), Mass(JUDGE_AT_ONE, Log(JUDGE_AT_ONE)))
    alone = Expect((P_DATA,), Log(JUDGE_AT_ONE))
    weight = tables.factors["q_phi"].array[:, 1:]
    found, plain = (gradient(t, tables, ["q_phi"])["q_phi"] for t in (weighed, alone))
    np.testing.assert_allclose(found, weight * plain, atol=1e-15)


JUDGE_AT_ONE = at(JUDGE, "y", 1)


def test_zero_times_log_zero_is_zero() -> None:
    p = Table((), ("x",), np.array([0.25, 0.75, 0.0]))
    q = Table((), ("x",), np.array([0.5, 0.5, 0.0]))
    left, right = (Density("explicit", "p", n, ("x",), (), f"p_{n}") for n in ("a", "b"))
    tables = Tables({"p_a": p, "p_b": q})
    by_hand = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert evaluate(KL(left, right), tables) == pytest.approx(by_hand)
    assert evaluate(Expect((left,), Log(right)), tables) == pytest.approx(math.log(0.5))
    assert evaluate(KL(right, left), tables) == pytest.approx(-0.5 * math.log(0.5 * 1.5))
    assert evaluate(KL(left, right), tables.updated("p_b", np.array([1.0, 0.0, 0.0]))) == math.inf


def test_the_perfect_adversary_reads_the_origin() -> None:
    def perfect(reverse: bool, origin: int, domains: int = 2) -> list[float]:
        d = Density("blue", "q", "phi", ("y",), ("x", "o"), "q_phi", perfect=True, reverse=reverse, domains=domains)
        return list(distribution(at(d, "o", origin), Tables({})))

    assert perfect(False, 0) == [1, 0]
    assert perfect(True, 0) == [0, 1]
    assert perfect(True, 2, domains=3) == [0.5, 0.5, 0]


def test_the_reverse_over_three_domains_and_the_temperature() -> None:
    b = np.array([[0.2, 0.3, 0.5]])
    tables = Tables({"q_phi": Table(("x",), ("y",), b)})
    judge = Density("blue", "q", "phi", ("y",), ("x",), "q_phi", domains=3)
    np.testing.assert_allclose(distribution(replace(judge, reverse=True), tables), (1 - b) / 2)
    np.testing.assert_allclose(distribution(replace(judge, temperature=2.0), tables), softmax(np.log(b) / 2))


def test_a_factor_s_row_is_found_by_name_and_a_copy_s_by_position() -> None:
    table = np.random.default_rng(0).dirichlet(np.ones(2), (3, 2))
    tables = Tables({"q_eta": Table(("x", "y"), ("z",), table)})
    full = Density("explicit", "q", "eta", ("z",), ("x", "y"), "q_eta")
    np.testing.assert_array_equal(distribution(full, tables), table)
    short = Density("explicit", "q", "eta", ("z",), ("x",), "q_eta", (("y", 1),))
    np.testing.assert_array_equal(distribution(short, tables), table[:, 1])
    np.testing.assert_array_equal(distribution(at(full, "y", 1), tables), table[:, 1])
    copy = Density("explicit", "q", "eta", ("z",), ("x", "y'"), "q_eta")
    np.testing.assert_array_equal(distribution(copy, tables), table)


def test_records_hold_what_is_drawn_together() -> None:
    joint = np.random.default_rng(0).dirichlet(np.ones(6)).reshape(3, 2)
    tables = Tables({}, records=(Table((), ("x", "t"), joint), Table((), ("w",), np.array([0.3, 0.7]))))
    np.testing.assert_array_equal(distribution(Density("data", "p", None, ("x", "t")), tables), joint)
    np.testing.assert_allclose(distribution(Density("data", "p", None, ("t",)), tables), joint.sum(0))
    both = distribution(Density("data", "p", None, ("t", "w")), tables)
    np.testing.assert_allclose(both, np.outer(joint.sum(0), [0.3, 0.7]))


def test_records_that_differ_by_domain() -> None:
    joint = np.random.default_rng(0).dirichlet(np.ones(3), 2)
    tables = Tables({}, records=(Table(("y",), ("x",), joint),))
    by_domain = Density("data", "p", None, ("x",), ("y",))
    np.testing.assert_array_equal(distribution(by_domain, tables), joint)
    np.testing.assert_array_equal(distribution(at(by_domain, "y", 1), tables), joint[1])
    np.testing.assert_array_equal(distribution(replace(by_domain, given=(), values=(("y", 1),)), tables), joint[1])
    values = np.log(joint)
    scored = Log(Density("explicit", "p", "a", ("x",), (), "p_a"))
    tables = Tables({"p_a": Table((), ("x",), joint[0])}, records=tables.records)
    expected = 0.5 * (joint[0] + joint[1]) @ values[0]
    assert evaluate(Expect((P_Y, by_domain), scored), tables) == pytest.approx(expected)


def test_an_inner_draw_hides_the_outer_variable() -> None:
    inner = Expect((at(ENCODER, "y", 0),), Log(at(DECODER, "y", 0)))
    term = Expect((P_Z, P_DATA), inner)
    tables, _ = two_models(term, 1)
    assert evaluate(term, tables) == pytest.approx(evaluate(Expect((P_DATA,), inner), tables))


def test_a_divergence_over_the_domain_hides_the_domain_of_the_branch() -> None:
    term = Expect((P_Y, P_X), KL(JUDGE, P_Y))
    tables, _ = two_models(term, 4)
    judge = tables.factors["q_phi"].array
    marginal = distribution(P_X, tables).mean(axis=0)
    assert evaluate(term, tables) == pytest.approx(marginal @ (judge * np.log(2 * judge)).sum(axis=1), abs=1e-14)


@pytest.mark.parametrize(
    "term",
    [
        Log(JUDGE_AT_ONE),
        Expect((P_DATA,), Log(at(ENCODER, "y", 0))),
        Where("y", (0,), "", KL(P_Z, P_Z)),
        Mass(JUDGE_AT_ONE, Add(())),
        Expect((P_X,), Add(())),
    ],
)
def test_an_unbound_variable_is_named(term: Term) -> None:
    with pytest.raises(ValueError, match="is not bound"):
        evaluate(term, random_tables([term], SIZES, np.random.default_rng(0)))


def test_a_missing_table_is_named() -> None:
    with pytest.raises(ValueError, match=r"q_φ\(y \| x\): no table"):
        evaluate(gan()[0], Tables({}, {"z": np.ones(1)}, (Table((), ("x",), np.ones(1)),)))


def test_factors_of_a_group_and_gradients_of_functions() -> None:
    theta = infogan()[1]
    tables, _ = two_models(theta, 2)
    assert factors_of(theta, "theta") == ("p_theta",)
    assert factors_of(theta, "eta") == ("q_eta",)
    assert {d.factor for d in densities(theta)} == {None, "p_theta", "q_eta", "q_phi"}
    direct = gradient(theta, tables, ["q_eta"])["q_eta"]
    doubled = gradient_of(lambda t: 2 * evaluate(theta, t), tables, ["q_eta"])["q_eta"]
    np.testing.assert_allclose(doubled, 2 * direct, atol=1e-15)


def test_a_scale_of_zero_silences_infinities() -> None:
    tables = Tables({"p_a": Table((), ("x",), np.array([1.0, 0.0]))}, {"x": np.array([0.5, 0.5])})
    scored = Expect((Density("prior", "p", None, ("x",)),), Log(Density("explicit", "p", "a", ("x",), (), "p_a")))
    assert evaluate(scored, tables) == -math.inf
    assert evaluate(Scale(Fraction(0), scored), tables) == 0.0


def test_the_elbo_by_hand() -> None:
    tables, _ = two_models(vae(), 9)
    p_x, p_z = tables.records[0].array, tables.priors["z"]
    decoder, encoder = tables.factors["p_theta"].array[:, 0], tables.factors["q_eta"].array[:, 0]
    total = sum(
        p_x[x] * encoder[x, z] * math.log(decoder[z, x] * p_z[z] / encoder[x, z]) for x in range(3) for z in range(2)
    )
    assert evaluate(vae(), tables) == pytest.approx(total / 2, abs=1e-14)

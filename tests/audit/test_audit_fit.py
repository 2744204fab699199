"""Least squares: the coefficients of terms, and what stands in the place of one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schematic.audit.fit import Column, explain, independent, promising, solve
from schematic.audit.naming import named, said


def columns(seed: int, count: int, cost: float = 0.0, first: int = 0) -> list[Column]:
    draw = np.random.default_rng(seed)
    return [Column(first + i, cost, draw.normal(size=60)) for i in range(count)]


@given(st.integers(0, 10**6), st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_coefficients_are_exact(seed: int, wanted: list[float]) -> None:
    own = columns(seed, 3)
    target = sum((c * w.vector for c, w in zip(wanted, own, strict=True)), np.zeros(60))
    fit = solve(target, own)
    assert fit.exact or not np.any(target)
    assert np.allclose(fit.coefficients, wanted, atol=1e-9)


@given(st.integers(0, 10**6), st.integers(0, 7), st.integers(0, 7))
def test_one_or_two_others_are_found_among_many(seed: int, i: int, j: int) -> None:
    own, others = columns(seed, 2), columns(seed + 1, 8, 1.0, first=2)
    target = own[0].vector - 2 * others[i].vector + 0.5 * others[j].vector
    fit = explain(target, own, others)
    assert fit is not None and fit.exact
    assert {2 + i, 2 + j} <= set(fit.columns) or i == j


def test_what_is_no_combination_has_no_explanation() -> None:
    (target, *_), own, others = columns(5, 1), columns(1, 2), columns(2, 12, 1.0)
    assert explain(target.vector, own, others) is None


def test_a_multiple_of_a_cheaper_column_is_left_out() -> None:
    (a, b) = columns(3, 2)
    kept = independent([Column(7, 2.0, -3 * a.vector), a, b, Column(8, 1.0, np.zeros(60))])
    assert [c.place for c in kept] == [a.place, b.place]


def test_pairs_that_are_the_same_column_are_not_promising() -> None:
    onto, gram = np.array([0.6, 0.6]), np.ones((2, 2))
    assert promising(onto, gram, 2) == []


def test_factors_are_named_at_every_size_of_batch() -> None:
    variables = {"x": {"event": [1, 8, 8], "kind": "unit"}, "z": {"event": [16], "kind": "real"}}
    assert named({5: 5.0, 7: 7.0}, variables).parts == (("sum", "batch"),)
    assert named({5: 1 / 64, 7: 1 / 64}, variables).parts == (("mean", "x"),)
    assert named({5: 1 / 80, 7: 1 / 112}, variables).parts == (("mean", "batch"), ("mean", "z"))
    assert named({5: 5.0, 7: 5.0}, variables).parts == ()
    assert "64 values of x" in said(named({5: 1 / 64, 7: 1 / 64}, variables), variables)

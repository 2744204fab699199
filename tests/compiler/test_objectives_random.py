"""Random graphs and random tables: the derived objectives against a second reading of the semantics, exactly."""

from __future__ import annotations

import numpy as np
from against_oracle import EXACT, check_against_oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import models, sizes

from schematic.calculus.exact import evaluate
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.model import Model
from schematic.proof.finite import random_tables


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), seed=st.integers(0, 10_000))
def test_every_derived_objective_is_the_second_reading_of_its_graph(model: Model, seed: int) -> None:
    check_against_oracle(model, random_tables(model, sizes(model), np.random.default_rng(seed)))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), seed=st.integers(0, 10_000))
def test_a_derivation_changes_its_value_by_what_it_drops_alone(model: Model, seed: int) -> None:
    t = random_tables(model, sizes(model), np.random.default_rng(seed))
    for o in objectives(model, Report()):
        before = evaluate(o.derivation.start, t)
        for step in o.derivation.steps:
            after = evaluate(step.after, t)
            np.testing.assert_allclose(after + sum(evaluate(d, t) for d in step.dropped), before, **EXACT)
            before = after

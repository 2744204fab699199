"""Random graphs and random tables: the derived objectives against a second reading of the semantics, exactly."""

from __future__ import annotations

import numpy as np
from graph_oracle import Oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import models, sizes

from schematic.calculus.exact import evaluate, gradient
from schematic.calculus.tables import Table, Tables, softmax
from schematic.calculus.terms import Objective, densities
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.model import Model

EXACT = {"rtol": 1e-9, "atol": 1e-11}


def tables(model: Model, seed: int) -> Tables:
    rng, size = np.random.default_rng(seed), sizes(model)

    def table(given: tuple[str, ...], targets: tuple[str, ...]) -> Table:
        rows, columns = (tuple(size[v] for v in names) for names in (given, targets))
        flat = softmax(rng.normal(size=(*rows, int(np.prod(columns)))))
        return Table(given, targets, flat.reshape(*rows, *columns))

    factors = {f.name: table(f.parents, (f.target,)) for f in model.factors}
    priors = {v.name: table((), (v.name,)).array for v in model.variables if v.prior}
    plain = tuple(v.name for v in model.variables if v.data and not v.data.given)
    chosen = [v.name for v in model.variables if v.data and v.data.given]
    records = ([table((), plain)] if plain else []) + [table(("y",), (n,)) for n in chosen]
    return Tables(factors, priors, tuple(records))


def direct(model: Model, o: Objective, at0: Tables):
    judges = {f.group for f in model.factors if f.adversarial and not f.perfect and not f.fixed}

    def value(moved: Tables) -> complex:
        oracle = Oracle(model, moved, at0, sizes(model))
        if o.groups[0] in judges:
            return oracle.judge(o.groups[0])
        return oracle.weighed() if oracle.side == "inference" else oracle.others()

    return value


def constants(o: Objective, t: Tables) -> float:
    """The value of what was dropped for having no parameter of the groups, the adversary's own KL aside: the oracle
    keeps it; what is degenerate it never had."""
    return sum(
        evaluate(term, t)
        for step in o.derivation.steps
        if step.rule == "unreached"
        for term in step.dropped
        if not any(d.kind == "blue" and d.reverse and d.value(d.target) is None for d in densities(term))
    )


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), seed=st.integers(0, 10_000))
def test_every_derived_objective_is_the_second_reading_of_its_graph(model: Model, seed: int) -> None:
    found = objectives(model, Report())
    t = tables(model, seed)
    for o in found:
        value = direct(model, o, t)
        np.testing.assert_allclose(evaluate(o.term, t) + constants(o, t), value(t), **EXACT)
        mine = [f.name for f in model.factors if f.group in o.groups and not f.fixed and not f.perfect]
        ours, theirs = gradient(o.term, t, mine), _gradient(value, t, mine)
        for name in mine:
            np.testing.assert_allclose(ours[name], theirs[name], **EXACT)


def _gradient(value, t: Tables, names: list[str]) -> dict[str, np.ndarray]:
    """By complex step, a parameter at a time: the oracle knows no batches."""
    found = {}
    for name in names:
        array = t.factors[name].array
        out = np.zeros(array.shape)
        for i in np.ndindex(array.shape):
            turned = array.astype(complex)
            turned[i] *= np.exp(1e-30j)
            turned = turned / turned.sum(axis=-1, keepdims=True)
            out[i] = np.imag(value(t.updated(name, turned))) / 1e-30
        found[name] = out
    return found


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), seed=st.integers(0, 10_000))
def test_a_derivation_changes_its_value_by_what_it_drops_alone(model: Model, seed: int) -> None:
    t = tables(model, seed)
    for o in objectives(model, Report()):
        before = evaluate(o.derivation.start, t)
        for step in o.derivation.steps:
            after = evaluate(step.after, t)
            np.testing.assert_allclose(after + sum(evaluate(d, t) for d in step.dropped), before, **EXACT)
            before = after

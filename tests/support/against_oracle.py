"""Holds the derived objectives of a finite model against the second reading of its graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from random_models import sizes

from schematic.calculus.exact import evaluate, gradient
from schematic.calculus.tables import Tables
from schematic.calculus.terms import Objective, densities
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.model import Model
from schematic.proof.second_reading import SecondReading

EXACT = {"rtol": 1e-9, "atol": 1e-11}


def check_against_oracle(model: Model, t: Tables) -> tuple[Objective, ...]:
    """Every objective: its value up to the named constants, and the gradient of every factor it moves."""
    found = objectives(model, Report())
    for o in found:
        value = direct(model, o, t)
        np.testing.assert_allclose(evaluate(o.term, t) + constants(o, t), value(t), **EXACT)
        mine = [f.name for f in model.factors if f.group in o.groups and not f.fixed and not f.perfect]
        ours, theirs = gradient(o.term, t, mine), gradient_by_loops(value, t, mine)
        for name in mine:
            np.testing.assert_allclose(ours[name], theirs[name], **EXACT)
    return found


def direct(model: Model, o: Objective, at0: Tables) -> Callable[[Tables], complex]:
    return lambda moved: SecondReading(model, moved, at0, sizes(model)).objective(o.groups)


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


def gradient_by_loops(value: Callable[[Tables], complex], t: Tables, names: list[str]) -> dict[str, np.ndarray]:
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

"""Random graphs with partial variables, random tables: the derived objectives against the second reading, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from against_oracle import EXACT, constants, direct, gradient_by_loops
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_models import partial_models, sizes

from schematic.calculus.exact import evaluate, gradient
from schematic.compiler.objectives import objectives
from schematic.compiler.observed import MOST
from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.graph.model import Model
from schematic.proof.finite import random_tables

CONFIGURATIONS = 40  # of all variables together: the second reading visits each


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=partial_models(), seed=st.integers(0, 10_000))
def test_every_derived_objective_is_the_second_reading_of_its_graph(model: Model, seed: int) -> None:
    """Values and gradients; of wake-sleep the gradients: the second reading adds its two phases."""
    assume(any(v.partial for v in model.variables) and np.prod(list(sizes(model).values())) <= CONFIGURATIONS)
    found = objectives(model, Report())
    assume(found)
    t = random_tables(model, sizes(model), np.random.default_rng(seed))
    for o in found:
        value = direct(model, o, t)
        if not model.wake_sleep:
            np.testing.assert_allclose(evaluate(o.term, t) + constants(o, t), value(t), **EXACT)
        mine = [f.name for f in model.factors if f.group in o.groups and not f.fixed and not f.perfect]
        ours, theirs = gradient(o.term, t, mine), gradient_by_loops(value, t, mine)
        for name in mine:
            np.testing.assert_allclose(ours[name], theirs[name], **EXACT)


def codes(text: str) -> list[str]:
    report = Report()
    model = parse(text, report)
    assert isinstance(model, Model)
    objectives(model, report)
    return [d.code for d in report if d.severity == "error"]


@pytest.mark.parametrize(("number", "found"), ((MOST, []), (MOST + 1, ["SG422"])))
def test_so_many_can_be_inferred(number: int, found: list[str]) -> None:
    names = [f"t{i}" for i in range(number)]
    drawn = "".join(f' {n} : binary = data("{n}") partial  q_eta.{n} : x --> {n}' for n in names)
    assert codes(f"model M {{ x : real(3) = data {drawn} p_theta : {', '.join(names)} -> x }}") == found


AUTOENCODER = """model A { x : unit(4) = data("image")  c : category(3) = data("label") partial
  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)  q_eta : x, c, y ==> z  q_phi : z ~> y %s } %s"""


@pytest.mark.parametrize(
    ("option", "move", "found"),
    (
        ("", "", []),
        ("divergence wasserstein(penalty: 10)", "", ["SG422"]),  # the points would stand on labels that are missing
        ("divergence wasserstein(penalty: 0)", "", []),
        ("", "model M = importance(A)", ["SG415"]),  # so would the weights of the other records
        ("", "model M = importance(A, 4)", []),
    ),
)
def test_nothing_stands_on_what_is_missing(option: str, move: str, found: list[str]) -> None:
    assert codes(AUTOENCODER % (option, move)) == found

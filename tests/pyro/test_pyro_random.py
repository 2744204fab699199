"""Random finite graphs: Pyro's gradients are those of the objective, whatever the arrows."""

from __future__ import annotations

import pyro
import pytest
import second_opinion as op
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_models import models

from schematic.compiler.objectives import objectives
from schematic.compiler.plan import plan
from schematic.compiler.pyro import methods
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.model import Model

pytestmark = pytest.mark.filterwarnings("ignore:Failed to verify mean field")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=models(), seed=st.integers(0, 1000))
def test_random_models(model: Model, seed: int) -> None:
    report = Report()
    try:
        found = objectives(model, report)
        report.check()
    except SchematicError:
        assume(False)
    planned = plan(model, found, report)
    judges = {f.group for f in model.factors if f.adversarial and not f.perfect and not f.fixed}
    assume(methods(planned) and {g for g, _ in planned.groups} - judges)
    assume(not any(d.how == "score" for b in planned.branches for d in b.draws))
    pyro.clear_param_store()
    o = op.opinion(model, size=3, seed=seed)
    assume(o.apart)
    for parameter in o.module.parameters():
        torch.nn.init.normal_(parameter)
    try:
        op.compare(o)
    except op.OftenerDrawn:
        assume(False)

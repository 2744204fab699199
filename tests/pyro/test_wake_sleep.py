"""Pyro's reweighted wake-sleep has the two phases as its parts: they agree with an emitted program on its own draws."""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import second_opinion as op
import torch
from pyro.infer import ReweightedWakeSleep
from torch import Tensor

from schematic.core.diagnostics import Report
from schematic.graph import build
from schematic.graph.model import Model

HELMHOLTZ = """model H { x : binary(6) = data  h : binary(3) ~ Bernoulli(0.3)
    p_theta : h -> x = mlp(5)  q_lambda : x --> h = mlp(4) }  model WS = wake_sleep(H)"""


def given(value: Tensor, density: Any) -> Any:
    """The density of a whole batch, whose draw is given."""

    class Given(dist.Delta):
        def log_prob(self, x: Tensor) -> Tensor:
            found: Tensor = density.log_prob(x)
            return found.sum()

    return Given(value, event_dim=value.dim(), validate_args=False)


@pytest.fixture
def helmholtz() -> op.Opinion:
    report = Report()
    model = build.parse(HELMHOLTZ, report)
    report.check()
    assert isinstance(model, Model)
    return op.opinion(model, size=4)


def phases(o: op.Opinion, drawn: dict[str, dict[str, Tensor]]) -> tuple[Tensor, Tensor]:
    """The wake phase of theta and the sleep phase of the recognition model, to be minimized. Both particles of a record
    are the program's one draw: their weights are alike."""
    p = o.module
    wake, sleep = drawn["data"], drawn["model"]

    def model() -> None:
        prior = dist.Bernoulli(torch.full((3,), 0.3, dtype=torch.float64), validate_args=False).to_event(1)
        h = pyro.sample("h", given(sleep["h"], prior))
        pyro.sample("x", given(sleep["x"], p.p_theta(h)), obs=wake["x"])

    def guide(observations: dict[str, Tensor] | None = None) -> None:
        x = observations["x"] if observations else wake["x"]  # asleep, what the model has generated
        pyro.sample("h", given(wake["h"], p.q_lambda(x)))

    rws = ReweightedWakeSleep(num_particles=2, insomnia=1.0, vectorize_particles=False)
    theta, _ = rws._loss(model, guide, (), {})
    rws = ReweightedWakeSleep(2, insomnia=0.0, model_has_params=False, num_sleep_particles=1, vectorize_particles=False)
    _, recognition = rws._loss(model, guide, (), {})
    return theta, recognition


def test_both_phases_agree(helmholtz: op.Opinion) -> None:
    p = helmholtz.module
    drawn = p.draw(helmholtz.batch)
    wake, sleep = phases(helmholtz, drawn)
    n = len(drawn["data"]["x"])
    for group, loss in (("theta", wake), ("lambda", sleep)):
        own = op.gradients(helmholtz, p.objective(drawn, group), [group])
        theirs = op.gradients(helmholtz, -loss / n, [group])
        assert own and all(g.abs().sum() > 0 for g in own.values())
        for name, g in own.items():
            torch.testing.assert_close(theirs[name], g, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(p.objective(drawn, "lambda"), -sleep / n, rtol=0, atol=1e-12)

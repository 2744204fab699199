"""Pyro's estimators agree on models whose variables are observed for some records only."""

from __future__ import annotations

import pyro
import pytest
import second_opinion as op
import torch

from schematic.compiler.pyro import elbo
from schematic.core.diagnostics import Report
from schematic.graph import build
from schematic.graph.model import Model

VAE = "x : real(6) = data  z : real(3) ~ Normal(0, 1)"
SVAE = f"""model M {{ {VAE} t : category(4) = data("label") partial
    p_theta : z, t -> x = mlp(7)  q_eta.t : x --> t = mlp(5) weight 3  q_eta.z : x, t --> z = mlp(5) }}"""

MODELS = {
    "enumerated": SVAE,
    "a real one": f"""model M {{ {VAE} t : real(2) ~ Normal(0, 1) = data("label") partial
        p_theta : z, t -> x = mlp(7)  q_eta.t : x --> t = mlp(5) weight 0.3 beta 2  q_eta.z : x, t --> z = mlp(5) }}""",
    "a learned prior": f"""model M {{ {VAE} t : category(4) = data("label") partial  p_theta.t : z -> t = mlp(3)
        p_theta.x : z, t -> x = mlp(7)  q_eta.t : x --> t = mlp(5)  q_eta.z : x, t --> z = mlp(5) }}""",
    "two of them": """model M { x : real(6) = data  t : category(3) = data("label") partial
        u : binary = data("flag") partial  p_theta : t, u -> x = mlp(7)
        q_eta.t : x --> t = mlp(5)  q_eta.u : x, t --> u = mlp(5) weight 2 }""",
}


def opinion(text: str) -> op.Opinion:
    model = build.parse(text, Report())
    assert isinstance(model, Model)
    found = op.opinion(model, 6)
    for i, name in enumerate(found.module.PARTIAL):
        found.batch[f"{name}_observed"] = torch.tensor([True, False, i == 0, i != 0, False, True])
    return found


@pytest.mark.filterwarnings("ignore:Failed to verify mean field")
@pytest.mark.parametrize("name", MODELS)
def test_partial(name: str) -> None:
    """The same draws: equal gradients, and values up to log p(t) of the labels, which no parameter reaches."""
    o = opinion(MODELS[name])
    pyro.clear_param_store()
    torch.manual_seed(1)
    value, trace = op.elbo(o)
    drawn = o.module.draw(o.batch)
    kept = {d.key for b in o.plan.branches for d in b.draws if d.how == "path"}
    assert kept <= trace.keys()
    drawn["data"] |= {key: trace[key]["value"] for key in kept}
    for key in kept:
        assert drawn["data"][key].shape == o.module.draw(o.batch)["data"][key].shape
    own = o.module.objective(drawn, "theta")
    theirs = op.gradients(o, value, ["theta", "eta"])
    for key, mine in op.gradients(o, own, ["theta", "eta"]).items():
        torch.testing.assert_close(theirs[key], mine, rtol=1e-9, atol=1e-11, msg=lambda m, key=key: f"{key}: {m}")
    names = [v for v in o.plan.variables if v.partial]
    priors = torch.zeros(6, dtype=torch.float64)
    for v in names:
        mask = o.batch[f"{v.data.fields[0]}_observed"]  # type: ignore[union-attr]
        x = o.batch[v.data.fields[0]]  # type: ignore[union-attr]
        log_prior = -torch.tensor(4.0 if v.type.size == 4 else 3.0 if v.type.size else 2.0).double().log()
        if v.type.kind == "real":
            log_prior = torch.distributions.Normal(0, 1).log_prob(x).sum(-1)
        priors = priors + mask * log_prior
    torch.testing.assert_close((value - own).detach(), priors.mean(), rtol=1e-9, atol=1e-11)


def test_the_estimator_of_the_semi_supervised_vae() -> None:
    assert elbo(opinion(SVAE).plan) == "TraceEnum_ELBO"

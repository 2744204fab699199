"""The family `Flow` in emitted programs: sampled and scored, exactly."""

from __future__ import annotations

from typing import Any

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor

MODEL = (
    "model M {{ x : real({0}) = data  z : real({0}) ~ Normal(0, 1)"
    "  p_theta : z -> x = Flow(mlp(3))  q_eta : x --> z = Flow(mlp(3)) }} {1}"
)


def stirred(p: Any) -> Any:
    """Couplings that do something: they start as nothing."""
    generator = torch.Generator().manual_seed(2)
    for q in p.parameters():
        q.data += 0.3 * torch.randn(q.shape, generator=generator, dtype=q.dtype)
    return p


def volume(values: Tensor, through: Any) -> Tensor:
    """log |det d through / d value| for each row, by the whole Jacobian."""
    found = []
    for i, one in enumerate(values):
        jacobian = torch.autograd.functional.jacobian(lambda v, i=i: through(v, i), one)
        found.append(torch.linalg.slogdet(jacobian.reshape(one.numel(), -1)).logabsdet)
    return torch.stack(found)


@pytest.mark.parametrize("shape", ("4", "1", "1, 2, 3"))
def test_the_score_is_the_change_of_variables(program: Any, batch: Any, shape: str) -> None:
    p = stirred(program(MODEL.format(shape, "")))
    x = batch(p)["x"]
    q = p.q_eta(x)
    noise = torch.randn(q.base.mean.shape, dtype=torch.float64)
    start = q.base.mean + q.base.stddev * noise
    value = q.through(start)
    det = volume(start, lambda v, i: p.q_eta(x[i : i + 1]).through(v[None])[0])
    torch.testing.assert_close(q.log_prob(value), q.base.log_prob(start) - det)


def test_the_density_integrates_to_one(program: Any) -> None:
    p = stirred(program(MODEL.format("2", "")))
    q = p.q_eta(torch.zeros(1, 2, dtype=torch.float64))
    line = torch.linspace(-16, 16, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    mass = q.log_prob(grid[:, None]).exp().sum() * (line[1] - line[0]) ** 2
    torch.testing.assert_close(mass, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-3)


def test_the_bound(program: Any, batch: Any, gradients: Any) -> None:
    """log p(x | z) + log p(z) - log q(z | x) at the draw: no divergence has a closed form."""
    p = stirred(program(MODEL.format("3", "")))
    draw = p.draw(batch(p))
    x, z = draw["data"]["x"], draw["data"]["z"]
    prior = torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z)).log_prob(z).sum(-1)
    expected = (p.p_theta(z).log_prob(x) + prior - p.q_eta(x).log_prob(z)).mean()
    value = p.objective(draw, "eta")
    torch.testing.assert_close(value, expected)
    for group in ("theta", "eta"):
        found = gradients(p, value, group)
        assert all(g is not None for g in found)
        for a, b in zip(found, gradients(p, expected, group), strict=True):
            torch.testing.assert_close(a, b)


def test_couplings_belong_to_the_factor(program: Any) -> None:
    p = program(MODEL.format("3", ""))
    moved = {id(q) for q in p.parameters_of("eta")}
    assert {id(q) for q in p.q_eta.couplings.parameters()} < moved
    p = program(MODEL.format("3", "model N = M { q_eta = Flow(mlp(3)) fixed }"))
    assert "eta" not in p.GROUPS


def test_importance_samples_and_devices(program: Any, batch: Any) -> None:
    p = program(MODEL.format("3", "model I = importance(M, 4)"))
    assert p.draw(batch(p))["data"]["z"].shape == (4, 6, 3)
    assert p.sample(5)["x"].shape == (5, 3) and p.infer(x=batch(p)["x"])["z"].shape == (6, 3)
    p = p.to("meta")
    assert p.objective(p.draw(batch(p, device="meta")), "eta").shape == ()


def test_pyro_computes_the_same(program: Any, batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    p = stirred(program(MODEL.format("3", "")))
    one = batch(p)
    draw = p.draw(one, torch.Generator().manual_seed(3))
    z = draw["data"]["z"]
    monkeypatch.setattr(type(p.q_eta(one["x"])), "rsample", lambda self, shape=(): z)
    pyro.clear_param_store()
    loss = Trace_ELBO().loss(lambda: p.model(one), lambda: p.guide(one))
    torch.testing.assert_close(-loss / 6, p.objective(draw, "eta").item())

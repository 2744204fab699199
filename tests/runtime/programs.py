"""Programs on the emitted interface (design.md), written by hand: what the runtime's own tests train."""

from __future__ import annotations

HEAD = """
import torch
import torch.nn.functional as F
import pyro.distributions as dist
from torch import nn


def mlp(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(4, 32, 64)

    def forward(self, z):
        return torch.sigmoid(self.net(z)).unflatten(-1, (1, 8, 8))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(64, 32, 1)

    def forward(self, x):
        return dist.Bernoulli(logits=self.net(x.flatten(-3))[..., 0], validate_args=False)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(4, 64, 64)

    def forward(self, z):
        logits = self.net(z).unflatten(-1, (1, 8, 8))
        return dist.Bernoulli(logits=logits, validate_args=False).to_event(3)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp(64, 64, 8)

    def forward(self, x):
        mean, raw = self.net(x.flatten(-3)).chunk(2, -1)
        return dist.Normal(mean, F.softplus(raw) + 1e-3, validate_args=False).to_event(1)


class Base(nn.Module):
    REDRAW = (False, False)
    TYPES = {"image": "unit"}
    DATA = {"x": "image"}
    CONDITIONS = ()

    def objective(self, draw, group):
        return sum(self.terms(draw, group).values())

    def parameters_of(self, group):
        return [p for factor in self.GROUPS[group] for p in getattr(self, factor).parameters()]
"""

GAN = (
    HEAD
    + """

class GAN(Base):
    GROUPS = {"phi": ("q_phi",), "theta": ("p_theta",)}
    FIELDS = {"image": (1, 8, 8)}
    UPDATES = (("phi",), ("theta",))
    ADVERSARIAL = ("phi",)

    def __init__(self):
        super().__init__()
        self.p_theta, self.q_phi = Generator(), Discriminator()

    def draw(self, batch, generator=None):
        x = batch["image"]
        z = torch.randn(x.shape[0], 4, generator=generator, dtype=x.dtype, device=x.device)
        return {"fake": {"z": z, "x": self.p_theta(z)}, "real": {"x": x}}

    def terms(self, draw, group):
        fake, real = draw["fake"]["x"], draw["real"]["x"]
        if group == "phi":
            return {
                "real": 0.5 * F.logsigmoid(self.q_phi(real).logits).mean(),
                "fake": 0.5 * F.logsigmoid(-self.q_phi(fake.detach()).logits).mean(),
            }
        return {"fake": 0.5 * F.logsigmoid(self.q_phi(fake).logits).mean()}

    def sample(self, n, **given):
        like = next(self.parameters())
        z = given.get("z", torch.randn(n, 4, dtype=like.dtype, device=like.device))
        return {"z": z, "x": self.p_theta(z)}
"""
)

VAE = (
    HEAD
    + """

class VAE(Base):
    GROUPS = {"theta": ("p_theta",), "eta": ("q_eta",)}
    FIELDS = {"image": (1, 8, 8)}
    UPDATES = (("theta", "eta"),)
    REDRAW = (False,)
    ADVERSARIAL = ()

    def __init__(self):
        super().__init__()
        self.p_theta, self.q_eta = Decoder(), Encoder()

    def draw(self, batch, generator=None):
        x = batch["image"]
        q = self.q_eta(x)
        noise = torch.randn(q.mean.shape, generator=generator, dtype=x.dtype, device=x.device)
        return {"data": {"x": x, "z": q.mean + q.stddev * noise}}

    def terms(self, draw, group):
        x, z = draw["data"]["x"], draw["data"]["z"]
        q = self.q_eta(x)
        prior = dist.Normal(torch.zeros_like(z), torch.ones_like(z), validate_args=False).to_event(1)
        return {
            "log p(x | z)": self.p_theta(z).log_prob(x).mean(),
            "KL": -torch.distributions.kl_divergence(q, prior).mean(),
        }

    def sample(self, n, **given):
        like = next(self.parameters())
        z = given.get("z", torch.randn(n, 4, dtype=like.dtype, device=like.device))
        return {"z": z, "x": self.p_theta(z).mean}

    def infer(self, **given):
        return {"z": self.q_eta(given["x"]).sample()}
"""
)

"""VAE, an MLP 784-400-20 at batch 128: the usual PyTorch example, its hand-tuned form, Pyro, Pixyz, pythae."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from benchmarks.peers.nets import Decoder, Encoder
from benchmarks.peers.side import Batch, Side

LAYERS = {
    "q_eta.net.body.layers.0": ("fc1",),
    "q_eta.net.head.linear": ("fc21", "fc22"),
    "p_theta.net.body.layers.0": ("fc3",),
    "p_theta.net.head.linear": ("fc4",),
}


def pairs(encoder: nn.Module, decoder: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Ours beside theirs: the mean and the scale of the code are one map with us."""
    nets = {"q": encoder, "p": decoder}
    return {
        f"{ours}.{kind}": [nets[ours[0]].get_parameter(f"{layer}.{kind}") for layer in theirs]
        for ours, theirs in LAYERS.items()
        for kind in ("weight", "bias")
    }


def usual(ours: nn.Module) -> Side:
    """The PyTorch example: probabilities, their cross-entropy summed, Adam as it comes, the loss read back."""

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = Encoder(), Decoder()

        def reparameterize(self, mu: Tensor, std: Tensor) -> Tensor:
            eps = torch.randn_like(std)
            return mu + eps * std

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mu, std = self.encoder(x.view(-1, 784))
            z = self.reparameterize(mu, std)
            return torch.sigmoid(self.decoder(z)), mu, std

    def loss_function(recon_x: Tensor, x: Tensor, mu: Tensor, std: Tensor) -> Tensor:
        bce = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
        kld = -0.5 * torch.sum(1 + 2 * std.log() - mu.pow(2) - std.pow(2))
        return bce + kld

    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    total = 0.0

    def step(batch: Batch) -> object:
        nonlocal total
        data = batch["image"]
        optimizer.zero_grad()
        recon_batch, mu, std = model(data)
        loss = loss_function(recon_batch, data, mu, std)
        loss.backward()
        total += loss.item()
        optimizer.step()
        return loss

    return Side("usual PyTorch example", step, pairs(model.encoder, model.decoder), summed=True)


def tuned(ours: nn.Module) -> Side:
    """The same by a careful hand: logits, closed forms, nothing read back, fused Adam."""
    encoder, decoder = Encoder(), Decoder()
    optimizer = optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)

    def step(batch: Batch) -> object:
        x = batch["image"]
        mu, std = encoder(x)
        z = torch.addcmul(mu, std, torch.randn_like(std))
        loss = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        loss = (loss - 0.5 * (1 + 2 * std.log() - mu.square() - std.square()).sum()) / len(x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Side("tuned by hand", step, pairs(encoder, decoder))


def pyro_svi(ours: nn.Module) -> Side:
    """Pyro's VAE example: SVI with Trace_ELBO."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, Trace_ELBO
    from pyro.optim import Adam

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = Encoder(), Decoder()

        def model(self, x: Tensor) -> None:
            pyro.module("decoder", self.decoder)
            with pyro.plate("data", x.shape[0]):
                z_loc = torch.zeros(x.shape[0], 20, dtype=x.dtype, device=x.device)
                z_scale = torch.ones(x.shape[0], 20, dtype=x.dtype, device=x.device)
                z = pyro.sample("latent", dist.Normal(z_loc, z_scale).to_event(1))
                loc_img = torch.sigmoid(self.decoder(z))
                pyro.sample("obs", dist.Bernoulli(loc_img, validate_args=False).to_event(1), obs=x)

        def guide(self, x: Tensor) -> None:
            pyro.module("encoder", self.encoder)
            with pyro.plate("data", x.shape[0]):
                z_loc, z_scale = self.encoder(x)
                pyro.sample("latent", dist.Normal(z_loc, z_scale).to_event(1))

    pyro.clear_param_store()
    vae = VAE()
    svi: Any = SVI(vae.model, vae.guide, Adam({"lr": 1e-3}), loss=Trace_ELBO())
    rule = "the divergence at a draw, not in closed form"
    parameters = pairs(vae.encoder, vae.decoder)
    return Side("Pyro SVI", lambda batch: svi.step(batch["image"]), parameters, summed=True, rule=rule)


def pixyz(ours: nn.Module) -> Side:
    """Pixyz's VAE example: its Normal and Bernoulli, its KullbackLeibler."""
    from pixyz.distributions import Bernoulli, Normal
    from pixyz.losses import KullbackLeibler
    from pixyz.models import VAE

    encoder, decoder = Encoder(), Decoder()

    class Inference(Normal):
        def __init__(self) -> None:
            super().__init__(var=["z"], cond_var=["x"], name="q")
            self.net = encoder

        def forward(self, x: Tensor) -> Mapping[str, Tensor]:
            loc, scale = self.net(x)
            return {"loc": loc, "scale": scale}

    class Generator(Bernoulli):
        def __init__(self) -> None:
            super().__init__(var=["x"], cond_var=["z"], name="p")
            self.net = decoder

        def forward(self, z: Tensor) -> Mapping[str, Tensor]:
            return {"probs": torch.sigmoid(self.net(z))}

    q, p = Inference(), Generator()
    prior = Normal(loc=torch.tensor(0.0), scale=torch.tensor(1.0), var=["z"], features_shape=[20], name="p_{prior}")
    model: Any = VAE(q, p, regularizer=KullbackLeibler(q, prior), optimizer=optim.Adam, optimizer_params={"lr": 1e-3})
    # It remembers what it drew for a tensor, so that every step needs a tensor of its own.
    return Side("Pixyz", lambda batch: model.train({"x": batch["image"][:]}), pairs(encoder, decoder))


def pythae(ours: nn.Module) -> Side:
    """pythae's VAE, stepped as its BaseTrainer does."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    encoder, decoder = Encoder(), Decoder()

    class TheirEncoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = encoder

        def forward(self, x: Tensor) -> Any:
            mu, std = self.net(x)
            return ModelOutput(embedding=mu, log_covariance=2 * std.log())

    class TheirDecoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))

    config = VAEConfig(input_dim=(784,), latent_dim=20, reconstruction_loss="bce")
    model: Any = VAE(config, encoder=TheirEncoder(), decoder=TheirDecoder())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    total = SimpleNamespace(loss=0.0)

    def step(batch: Batch) -> object:
        output = model({"data": batch["image"]})
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        total.loss += output.loss.item()
        return output.loss

    return Side("pythae", step, pairs(encoder, decoder))


SIDES = (usual, tuned, pyro_svi, pixyz, pythae)

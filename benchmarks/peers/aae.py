"""AAE, an MLP with 10 codes at batch 64: the usual script, and its hand-tuned form."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn, optim

from benchmarks.peers.nets import MLP
from benchmarks.peers.side import Batch, Side, matched

ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


def networks() -> tuple[nn.Module, nn.Module, nn.Module]:
    """Encoder, discriminator, decoder."""
    return MLP(784, 512, 512, 10), MLP(10, 512, 256, 1), MLP(10, 512, 512, 784)


def usual(ours: nn.Module) -> Side:
    """The usual script: probabilities and BCELoss, whole backward passes, losses read back."""
    encoder, discriminator, decoder = networks()
    adversarial_loss = nn.BCELoss()
    reconstruction_loss = nn.BCELoss(reduction="sum")
    both = itertools.chain(encoder.parameters(), decoder.parameters())
    optimizer_g = optim.Adam(both, **ADAM)
    optimizer_d = optim.Adam(discriminator.parameters(), **ADAM)
    told: list[float] = []

    def step(batch: Batch) -> object:
        real_imgs = batch["image"]
        size = real_imgs.shape[0]
        valid, fake = torch.ones(size, 1), torch.zeros(size, 1)
        encoded_imgs = encoder(real_imgs)

        optimizer_d.zero_grad()
        z = torch.randn(size, 10)
        real_loss = adversarial_loss(torch.sigmoid(discriminator(z)), valid)
        fake_loss = adversarial_loss(torch.sigmoid(discriminator(encoded_imgs.detach())), fake)
        d_loss = 0.5 * (real_loss + fake_loss)
        d_loss.backward()
        optimizer_d.step()

        optimizer_g.zero_grad()
        decoded_imgs = torch.sigmoid(decoder(encoded_imgs))
        g_loss = adversarial_loss(torch.sigmoid(discriminator(encoded_imgs)), valid)
        g_loss = 0.5 * (g_loss + reconstruction_loss(decoded_imgs, real_imgs) / size)
        g_loss.backward()
        optimizer_g.step()
        told[:] = [d_loss.item(), g_loss.item()]
        return told

    parameters = [p for net in (encoder, discriminator, decoder) for p in net.parameters()]
    return Side("usual script", step, matched(dict(ours.named_parameters()), parameters))


def tuned(ours: nn.Module) -> Side:
    """The same by a careful hand: logits, nothing read back, fused Adam."""
    encoder, discriminator, decoder = networks()
    both = [*encoder.parameters(), *decoder.parameters()]
    optimizer_g = optim.Adam(both, **ADAM, fused=True)
    optimizer_d = optim.Adam(discriminator.parameters(), **ADAM, fused=True)

    def step(batch: Batch) -> object:
        x = batch["image"]
        code = encoder(x)
        optimizer_d.zero_grad(set_to_none=True)
        judged = (
            F.softplus(-discriminator(torch.randn(len(x), 10))).mean() + F.softplus(discriminator(code.detach())).mean()
        )
        (0.5 * judged).backward()
        optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(decoder(code), x, reduction="sum") / len(x)
        (0.5 * (loss + F.softplus(-discriminator(code)).mean())).backward()
        optimizer_g.step()
        return judged.detach()

    parameters = [p for net in (encoder, discriminator, decoder) for p in net.parameters()]
    return Side("tuned by hand", step, matched(dict(ours.named_parameters()), parameters))

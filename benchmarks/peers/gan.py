"""GAN: the usual loop with two optimizers and its hand-tuned form, for any generator and discriminator."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn, optim

from benchmarks.peers.nets import MLP, dcgan_discriminator, dcgan_generator
from benchmarks.peers.side import Batch, Side, matched

Nets = Callable[[], tuple[nn.Module, nn.Module]]


def mlps() -> tuple[nn.Module, nn.Module]:
    return MLP(100, 256, 512, 1024, 784), MLP(784, 1024, 512, 256, 1)


def dcgans() -> tuple[nn.Module, nn.Module]:
    return dcgan_generator(), dcgan_discriminator()


def usual(ours: nn.Module, nets: Nets = mlps, again: bool = True) -> Side:
    """The loop that is copied: probabilities and BCELoss, a generator pass for each update (`again`; DCGAN's tutorial
    keeps one), whole backward passes, losses read back."""
    generator, discriminator = nets()
    criterion = nn.BCELoss()
    g_optimizer = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    losses: list[float] = []

    def step(batch: Batch) -> object:
        real = batch["image"]
        size = real.size(0)
        ones, zeros = torch.ones(size, 1), torch.zeros(size, 1)
        z = torch.randn(size, 100)

        discriminator.zero_grad()
        real_loss = criterion(torch.sigmoid(discriminator(real)).view(size, 1), ones)
        fake = torch.sigmoid(generator(z))
        fake_loss = criterion(torch.sigmoid(discriminator(fake.detach())).view(size, 1), zeros)
        d_loss = real_loss + fake_loss
        d_loss.backward()
        d_optimizer.step()

        generator.zero_grad()
        if again:
            fake = torch.sigmoid(generator(torch.randn(size, 100)))
        g_loss = criterion(torch.sigmoid(discriminator(fake)).view(size, 1), ones)
        g_loss.backward()
        g_optimizer.step()
        losses[:] = [d_loss.item(), g_loss.item()]
        return losses

    parameters = [*generator.parameters(), *discriminator.parameters()]
    return Side("usual two-optimizer loop", step, matched(dict(ours.named_parameters()), parameters), scale=2)


def tuned(ours: nn.Module, nets: Nets = mlps, again: bool = True) -> Side:
    """The same by a careful hand: logits, nothing read back, fused Adam."""
    generator, discriminator = nets()
    g_optimizer = optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
    d_optimizer = optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)

    def step(batch: Batch) -> object:
        real = batch["image"]
        fake = torch.sigmoid(generator(torch.randn(len(real), 100)))
        d_optimizer.zero_grad(set_to_none=True)
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad(set_to_none=True)
        if again:
            fake = torch.sigmoid(generator(torch.randn(len(real), 100)))
        g_loss = F.softplus(-discriminator(fake)).mean()
        g_loss.backward()
        g_optimizer.step()
        return d_loss.detach(), g_loss.detach()

    parameters = [*generator.parameters(), *discriminator.parameters()]
    return Side("tuned by hand", step, matched(dict(ours.named_parameters()), parameters), scale=2)

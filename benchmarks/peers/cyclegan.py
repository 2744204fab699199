"""CycleGAN at 32x32 with the built-in networks, batch 8: the usual script, and its hand-tuned form."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from benchmarks.peers.side import Batch, Side, matched
from schematic.nets.patchgan import PatchGAN
from schematic.nets.resnet import ResNet

ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}
IMAGE = (3, 32, 32)
LAMBDA = 10.0  # of the cycle's absolute error


class Networks(nn.Module):
    """Two generators and two discriminators; the names say which image they make or judge."""

    def __init__(self) -> None:
        super().__init__()
        self.make_a = ResNet((IMAGE,), IMAGE, 32, 3)
        self.judge_a = PatchGAN((IMAGE,), (), 32)
        self.make_b = ResNet((IMAGE,), IMAGE, 32, 3)
        self.judge_b = PatchGAN((IMAGE,), (), 32)

    def a(self, b: Tensor) -> Tensor:
        return torch.sigmoid(self.make_a(b))

    def b(self, a: Tensor) -> Tensor:
        return torch.sigmoid(self.make_b(a))


def usual(ours: nn.Module) -> Side:
    """The usual script with the logistic loss: two updates of discriminators, losses read back."""
    nets = Networks()
    criterion_gan, criterion_cycle = nn.BCEWithLogitsLoss(), nn.L1Loss()
    both = itertools.chain(nets.make_a.parameters(), nets.make_b.parameters())
    optimizer_g = optim.Adam(both, **ADAM)
    optimizer_a = optim.Adam(nets.judge_a.parameters(), **ADAM)
    optimizer_b = optim.Adam(nets.judge_b.parameters(), **ADAM)
    told: list[float] = []

    def step(batch: Batch) -> object:
        real_a, real_b = batch["a/image"], batch["b/image"]
        valid, fake = torch.ones(real_a.size(0)), torch.zeros(real_a.size(0))
        fake_a, fake_b = nets.a(real_b), nets.b(real_a)
        losses = []
        for judge, optimizer, real, made in (
            (nets.judge_a, optimizer_a, real_a, fake_a),
            (nets.judge_b, optimizer_b, real_b, fake_b),
        ):
            optimizer.zero_grad()
            loss_d = (criterion_gan(judge(real), valid) + criterion_gan(judge(made.detach()), fake)) / 2
            loss_d.backward()
            optimizer.step()
            losses.append(loss_d)

        optimizer_g.zero_grad()
        loss_gan = (criterion_gan(nets.judge_a(fake_a), valid) + criterion_gan(nets.judge_b(fake_b), valid)) / 2
        loss_cycle = (criterion_cycle(nets.a(fake_b), real_a) + criterion_cycle(nets.b(fake_a), real_b)) / 2
        loss_g = loss_gan + LAMBDA * loss_cycle * real_a[0].numel()
        loss_g.backward()
        optimizer_g.step()
        told[:] = [loss_g.item(), *(loss.item() for loss in losses)]
        return told

    return Side("usual script", step, matched(dict(ours.named_parameters()), list(nets.parameters())))


def tuned(ours: nn.Module) -> Side:
    """The same by a careful hand: both discriminators in one update, nothing read back, fused Adam."""
    nets = Networks()
    makers = [*nets.make_a.parameters(), *nets.make_b.parameters()]
    judges = [*nets.judge_a.parameters(), *nets.judge_b.parameters()]
    optimizer_g = optim.Adam(makers, **ADAM, fused=True)
    optimizer_d = optim.Adam(judges, **ADAM, fused=True)

    def step(batch: Batch) -> object:
        a, b = batch["a/image"], batch["b/image"]
        fake_a, fake_b = nets.a(b), nets.b(a)
        optimizer_d.zero_grad(set_to_none=True)
        real = F.softplus(-nets.judge_a(a)).mean() + F.softplus(-nets.judge_b(b)).mean()
        made = F.softplus(nets.judge_a(fake_a.detach())).mean() + F.softplus(nets.judge_b(fake_b.detach())).mean()
        (0.5 * (real + made)).backward()
        optimizer_d.step()
        optimizer_g.zero_grad(set_to_none=True)
        fooled = F.softplus(-nets.judge_a(fake_a)).mean() + F.softplus(-nets.judge_b(fake_b)).mean()
        cycle = F.l1_loss(nets.a(fake_b), a, reduction="sum") + F.l1_loss(nets.b(fake_a), b, reduction="sum")
        (0.5 * (fooled + LAMBDA * cycle / len(a))).backward()
        optimizer_g.step()
        return real.detach()

    return Side("tuned by hand", step, matched(dict(ours.named_parameters()), list(nets.parameters())))

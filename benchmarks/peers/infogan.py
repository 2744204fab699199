"""InfoGAN at 32x32: the usual script with its three updates, its hand-tuned form, and ours: the program that a person
keeps and edits, for a file cannot name a network from Python with several heads yet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from benchmarks.peers.nets import InfoGANDiscriminator, InfoGANGenerator
from benchmarks.peers.side import Batch, Side, matched

ADAM = {"lr": 2e-4, "betas": (0.5, 0.999)}


class Script(nn.Module):
    """The script's own updates, on the emitted interface: the generator's, the discriminator's, the code's, which
    moves both. Every update draws its own noise."""

    GROUPS: ClassVar = {"theta": ("p_theta",), "phi": ("q_phi",), "eta": ("p_theta", "q_phi")}
    FIELDS: ClassVar = {"image": (1, 32, 32)}
    UPDATES = (("theta",), ("phi",), ("eta",))
    REDRAW = (True, False, True)
    ADVERSARIAL = ("phi",)
    TYPES: ClassVar = {"image": "unit"}
    DATA: ClassVar = {"x": "image"}
    CONDITIONS = ()

    def __init__(self) -> None:
        super().__init__()
        self.p_theta, self.q_phi = InfoGANGenerator(), InfoGANDiscriminator()

    def parameters_of(self, group: str) -> Iterable[nn.Parameter]:
        return itertools.chain(*(getattr(self, name).parameters() for name in self.GROUPS[group]))

    def draw(self, batch: Batch, generator: torch.Generator | None = None) -> dict[str, dict[str, Tensor]]:
        z, labels, code = noise(len(batch["image"]), generator)
        x = self.p_theta(z, labels, code)
        return {"fake": {"labels": labels, "code": code, "x": x}, "real": {"x": batch["image"]}}

    def information(self, fake: dict[str, Tensor], logits: Tensor, code: Tensor) -> Tensor:
        return -(F.cross_entropy(logits, fake["labels"]) + 0.1 * F.mse_loss(code, fake["code"]))

    def objective(self, draw: dict[str, dict[str, Tensor]], group: str) -> Tensor:
        fake = draw["fake"]
        match group:
            case "theta":
                return -(self.q_phi(fake["x"])[0] - 1).square().mean()
            case "phi":
                real, made = self.q_phi(draw["real"]["x"])[0], self.q_phi(fake["x"].detach())[0]
                return -0.5 * ((real - 1).square().mean() + made.square().mean())
            case _:
                _, logits, code = self.q_phi(fake["x"])
                return self.information(fake, logits, code)


class Paper(Script):
    """The paper's schedule: the code's likelihood inside both updates, one draw and one generator pass for them."""

    GROUPS: ClassVar = {"phi": ("q_phi",), "theta": ("p_theta",)}
    UPDATES = (("phi",), ("theta",))
    REDRAW = (True, False)

    def objective(self, draw: dict[str, dict[str, Tensor]], group: str) -> Tensor:
        fake = draw["fake"]
        if group == "phi":
            real = self.q_phi(draw["real"]["x"])[0]
            made, logits, code = self.q_phi(fake["x"].detach())
            judged = -0.5 * ((real - 1).square().mean() + made.square().mean())
        else:
            made, logits, code = self.q_phi(fake["x"])
            judged = -(made - 1).square().mean()
        return judged + self.information(fake, logits, code)


def usual(ours: nn.Module) -> Side:
    """The script: a generator pass for each of its three updates but the second, whole backward passes."""
    generator, discriminator = InfoGANGenerator(), InfoGANDiscriminator()
    adversarial_loss, categorical_loss, continuous_loss = nn.MSELoss(), nn.CrossEntropyLoss(), nn.MSELoss()
    optimizer_g = optim.Adam(generator.parameters(), **ADAM)
    optimizer_d = optim.Adam(discriminator.parameters(), **ADAM)
    both = itertools.chain(generator.parameters(), discriminator.parameters())
    optimizer_info = optim.Adam(both, **ADAM)
    told: list[float] = []

    def step(batch: Batch) -> object:
        real_imgs = batch["image"]
        size = real_imgs.shape[0]
        valid, fake = torch.ones(size, 1), torch.zeros(size, 1)

        optimizer_g.zero_grad()
        z, label_input, code_input = noise(size)
        gen_imgs = generator(z, label_input, code_input)
        validity, _, _ = discriminator(gen_imgs)
        g_loss = adversarial_loss(validity, valid)
        g_loss.backward()
        optimizer_g.step()

        optimizer_d.zero_grad()
        real_pred, _, _ = discriminator(real_imgs)
        d_real_loss = adversarial_loss(real_pred, valid)
        fake_pred, _, _ = discriminator(gen_imgs.detach())
        d_fake_loss = adversarial_loss(fake_pred, fake)
        d_loss = (d_real_loss + d_fake_loss) / 2
        d_loss.backward()
        optimizer_d.step()

        optimizer_info.zero_grad()
        z, label_input, code_input = noise(size)
        gen_imgs = generator(z, label_input, code_input)
        _, pred_label, pred_code = discriminator(gen_imgs)
        labels = label_input.argmax(-1)
        info_loss = categorical_loss(pred_label, labels) + 0.1 * continuous_loss(pred_code, code_input)
        info_loss.backward()
        optimizer_info.step()
        told[:] = [d_loss.item(), g_loss.item(), info_loss.item()]
        return told

    parameters = [*generator.parameters(), *discriminator.parameters()]
    return Side("usual script, three updates", step, matched(dict(ours.named_parameters()), parameters))


def noise(size: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, classes, one-hot, and codes between -1 and 1."""
    z = torch.randn(size, 62, generator=generator)
    labels = F.one_hot(torch.rand(size, 10, generator=generator).argmax(-1), 10).to(z.dtype)
    return z, labels, 2 * torch.rand(size, 2, generator=generator) - 1


def tuned(ours: nn.Module) -> Side:
    """The same by a careful hand: targets that are no tensors, nothing read back, fused Adam."""
    generator, discriminator = InfoGANGenerator(), InfoGANDiscriminator()
    both = [*generator.parameters(), *discriminator.parameters()]
    optimizer_g = optim.Adam(generator.parameters(), **ADAM, fused=True)
    optimizer_d = optim.Adam(discriminator.parameters(), **ADAM, fused=True)
    optimizer_info = optim.Adam(both, **ADAM, fused=True)

    def step(batch: Batch) -> object:
        size = len(batch["image"])
        optimizer_g.zero_grad(set_to_none=True)
        made = generator(*noise(size))
        (discriminator(made)[0] - 1).square().mean().backward()
        optimizer_g.step()
        optimizer_d.zero_grad(set_to_none=True)
        judged = (discriminator(batch["image"])[0] - 1).square().mean() + discriminator(made.detach())[
            0
        ].square().mean()
        (0.5 * judged).backward()
        optimizer_d.step()
        optimizer_info.zero_grad(set_to_none=True)
        z, labels, code = noise(size)
        _, logits, found = discriminator(generator(z, labels, code))
        (F.cross_entropy(logits, labels.argmax(-1)) + 0.1 * F.mse_loss(found, code)).backward()
        optimizer_info.step()
        return judged.detach()

    return Side("tuned by hand", step, matched(dict(ours.named_parameters()), both))


def script(ours: nn.Module) -> Side:
    """The same script beside the paper's schedule."""
    return replace(usual(ours), rule="the code's likelihood in an update of its own")

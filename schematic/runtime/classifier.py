"""The evaluation classifier: a small convolutional net trained on real labelled images, and what it says of others.

The paper judges samples by such a classifier (its section 4); Inception's weights would be a download.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schematic.runtime.data import Batch
from schematic.runtime.samples import seeded

STEPS, BATCH, RATE = 1200, 64, 3e-3
FEATURES = 128
MODE = 0.1  # of a class's share in the real images, for samples to cover it
CHUNK = 1000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Verdict:
    """What the classifier says of images. Shares are of its most probable class; `frechet` in its features.

    `inception_score` is exp E KL(p(class | image) || p(class)) (Salimans et al., 2016), from 1 to the number of
    classes; `modes` the number of classes whose share is at least MODE of theirs in the real images.
    """

    inception_score: float
    frechet: float
    modes: int
    top_probability: float
    largest_share: float
    smallest_share: float


class Classifier(nn.Module):
    """Images (n, channels, height, width) -> logits (n, classes); `features` (n, 128) is its last hidden layer."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32 * ((height + 1) // 2) * ((width + 1) // 2), FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


def train(images: Tensor, labels: Tensor) -> Classifier:
    """A classifier of images (n, channels, height, width) with one-hot labels (n, classes), always from one seed."""
    with seeded(0, CPU):
        net = Classifier(tuple(images.shape[1:]), labels.shape[1])
        parameters = list(net.parameters())
        optimizer = torch.optim.Adam(parameters, RATE, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
        for _ in range(STEPS):
            index = torch.randint(len(images), (BATCH,))
            loss = F.cross_entropy(net(images[index]), labels[index])
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
            optimizer.step()
            schedule.step()
    return net.eval()


def cached(images: Tensor, labels: Tensor, cache: Path | None = None) -> Classifier:
    """`train`, or its result for the same data and the same code from the user's cache."""
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "schematic"
    key = hashlib.sha256(Path(__file__).read_bytes())
    for tensor in (images, labels):
        key.update(tensor.numpy().tobytes())
    path = folder / f"classifier-{key.hexdigest()[:16]}.pt"
    if path.exists():
        net = Classifier(tuple(images.shape[1:]), labels.shape[1])
        net.load_state_dict(torch.load(path, weights_only=True))
        return net.eval()
    net = train(images, labels)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(net.state_dict(), path.with_suffix(f".{os.getpid()}"))
        os.replace(path.with_suffix(f".{os.getpid()}"), path)
    except OSError:  # no cache, then: the net is at hand
        pass
    return net


@torch.no_grad()
def accuracy(net: Classifier, records: Batch) -> float:
    """The share of records {"image", "label"} whose class it finds."""
    found = in_chunks(net, records["image"]).argmax(1)
    return float((found == records["label"].argmax(1)).float().mean())


@torch.no_grad()
def judge(net: Classifier, images: Tensor, real: Batch) -> Verdict:
    """What it says of images (n, channels, height, width), beside real records {"image", "label"}."""
    probabilities = in_chunks(net, images).softmax(1)
    classes = probabilities.shape[1]
    shares = torch.bincount(probabilities.argmax(1), minlength=classes) / len(images)
    wanted = real["label"].mean(0)
    distance = frechet(in_chunks(net.features, images), in_chunks(net.features, real["image"]))
    return Verdict(
        inception_score(probabilities),
        distance,
        int(((shares >= MODE * wanted) & (wanted > 0)).sum()),
        float(probabilities.max(1).values.mean()),
        float(shares.max()),
        float(shares.min()),
    )


def inception_score(probabilities: Tensor) -> float:
    """exp of the mean KL of each row (n, classes) from the mean row (Salimans et al., 2016)."""
    p = probabilities.double()
    return float((torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean().exp())


def in_chunks(net: nn.Module, images: Tensor) -> Tensor:
    """net(images), some at a time: all of MNIST at once would take gigabytes."""
    return torch.cat([net(chunk) for chunk in torch.split(images, CHUNK)])


def frechet(a: Tensor, b: Tensor) -> float:
    """The squared Frechet distance of two samples (n, d) taken as Gaussian: |ma - mb|^2 + tr(A + B - 2 (A B)^1/2).

    Heusel et al. (2017), Eq. 6. The root's trace is that of the symmetric (A^1/2 B A^1/2)^1/2.
    """
    a, b = a.double(), b.double()
    covariance = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(covariance[0])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariance[1] @ root).clamp(min=0).sqrt().sum()
    means = (a.mean(0) - b.mean(0)).square().sum()
    return float(means + covariance[0].trace() + covariance[1].trace() - 2 * cross)

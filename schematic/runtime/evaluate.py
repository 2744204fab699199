"""Figures of a trained model: what a classifier of real images says of its samples, and its bound on held-out data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from schematic.runtime import classifier, data
from schematic.runtime.classifier import Figures
from schematic.runtime.data import Batch
from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field
from schematic.runtime.pictures import is_image
from schematic.runtime.program import Program, instantiate
from schematic.runtime.sample import Trained, reload
from schematic.runtime.samples import generate, seeded
from schematic.runtime.splits import Split

CPU = torch.device("cpu")
CHUNK = 500  # records at a time


def evaluate(
    run: Path, n: int = 1000, *, seed: int = 0, device: str = "auto", split: Split = "test"
) -> dict[str, float]:
    """The figures of a run, by name; those that it has no data or no density for are left out.

    `bound`: nats per example of the split, without the 1/2 of a domain indicator. `classifier_accuracy`,
    `top_probability`, `largest_share`, `smallest_share`, `frechet` of n samples of the first image variable whose set
    has labels; the same with `_before` for the parameters at step 0. Raises RunError.
    """
    trained = reload(run, device, split)
    figures: dict[str, float] = {}
    if not trained.program.ADVERSARIAL:
        figures["bound"] = bound(trained, seed)
    return figures | images(trained, n, seed)


@torch.no_grad()
def bound(trained: Trained, seed: int) -> float:
    """The objective on the held-out split, in nats per example.

    With a domain indicator the given branch has weight p(y) = 1/2, which is divided out (semantics.md, "Branch").
    """
    program, total, count = trained.program, 0.0, 0
    test = records_of(trained)
    group = program.UPDATES[-1][0]
    size = len(next(iter(test.values())))
    with seeded(seed, trained.device):
        for start in range(0, size, CHUNK):
            batch = {f: t[start : start + CHUNK].to(trained.device) for f, t in test.items()}
            drawn = program.draw(batch)
            scale = 1.0 if "data" in drawn else 2.0
            part = len(next(iter(batch.values())))
            total, count = total + scale * float(program.objective(drawn, group)) * part, count + part
    return total / count


def records_of(trained: Trained) -> Batch:
    """The held-out split; sets of different sizes repeat the smaller ones."""
    parts = [getattr(s, trained.split) for s in trained.sets()]
    return trained.held_out(max(len(next(iter(part.values()))) for part in parts), CPU)


def images(trained: Trained, n: int, seed: int) -> dict[str, float]:
    """The classifier's figures; {} where no image variable's set has labels."""
    found = labelled(trained)
    if found is None:
        return {}
    name, train, test = found
    net = classifier.cached(train["image"], train["label"])
    start = instantiate(type(trained.program), int(trained.config["seed"]), trained.device)  # type: ignore[arg-type]
    batch = trained.held_out(n, trained.device) if trained.program.CONDITIONS else {}

    def judge(program: Program) -> Figures:
        return classifier.judge(net, generate(program, n, batch, seed)[name].cpu(), train["image"])

    after, before = asdict(judge(trained.program)), asdict(judge(start))
    accuracy = {"classifier_accuracy": classifier.accuracy(net, test)}
    return accuracy | after | {f"{figure}_before": value for figure, value in before.items()}


def labelled(trained: Trained) -> tuple[str, Batch, Batch] | None:
    """The first image variable whose set has labels, with that set's records as {"image", "label"}: train, test."""
    program = trained.program
    for name, field in program.DATA.items():
        if name in program.CONDITIONS or not is_image(program.FIELDS[field]):
            continue
        try:
            train, test = labelled_set(trained, field)
        except RunError:
            continue
        return name, train, test
    return None


def labelled_set(trained: Trained, field: str) -> tuple[Batch, Batch]:
    """The records of an image field's set with their labels. Raises RunError where it has none."""
    program = trained.program
    image = Field(field, program.FIELDS[field], program.TYPES[field])
    found = data.labelled(trained.data, image, [f.rpartition("/")[0] for f in program.FIELDS])
    return found.train, found.test

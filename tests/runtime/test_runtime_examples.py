"""The runtime on programs as they are emitted, of files with every kind of reading."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import schematic as sg
from schematic.graph.model import Model, Train
from schematic.graph.optimizers import ADVERSARIAL, CODE, DENSITY, optimizer
from schematic.runtime.bounds import evidence
from schematic.runtime.evaluate import evaluate
from schematic.runtime.optim import resolve
from schematic.runtime.program import load_class
from schematic.runtime.routes import round_trips
from schematic.runtime.sample import reload, sample
from schematic.runtime.step import init, step

EXAMPLES = Path(__file__).parents[2] / "examples"


def one_set(path: Path) -> bool:
    """Whether a file's model reads the unnamed set alone, which digits can be."""
    drawn = sg.load(path).drawn
    models = (drawn,) if isinstance(drawn, Model) else tuple(m for _, m in drawn.terms)
    return all(set(v.data.sets) == {""} for m in models for v in m.variables if v.data)


DIGITS = sorted(p.stem for p in EXAMPLES.glob("*.sg") if one_set(p))


@pytest.mark.parametrize("name", DIGITS)
def test_examples_train_sample_and_are_judged(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schematic.runtime.classifier.STEPS", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    outcome = sg.train(sg.load(EXAMPLES / f"{name}.sg"), data="digits", out=tmp_path / name, steps=2, batch=8)
    run = outcome.run.path
    assert outcome.reason == "finished"
    (file,) = sample(run, 9, out=tmp_path / "samples.png")
    assert file.read_bytes().startswith(b"\x89PNG")
    program: Any = load_class((run / "program.py").read_text(), "program.py")
    drawn = sg.load(EXAMPLES / f"{name}.sg").drawn
    assert (run / "reconstructions.png").exists() == bool(round_trips(drawn))
    figures = {f.name: f for f in evaluate(run, 20)}
    assert ("elbo" in figures) == (evidence(drawn) is not None) and figures["frechet"].before is not None
    assert set(json.loads((run / "config.json").read_text())["optimizers"]) == set(program.GROUPS)


@pytest.mark.parametrize("name", DIGITS)
def test_a_step_of_an_emitted_program_reads_nothing_back(name: str) -> None:
    program: Any = load_class(sg.emit(sg.load(EXAMPLES / f"{name}.sg")), "program.py")
    with FakeTensorMode():
        made = program()
        adam = resolve(program.GROUPS, bool(program.ADVERSARIAL), (), ())
        batch = {field: torch.rand(8, *shape) for field, shape in program.FIELDS.items()}
        batch |= {f"{field}_observed": torch.ones(8) for field in getattr(program, "PARTIAL", ())}
        values = step(init(made, adam, torch.Generator()), iter([batch] * 4)).objectives
    assert set(values) == set(program.GROUPS)


def test_two_sets_of_different_data_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Domain adaptation on unpaired sets, given by name."""
    import numpy as np

    random = np.random.default_rng(0)
    for name in ("a", "b"):
        images, labels = random.integers(0, 256, (40, 16, 16), np.uint8), np.arange(40) % 10
        np.savez(tmp_path / f"{name}.npz", image=images, label=labels)
    monkeypatch.chdir(tmp_path)
    data = "usps=npz:a.npz,mnist=npz:b.npz"
    outcome = sg.train(sg.load(EXAMPLES / "ada.sg"), data=data, out=tmp_path / "ada", steps=2, batch=8)
    assert outcome.reason == "finished" and set(outcome.objectives) == {"phi", "theta", "eta"}
    monkeypatch.chdir("/")
    assert {s.name: s.records for s in reload(outcome.run.path).sets()} == {"usps": 32, "mnist": 32}


def test_default_optimizers_follow_what_stands_in_the_model() -> None:
    def of(name: str, group: str) -> object:
        return optimizer(replace(sg.load(EXAMPLES / f"{name}.sg").drawn, train=Train()), group)

    assert [of("infogan", g) for g in ("phi", "theta", "eta")] == [ADVERSARIAL, ADVERSARIAL, CODE]
    assert [of("vae", g) for g in ("theta", "eta")] == [DENSITY, DENSITY]  # its discriminator is perfect
    assert [of("aae", g) for g in ("phi", "theta", "eta")] == [ADVERSARIAL] * 3
    assert [of("ada", g) for g in ("phi", "theta", "eta")] == [ADVERSARIAL] * 3
    renamed = sg.load(EXAMPLES / "infogan.sg", restate="train { eta = sgd(0.5) }").drawn
    assert str(optimizer(renamed, "eta")) == "sgd(0.5)"

"""docs/training.md: the plain loop on the page is run, and does what the runtime does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import schematic as sg
from schematic.graph.model import Optimizer
from schematic.runtime.step import init, step

ROOT = Path(__file__).parents[2]
LOOP, SAMPLE = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "training.md").read_text(), re.M | re.S)


def test_the_loop_has_twenty_lines_and_no_schematic() -> None:
    assert LOOP.count("\n") <= 20 and "schematic" not in LOOP + SAMPLE


def test_the_loop_trains_as_the_runtime_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = "q_phi = mlp(8)  p_theta = mlp(8)  q_eta = mlp(8)"
    (tmp_path / "infogan.py").write_text(sg.emit(sg.load(ROOT / "examples" / "infogan.sg", restate=nets)))
    images = torch.rand(100, 1, 8, 8)
    torch.save(images, tmp_path / "images.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    page: dict[str, Any] = {}
    exec(LOOP.replace("1000", "5"), page)

    torch.manual_seed(0)
    program = page["InfoGAN"]()
    start = [p.detach().clone() for p in program.parameters()]
    rules = dict.fromkeys(program.GROUPS, Optimizer("adam", 2e-4, (0.5, 0.999)))
    trainer = init(program, rules, torch.Generator().manual_seed(0))
    for _ in range(5):
        step(trainer, iter([{"image": images[torch.randint(len(images), (64,))]}]))
    for before, ours, theirs in zip(start, program.parameters(), page["model"].parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6) and not torch.equal(before, theirs)

    save_file(program.state_dict(), tmp_path / "weights.safetensors")
    exec(SAMPLE, page)
    assert all(torch.equal(v, program.state_dict()[k]) for k, v in page["model"].state_dict().items())

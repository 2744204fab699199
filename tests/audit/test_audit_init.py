"""The adapter that `--init` writes: what running a file tells, gaps where it does not; it is enough for a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cases import CORRECT, EXAMPLES, SIZES, Case, asked, said
from fleet import Fleet
from renaming import renamed

SCRIPT = '''
import argparse

import torch
from torchvision import datasets
from torchvision.utils import save_image

options = argparse.ArgumentParser()
options.add_argument("--rate", type=float, default=1e-4)
given = options.parse_args()
G = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Sigmoid())
D = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 9), torch.nn.ReLU(), torch.nn.Linear(9, 1))
loader = torch.utils.data.DataLoader(datasets.MNIST("data", download=True), batch_size=64, shuffle=True)
opt_d, opt_g = torch.optim.SGD(D.parameters(), given.rate), torch.optim.SGD(G.parameters(), given.rate)
bce = torch.nn.BCEWithLogitsLoss()
for epoch in range(5):
    for i, (images, _) in enumerate(loader):
        fake = G(torch.randn(len(images), 16))
        real_logits, fake_logits = D(images), D(fake.detach())
        opt_d.zero_grad()
        (bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits))).backward()
        opt_d.step()
        opt_g.zero_grad()
        judged = D(fake)
        bce(judged, torch.ones_like(judged)).backward()
        opt_g.step()
        save_image(fake, "fake.png")
'''


def started(fleet: Fleet, file: Path, against: Path) -> tuple[str, dict[str, Any]]:
    """The adapter of a file, and the answer that it leads to."""
    ask = {**asked(against, *SIZES[0]), "losses": str(file), "adapter": None, "seed": 0}
    written: str = fleet.ask({**ask, "task": "init"})["adapter"]
    adapter = file.with_name(f"{file.stem}_audit.py")
    adapter.write_text(written)
    return written, fleet.ask({**ask, "adapter": str(adapter), "task": "audit"})


def bare(case: Case) -> str:
    """A file without its adapter, its names exchanged."""
    return renamed(case.text(*SIZES[0])).partition("FACTORS")[0]


@pytest.mark.parametrize("name", ["gan_functions", "vae_functions", "gan_lightning"])
def test_an_adapter_is_found_out(fleet: Fleet, tmp_path: Path, name: str) -> None:
    case = next(c for c in CORRECT if c.name == name)
    file = tmp_path / "mine_own.py"
    file.write_text(bare(case))
    written, answer = started(fleet, file, case.against)
    assert "GAP" not in written.partition('"""\n\n')[2]
    assert said(answer) == case.expected


def test_a_script_whose_loop_stands_at_its_top_is_followed(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    written, answer = started(fleet, file, EXAMPLES / "gan.sg")
    assert "STEP = mine\n" in written
    assert said(answer) == {"phi": ("equal",), "theta": ("equal",)}
    file.write_text(SCRIPT.replace("        opt_d.step()\n", ""))
    assert said(started(fleet, file, EXAMPLES / "gan.sg")[1]) == {"phi": ("not-moved",), "theta": ("equal",)}


def test_what_is_not_found_is_a_gap(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text("import torch\n\ngenerator = torch.nn.Linear(16, 64)\n")
    written, answer = started(fleet, file, EXAMPLES / "gan.sg")
    assert '"p_theta": mine.generator' in written and '"q_phi": ...,  # GAP' in written and '"theta": ...' in written
    assert "still a gap" in answer["error"]

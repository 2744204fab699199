"""docs/catalogue/runs/: what is kept of each run is whole, in reach of its target, and repeated by its own commands."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from benchmarks.figures import OUT, RUNS, met

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / OUT).glob("*.json"))


def test_every_row_is_an_example_with_a_figure_of_its_own() -> None:
    assert set(RUNS) <= {p.stem for p in (ROOT / "examples").glob("*.sg")}
    assert all(row.figures for row in RUNS.values())


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_a_run_that_is_kept(path: Path) -> None:
    run, row = json.loads(path.read_text()), RUNS[path.stem]
    first = run["figures"][0]
    assert first["name"] == row.figures[0] and first["before"] is not None
    assert {f["name"] for f in run["figures"]} >= {name for name, _ in row.targets}
    for command in map(shlex.split, run["command"].splitlines()):
        assert command[:2] in (["schematic", "train"], ["schematic", "evaluate"])
        assert command[1] == "evaluate" or (ROOT / command[2]).is_file()
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert path.with_suffix(".png").stat().st_size < 60_000


@pytest.mark.parametrize("path", KEPT, ids=lambda p: p.stem)
def test_its_figures_reach_their_targets(path: Path) -> None:
    assert not [f["name"] for f in json.loads(path.read_text())["figures"] if not met(f)]

"""What is said of each audited file: nothing against the correct ones, the right thing of the others, names apart.

Here each at one size and seed, and a part of the defects; `python tests/audit/campaign.py` tries all of them at three
sizes over twenty seeds.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from cases import CORRECT, DEFECTS, SIZES, Case, asked, said
from fleet import Fleet
from renaming import foreign, made, renamed


def audited(fleet: Fleet, case: Case, folder: Path, seed: int, size: int, text: str | None = None) -> dict[str, Any]:
    file = folder / f"{case.name}.py"
    file.write_text(text or case.text(*SIZES[size]))
    return fleet.ask(
        {**asked(case.against, *SIZES[size]), "losses": str(file), "adapter": None, "seed": seed, "task": "audit"}
    )


@pytest.mark.parametrize("case", CORRECT, ids=lambda c: c.name)
def test_a_correct_file_passes(fleet: Fleet, case: Case, tmp_path: Path) -> None:
    seed = CORRECT.index(case)
    assert said(audited(fleet, case, tmp_path, seed, seed % len(SIZES))) == case.expected


@pytest.mark.parametrize("case", DEFECTS[::6], ids=lambda c: c.name)
def test_a_defect_is_told(fleet: Fleet, case: Case, tmp_path: Path) -> None:
    assert said(audited(fleet, case, tmp_path, 100, 0)) == case.expected


@pytest.mark.parametrize("case", [*CORRECT[::8], *DEFECTS[2::16]], ids=lambda c: c.name)
def test_names_do_not_count(fleet: Fleet, case: Case, tmp_path: Path) -> None:
    text = renamed(case.text(*SIZES[0]))
    assert said(audited(fleet, case, tmp_path, 0, 0, text)) == case.expected


@pytest.mark.parametrize("case", [*CORRECT, *DEFECTS], ids=lambda c: c.name)
def test_every_name_of_a_file_is_exchanged(case: Case) -> None:
    tree = ast.parse(case.file.read_text())
    assert not made(tree) & foreign(tree)
    assert not made(tree) & made(ast.parse(renamed(case.file.read_text())))


def test_a_difference_has_both_places(fleet: Fleet, tmp_path: Path) -> None:
    case = next(c for c in DEFECTS if c.name == "vae_kl_sign")
    (difference,) = audited(fleet, case, tmp_path, 0, 0)["findings"][0]["differences"]
    file, line = difference["theirs"]
    assert "KLD = " in Path(file).read_text().splitlines()[line - 1]
    path, _, number = difference["place"].rpartition(":")
    assert "q_eta" in Path(path).read_text().splitlines()[int(number) - 1]
    assert "+ KL" in difference["change"]


def test_what_was_written_down_is_enough() -> None:
    """At least twenty-five defects; every model that people write by hand."""
    assert len(DEFECTS) >= 25
    assert {c.name.partition("_")[0] for c in CORRECT} >= {
        "gan",
        "infogan",
        "vae",
        "aae",
        "cvae",
        "iwae",
        "wgan",
        "cyclegan",
    }

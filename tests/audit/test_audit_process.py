"""The user's code in a process of its own: whatever it does, there are words, and its files stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import CORRECT, EXAMPLES, SIZES, asked
from click.testing import CliRunner, Result
from fleet import Fleet

from schematic.cli.main import cli

GAN = EXAMPLES / "gan.sg"
CASE = next(c for c in CORRECT if c.name == "gan_functions")


def error(fleet: Fleet, tmp_path: Path, text: str, task: str = "audit") -> tuple[str, list[object] | None]:
    file = tmp_path / "mine.py"
    file.write_text(text)
    answer = fleet.ask({**asked(GAN, *SIZES[0]), "losses": str(file), "adapter": None, "seed": 0, "task": task})
    assert "internal" not in answer, answer
    return f"{answer['error']} {answer['help']}", answer.get("line")


def test_an_import_that_is_not_there(fleet: Fleet, tmp_path: Path) -> None:
    said, line = error(fleet, tmp_path, "import os\nimport no_such_package\n")
    assert "No module named 'no_such_package'" in said
    assert line is not None and line[1] == 2


def test_a_mistake_of_theirs_has_its_line(fleet: Fleet, tmp_path: Path) -> None:
    text = CASE.text(*SIZES[0]).replace(
        "noise = torch.randn(real.size(0), CODE)", "noise = torch.randn(real.size(0), 3)", 1
    )
    said, line = error(fleet, tmp_path, text)
    assert "your code stopped with RuntimeError" in said
    assert line is not None and "self.main(noise)" in text.splitlines()[int(str(line[1])) - 1]


@pytest.mark.parametrize("text, words", [
    ("raise SystemExit(3)\n", "exit"),
    ("x = (\n", "SyntaxError"),
    ("", "nothing has FACTORS"),
    ("FACTORS = {'p_theta': print}\nLOSSES = {'phi': print}\n", "FACTORS lacks q_phi"),
    ("FACTORS = {'p_theta': print, 'q_phi': ...}\n", "q_phi is still a gap"),
    ("FACTORS = {'p_theta': print, 'q_psi': print}\n", "`q_psi`, which is no factor"),
    ("FACTORS = {'p_theta': print, 'q_phi': print}\n", "neither LOSSES nor STEP"),
])  # fmt: skip
def test_what_is_no_adapter_is_told(fleet: Fleet, tmp_path: Path, text: str, words: str) -> None:
    assert words in error(fleet, tmp_path, text)[0]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *arguments])


def test_the_command_says_what_it_runs_and_writes_nothing_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = CASE.text(*SIZES[0]) + "\nopen('made_here.txt', 'w').write('x')\nprint('hello')\n"
    file.write_text(text)
    found = run(str(file), "--against", str(GAN), "--json")
    assert found.exit_code == 0, found.output
    assert found.stderr.startswith(f"running {file}")
    assert [f["verdict"] for f in json.loads(found.stdout)["findings"]] == ["equal", "equal"]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.py"] and file.read_text() == text


def test_code_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("while True:\n    pass\n")
    found = run(str(file), "--against", str(GAN), "--time", "2")
    assert found.exit_code == 1 and "still running after 2 seconds" in found.stderr


def test_a_process_that_is_gone_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import os\nprint('last words', flush=True)\nos._exit(7)\n")
    found = run(str(file), "--against", str(GAN))
    assert found.exit_code == 1
    assert "exit code 7" in found.stderr and "last words" in found.stderr


def test_usage() -> None:
    assert run(str(GAN)).exit_code == 2

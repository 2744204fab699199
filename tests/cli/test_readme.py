"""The README and the pages keep their word: what they show is what is there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner

from schematic.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]  # docs/catalogue has a test of its own
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def commands(page: Path) -> list[str]:
    """Every `schematic ...` command that a page shows, in fences and in tables."""
    text = page.read_text()
    lines = [line for _, block in FENCED.findall(text) for line in block.splitlines()]
    found = [re.search(r"(?:^|/)(schematic (?!gm)[a-z]+\b.*)", line) for line in lines]
    inline = re.findall(r"`(schematic [a-z]+\b[^`]*)`", text)
    return [m.group(1).strip() for m in found if m] + inline


def test_readme_has_one_training_line_and_one_test_line() -> None:
    blocks = re.findall(r"<!-- (the \w+ line).*?-->\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    lines = dict(blocks)
    assert set(lines) == {"the training line", "the test line"}
    for line in lines.values():
        assert line.count("\n") == 1 and "pip install" in line and "-c constraints.txt" in line


def test_ci_runs_the_readmes_test_line() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (taken,) = re.findall(r"^line=(\$\(.*\))$", script, re.M)
    line = subprocess.run(["bash", "-c", f"echo {taken}"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert line.rstrip().endswith(".venv/bin/pytest -q") and line in (ROOT / "README.md").read_text()
    assert "pip install" not in script


def test_readme_shows_the_files_as_they_are() -> None:
    page = (ROOT / "README.md").read_text()
    for name in ("infogan", "vae"):
        body = re.sub(r"\A(#.*\n)+", "", (ROOT / "examples" / f"{name}.sg").read_text())
        assert f"```\n{body}```" in page


@pytest.mark.parametrize("name", ["infogan", "vae"])
def test_readme_shows_the_objectives_as_they_are(name: str) -> None:
    found = json.loads(CliRunner().invoke(cli, ["derive", str(ROOT / "examples" / f"{name}.sg"), "--json"]).stdout)
    shown = found["objectives"][-1]["text"].replace("|", r"\|")
    assert f"`{shown}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    assert isinstance(cli, Group)
    for line in commands(page):
        _, name, *arguments = shlex.split(line, comments=True)
        command = cli.commands[name]
        known = {option for p in command.params for option in p.opts} | {"--help", "-h"}
        assert {a for a in arguments if re.fullmatch(r"--?[a-z]+", a)} <= known, line


def test_getting_started_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its model compiles, and its Python runs."""
    page = (ROOT / "docs" / "getting-started.md").read_text()
    (first,) = re.findall(r"^```\n(model First .*?)^```$", page, re.M | re.S)
    (interface,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    Path("first.sg").write_text(first)
    Path("infogan.sg").write_bytes((ROOT / "examples" / "infogan.sg").read_bytes())
    exec(interface, {})
    assert Path("vae.svg").is_file()
    assert CliRunner().invoke(cli, ["compile", "first.sg", "-o", "first.py"]).exit_code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_has_examples_that_are_well_formed(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    examples = [line.strip() for line in result.output.splitlines() if line.strip().startswith(f"schematic {name}")]
    assert result.exit_code == 0 and len(examples) >= 2
    known = {option for p in cli.commands[name].params for option in p.opts}
    for line in examples:
        assert {a for a in shlex.split(line) if re.fullmatch(r"--?[a-z]+", a)} <= known, line


@pytest.mark.parametrize("name", ["infogan", "vae"])
def test_readmes_drawings_are_what_render_draws(name: str) -> None:
    """After a change of the drawings: schematic render examples/NAME.sg -o docs/images/NAME.svg"""
    drawn = CliRunner().invoke(cli, ["render", str(ROOT / "examples" / f"{name}.sg")]).stdout_bytes
    assert drawn == (ROOT / "docs" / "images" / f"{name}.svg").read_bytes()

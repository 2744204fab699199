"""`schematic derive` writes what the suffix of its file says, and refuses one that does not fit."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schematic.cli.main import cli

FILE = str(Path(__file__).parents[2] / "examples" / "vae.sg")


def derive(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["derive", FILE, *arguments])


@pytest.mark.parametrize(
    ("name", "begins"),
    [("vae", "VAE"), ("vae.txt", "VAE"), ("vae.tex", "\\documentclass"), ("vae.html", "<!doctype"), ("vae.json", "{")],
)
def test_the_suffix_says_how(name: str, begins: str, tmp_path: Path) -> None:
    path = tmp_path / name
    assert derive("-o", str(path)).exit_code == 0
    assert path.read_text().startswith(begins)


def test_a_fragment_is_the_document_without_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "vae.tex"
    assert derive("--fragment", "-o", str(path)).exit_code == 0
    fragment = path.read_text().rpartition("%")[0]
    assert fragment.startswith("\\section*") and "document" not in fragment
    assert fragment in derive("--latex").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("-o", "vae.pdf"), ".txt, .tex, .html or .json"), (("--latex", "-o", "vae.html"), "the derivation is .tex")],
)
def test_another_suffix_is_refused(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = derive(*arguments)
    assert result.exit_code == 2 and said in result.stderr and not list(tmp_path.iterdir())

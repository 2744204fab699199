"""Every example checks without a finding, is in the formatter's layout, and names its source."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from schematic.cli.main import cli

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))
REQUIRED = ("gan", "infogan", "vae", "vae_direct", "aae", "aavae", "bigan", "ada", "cvae", "cgan")
REQUIRED += ("two_level_vae", "discrete_vae", "binary_vae")


def test_they_are_there() -> None:
    assert set(REQUIRED) <= {e.stem for e in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_it_checks_without_an_error_or_a_warning(example: Path) -> None:
    result = CliRunner().invoke(cli, ["check", str(example)])
    assert result.exit_code == 0 and result.stdout == ""
    assert "error[" not in result.stderr and "warning[" not in result.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_it_is_laid_out(example: Path) -> None:
    assert CliRunner().invoke(cli, ["fmt", "--check", str(example)]).exit_code == 0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_it_names_its_paper_and_its_equation(example: Path) -> None:
    comment = "".join(line for line in example.read_text().splitlines() if line.startswith("#"))
    assert re.search(r"(19|20)\d\d\)|Lemma|AAVAE|VAE:", comment) and re.search(r"Eqs?\. \d+", comment)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_it_compiles(example: Path) -> None:
    result = CliRunner().invoke(cli, ["compile", str(example)])
    assert result.exit_code == 0, result.output
    compile(result.stdout, str(example), "exec")

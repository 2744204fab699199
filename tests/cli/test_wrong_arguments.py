"""What the commands say of arguments that do not fit, each at its place."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schematic.cli.main import cli
from schematic.core.diagnostics import SchematicError

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("names", "place", "said"),
    [
        (("x", "w"), (1, 3), "no variable `w`"),
        (("ww", "x"), (1, 1), "no variable `ww`"),
        (("x", "y"), (1, 3), "the domain indicator"),
        (("x", "x"), (1, 3), "named twice"),
    ],
)
def test_swap_shows_the_variable_that_it_cannot_take(names: tuple[str, str], place: tuple[int, int], said: str) -> None:
    wrong = run("swap", str(EXAMPLES / "infogan.sg"), *names).exception
    assert isinstance(wrong, SchematicError)
    (d,) = wrong.diagnostics
    assert (d.span.source.path, d.span.source.text) == ("swap", " ".join(names))
    assert (d.span.line, d.span.column) == place and said in d.message


def test_relations_tells_which_files_it_leaves_out(tmp_path: Path) -> None:
    for name in ("gan.sg", "infogan.sg"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "nets.sg").write_text("net D = mlp(3)\n")
    (tmp_path / "wrong.sg").write_text("model M {")
    result = run("relations", str(tmp_path))
    assert result.exit_code == 0 and "M without q_eta" in result.stdout
    assert result.stderr.endswith(": nets.sg, wrong.sg\n")


def test_relations_of_a_folder_without_models(tmp_path: Path) -> None:
    result = run("relations", str(tmp_path))
    assert result.exit_code == 1 and result.stdout == "" and "has no file with a model" in result.stderr

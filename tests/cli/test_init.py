"""`schematic init`: examples come out as files that work, and nothing is written over."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schematic.cli.main import cli
from schematic.studies.starting import introduction

EXAMPLES = Path(__file__).parents[2] / "examples"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", *arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.sg")), ids=lambda e: e.stem)
def test_every_example_is_a_starting_point(example: Path, folder: Path) -> None:
    result = init(example.stem)
    written = result.stdout.split()
    assert result.exit_code == 0 and written[0] == example.name
    assert {f.name for f in folder.iterdir()} == set(written)
    assert all((folder / f).read_bytes() == (EXAMPLES / f).read_bytes() for f in written)
    assert CliRunner().invoke(cli, ["check", example.name]).exit_code == 0


def test_without_a_name_it_lists_them(folder: Path) -> None:
    result = init()
    assert result.exit_code == 0 and not list(folder.iterdir())
    assert [line.split()[0] for line in result.stdout.splitlines()] == sorted(e.stem for e in EXAMPLES.glob("*.sg"))
    assert "InfoGAN (Chen et al., 2016)" in result.stdout


def test_nothing_is_written_over(folder: Path) -> None:
    (folder / "infogan.sg").write_text("mine")
    result = init("vae")
    assert result.exit_code == 2 and "`infogan.sg`" in result.stderr and "--force" in result.stderr
    assert [f.name for f in folder.iterdir()] == ["infogan.sg"] and (folder / "infogan.sg").read_text() == "mine"
    assert init("vae", "--force").exit_code == 0
    assert (folder / "infogan.sg").read_bytes() == (EXAMPLES / "infogan.sg").read_bytes()


def test_what_is_there_already_as_it_is_does_no_harm() -> None:
    assert init("infogan").exit_code == 0 and init("vae").exit_code == 0 and init("vae").exit_code == 0


def test_another_name_and_folder(folder: Path) -> None:
    (folder / "models").mkdir()
    result = init("vae", "-o", "models/mine.sg")
    assert result.stdout.split() == ["models/mine.sg", "models/infogan.sg"]
    assert CliRunner().invoke(cli, ["check", "models/mine.sg"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gna",), "did you mean `gan`?"),
        (("qqqqqq",), "`schematic init` lists them"),
        (("vae", "-o", "infogan.sg"), "`vae` uses infogan.sg"),
        (("vae", "-o", "nowhere/vae.sg"), "cannot be written"),
        (("../examples/vae",), "there is no example"),
    ],
)
def test_what_cannot_be_is_told(arguments: tuple[str, ...], said: str, folder: Path) -> None:
    result = init(*arguments)
    assert result.exit_code == 2 and said in result.stderr and not list(folder.iterdir())


def test_an_introduction_is_the_first_comment() -> None:
    assert introduction("# A GAN,\n#\n# small.\nmodel M {}  # no\n# more\n") == "A GAN, small."
    assert introduction("model M {}\n") == ""

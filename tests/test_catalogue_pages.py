"""docs/catalogue/ is what its generator makes of the examples and the runs as they are now."""

import re
from pathlib import Path

import pytest
from latex2mathml.converter import convert

from benchmarks import catalogue

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages() -> dict[Path, str]:
    with pytest.MonkeyPatch.context() as here:
        here.chdir(ROOT)
        return catalogue.pages()


def test_the_pages_are_those_of_the_examples(pages: dict[Path, str]) -> None:
    """After a change of examples, objectives, drawings or programs: python -m benchmarks.catalogue"""
    folder = ROOT / catalogue.FOLDER
    there = {p.relative_to(ROOT) for p in (*folder.glob("*.md"), *folder.glob("images/*.svg"))}
    assert there == pages.keys()
    assert not [str(p) for p, content in pages.items() if (ROOT / p).read_text() != content]


def test_every_example_has_a_page_and_a_row(pages: dict[Path, str]) -> None:
    stems = {file.stem for file in (ROOT / "examples").glob("*.sg")}
    assert {p.stem for p in pages if p.suffix == ".md"} == stems | {"README"}
    assert set(re.findall(r"\]\((\w+)\.md\)<br>", pages[catalogue.FOLDER / "README.md"])) == stems


def test_runs_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks.figures NAME` trains one; a new example brings its own."""
    monkeypatch.chdir(ROOT)
    assert not catalogue.missing_runs()


def test_links_lead_somewhere(pages: dict[Path, str]) -> None:
    for path, content in pages.items():
        for target in re.findall(r"(?:\]\(|src=\"|href=\")(?!https?:)([^)#\"]+)", prose(content)):
            assert (ROOT / path.parent / target).exists(), f"{path}: {target}"


def test_a_table_has_the_cells_of_its_head(pages: dict[Path, str]) -> None:
    for path, content in pages.items():
        for block in re.findall(r"(?:^\|.*\|\n)+", prose(content), re.M):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, path


def test_formulas_are_latex(pages: dict[Path, str]) -> None:
    for path, content in pages.items():
        found = re.findall(r"^```math\n(.*?)^```$", content, re.M | re.S)
        assert found or path.suffix != ".md" or path.stem == "README", path
        for formula in found:
            assert "<math" in convert(formula)
            assert formula.count("{") == formula.count("}") and formula.count(r"\begin") == formula.count(r"\end")


def prose(content: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", content, flags=re.M | re.S)

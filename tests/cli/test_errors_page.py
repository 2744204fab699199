"""docs/errors.md shows every code there is, with exactly the words that `schematic check` prints."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("errors_page", Path(__file__).with_name("errors_page.py"))
assert SPEC is not None and SPEC.loader is not None
errors_page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(errors_page)


def test_the_page_says_what_check_says() -> None:
    """After a change of words: python tests/cli/errors_page.py"""
    assert (ROOT / "docs" / "errors.md").read_text() == errors_page.page()


def test_every_code_has_its_example() -> None:
    known = {c for f in (ROOT / "schematic").rglob("*.py") for c in re.findall(r"\"(SG\d{3})\"", f.read_text())}
    assert known == set(errors_page.codes())

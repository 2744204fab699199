"""docs/errors.md: what `schematic check` says of the files in errors/, one for each code. Run me to write it anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from schematic.compiler import pipeline
from schematic.core.diagnostics import Report, in_order

FOLDER = Path(__file__).parent / "errors"
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
HEAD = """# Diagnostics

Every diagnostic has a stable code, names its place, shows the line, says what is wrong and, where it can, how to
mend it. One run of `schematic check` reports all that it can find; warnings and notes do not make it fail. Here is
each once, as `check` prints it.
"""
PARTS = {
    "SG0": "Reading the text",
    "SG1": "Names and files",
    "SG2": "Types, networks and factors",
    "SG3": "The algebra of models",
    "SG4": "What the arrows mean",
    "SG6": "Not compiled yet",
    "SG9": "Warnings and notes",
}


def said(file: str) -> list[tuple[str, str]]:
    """What `check` says of a file: each finding's code and text, by place. Paths are as in the current folder."""
    report = Report()
    pipeline.check(Path(file), report)
    return [(d.code, d.render()) for d in in_order(report)]


def codes() -> list[str]:
    """The codes that the page shows, each by a file of its own (SG032 by one that is not there)."""
    return sorted({f.stem for f in FOLDER.glob("SG*.sg")} | {"SG032"})


def page() -> str:
    """The whole page."""
    here = os.getcwd()
    os.chdir(FOLDER)
    try:
        found = {code: dict(reversed(said(f"{code}.sg"))) for code in codes()}
    finally:
        os.chdir(here)
    shown = {code: texts.get(code, f"{code}.sg gives {', '.join(texts) or 'nothing'}") for code, texts in found.items()}
    lines = [HEAD]
    for start, title in PARTS.items():
        lines.append(f"## {title}\n")
        lines += [f"### {code}\n\n```\n{text}\n```\n" for code, text in shown.items() if code.startswith(start)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page()) == 0)

"""The audited files, what each is held against, and what must be said of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from schematic.audit.question import question
from schematic.core.diagnostics import Report
from schematic.graph.build import load

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
SIZES = ((16, 8), (6, 4), (11, 6))  # of the code, and of a side of the image; the first is the files' own
VARIABLES = {"x": "image"}

Said = dict[str, tuple[str, ...]]
Data = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A file with its header: `# against`, `# expect GROUPS VERDICT; ...`."""

    file: Path
    against: Path
    expected: Said

    @property
    def name(self) -> str:
        return self.file.stem

    def text(self, code: int, side: int) -> str:
        """The file at a size."""
        return re.sub(r"\b16, 8\b", f"{code}, {side}", self.file.read_text(), count=1)


def case(file: Path) -> Case:
    lines = dict(line[2:].split(" ", 1) for line in file.read_text().splitlines()[:2])
    folder = HERE if (HERE / lines["against"]).is_file() else EXAMPLES
    said = (part.split(maxsplit=1) for part in lines["expect"].split(";"))
    return Case(file, folder / lines["against"], {groups: tuple(sorted(kinds.split())) for groups, kinds in said})


CORRECT = [case(f) for f in sorted((HERE / "correct").glob("*.py"))]
DEFECTS = [case(f) for f in sorted((HERE / "defects").glob("*.py"))]


@cache
def asked(against: Path, code: int, side: int) -> Data:
    """The question about a model at a size."""
    restate = f'x : unit(1, {side}, {side}) = data("image") z : real({code}) ~ Normal(0, 1)'
    if "cyclegan" in against.name:
        text = against.read_text().replace("8, 8", f"{side}, {side}").replace("19.2", str(3 * side**2 / 10))
        from schematic.graph.build import parse

        found = parse(text, Report())
    else:
        found = load(against, Report(), restate=None if (code, side) == SIZES[0] else restate)
    assert found is not None
    return question(found)


def said(answer: Data) -> Said:
    """The kinds of an answer, by the groups of each update."""
    if "findings" not in answer:
        return {"": (str(answer.get("error") or answer.get("internal")) + str(answer.get("traceback", "")),)}
    return {",".join(f["groups"]): kinds(f) for f in answer["findings"]}


def kinds(finding: Data) -> tuple[str, ...]:
    if finding["verdict"] in ("equal", "not audited"):
        return (finding["verdict"],)
    return tuple(sorted(d["kind"].replace(" ", "-") for d in finding["differences"]))

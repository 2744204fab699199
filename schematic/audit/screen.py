"""The verdicts as text for a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

Data = dict[str, Any]


def text(name: str, answer: Data, updates: Sequence[Data]) -> str:
    """One paragraph a group: the verdict, then each difference with both places and the cure."""
    return "\n".join(line for f in answer["findings"] for line in paragraph(f)) + "\n" + _order(answer, updates)


def paragraph(f: Data) -> Iterator[str]:
    """The lines of one update's finding."""
    factor = f" up to a factor: {f['factor_words']}" if f["factor_words"] else ""
    head = {
        "equal": f"equal{factor}",
        "differs": "differs" + (f" (and everything is there {f['factor_words']})" if f["factor_words"] else ""),
        "unexplained": "differs",
        "not audited": "not audited",
    }[f["verdict"]]
    yield f"{', '.join(f['groups'])}: {head}"
    for d in f["differences"]:
        yield f"  {d['words']}"
        if d["theirs"]:
            yield f"    yours     {place(*d['theirs'])}"
        if d["place"]:
            yield f"    derived   {os.path.relpath(d['place'].rpartition(':')[0])}:{d['place'].rpartition(':')[2]}"
        if d["change"]:
            yield f"    change    {d['change']}"
    for note in f["notes"]:
        yield f"  note: {note}"


def place(file: str, line: int) -> str:
    """A line of the user's: where, and what stands there."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            code = opened.read().splitlines()[line - 1].strip()
    except (OSError, IndexError):
        code = ""
    return f"{os.path.relpath(file)}:{line}" + (f"  {code}" if code else "")


def _order(answer: Data, updates: Sequence[Data]) -> str:
    steps = [", ".join(s) for s in answer["order"] if s]
    if not steps:
        return ""
    derived = "; ".join(", ".join(u["groups"]) for u in updates)
    return f"order of the optimizers' steps: {'; '.join(steps)} (the file's: {derived})\n"

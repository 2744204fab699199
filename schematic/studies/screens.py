"""A difference as one screen of text, and as data for a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from textwrap import wrap

from schematic.calculus.terms import Summand
from schematic.calculus.text import VULGAR, lines
from schematic.core.names import greek
from schematic.studies.changes import Change
from schematic.studies.compare import Difference, ObjectiveChange, TermChange
from schematic.studies.objectives import Number, formula

WIDTH = 100


def difference_text(left: str, right: str, found: Difference) -> str:
    """What `schematic diff` prints: `-` is the left model's, `+` the right one's; `left`, `right` are their names."""
    out = [f"- {left}", f"+ {right}"]
    if found.renamed:
        out += wrapped("in the right one's names: " + renamed_text(found.renamed), "  ")
    counted = [c for c in found.changes if not c.aside]
    if not counted:
        out += ["", "The drawings are one and the same" + (" but for names" if found.renamed else "")]
    for title, kinds in (("Readings", "reading"), ("Variables", "variable"), ("Arrows", "arrow")):
        out += section(title, change_lines([c for c in counted if c.kind == kinds]))
    out += section("Assumptions", _assumptions(found))
    out += section("Objectives, maximized", _objectives(found))
    aside = (line for c in found.changes if c.aside for line in wrapped(f"{c.name}: {'; '.join(c.words)}", "  "))
    out += section("Beside the model: event shapes, fields, networks", aside)
    return "\n".join([*out, ""])


def section(title: str, body: Iterable[str]) -> list[str]:
    """A titled part of a screen; nothing if it is empty."""
    found = list(body)
    return ["", title, *found] if found else []


def wrapped(said: str, lead: str, hang: str = "  ") -> list[str]:
    return wrap(said, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead) + hang, break_long_words=False)


def renamed_text(names: Iterable[tuple[str, str]]) -> str:
    """Old names and new ones: `image is x, dec is θ`."""
    return ", ".join(f"{a} is {b}" for a, b in names)


def change_lines(changes: Sequence[Change]) -> Iterator[str]:
    """Each change on two lines, `-` and `+`, or on one where a side is empty."""
    width = max((len(c.name) for c in changes), default=0)
    for c in changes:
        if c.left:
            yield from wrapped(c.left, f"  {c.name:<{width}}  - ")
        if c.right:
            yield from _right(c, width)


def _right(c: Change, width: int) -> Iterator[str]:
    """What the right model has, and what changes."""
    whole = f"  {'' if c.left else c.name:<{width}}  + {c.right}"
    told = "; ".join(c.words) if c.left else ""
    if not told or len(whole) + 3 + len(told) <= WIDTH:
        yield f"{whole}   {told}".rstrip()
    else:
        yield whole
        yield from wrapped(told, " " * (width + 8))


def _assumptions(found: Difference) -> Iterator[str]:
    for mark, said in (("-", found.only_left), ("+", found.only_right)):
        for line in said:
            yield from wrapped(line, f"  {mark} ")


# --- objectives -------------------------------------------------------------------------------------------------


def _objectives(found: Difference) -> Iterator[str]:
    for mark, why in (("-", found.no_left), ("+", found.no_right)):
        if why:
            yield from wrapped(f"none derived: {why}", f"  {mark} ")
    for change in found.objectives:
        yield from _objective(change)


def _objective(change: ObjectiveChange) -> Iterator[str]:
    name = ", ".join(map(greek, change.groups))
    if not change.left or not change.right:
        beside = f", with {', '.join(map(greek, change.beside))}" if change.beside else ""
        yield f"  {name}: " + ("is trained too" if change.right else "is not trained any more") + beside
    elif change.factor is not None:
        yield f"  {name}: " + ("the same" if change.factor == 1 else f"the same, times {number(change.factor)}")
        return
    else:
        yield f"  {name}:"
    for term in sorted(change.terms, key=lambda t: t.right is not None):  # what goes, then what stays and comes
        yield from _term(term)


def _term(term: TermChange) -> Iterator[str]:
    match term:
        case TermChange("rescaled", Summand() as a, Summand() as b):
            yield from _formula(b, "*", f"rescaled, times {number(b.scale / a.scale)}")
        case TermChange("reversed", Summand() as a, Summand() as b):
            yield from _formula(a, "-", "")
            yield from _formula(b, "+", "reversed")
        case TermChange("same", _, Summand() as b):
            yield from _formula(b, " ", "")
        case TermChange(left=Summand() as a, right=None):
            yield from _formula(a, "-", "")
        case TermChange(right=Summand() as b):
            yield from _formula(b, "+", "")


def _formula(s: Summand, mark: str, words: str) -> Iterator[str]:
    first, *rest = lines(formula(s), WIDTH - 6 - (len(words) + 3 if words else 0))
    last = f"   ({words})" if words else ""
    yield f"    {mark} {first}" + ("" if rest else last)
    yield from (f"      {line}" + (last if n == len(rest) else "") for n, line in enumerate(rest, 1))


def number(value: Number) -> str:
    """A factor as the calculus writes it: ½, 2, 0.1."""
    if isinstance(value, Fraction):
        return VULGAR.get((value.numerator, value.denominator), str(value))
    return f"{value:g}"

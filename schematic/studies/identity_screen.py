"""An identity as text."""

from __future__ import annotations

from collections.abc import Iterator

from schematic.core.names import greek
from schematic.studies.identify import Equal, Identity, Near
from schematic.studies.moves import expression
from schematic.studies.screens import change_lines, number, section, wrapped


def identity_text(name: str, found: Identity) -> str:
    """What `schematic identify` prints of a model of this name."""
    out = list(_near(name, found.near)) if found.near is not None else [f"{name} is no known model: none is known"]
    out += section("Equal objectives, other drawing", (_equal(e) for e in found.equal))
    out += section("It is the sum of", _parts(found))
    return "\n".join([*out, ""])


def _near(name: str, near: Near) -> Iterator[str]:
    said = expression(near.known.name, near.moves)
    by = f", by {counted(len(near.moves), 'move')}" if near.moves else ""
    if near.exact:
        yield f"{name} is {said} ({near.known.file}){by}"
    else:
        differ = counted(near.distance - len(near.moves), "difference")
        by = f"{by} and {differ}" if by else f", by {differ}"
        yield f"{name} is no known model. The nearest is {said} ({near.known.file}){by}"
    names = near.match
    renamed = [f"{a} is {b}" for a, b in names.variables.items() if a != b]
    renamed += [f"{greek(a)} is {greek(b)}" for a, b in names.groups.items() if a != b]
    if renamed:
        yield from wrapped("where " + ", ".join(renamed), "  ")
    yield from section(f"- {said}   + {name}", change_lines(near.changes))


def _equal(equal: Equal) -> str:
    times = dict.fromkeys(equal.ratios)
    by = "" if set(times) == {1} else f", times {', '.join(map(number, times))}"
    return f"  {equal.known.name} ({equal.known.file}){by}"


def _parts(found: Identity) -> Iterator[str]:
    for place, (weight, name, part) in enumerate(found.parts, 1):
        term = name or f"term {place}"
        text = identity_text(f"{weight:g} * {term}" if weight != 1 else term, part)
        yield from (f"  {line}".rstrip() for line in text.rstrip().splitlines())


def counted(number: int, what: str) -> str:
    """`1 move`, `2 moves`."""
    return f"{number} {what}{'' if number == 1 else 's'}"

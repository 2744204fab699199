"""Terms as Unicode text for a terminal, in the paper's notation."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import assert_never

from schematic.calculus.layout import Join, Mark, Name, Number, Row, Script, Token, layout, layout_density
from schematic.calculus.terms import Density, Term
from schematic.core.names import greek

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
VULGAR = {(1, 2): "½", (1, 3): "⅓", (2, 3): "⅔", (1, 4): "¼", (3, 4): "¾", (1, 5): "⅕", (1, 6): "⅙", (1, 8): "⅛"}
INDENT = "  "


def text(term: Term) -> str:
    """A term on one line: `½ E_{z ~ p(z), x = G_θ(z)}[log q_φ(y=1 | x)]`."""
    return _row(layout(term))


def density_text(density: Density) -> str:
    """A density as it stands in a formula: `q_η(z | x, y=0)`."""
    return _row(layout_density(density))


def lines(term: Term, width: int = 100) -> tuple[str, ...]:
    """A term on lines of at most `width` columns where its sums allow: broken before a sign, the outermost first."""
    return tuple(_row(part, lead) for lead, part in broken(layout(term), width))


def broken(row: Row, width: int) -> tuple[tuple[str, Row], ...]:
    """The row in pieces, each with its indentation, that as text are no wider than `width` where they can be broken."""
    first = row[0] if row else None
    lead = INDENT * first.depth if isinstance(first, Join) else ""
    places = [i for i, t in enumerate(row) if i and isinstance(t, Join)]
    if len(_row(row, lead)) <= width or not places:
        return ((lead, row),)
    outermost = min(t.depth for t in row[1:] if isinstance(t, Join))
    starts = [0, *(i for i in places if isinstance(t := row[i], Join) and t.depth == outermost), len(row)]
    return tuple(found for a, b in pairwise(starts) for found in broken(row[a:b], width))


def _row(row: Row, lead: str = "") -> str:
    written = "".join(_token(t) for t in row)
    return lead + (written.lstrip() if row and isinstance(row[0], Join) else written)


def _token(token: Token) -> str:
    match token:
        case Mark(written, _):
            return written
        case Name(name, _, at0):
            return name_text(name) + (("," if name[-1:].isdigit() else "") + "₀" if at0 else "")
        case Number(value):
            return _number(value)
        case Join(sign, _):
            return f" {sign} "
        case Script(row, wide):
            inside = _row(row)
            return f"_{{{inside}}}" if wide else f"_{inside}"
        case _:
            assert_never(token)


def name_text(name: str) -> str:
    """theta as θ, theta1 as θ₁; x_1 and z[3] as they are."""
    stem, digits = stem_and_digits(name)
    return greek(stem) + digits.translate(SUBSCRIPTS)


def stem_and_digits(name: str) -> tuple[str, str]:
    """theta1 as theta and 1: letters alone take their digits as an index."""
    stem = name.rstrip("0123456789")
    return (stem, name[len(stem) :]) if stem.isalpha() else (name, "")


def _number(value: Fraction | float) -> str:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        return VULGAR.get((value.numerator, value.denominator), f"({value})")
    return f"{value:g}" if value == float(f"{value:g}") else repr(value)

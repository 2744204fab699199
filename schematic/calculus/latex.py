"""Terms as LaTeX, for amsmath with amssymb, and for ziamath: the tokens of the text, spelled otherwise."""

from __future__ import annotations

import re
from collections.abc import Set
from fractions import Fraction
from typing import assert_never

from schematic.calculus.layout import Join, Mark, Name, Number, Row, Script, Token, layout, layout_density
from schematic.calculus.terms import Density, Term
from schematic.calculus.text import INDENT, broken, stem_and_digits
from schematic.core.names import GREEK

PLAIN: frozenset[str] = frozenset()


def latex(term: Term, bold: Set[str] = PLAIN) -> str:
    r"""A term as one LaTeX formula: `\frac{1}{2}\,\mathbb{E}_{z\sim p(z)}[\log q_{\phi}(y=1\mid x)]`.

    bold: the variables that are set as vectors.
    """
    return _row(layout(term), bold)


def density_latex(density: Density, bold: Set[str] = PLAIN) -> str:
    r"""A density as it stands in a formula: `q_{\eta}(z\mid x,\,y=0)`."""
    return _row(layout_density(density), bold)


def latex_lines(term: Term, width: int = 100, bold: Set[str] = PLAIN) -> tuple[str, ...]:
    """One formula a line, broken where `text.lines` breaks at this many columns, indented by quads."""
    pieces = broken(layout(term), width)
    return tuple(r"\quad " * (len(lead) // len(INDENT)) + _row(row, bold) for lead, row in pieces)


def name_latex(name: str, bold: bool = False, at0: bool = False) -> str:
    r"""theta as \theta, at theta_0 as \theta_{0}; z1 as z_{1}, z[3] as z_{3}, y' as y', label as \mathrm{label}."""
    if name.endswith("'"):
        return name_latex(name[:-1], bold) + "'"
    if chain := re.fullmatch(r"(\w+)\[(.*)\]", name):
        return f"{name_latex(chain[1], bold)}_{{{chain[2]}}}"
    stem, digits = stem_and_digits(name)
    if stem in GREEK:
        letter = "o" if stem == "omicron" else "\\" + stem
        base = rf"\boldsymbol{{{letter}}}" if bold else letter
    elif len(stem) == 1:
        base = rf"\mathbf{{{stem}}}" if bold else stem
    else:
        base = rf"\{'mathbf' if bold else 'mathrm'}{{{_escaped(stem)}}}"
    index = ",".join(i for i in (digits, "0" if at0 else "") if i)
    return f"{base}_{{{index}}}" if index else base


def _escaped(word: str) -> str:
    return re.sub(r"([_%#&${}])", r"\\\1", word)


def _row(row: Row, bold: Set[str]) -> str:
    """A row that opens with the sign between two summands keeps its spacing."""
    opening = "{}" if row and isinstance(row[0], Join) else ""
    return opening + "".join(_token(t, bold) for t in row)


def _token(token: Token, bold: Set[str]) -> str:
    match token:
        case Mark(_, written):
            return written
        case Name(name, variable, at0):
            return name_latex(name, variable and name in bold, at0)
        case Number(value):
            return _number(value)
        case Join(sign, _):
            return " - " if sign == "−" else " + "
        case Script(row, _):
            return f"_{{{_row(row, bold)}}}"
        case _:
            assert_never(token)


def _number(value: Fraction | float) -> str:
    if isinstance(value, Fraction):
        whole = value.denominator == 1
        return str(value.numerator) if whole else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    mantissa, _, exponent = f"{value!r}".partition("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}" if exponent else mantissa

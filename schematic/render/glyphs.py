"""Formulas as outlines: LaTeX to filled paths, by ziamath; no reader needs a font."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

Command = tuple[str, tuple[float, ...]]
"""One command of an outline: M, L, Q, C with absolute coordinates, Z with none."""


@dataclass(frozen=True)
class Formula:
    """A typeset formula: its outline, and its extent around the origin at the left end of its base line."""

    outline: tuple[Command, ...]
    left: float
    top: float
    width: float
    height: float


@contextmanager
def plain_paths() -> Iterator[None]:
    """ziamath draws `path`s in place of `symbol`s and `use`s; what others set stays as it was."""
    from ziamath.config import config

    before = config.svg2
    config.svg2 = False
    try:
        yield
    finally:
        config.svg2 = before


@cache
def formula(tex: str, size: float) -> Formula:
    """Typesets LaTeX at a font size in pixels."""
    from ziamath.zmath import Latex

    with plain_paths():
        math = Latex(tex, size=size)
        canvas = ElementTree.Element("svg")
        math.drawon(canvas)
    box = math.node.bbox
    outline = tuple(c for element in canvas.iter() for c in _commands(element))
    return Formula(outline, box.xmin, -box.ymax, box.xmax - box.xmin, box.ymax - box.ymin)


def _commands(element: ElementTree.Element) -> Iterator[Command]:
    if element.tag == "path":
        for letter, numbers in re.findall(r"([MLQCZ])([^MLQCZ]*)", element.get("d", "")):
            yield letter, tuple(float(n) for n in numbers.replace(",", " ").split())
    elif element.tag == "rect":
        x, y, w, h = (float(element.get(k, "0")) for k in ("x", "y", "width", "height"))
        yield from (("M", (x, y)), ("L", (x + w, y)), ("L", (x + w, y + h)), ("L", (x, y + h)), ("Z", ()))

"""What a model shows in a notebook: its drawing, and its objectives under it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from schematic.calculus.terms import Objective
from schematic.calculus.text import text
from schematic.core.names import greek
from schematic.graph.model import AnyModel
from schematic.render.derivation import display_latex, loss_latex, vectors
from schematic.render.drawing import svg


def bundle(model: AnyModel, objectives: Sequence[Objective] = ()) -> dict[str, str]:
    """A MIME bundle for `_repr_mimebundle_`: SVG, HTML with mathematics that notebooks typeset, and plain text."""
    drawing, bold = svg(model), vectors(model)
    formulas = [display_latex(o.term, bold, f"{loss_latex(o.groups)} = ") for o in objectives]
    plain = [f"{', '.join(map(greek, o.groups))}: {text(o.term)}" for o in objectives]
    return {
        "image/svg+xml": drawing,
        "text/html": "\n".join([drawing, *(rf"<p>$\displaystyle {escape(f, quote=False)}$</p>" for f in formulas)]),
        "text/plain": "\n".join([model.name, *plain]),
    }

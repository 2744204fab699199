"""Drawings of models: SVG, PNG, PDF, DOT, TikZ. Nothing has to be installed but Python packages; no torch."""

from __future__ import annotations

from pathlib import Path

from schematic.graph.model import AnyModel
from schematic.render import dot as dots
from schematic.render import pdf as pdfs
from schematic.render import svg as svgs
from schematic.render import tikz as tikzes
from schematic.render.scene import scene

FORMATS = (".svg", ".png", ".pdf", ".dot", ".tex")


def svg(model: AnyModel) -> str:
    """The drawing as SVG, with the colours of light and of dark pages."""
    return svgs.write(scene(model))


def png(model: AnyModel, scale: float = 2.0) -> bytes:
    """The drawing as PNG on white, `scale` pixels a CSS pixel."""
    import resvg_py

    text = svgs.write(scene(model), dark=False)
    return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=scale, background="#ffffff"))


def pdf(model: AnyModel) -> bytes:
    """The drawing as a one-page PDF of vectors."""
    return pdfs.write(scene(model))


def dot(model: AnyModel) -> str:
    """The graph in Graphviz's language, its nodes pinned where `svg` draws them."""
    return dots.write(model)


def tikz(model: AnyModel) -> str:
    """The drawing as a TikZ picture, to be set in the letters of the paper that it goes into."""
    return tikzes.write(scene(model))


def render(model: AnyModel, path: str | Path, *, scale: float = 2.0) -> Path:
    """Writes the drawing in the format of the file's suffix and returns the path.

    Raises: ValueError for a suffix that is not in FORMATS.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".svg":
            content = svg(model).encode()
        case ".png":
            content = png(model, scale)
        case ".pdf":
            content = pdf(model)
        case ".dot":
            content = dot(model).encode()
        case ".tex":
            content = tikz(model).encode()
        case other:
            raise ValueError(f"no drawing is written as `{other or path.name}`; formats: {', '.join(FORMATS)}")
    path.write_bytes(content)
    return path

"""Drawings of models: SVG, PNG, PDF, DOT, TikZ. Nothing has to be installed but Python packages; no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from schematic.graph.model import AnyModel

Format = Literal["svg", "png", "pdf", "dot", "tex"]
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf", "dot", "tex")


def svg(model: AnyModel, *, dark: bool = True) -> str:
    """The drawing as SVG; `dark` adds the colours of dark pages."""
    from schematic.render.scene import scene
    from schematic.render.svg import write

    return write(scene(model), dark=dark)


def png(model: AnyModel, scale: float = 2.0) -> bytes:
    """The drawing as PNG on white, `scale` pixels a CSS pixel."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg(model, dark=False), zoom=scale, background="#ffffff"))


def pdf(model: AnyModel) -> bytes:
    """The drawing as a one-page PDF of vectors."""
    from schematic.render.pdf import write
    from schematic.render.scene import scene

    return write(scene(model))


def dot(model: AnyModel) -> str:
    """The graph in Graphviz's language, its nodes pinned where `svg` draws them."""
    from schematic.render.dot import write

    return write(model)


def tikz(model: AnyModel) -> str:
    """The drawing as a TikZ picture, to be set in the letters of the paper that it goes into."""
    from schematic.render.scene import scene
    from schematic.render.tikz import write

    return write(scene(model))


def draw(model: AnyModel, kind: Format = "svg", *, scale: float = 2.0) -> str | bytes:
    """The drawing in a format; text for svg, dot and tex.

    Raises: ValueError for a format that is not in FORMATS.
    """
    match kind:
        case "svg":
            return svg(model)
        case "png":
            return png(model, scale)
        case "pdf":
            return pdf(model)
        case "dot":
            return dot(model)
        case "tex":
            return tikz(model)
        case _:
            raise ValueError(f"`{kind}` is no format of a drawing; formats: {', '.join(FORMATS)}")


def render(model: AnyModel, path: str | Path, *, scale: float = 2.0) -> Path:
    """Writes the drawing in the format of the file's suffix, all or nothing, and returns the path.

    Raises: ValueError for a suffix that is no format.
    """
    from tempfile import mkstemp

    path = Path(path)
    found = draw(model, path.suffix.lower().removeprefix("."), scale=scale)  # type: ignore[arg-type]
    handle, partly = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(found.encode() if isinstance(found, str) else found)
        os.chmod(partly, 0o644)
        os.replace(partly, path)
    except BaseException:
        os.unlink(partly)
        raise
    return path

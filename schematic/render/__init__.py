"""Floor 4: drawings of a model (SVG, PNG, PDF, DOT, TikZ), its derivation as text, LaTeX and HTML, notebooks."""

from schematic.render.drawing import draw, render

__all__ = ["draw", "render"]

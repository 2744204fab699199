"""A scene as a TikZ picture: the same outlines, with the formulas left to LaTeX."""

from __future__ import annotations

from schematic.render.glyphs import Command
from schematic.render.scene import DASH, Scene, Shape, Text
from schematic.render.svg import LIGHT, number


def write(scene: Scene) -> str:
    """A `tikzpicture` that needs the packages tikz, amsmath and amssymb."""
    colours = [rf"\definecolor{{sg{k}}}{{HTML}}{{{v[1:].upper()}}}" for k, v in LIGHT.items()]
    body = [_item(item) for group in scene.groups for item in group.items]
    head = r"\begin{tikzpicture}[x=0.75bp, y=-0.75bp, line cap=round, line join=round]"
    return "\n".join([f"% {scene.title}", *colours, head, *(f"  {line}" for line in body), r"\end{tikzpicture}", ""])


def _item(item: Shape | Text) -> str:
    match item:
        case Text(ink=ink, tex=tex, center=(x, y)):
            return rf"\node[text=sg{ink}, inner sep=0pt] at ({number(x)},{number(y)}) {{${tex}$}};"
        case Shape(outline, stroke, fill, width, dashed):
            options = [f"draw=sg{stroke}", f"line width={number(width * 0.75)}bp"] if stroke else []
            options += [f"fill=sg{fill}"] if fill else []
            on, off = (number(d * 0.75) for d in DASH)
            options += [f"dash pattern=on {on}bp off {off}bp", "line cap=butt"] if dashed else []
            return rf"\path[{', '.join(options)}] {_path(outline)};"


def _path(outline: tuple[Command, ...]) -> str:
    return " ".join(_command(letter, values) for letter, values in outline)


def _command(letter: str, values: tuple[float, ...]) -> str:
    points = [f"({number(x)},{number(y)})" for x, y in zip(values[::2], values[1::2], strict=True)]
    match letter:
        case "M":
            return points[0]
        case "L":
            return f"-- {points[0]}"
        case "C":
            return f".. controls {points[0]} and {points[1]} .. {points[2]}"
        case _:
            return "-- cycle"

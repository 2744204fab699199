"""A scene as SVG, for light and dark pages: colours are classes that a media query turns around."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from schematic.render.glyphs import Command
from schematic.render.scene import DASH, Group, Scene, Shape, Text

LIGHT = {"ink": "#000000", "blue": "#1f4fd8", "page": "#ffffff", "shade": "#d0d0d0"}
DARK = {"ink": "#e8e8e8", "blue": "#7da2ff", "page": "#16181d", "shade": "#565c68"}


def write(scene: Scene, *, dark: bool = True) -> str:
    """SVG text, the same bytes everywhere. `dark` adds the colours of dark pages."""
    box = scene.extent
    width, height = number(box.right - box.left), number(box.bottom - box.top)
    view = f"{number(box.left)} {number(box.top)} {width} {height}"
    name = escape(scene.title)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="{view}" role="img"'
    lines = [f'{head} aria-label="{name}">', f"<title>{name}</title>"]
    if dark:
        lines.append(f"<style>{_style()}</style>")
    lines += [line for group in scene.groups for line in _group(group)]
    return "\n".join([*lines, "</svg>", ""])


def _style() -> str:
    """Attributes say the light colours; in the dark these rules overrule them."""
    rules = " ".join(f".s-{k}{{stroke:{v}}} .f-{k}{{fill:{v}}}" for k, v in DARK.items())
    return f"@media (prefers-color-scheme: dark){{{rules}}}"


def _group(group: Group) -> list[str]:
    return [f'<g class="{group.kind}"><title>{escape(group.title)}</title>', *map(_item, group.items), "</g>"]


def _item(item: Shape | Text) -> str:
    match item:
        case Text(outline, ink, said, _, _):
            attributes = f'role="img" aria-label="{escape(said)}" class="f-{ink}" fill="{LIGHT[ink]}"'
            return f'<path {attributes} d="{path(outline)}"/>'
        case Shape(outline, stroke, fill, width, dashed):
            names = " ".join(f"{k}-{ink}" for k, ink in (("s", stroke), ("f", fill)) if ink)
            colours = f'stroke="{LIGHT[stroke]}" stroke-width="{number(width)}"' if stroke else 'stroke="none"'
            dash = f' stroke-dasharray="{number(DASH[0])} {number(DASH[1])}"' if dashed else ""
            inside = LIGHT[fill] if fill else "none"
            return f'<path class="{names}" {colours} fill="{inside}"{dash} d="{path(outline)}"/>'


def path(outline: Sequence[Command]) -> str:
    return " ".join(" ".join((letter, *map(number, values))) for letter, values in outline)


def number(value: float) -> str:
    """Two decimals, no trailing zeros, no negative zero."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")

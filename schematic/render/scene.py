"""A drawing as shapes on a page: what the writers of SVG, PDF and TikZ print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from schematic.graph.model import AnyModel, Model, Sum
from schematic.render.geometry import Arc, Box, Point, around, moved, normal, unit
from schematic.render.glyphs import Command, Formula, formula
from schematic.render.picture import Arrow, Picture, picture
from schematic.render.places import SPACING, places
from schematic.render.routes import RADIUS, Disc, Layout, Size, Wire, layout

Ink = Literal["ink", "blue", "page", "shade"]
"""Colours by what they are for: lines and letters, adversarial, latent nodes, visible nodes."""

NAME_SIZE = 24.0
LABEL_SIZE = 17.0
MARGIN = 14.0
DASH = (7.0, 4.5)


@dataclass(frozen=True)
class Shape:
    """An outline, stroked, filled or both."""

    outline: tuple[Command, ...]
    stroke: Ink | None = None
    fill: Ink | None = None
    width: float = 0.0
    dashed: bool = False


@dataclass(frozen=True)
class Text:
    """A formula: its glyphs, placed around their middle, their LaTeX, and what a screen reader says."""

    outline: tuple[Command, ...]
    ink: Ink
    said: str
    tex: str
    center: Point


@dataclass(frozen=True)
class Group:
    """What belongs together on the page: a node, or a factor with its arrows and its label."""

    kind: Literal["node", "factor", "sign"]
    title: str
    items: tuple[Shape | Text, ...]


@dataclass(frozen=True)
class Scene:
    """A page: its extent and what is on it, from back to front."""

    title: str
    extent: Box
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Panel:
    """One model of a drawing: what it says, where that is, and its extent; `sign` stands before a term of a sum."""

    model: Model
    picture: Picture
    layout: Layout
    extent: Box
    sign: str = ""


def scene(model: AnyModel) -> Scene:
    """Draws a model; of a sum, every term in a panel of its own, with its weight before it."""
    groups: list[Group] = []
    extents: list[Box] = []
    edge = 0.0
    for panel in panels(model):
        if panel.sign:
            drawn = formula(panel.sign, NAME_SIZE)
            center = edge + drawn.width / 2, 0.0
            groups.append(Group("sign", panel.sign, (_text(drawn, panel.sign, panel.sign, center, "ink"),)))
            edge += drawn.width + MARGIN
            extents.append(Box(center[0] - drawn.width / 2, -NAME_SIZE, edge, NAME_SIZE))
        shift = (edge - panel.extent.left, 0.0) if isinstance(model, Sum) else (0.0, 0.0)
        groups += [_shifted(g, shift) for g in _groups(panel)]
        extents.append(_box_shifted(panel.extent, shift))
        edge = extents[-1].right + MARGIN
    whole = around(extents)
    return Scene(
        model.name, Box(*(round(v) + 0.0 for v in (whole.left, whole.top, whole.right, whole.bottom))), tuple(groups)
    )


def panels(model: AnyModel) -> tuple[Panel, ...]:
    """A model, or the terms of a sum, each laid out around the origin."""
    match model:
        case Model():
            return (_panel(model, ""),)
        case Sum(_, terms):
            return tuple(_panel(m, _sign(weight, first=i == 0)) for i, (weight, m) in enumerate(terms))


def _sign(weight: float, first: bool) -> str:
    times = "" if weight == 1 else rf"{weight:g}\,\times"
    return times if first else rf"+\;{times}" if times else "+"


def _panel(model: Model, sign: str) -> Panel:
    drawn = picture(model)
    names = [formula(n.tex, NAME_SIZE) for n in drawn.nodes]
    labels = [formula(n.tex, LABEL_SIZE) for n in drawn.labels]
    # Data stand to the right: the order in which a generator's arrows are read.
    rightward = [1.0 if v.data is not None else 0.0 for v in model.variables]
    spots = places(len(names), drawn.pairs, drawn.anchor, rightward)
    reaches = [max(0.0, f.width / 2 + 9 - RADIUS) for f in names]
    # Long names are wide nodes: columns stand so much farther apart.
    stretch = 1 + 2 * max(reaches) / SPACING
    discs = [Disc((round(x * stretch, 1), y), reach) for (x, y), reach in zip(spots, reaches, strict=True)]
    wires = [Wire(a.source, a.target, a.factor) for a in drawn.arrows]
    found = layout(discs, wires, [Size(f.width, f.height) for f in labels])
    return Panel(model, drawn, found, _extent(found), sign)


def _groups(panel: Panel) -> list[Group]:
    factors = [_factor(panel, number) for number in range(len(panel.picture.labels))]
    return factors + [_node(panel, number) for number in range(len(panel.picture.nodes))]


def _extent(found: Layout) -> Box:
    """The page: it leaves the nodes room for arcs, so that a model's moves are mostly on pages of one size."""
    nodes = around(d.box for d in found.discs).grown(36)
    drawn = around([*(d.box for d in found.discs), *found.boxes, *(a.box.grown(8) for a in found.arcs)])
    return around([nodes, drawn]).grown(MARGIN)


# --- nodes ------------------------------------------------------------------------------------------------


def _node(panel: Panel, number: int) -> Group:
    node, disc = panel.picture.nodes[number], panel.layout.discs[number]
    outline = _pill(disc)
    items: list[Shape | Text] = [Shape(outline, "ink", "shade" if node.shade == "visible" else "page", 1.4)]
    if node.shade == "partial":
        items = [Shape(outline, None, "page"), Shape(_half(disc), None, "shade"), Shape(outline, "ink", None, 1.4)]
    items.append(_text(formula(node.tex, NAME_SIZE), node.tex, node.name, disc.center, "ink"))
    return Group("node", node.title, tuple(items))


def _pill(disc: Disc) -> tuple[Command, ...]:
    x, y, r, k = *disc.center, RADIUS, RADIUS * 0.5523
    left, right = x - disc.reach, x + disc.reach
    return (
        ("M", (left, y - r)),
        ("L", (right, y - r)),
        ("C", (right + k, y - r, right + r, y - k, right + r, y)),
        ("C", (right + r, y + k, right + k, y + r, right, y + r)),
        ("L", (left, y + r)),
        ("C", (left - k, y + r, left - r, y + k, left - r, y)),
        ("C", (left - r, y - k, left - k, y - r, left, y - r)),
        ("Z", ()),
    )


def _half(disc: Disc) -> tuple[Command, ...]:
    """The lower half of a node."""
    x, y, r, k = *disc.center, RADIUS, RADIUS * 0.5523
    left, right = x - disc.reach, x + disc.reach
    return (
        ("M", (right + r, y)),
        ("C", (right + r, y + k, right + k, y + r, right, y + r)),
        ("L", (left, y + r)),
        ("C", (left - k, y + r, left - r, y + k, left - r, y)),
        ("Z", ()),
    )


# --- factors ----------------------------------------------------------------------------------------------


def _factor(panel: Panel, number: int) -> Group:
    own = [(a, arc) for a, arc in zip(panel.picture.arrows, panel.layout.arcs, strict=True) if a.factor == number]
    items: list[Shape | Text] = [s for arrow, arc in own for s in _arrow(arrow, arc)]
    ink: Ink = "blue" if own[0][0].blue else "ink"
    label = panel.picture.labels[number]
    name = formula(label.tex, LABEL_SIZE)
    items.append(_text(name, label.tex, label.text, panel.layout.boxes[number].center, ink))
    return Group("factor", f"{label.text}: {_mark(own[0][0])}", tuple(items))


def _mark(arrow: Arrow) -> str:
    process = "inference" if arrow.dashed else "generative"
    return process + (", adversarial" if arrow.blue else ", implicit" if arrow.hollow else "")


def _arrow(arrow: Arrow, arc: Arc) -> list[Shape]:
    ink: Ink = "blue" if arrow.blue else "ink"
    length, half = (16.0, 6.0) if arrow.hollow else (11.5, 4.4)
    tip = arc.d
    cut = _back(arc, length)
    shaft = arc.part(0.0, cut)
    base, way = shaft.d, unit(shaft.d, tip)
    left, right = (moved(base, normal(way), s * half) for s in (1, -1))
    head = (("M", left), ("L", tip), ("L", right), ("Z", ()))
    if arrow.hollow:
        lines = [Shape(_curve(shaft.beside(s * 2.1)), ink, None, 1.1, arrow.dashed) for s in (1, -1)]
        return [*lines, Shape(head, ink, None, 1.1)]
    width = 1.7 if arrow.blue else 1.4
    return [Shape(_curve(shaft), ink, None, width, arrow.dashed), Shape(head, None, ink)]


def _back(arc: Arc, length: float) -> float:
    """The parameter at which an arc is `length` away from its end."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        p = arc.at(middle)
        far = (p[0] - arc.d[0]) ** 2 + (p[1] - arc.d[1]) ** 2 > length * length
        low, high = (middle, high) if far else (low, middle)
    return high


def _curve(arc: Arc) -> tuple[Command, ...]:
    return ("M", arc.a), ("C", (*arc.b, *arc.c, *arc.d))


# --- placing ----------------------------------------------------------------------------------------------


def _text(drawn: Formula, tex: str, said: str, center: Point, ink: Ink) -> Text:
    """A formula with the middle of its extent at a point."""
    by = center[0] - drawn.left - drawn.width / 2, center[1] - drawn.top - drawn.height / 2
    return Text(_translated(drawn.outline, by), ink, said, tex, center)


def _translated(outline: Sequence[Command], by: Point) -> tuple[Command, ...]:
    return tuple((c, tuple(v + by[i % 2] for i, v in enumerate(values))) for c, values in outline)


def _shifted(group: Group, by: Point) -> Group:
    return replace(group, items=tuple(_item_shifted(i, by) for i in group.items))


def _item_shifted(item: Shape | Text, by: Point) -> Shape | Text:
    outline = _translated(item.outline, by)
    match item:
        case Text():
            return replace(item, outline=outline, center=(item.center[0] + by[0], item.center[1] + by[1]))
        case Shape():
            return replace(item, outline=outline)


def _box_shifted(box: Box, by: Point) -> Box:
    return Box(box.left + by[0], box.top + by[1], box.right + by[0], box.bottom + by[1])

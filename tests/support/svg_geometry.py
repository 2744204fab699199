"""A second opinion on drawings: what an SVG shows, read from its text alone, by other code than that which wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

NS = "{http://www.w3.org/2000/svg}"
Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """Nodes and labels as rectangles (left, top, right, bottom) by name; arrows as sampled shafts by factor."""

    width: float
    height: float
    view: tuple[float, ...]
    nodes: dict[str, tuple[float, float, float, float]]
    labels: dict[str, tuple[float, float, float, float]]
    shafts: list[tuple[str, list[Point]]]


def sampled(d: str) -> list[Point]:
    """Points along a path of M, L, Q, C and Z."""
    found: list[Point] = []
    for letter, text in re.findall(r"([MLQCZ])([^MLQCZ]*)", d):
        v = [float(n) for n in text.split()]
        ends = [*found[-1:], *zip(v[::2], v[1::2], strict=True)]
        steps = 1 if letter in "MLZ" else 60
        if letter == "M":
            found.append(ends[-1])
        elif letter != "Z":
            found += [_bezier(ends, i / steps) for i in range(1, steps + 1)]
    return found


def _bezier(points: list[Point], t: float) -> Point:
    """De Casteljau."""
    while len(points) > 1:
        points = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for a, b in pairwise(points)]
    return points[0]


def box(points: list[Point]) -> tuple[float, float, float, float]:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def read(svg: str) -> Drawn:
    root = ElementTree.fromstring(svg)
    nodes, labels, shafts = {}, {}, []
    for group in root.findall(f"{NS}g"):
        paths = group.findall(f"{NS}path")
        name = next(p.get("aria-label", "") for p in paths if p.get("aria-label"))
        shapes = [p for p in paths if not p.get("aria-label")]
        text = box(sampled(next(p for p in paths if p.get("aria-label")).get("d", "")))
        if group.get("class") == "node":
            nodes[name] = box(sampled(shapes[0].get("d", "")))
        elif group.get("class") == "factor":
            labels[name] = text
            shafts += [(name, sampled(p.get("d", ""))) for p in shapes if not p.get("d", "").endswith("Z")]
    view = tuple(float(n) for n in root.get("viewBox", "").split())
    return Drawn(float(root.get("width", "0")), float(root.get("height", "0")), view, nodes, labels, shafts)


def meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def overlaps(drawn: Drawn) -> list[str]:
    """Whatever covers something else: nodes, labels and shafts, and what leaves the page."""
    told = []
    left, top, width, height = drawn.view
    things = [*(("node", *n) for n in drawn.nodes.items()), *(("label", *n) for n in drawn.labels.items())]
    for i, (kind, name, one) in enumerate(things):
        told += [f"{kind} {name} and {k} {n}" for k, n, other in things[i + 1 :] if meet(one, other)]
        if not (left <= one[0] and one[2] <= left + width and top <= one[1] and one[3] <= top + height):
            told.append(f"{kind} {name} leaves the page")
    for factor, points in drawn.shafts:
        for name, place in drawn.labels.items():
            if any(place[0] < x < place[2] and place[1] < y < place[3] for x, y in points):
                told.append(f"label {name} on an arrow of {factor}")
        told += [f"an arrow of {factor} through node {n}" for n, o in drawn.nodes.items() if _through(points, o)]
        if any(not (left <= x <= left + width and top <= y <= top + height) for x, y in points):
            told.append(f"an arrow of {factor} leaves the page")
    return told


def _through(points: list[Point], outline: tuple[float, float, float, float]) -> bool:
    """Inside the node's round outline, not only its box; ends of arrows touch from outside."""
    left, top, right, bottom = outline
    radius = (bottom - top) / 2
    middle = (top + bottom) / 2
    for x, y in points:
        near = min(max(x, left + radius), right - radius)
        if (x - near) ** 2 + (y - middle) ** 2 < (radius - 0.5) ** 2:
            return True
    return False

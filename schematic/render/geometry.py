"""Points, boxes, arcs and distances: what drawing needs of plane geometry. Lengths are in CSS pixels, y points down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import hypot

Point = tuple[float, float]


def along(a: Point, b: Point, t: float) -> Point:
    """The point that divides the way from a to b at t."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def unit(a: Point, b: Point) -> Point:
    """The direction from a to b, with length 1; of a point to itself, to the right."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = hypot(dx, dy)
    return (dx / length, dy / length) if length else (1.0, 0.0)


def moved(p: Point, direction: Point, length: float) -> Point:
    return p[0] + direction[0] * length, p[1] + direction[1] * length


def normal(direction: Point) -> Point:
    """To the left of a direction, on a page whose y points down."""
    return direction[1], -direction[0]


def cross(o: Point, a: Point, b: Point) -> float:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def segments_cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two segments meet in a point inside both."""
    return cross(a, b, c) * cross(a, b, d) < 0 and cross(c, d, a) * cross(c, d, b) < 0


def point_to_segment(p: Point, a: Point, b: Point) -> float:
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    t = max(0.0, min(1.0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square)) if square else 0.0
    return hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy)


@dataclass(frozen=True)
class Box:
    """An upright rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def center(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def grown(self, by: float) -> Box:
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def holds(self, p: Point) -> bool:
        return self.left < p[0] < self.right and self.top < p[1] < self.bottom

    def crossed_by(self, line: Sequence[Point]) -> bool:
        """Whether any part of a polyline lies inside."""
        left, top, right, bottom = self.left, self.top, self.right, self.bottom
        for a, b in pairwise(line):
            # The quick answer first: both ends on one side.
            if (a[0] <= left and b[0] <= left) or (a[0] >= right and b[0] >= right):
                continue
            if (a[1] <= top and b[1] <= top) or (a[1] >= bottom and b[1] >= bottom):
                continue
            if self._crossed(a, b):
                return True
        return False

    def _crossed(self, a: Point, b: Point) -> bool:
        if self.holds(a) or self.holds(b):
            return True
        nw, ne = (self.left, self.top), (self.right, self.top)
        sw, se = (self.left, self.bottom), (self.right, self.bottom)
        return segments_cross(a, b, nw, se) or segments_cross(a, b, ne, sw)


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds all of at least one box."""
    every = tuple(boxes)
    return Box(
        min(b.left for b in every),
        min(b.top for b in every),
        max(b.right for b in every),
        max(b.bottom for b in every),
    )


@dataclass(frozen=True)
class Arc:
    """A cubic Bezier curve."""

    a: Point
    b: Point
    c: Point
    d: Point

    def at(self, t: float) -> Point:
        s = 1 - t
        a, b, c, d = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
        x = a * self.a[0] + b * self.b[0] + c * self.c[0] + d * self.d[0]
        return x, a * self.a[1] + b * self.b[1] + c * self.c[1] + d * self.d[1]

    def heading(self, t: float) -> Point:
        """The direction of travel at t."""
        return unit(self.at(max(0.0, t - 1e-3)), self.at(min(1.0, t + 1e-3)))

    def part(self, t0: float, t1: float) -> Arc:
        """The piece between two parameters, as an arc of its own."""
        return self._until(t1)._until(t0 / t1, rest=True) if t0 else self._until(t1)

    def _until(self, t: float, rest: bool = False) -> Arc:
        ab, bc, cd = along(self.a, self.b, t), along(self.b, self.c, t), along(self.c, self.d, t)
        abc, bcd = along(ab, bc, t), along(bc, cd, t)
        middle = along(abc, bcd, t)
        return Arc(middle, bcd, cd, self.d) if rest else Arc(self.a, ab, abc, middle)

    def beside(self, offset: float) -> Arc:
        """The parallel curve at a small offset to the left."""
        start, end = self.heading(0.0), self.heading(1.0)
        middle = normal(self.heading(0.5))
        n0, n1 = normal(start), normal(end)
        return Arc(
            moved(self.a, n0, offset),
            moved(self.b, unit((0, 0), along(n0, middle, 0.5)), offset),
            moved(self.c, unit((0, 0), along(n1, middle, 0.5)), offset),
            moved(self.d, n1, offset),
        )

    @cached_property
    def line(self) -> tuple[Point, ...]:
        """The curve as a polyline of 16 pieces, fine enough for looking."""
        return tuple(self.at(i / 16) for i in range(17))

    @cached_property
    def coarse(self) -> tuple[Point, ...]:
        """The curve as a polyline of 8 pieces."""
        return self.line[::2]

    @cached_property
    def box(self) -> Box:
        xs, ys = [p[0] for p in self.line], [p[1] for p in self.line]
        return Box(min(xs), min(ys), max(xs), max(ys))

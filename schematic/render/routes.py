"""Arrows as arcs between nodes that stand still, and labels beside them, so that nothing covers anything.

Each arrow picks its bend, then each factor the place of its label, from a short list by cost: first one after the
other, then again in the light of all others until nothing changes. If a label finds no free place, the arcs are
spread wider and, at last, the whole drawing is. `clashes` says what still touches; the tests hold it empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from math import cos, hypot, pi, sin

from schematic.render.geometry import (
    Arc,
    Box,
    Point,
    along,
    cross,
    moved,
    normal,
    point_to_segment,
    segments_cross,
    unit,
)

RADIUS = 25.0
CLEAR = 4.0
"""Between a label and whatever is not its own."""
BENDS = (0.0, 14.0, -14.0, 28.0, -28.0, 44.0, -44.0, 64.0, -64.0, 90.0, -90.0, 125.0, -125.0, 165.0, -165.0)
PASSES = 5


@dataclass(frozen=True)
class Disc:
    """A node's outline: a circle, or two half circles as far apart as its name asks (`reach` either side)."""

    center: Point
    reach: float = 0.0

    def distance(self, p: Point) -> float:
        """From the outline to p; negative inside."""
        x, y = self.center
        return point_to_segment(p, (x - self.reach, y), (x + self.reach, y)) - RADIUS

    @property
    def box(self) -> Box:
        x, y = self.center
        return Box(x - self.reach - RADIUS, y - RADIUS, x + self.reach + RADIUS, y + RADIUS)


@dataclass(frozen=True)
class Wire:
    """An arrow to be routed: numbers of its nodes (source None: from nowhere), its factor, the width of its head."""

    source: int | None
    target: int
    factor: int


@dataclass(frozen=True)
class Size:
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything is: nodes, an arc for each arrow, a box for each label."""

    discs: tuple[Disc, ...]
    arcs: tuple[Arc, ...]
    boxes: tuple[Box, ...]


def layout(discs: Sequence[Disc], wires: Sequence[Wire], labels: Sequence[Size]) -> Layout:
    """Routes the arrows and places the labels: the first try without a clash, or the one with the fewest."""
    best: tuple[int, Layout] | None = None
    for scale, gap in ((1.0, 24.0), (1.0, 36.0), (1.25, 36.0), (1.5, 40.0), (2.0, 46.0), (2.6, 50.0)):
        spread = tuple(replace(d, center=(d.center[0] * scale, d.center[1] * scale)) for d in discs)
        for found in _tries(spread, wires, labels, gap):
            faults = len(clashes(found, wires))
            if not faults:
                return found
            if best is None or faults < best[0]:
                best = faults, found
    assert best is not None
    return best[1]


def _tries(discs: tuple[Disc, ...], wires: Sequence[Wire], labels: Sequence[Size], gap: float) -> Iterator[Layout]:
    """Arrows make room for one another, labels for arrows, and then arrows for labels."""
    router = Router(discs, wires, gap)
    boxes: tuple[Box, ...] = ()
    for price in (100.0, 200.0, 400.0, 800.0):
        arcs = router.route(boxes, price)
        boxes = _boxes(discs, wires, arcs, labels)
        yield Layout(discs, arcs, boxes)


def clashes(found: Layout, wires: Sequence[Wire]) -> list[str]:
    """What touches what it must not: labels, nodes and arrows, in words."""
    told = [f"nodes {i} and {j}" for (i, a), (j, b) in combinations(enumerate(found.discs), 2) if a.box.meets(b.box)]
    told += [f"labels {i} and {j}" for (i, a), (j, b) in combinations(enumerate(found.boxes), 2) if a.meets(b)]
    for i, box in enumerate(found.boxes):
        told += [f"label {i} and node {j}" for j, d in enumerate(found.discs) if box.meets(d.box)]
        told += [f"label {i} and arrow {j}" for j, a in enumerate(found.arcs) if box.crossed_by(a.line)]
    for j, (arc, wire) in enumerate(zip(found.arcs, wires, strict=True)):
        others = (i for i in range(len(found.discs)) if i not in (wire.source, wire.target))
        told += [f"arrow {j} and node {i}" for i in others if _near(arc, found.discs[i]) < 2]
    return told


# --- arrows -----------------------------------------------------------------------------------------------


class Router:
    """Chooses an arc for each arrow; remembers what pairs of arcs cost and what was chosen last."""

    def __init__(self, discs: Sequence[Disc], wires: Sequence[Wire], gap: float) -> None:
        self._wires, self._gap = wires, gap
        self._choices = [_choices(discs, w, gap / 24) for w in wires]
        self._own = [[_own_cost(a, b, w, discs) for a, b in some] for w, some in zip(wires, self._choices, strict=True)]
        self._chosen = [_fan(discs, wires, i) for i in range(len(wires))]
        self._pairs: dict[tuple[int, int, int, int], float] = {}

    def route(self, boxes: Sequence[Box], price: float) -> tuple[Arc, ...]:
        """The arcs, out of the way of one another and, at a price, of the labels (none yet: empty)."""
        own = [
            [c + price * self._covering(i, a, boxes) for a, c in enumerate(some)] for i, some in enumerate(self._own)
        ]
        # By their ends, not by their factors: a move that keeps an arrow's ends keeps its arc.
        order = sorted(range(len(self._wires)), key=lambda i: _ends(self._wires[i]))
        for _ in range(PASSES):
            before = list(self._chosen)
            for i in order:
                costs = (c + self._beside(i, a) for a, c in enumerate(own[i]))
                self._chosen[i] = min(enumerate(costs), key=lambda found: round(found[1], 3))[0]
            if self._chosen == before:
                break
        return tuple(some[a][0] for some, a in zip(self._choices, self._chosen, strict=True))

    def _covering(self, i: int, a: int, boxes: Sequence[Box]) -> int:
        others = (box for factor, box in enumerate(boxes) if factor != self._wires[i].factor)
        line = self._choices[i][a][0].line
        return sum(1 for box in others if box.grown(CLEAR).crossed_by(line))

    def _beside(self, i: int, a: int) -> float:
        return sum(self._pair(i, a, j, b) for j, b in enumerate(self._chosen) if j != i)

    def _pair(self, i: int, a: int, j: int, b: int) -> float:
        if i > j:
            i, a, j, b = j, b, i, a
        known = self._pairs.get((i, a, j, b))
        if known is None:
            one, other = self._choices[i][a][0], self._choices[j][b][0]
            known = self._pairs[i, a, j, b] = _pair_cost(one, self._wires[i], other, self._wires[j], self._gap)
        return known


def _ends(wire: Wire) -> tuple[int, int, bool]:
    """Arrows between the same two nodes come one after the other, those from the lower number first."""
    source = -1 if wire.source is None else wire.source
    return min(source, wire.target), max(source, wire.target), source > wire.target


def _fan(discs: Sequence[Disc], wires: Sequence[Wire], number: int) -> int:
    """The choice to begin with: arrows between the same two nodes lie like the ribs of a fan.

    The outer ribs are for the first arrows of their factors, which carry the labels: there is room for those.
    """
    low, high, _ = _ends(wires[number])
    alike = [i for i, w in enumerate(wires) if _ends(w)[:2] == (low, high)]
    alike.sort(key=lambda i: (_first(wires, i), _ends(wires[i])))
    rank = alike.index(number)
    if low in (-1, high):
        return rank % 8
    a, b, middle = discs[low].center, discs[high].center, _middle(discs)
    outward = cross(a, b, middle) >= 0  # the left of the way from a to b is the outer side
    step = (2 * rank - len(alike) + 1) * (1 if outward else -1)
    ribs = sorted(bend for bend in BENDS if bend >= 0)
    rib = ribs[min(abs(step), len(ribs) - 1)]
    return BENDS.index(rib if step >= 0 else -rib)


def _first(wires: Sequence[Wire], number: int) -> bool:
    return all(w.factor != wires[number].factor for w in wires[:number])


def _middle(discs: Sequence[Disc]) -> Point:
    count = len(discs)
    return sum(d.center[0] for d in discs) / count, sum(d.center[1] for d in discs) / count


def _choices(discs: Sequence[Disc], wire: Wire, wide: float) -> list[tuple[Arc, float]]:
    """The arcs that an arrow may take, with the bend of each."""
    target = discs[wire.target]
    if wire.source is None:
        ways = [(cos(k * pi / 6), sin(k * pi / 6)) for k in (6, 9, 3, 0, 7, 8, 5, 4, 10, 11, 1, 2)]
        return [(_stub(target, way), 2.0 * k) for k, way in enumerate(ways)]
    if wire.source == wire.target:
        ways = [(cos(k * pi / 4), sin(k * pi / 4)) for k in (6, 2, 5, 7, 1, 3, 0, 4)]
        return [(_loop(target, way), 2.0 * k) for k, way in enumerate(ways)]
    source = discs[wire.source]
    # Bends are measured from the lower number to the higher, so that opposite arrows speak of one side.
    sign = 1.0 if wire.source < wire.target else -1.0
    return [(_bent(source, target, sign * bend * wide), abs(bend)) for bend in BENDS]


def _bent(source: Disc, target: Disc, bend: float) -> Arc:
    """From outline to outline, along the curve between the centres whose middle is `bend` to the left."""
    a, d = source.center, target.center
    way = unit(a, d)
    lift = normal(way)
    b, c = (moved(along(a, d, t), lift, bend * 4 / 3) for t in (0.28, 0.72))
    full = Arc(a, b, c, d)
    return full.part(_leaves(full, source, 1.5), 1 - _leaves(Arc(d, c, b, a), target, 2.0))


def _leaves(arc: Arc, disc: Disc, gap: float) -> float:
    """The parameter at which an arc from a node's centre comes out of its outline."""
    low, high = 0.0, 0.5
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if disc.distance(arc.at(middle)) < gap else (low, middle)
    return high


def _stub(target: Disc, way: Point) -> Arc:
    """A short straight arrow out of nowhere."""
    far = moved(target.center, way, target.reach + RADIUS + 70)
    full = Arc(target.center, along(target.center, far, 1 / 3), along(target.center, far, 2 / 3), far)
    back = full.part(_leaves(full, target, 2.0), 1.0)
    return Arc(back.d, back.c, back.b, back.a)


def _loop(disc: Disc, way: Point) -> Arc:
    """From a node to itself."""
    side = normal(way)
    reach = 3.0 * RADIUS + disc.reach * abs(way[0])
    b, c = (moved(moved(disc.center, way, reach), side, s * 1.5 * RADIUS) for s in (1, -1))
    full = Arc(disc.center, b, c, disc.center)
    return full.part(_leaves(full, disc, 1.5), 1 - _leaves(Arc(disc.center, c, b, disc.center), disc, 2.0))


def _own_cost(arc: Arc, bend: float, wire: Wire, discs: Sequence[Disc]) -> float:
    others = (d for i, d in enumerate(discs) if i not in (wire.source, wire.target))
    return bend**2 / 120 + sum(_shortfall(_near(arc, d), 16.0, 60.0) for d in others)


def _near(arc: Arc, disc: Disc) -> float:
    if not arc.box.meets(disc.box.grown(20)):
        return 20.0
    return min(disc.distance(p) for p in arc.line)


def _shortfall(distance: float, wanted: float, weight: float) -> float:
    return weight * (wanted - distance) if distance < wanted else 0.0


def _pair_cost(a: Arc, one: Wire, b: Arc, other: Wire, gap: float) -> float:
    """Crossings cost most, then arrows that run or end too close together."""
    cost = 0.0
    if {one.source, one.target} == {other.source, other.target}:
        closest = min(hypot(p[0] - q[0], p[1] - q[1]) for p in a.line[6:11:2] for q in b.coarse[2:7])
        cost += _shortfall(closest, gap, 12.0)
    for p in (a.a, a.d):
        for q in (b.a, b.d):
            cost += _shortfall(hypot(p[0] - q[0], p[1] - q[1]), 16.5, 10.0)
    if a.box.meets(b.box):
        cost += 120.0 * _crossings(a.coarse, b.coarse)
    return cost


def _crossings(a: Sequence[Point], b: Sequence[Point]) -> int:
    """How often two polylines cross."""
    found = 0
    for p, q in pairwise(a):
        low, high = min(p[1], q[1]), max(p[1], q[1])
        near = ((r, s) for r, s in pairwise(b) if max(r[1], s[1]) >= low and min(r[1], s[1]) <= high)
        found += sum(segments_cross(p, q, r, s) for r, s in near)
    return found


# --- labels -----------------------------------------------------------------------------------------------


def _boxes(
    discs: Sequence[Disc], wires: Sequence[Wire], arcs: Sequence[Arc], labels: Sequence[Size]
) -> tuple[Box, ...]:
    middle = _middle(discs)
    walls = [d.box.grown(CLEAR) for d in discs]
    choices: list[list[tuple[Box, float]]] = []
    for factor, size in enumerate(labels):
        own = [j for j, w in enumerate(wires) if w.factor == factor]
        spots = list(_spots(own, arcs, size, middle))
        choices.append([(box, cost + _wall_cost(box, walls, arcs, own)) for box, cost in spots])
    chosen: list[Box | None] = [None] * len(labels)
    for _ in range(PASSES):
        before = list(chosen)
        for i, some in enumerate(choices):
            others = [b.grown(CLEAR) for j, b in enumerate(chosen) if j != i and b is not None]
            chosen[i] = min(some, key=lambda c: round(c[1] + 400 * sum(c[0].meets(o) for o in others), 3))[0]
        if chosen == before:
            break
    return tuple(b for b in chosen if b is not None)


def _spots(own: Sequence[int], arcs: Sequence[Arc], size: Size, middle: Point) -> Iterator[tuple[Box, float]]:
    """Places for a label beside its factor's arrows, the first arrow's middle and the outer side preferred."""
    for rank, j in enumerate(own):
        for t in (0.5, 0.44, 0.56, 0.38, 0.62, 0.32, 0.68, 0.26, 0.74, 0.2, 0.8):
            at, way = arcs[j].at(t), arcs[j].heading(t)
            for side in (1, -1):
                out = moved((0.0, 0.0), normal(way), side)
                outward = (at[0] - middle[0]) * out[0] + (at[1] - middle[1]) * out[1]
                for gap in (6.0, 9.0, 14.0, 20.0, 28.0):
                    reach = abs(out[0]) * size.width / 2 + abs(out[1]) * size.height / 2 + gap
                    x, y = moved(at, out, reach)
                    box = Box(x - size.width / 2, y - size.height / 2, x + size.width / 2, y + size.height / 2)
                    yield box, 9 * rank + 60 * abs(t - 0.5) + gap + (0 if outward > 0 else 7)


def _wall_cost(box: Box, walls: Sequence[Box], arcs: Sequence[Arc], own: Sequence[int]) -> float:
    grown = box.grown(CLEAR)
    cost = sum(400.0 for w in walls if box.meets(w))
    wide = box.grown(13)
    for j, arc in enumerate(arcs):
        if arc.box.meets(wide):
            if j in own:
                cost += 300.0 * box.grown(CLEAR).crossed_by(arc.line)
            elif wide.crossed_by(arc.line):
                cost += 300.0 if grown.crossed_by(arc.line) else 26.0
    return cost

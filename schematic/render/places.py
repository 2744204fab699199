"""Where the variables stand: by their order and by which of them are joined, never by marks or directions of arrows.

So a model and its moves have their variables in the same places, and one sees which arrows changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from itertools import combinations, permutations
from math import atan2, cos, hypot, pi, sin

from schematic.render.geometry import Point, point_to_segment, segments_cross

Pairs = Collection[tuple[int, int]]
Matrix = list[list[float]]

SPACING = 216.0
"""The usual length of an arrow, centre to centre: room for a label of two or three variables."""
NEAREST = 170.0
"""No two nodes stand nearer than this."""
SWEEPS = 600


def places(count: int, pairs: Pairs, anchor: int | None, rightward: Sequence[float]) -> tuple[Point, ...]:
    """Places of `count` nodes, around the origin.

    Stress majorization (Gansner, Koren and North, 2004): drawn distances come near to graph distances. Then the
    picture is turned so that the long side is level with the indicator (`anchor`) below the others, and
    mirrored so that what has more `rightward` stands to the right, or else what was declared later.
    """
    if count == 1:
        return ((0.0, 0.0),)
    distances = _distances(count, pairs, anchor)
    starts = _starts(count, pairs)
    found = [_majorize(distances, start) for start in starts]
    best = min(found, key=lambda p: _untidiness(p, pairs, distances))
    return _scaled(_upright(best, anchor, rightward), pairs)


def _distances(count: int, pairs: Pairs, anchor: int | None) -> Matrix:
    """Steps between nodes. The indicator is drawn as near to all as it is to one: every domain has every variable."""
    steps = [[float("inf")] * count for _ in range(count)]
    for start in range(count):
        steps[start][start] = 0.0
        queue = deque([start])
        while queue:
            here = queue.popleft()
            for there in _neighbours(here, pairs):
                if steps[start][there] == float("inf"):
                    steps[start][there] = steps[start][here] + 1
                    queue.append(there)
    for i, j in combinations(range(count), 2):
        step = min(steps[i][j], 4.0)
        if anchor in (i, j):
            step = max(1.0, step - 1)
        # A little more than the sum of the steps between: so paths unfold, and fast.
        steps[i][j] = steps[j][i] = step if step == 1 else 1.15 * step
    return steps


def _neighbours(node: int, pairs: Pairs) -> list[int]:
    return sorted({b for a, b in pairs if a == node} | {a for a, b in pairs if b == node})


def _starts(count: int, pairs: Pairs) -> list[tuple[int, ...]]:
    """Orders around a circle to begin with: all of them for a few nodes, else the walks from each node."""
    if count <= 5:
        return [(0, *rest) for rest in permutations(range(1, count)) if rest[0] <= rest[-1]]
    return list(dict.fromkeys((tuple(range(count)), *(_walk(node, count, pairs) for node in range(count)))))


def _walk(start: int, count: int, pairs: Pairs) -> tuple[int, ...]:
    """The nodes in the order of a depth-first walk from one of them."""
    order: dict[int, None] = {}
    stack = [*range(count)[::-1], start]
    while stack:
        here = stack.pop()
        if here not in order:
            order[here] = None
            stack.extend(n for n in reversed(_neighbours(here, pairs)) if n not in order)
    return tuple(order)


def _majorize(distances: Matrix, order: Sequence[int]) -> list[Point]:
    """Nodes from a circle, in the order given, to a local minimum of the stress."""
    count = len(order)
    # Unequal radii: a regular polygon would be a saddle from which a path could not unfold.
    angle = {node: 2 * pi * k / count for k, node in enumerate(order)}
    radius = {node: 1 + 0.01 * k for k, node in enumerate(order)}
    spots = [(radius[i] * cos(angle[i]), radius[i] * sin(angle[i])) for i in range(count)]
    for _ in range(SWEEPS):
        before = list(spots)
        for i in range(count):
            x = y = total = 0.0
            for j in range(count):
                if j == i:
                    continue
                dx, dy = spots[i][0] - spots[j][0], spots[i][1] - spots[j][1]
                pull = distances[i][j] / (hypot(dx, dy) or 1e-9)
                weight = distances[i][j] ** -2
                x += weight * (spots[j][0] + dx * pull)
                y += weight * (spots[j][1] + dy * pull)
                total += weight
            spots[i] = x / total, y / total
        if max(_length(a, b) for a, b in zip(before, spots, strict=True)) < 1e-6:
            break
    return spots


def _untidiness(spots: Sequence[Point], pairs: Pairs, distances: Matrix) -> tuple[float, float]:
    """Crossings of straight lines and nodes on lines, then stress; rounded, so that equal pictures stay equal."""
    faults = sum(
        segments_cross(spots[a], spots[b], spots[c], spots[d]) for (a, b), (c, d) in combinations(sorted(pairs), 2)
    )
    faults += sum(
        2 * (point_to_segment(spots[k], spots[a], spots[b]) < 0.25)
        for a, b in pairs
        for k in range(len(spots))
        if k not in (a, b)
    )
    stress = sum(
        (_length(spots[i], spots[j]) / distances[i][j] - 1) ** 2 for i, j in combinations(range(len(spots)), 2)
    )
    return faults, round(stress, 6)


def _length(a: Point, b: Point) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _upright(spots: Sequence[Point], anchor: int | None, rightward: Sequence[float]) -> list[Point]:
    count = len(spots)
    others = [p for i, p in enumerate(spots) if i != anchor or count == 2]
    cx, cy = sum(p[0] for p in others) / len(others), sum(p[1] for p in others) / len(others)
    xx, yy = sum((x - cx) ** 2 for x, _ in others), sum((y - cy) ** 2 for _, y in others)
    turn = -0.5 * atan2(2 * sum((x - cx) * (y - cy) for x, y in others), xx - yy)
    turned = [
        (x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn)) for x, y in ((x - cx, y - cy) for x, y in spots)
    ]
    if _leaning([x for x, _ in turned], rightward) < 0:
        turned = [(-x, y) for x, y in turned]
    downward = [float(i == anchor) for i in range(count)]
    if _leaning([y for _, y in turned], downward) < 0:
        turned = [(x, -y) for x, y in turned]
    return turned


def _leaning(values: Sequence[float], wanted: Sequence[float]) -> float:
    """Positive if larger values go with what is wanted there, or else with later nodes."""
    for weights in (wanted, [float(i) for i in range(len(values))]):
        mean = sum(weights) / len(weights)
        lean = sum(v * (w - mean) for v, w in zip(values, weights, strict=True))
        if abs(lean) > 1e-3:
            return lean
    return 0.0


def _scaled(spots: Sequence[Point], pairs: Pairs) -> tuple[Point, ...]:
    """Joined nodes about SPACING apart, no two nearer than NEAREST; rounded, so that machines agree."""
    joined = [_length(spots[a], spots[b]) for a, b in sorted(pairs)] or [1.0]
    nearest = min(_length(a, b) for a, b in combinations(spots, 2))
    scale = max(SPACING / (sum(joined) / len(joined)), NEAREST / nearest)
    return tuple((round(x * scale, 1) + 0.0, round(y * scale, 1) + 0.0) for x, y in spots)

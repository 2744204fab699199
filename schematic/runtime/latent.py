"""Pictures of a code: what changes along each of its directions, and what lies between two codes.

They are read off the graph: for every image that is generated from variables with a prior (`routes.generations`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from schematic.graph.model import AnyModel, Variable
from schematic.runtime.data import Batch
from schematic.runtime.pictures import grid, is_image
from schematic.runtime.program import Program
from schematic.runtime.routes import Route, follow, generations, prior
from schematic.runtime.samples import device_of, numpy, seeded

COLUMNS = 9  # odd: the middle of a traversal is the code's mean
ROWS = 8
REACH = 2.5  # standard deviations to either side
SCALE = 512  # draws of a prior, by which its scale is known


def pictures(program: Program, model: AnyModel, batch: Batch, seed: int) -> dict[str, bytes]:
    """PNG grids by name, `traversal-z` for each code z and `interpolation`; empty where no image comes from a code."""
    images = [r for r in generations(model) if is_image(r.target.type.shape)]
    if not images:
        return {}
    route, found = images[0], dict[str, bytes]()
    with seeded(seed, device_of(program)):
        base = _base(program, route, batch, ROWS)
        for code in _codes(route):
            swept = [_swept(code, _row(base, row), row) for row in range(ROWS)]
            shown = [s for s in swept if s is not None]
            if shown and _changes(picture := _made(program, route, shown)):
                found[f"traversal-{code.name}"] = grid(numpy(picture), len(picture) // len(shown))
        if _codes(route):
            ends = _base(program, route, batch, 2 * ROWS)
            between = [_between(route, _row(ends, 2 * row), _row(ends, 2 * row + 1)) for row in range(ROWS)]
            found["interpolation"] = grid(numpy(_made(program, route, between)), COLUMNS)
    return found


Values = dict[str, Tensor]


def _codes(route: Route) -> list[Variable]:
    """The variables with a prior from which the image comes, as vectors or as classes."""
    return [v for v in route.reads if v.data is None and len(v.type.shape) <= 1]


def _base(program: Program, route: Route, batch: Batch, n: int) -> Values:
    """n draws of the codes, beside the first n records' conditions."""
    like = next(iter(program.parameters()))
    read = {v.name: batch[program.DATA[v.name]][:n] for v in route.reads if v.data is not None}
    return read | {v.name: prior(v, n, like) for v in route.reads if v.data is None}


def _row(values: Values, row: int) -> Values:
    return {name: value[row : row + 1] for name, value in values.items()}


def _swept(code: Variable, base: Values, row: int) -> Values | None:
    """One row of a traversal: a class for each column, or the row-th coordinate from one side to the other."""
    value = base[code.name]
    if code.type.kind == "category" and value.dim() == 2:
        moved = one_hot(torch.arange(code.type.size), code.type.size).to(value)
    elif code.type.kind == "category" or value.dim() != 2 or row >= value.shape[1]:
        return None
    else:
        draws = prior(code, SCALE, value)[:, row]
        centre, scale = draws.mean(), draws.std()
        moved = value.repeat(COLUMNS, 1)
        moved[:, row] = centre + scale * torch.linspace(-REACH, REACH, COLUMNS).to(value)
    return {name: moved if name == code.name else v.expand(len(moved), *v.shape[1:]) for name, v in base.items()}


def _between(route: Route, a: Values, b: Values) -> Values:
    """Codes from a to b: along the great circle for real ones, of which most of the mass is at one distance from the
    centre (White, 2016), the nearer end's class for others; conditions stay a's."""
    share = torch.linspace(0, 1, COLUMNS)
    found = {}
    for v in route.reads:
        start, end = a[v.name], b[v.name]
        place = share.to(start).reshape(-1, *(1 for _ in start.shape[1:]))
        if v.data is not None:
            found[v.name] = start.expand(COLUMNS, *start.shape[1:])
        elif v.type.kind == "real":
            cosine = torch.nn.functional.cosine_similarity(start.flatten(), end.flatten(), 0).clamp(-0.999, 0.999)
            angle = torch.arccos(cosine)
            found[v.name] = (torch.sin((1 - place) * angle) * start + torch.sin(place * angle) * end) / torch.sin(angle)
        else:
            found[v.name] = torch.where(place < 0.5, start, end)
    return found


def _made(program: Program, route: Route, rows: Sequence[Values]) -> Tensor:
    """The images of all rows."""
    values = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    return follow(program, route, values)[route.target.name]


def _changes(images: Tensor) -> bool:
    return bool((images - images[:1]).abs().max() > 1e-3)

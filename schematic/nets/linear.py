"""`linear`: an affine map of its parents."""

from __future__ import annotations

from schematic.nets.net import FlatHead, Join, Net, Shape


class Linear(Net):
    """An affine map of its parents, flattened: (*leading, *output)."""

    def __init__(self, inputs: tuple[Shape, ...], output: Shape) -> None:
        body = Join(inputs)
        super().__init__(body, FlatHead(body.features, output))

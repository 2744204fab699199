"""Graphs with labelled nodes and edges, and their canonical form: two of them are isomorphic if their forms are equal.

Colours are refined until equal ones have neighbours of equal colours; a cell that stays is broken up by trying its
members, but for those that an automorphism takes into one already tried (McKay, Practical Graph Isomorphism, 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Node = tuple[str, ...]
Form = tuple[tuple[str, ...], tuple[tuple[int, int, str], ...]]
Key = TypeVar("Key", str, tuple[int, tuple[tuple[str, int], ...]])


@dataclass
class Labelled:
    """A graph that is being built: nodes by name, with labels; edges (from, to, label), each counted."""

    labels: dict[Node, str] = field(default_factory=dict)
    edges: list[tuple[Node, Node, str]] = field(default_factory=list)

    def node(self, name: Node, label: str) -> Node:
        """Adds a node; one that is there keeps its label."""
        self.labels.setdefault(name, label)
        return name

    def edge(self, a: Node, b: Node, label: str) -> None:
        self.edges.append((a, b, label))


@dataclass(frozen=True)
class Canonical:
    """`form` is equal for isomorphic graphs alone; nodes at the same place of `order` correspond."""

    form: Form
    order: tuple[Node, ...]


def canonical(graph: Labelled) -> Canonical:
    """The canonical form of a graph; exact, and fast for graphs whose symmetries are few or independent."""
    return _Search(graph).best()


class _Search:
    def __init__(self, graph: Labelled) -> None:
        self.names = sorted(graph.labels)
        place = {name: i for i, name in enumerate(self.names)}
        self.labels = [graph.labels[name] for name in self.names]
        self.edges = [(place[a], place[b], label) for a, b, label in graph.edges]
        self.around: list[list[tuple[str, int]]] = [[] for _ in self.names]
        for a, b, label in self.edges:
            self.around[a].append((">" + label, b))
            self.around[b].append(("<" + label, a))

    def best(self) -> Canonical:
        colours = self._explore(self._refined(_ranked(self.labels)))
        order = sorted(range(len(colours)), key=colours.__getitem__)
        return Canonical(self._form(colours), tuple(self.names[i] for i in order))

    def _explore(self, colours: list[int]) -> list[int]:
        """The discrete colouring of the least form below this one."""
        cell = _cell(colours)
        if not cell:
            return colours
        best, seen = None, set[Form]()
        for node in cell:
            below = self._refined(_singled(colours, node))
            first = self._form(self._first(below))
            if first not in seen:
                seen.add(first)
                found = self._explore(below)
                if best is None or self._form(found) < self._form(best):
                    best = found
        assert best is not None
        return best

    def _first(self, colours: list[int]) -> list[int]:
        """A discrete colouring below this one, the first in each cell singled out."""
        while cell := _cell(colours):
            colours = self._refined(_singled(colours, cell[0]))
        return colours

    def _refined(self, colours: list[int]) -> list[int]:
        count = len(set(colours))
        while True:
            told = [(c, tuple(sorted((e, colours[n]) for e, n in self.around[i]))) for i, c in enumerate(colours)]
            colours = _ranked(told)
            if len(set(colours)) == count:
                return colours
            count = len(set(colours))

    def _form(self, colours: list[int]) -> Form:
        labels = tuple(label for _, label in sorted(zip(colours, self.labels, strict=True)))
        return labels, tuple(sorted((colours[a], colours[b], label) for a, b, label in self.edges))


def _ranked(keys: Sequence[Key]) -> list[int]:
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return [ranks[key] for key in keys]


def _cell(colours: list[int]) -> list[int]:
    """The members of the first smallest colour that several nodes have."""
    cells: dict[int, list[int]] = {}
    for node, colour in enumerate(colours):
        cells.setdefault(colour, []).append(node)
    return min((c for c in cells.values() if len(c) > 1), key=lambda c: (len(c), colours[c[0]]), default=[])


def _singled(colours: list[int], node: int) -> list[int]:
    return [2 * c + (n != node) for n, c in enumerate(colours)]

"""Canonical forms against networkx, a second opinion on isomorphism."""

from __future__ import annotations

from random import Random
from typing import Any

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from schematic.studies.labelled import Labelled, canonical


def random_graph(rng: Random) -> Labelled:
    graph = Labelled()
    size = rng.randint(1, 6)
    for i in range(size):
        graph.node((str(i),), rng.choice("AAB"))
    for _ in range(rng.randint(0, 2 * size)):
        graph.edge((str(rng.randrange(size)),), (str(rng.randrange(size)),), rng.choice("rrs"))
    return graph


def permuted(graph: Labelled, rng: Random) -> Labelled:
    names = list(graph.labels)
    to = dict(zip(names, ((f"m{n}",) for n in rng.sample(range(len(names)), len(names))), strict=True))
    new = Labelled()
    for name in rng.sample(names, len(names)):
        new.node(to[name], graph.labels[name])
    for a, b, label in rng.sample(graph.edges, len(graph.edges)):
        new.edge(to[a], to[b], label)
    return new


def same(a: Labelled, b: Labelled) -> bool:
    """Isomorphic, says networkx: labels of nodes and the multisets of labels of edges agree."""

    def told(graph: Labelled) -> Any:
        found: Any = nx.DiGraph()
        for name, label in graph.labels.items():
            found.add_node(name, label=label)
        for x, y in {(x, y) for x, y, _ in graph.edges}:
            found.add_edge(x, y, labels=sorted(e for a, b, e in graph.edges if (a, b) == (x, y)))
        return found

    return bool(
        nx.is_isomorphic(
            told(a),
            told(b),
            node_match=lambda n, m: n["label"] == m["label"],
            edge_match=lambda e, f: e["labels"] == f["labels"],
        )
    )


@given(st.integers(0, 2**32))
def test_a_permuted_graph_has_the_same_form_and_its_nodes_correspond(seed: int) -> None:
    rng = Random(seed)
    graph = random_graph(rng)
    other = permuted(graph, rng)
    a, b = canonical(graph), canonical(other)
    assert a.form == b.form
    to = dict(zip(a.order, b.order, strict=True))
    assert all(graph.labels[n] == other.labels[to[n]] for n in graph.labels)
    assert sorted((to[x], to[y], e) for x, y, e in graph.edges) == sorted(other.edges)


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_forms_are_equal_exactly_where_graphs_are_isomorphic(seed: int) -> None:
    rng = Random(seed)
    a, b = random_graph(rng), random_graph(rng)
    assert (canonical(a).form == canonical(b).form) == same(a, b)


def test_a_graph_that_refinement_cannot_tell_is_told() -> None:
    """Two triangles and a hexagon: every node has two neighbours of its own kind."""

    def ring(*cycles: str) -> Labelled:
        graph = Labelled()
        for cycle in cycles:
            for name in cycle:
                graph.node((name,), "node")
            for a, b in zip(cycle, cycle[1:] + cycle[0], strict=True):
                graph.edge((a,), (b,), "next")
                graph.edge((b,), (a,), "next")
        return graph

    assert canonical(ring("abc", "def")).form == canonical(ring("xyz", "uvw")).form
    assert canonical(ring("abc", "def")).form != canonical(ring("abcdef")).form


def test_many_parts_alike_are_no_matter() -> None:
    graph = Labelled()
    for i in range(12):
        graph.edge(graph.node(("hub",), "hub"), graph.node(("leaf", str(i)), "leaf"), "to")
    assert len(canonical(graph).order) == 13

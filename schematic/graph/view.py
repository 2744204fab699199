"""A model as a networkx graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schematic.graph.model import AnyModel, Model

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(model: AnyModel) -> nx.MultiDiGraph[str]:
    """A MultiDiGraph with an edge for each parent of each factor, in the order of the file.

    Nodes carry `kind`, `shape`, `values`, `data`, `prior`, `partial`, `given`; edges `factor`, `group`, `process`
    ("generative" or "inference"), `implicit`, `adversarial`, `perfect` and, of a sum, `term`. A factor without parents
    has no edge: its target's `factors` names it, as it names every factor into the node.
    """
    import networkx as nx

    graph: Any = nx.MultiDiGraph(name=model.name)
    if isinstance(model, Model):
        _draw(graph, model, None)
    else:
        for label, (_, term) in zip(model.labels, model.terms, strict=True):
            _draw(graph, term, label)
    drawn: nx.MultiDiGraph[str] = graph
    return drawn


def _draw(graph: Any, model: Model, term: str | None) -> None:
    for v in model.variables:
        graph.add_node(
            v.name,
            kind=v.type.kind,
            shape=v.type.event_shape,
            values=v.type.values,
            data=v.data.fields if v.data else (),
            prior=v.prior.family if v.prior else None,
            partial=v.partial,
            given=v.given,
        )
        graph.nodes[v.name].setdefault("factors", ())
    for f in model.factors:
        attributes = {
            "factor": f.name,
            "group": f.group,
            "process": f.process,
            "implicit": f.implicit,
            "adversarial": f.adversarial,
            "perfect": f.perfect,
        }
        if term is not None:
            attributes["term"] = term
        target = graph.nodes[_node(graph, f.target)]
        target["factors"] = (*target["factors"], f.name)
        for parent in f.parents:
            graph.add_edge(_node(graph, parent), _node(graph, f.target), **attributes)


def _node(graph: Any, name: str) -> str:
    """The node of a name: one variable of a chain, if nothing restates it, is the chain's."""
    return name if name in graph else name.partition("[")[0]

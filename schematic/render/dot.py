"""A model as a Graphviz graph, for whoever draws on with Graphviz: the paper's marks, nodes pinned in their places."""

from __future__ import annotations

import graphviz

from schematic.graph.model import AnyModel


def write(model: AnyModel) -> str:
    return graphviz.Digraph(model.name).source

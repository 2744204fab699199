"""A model as a Graphviz graph, for whoever draws on with Graphviz: the paper's marks, nodes pinned in their places."""

from __future__ import annotations

import graphviz

from schematic.graph.model import AnyModel
from schematic.render.picture import Arrow
from schematic.render.scene import Panel, panels
from schematic.render.svg import LIGHT, number

INCH = 96
"""CSS pixels."""


def write(model: AnyModel) -> str:
    """DOT text. Names are plain Unicode; a factor's is on the first of its arrows."""
    graph = graphviz.Digraph(model.name)
    graph.attr(layout="neato", splines="true", outputorder="edgesfirst")
    graph.attr("node", shape="circle", style="filled", fixedsize="true", width="0.52", fontname="serif", pin="true")
    graph.attr("edge", fontname="serif", fontsize="12")
    found, edge = panels(model), 0.0
    for i, panel in enumerate(found):
        name = f"{i + 1}." if len(found) > 1 else ""
        _panel(graph, panel, name, edge - panel.extent.left)
        edge += panel.extent.right - panel.extent.left
    return str(graph.source)


def _panel(graph: graphviz.Digraph, panel: Panel, prefix: str, shift: float) -> None:
    drawn = panel.picture
    for node, disc in zip(drawn.nodes, panel.layout.discs, strict=True):
        x, y = disc.center
        colour = {"visible": LIGHT["shade"], "latent": LIGHT["page"], "partial": f"{LIGHT['page']}:{LIGHT['shade']}"}
        place = f"{number((x + shift) / INCH)},{number(-y / INCH)}!"
        graph.node(prefix + node.name, node.name, pos=place, fillcolor=colour[node.shade], tooltip=node.title)
    named: set[int] = set()
    for i, arrow in enumerate(drawn.arrows):
        source = f"{prefix}root {i}" if arrow.source is None else prefix + drawn.nodes[arrow.source].name
        if arrow.source is None:
            graph.node(source, "", shape="none", width="0.1")
        label = "" if arrow.factor in named else graphviz.escape(drawn.labels[arrow.factor].text)
        named.add(arrow.factor)
        graph.edge(source, prefix + drawn.nodes[arrow.target].name, label, **_mark(arrow))


def _mark(arrow: Arrow) -> dict[str, str]:
    mark = {"style": "dashed"} if arrow.dashed else {}
    if arrow.blue:
        mark |= {"color": LIGHT["blue"], "fontcolor": LIGHT["blue"], "penwidth": "1.6"}
    if arrow.hollow:
        mark |= {"color": "black:invis:black", "arrowhead": "onormal", "arrowsize": "1.5"}
    return mark

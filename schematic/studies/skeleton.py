"""What a model is, whatever its names, the order of its statements, its event shapes and its networks.

Two models are one model if their skeletons are isomorphic: variables with their types and given distributions, arrows
with their marks and the options that change an objective, and who trains with whom. The coarse skeleton leaves out
types, the parameters of priors, which fields come from one record, and the numbers and words of options.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from schematic.graph.model import AnyModel, Factor, Model, Sum, Variable
from schematic.graph.options import senseless
from schematic.studies.labelled import Canonical, Labelled, Node, canonical

PLAIN = Factor("", (), "", "generative")

Terms = tuple[tuple[float, Model], ...]


def terms(model: AnyModel) -> Terms:
    """The weighted models of a sum; a model is a sum of itself."""
    return model.terms if isinstance(model, Sum) else ((1.0, model),)


def form(model: AnyModel, *, exact: bool = True) -> Canonical:
    """The canonical form of a model's skeleton; among its nodes are ("variable", number of the term, name), the same
    for "factor", and ("group", name)."""
    return canonical(skeleton(model, exact=exact))


def skeleton(model: AnyModel, *, exact: bool = True) -> Labelled:
    """The labelled graph of a model. In a sum a variable is one thing in all terms, each of which has its own arrows.

    Which arrows of several terms are one conditional follows from their groups and ends.
    """
    graph = Labelled()
    for number, (weight, term) in enumerate(terms(model)):
        home = graph.node(("term", str(number)), _term_label(weight, term, exact))
        for v in term.variables:
            here = graph.node(("variable", str(number), v.name), _variable_label(v, exact))
            if len(terms(model)) > 1:
                graph.edge(home, here, "has")
                graph.edge(here, graph.node(("variable", v.name), "name"), "is")
            _data(graph, v, here, number, exact)
        for f in term.factors:
            here = _factor(graph, awake(f, term), number, exact)
            graph.edge(home, here, "has")
    return graph


def awake(factor: Factor, model: Model) -> Factor:
    """The factor without the options that a move left asleep on it."""
    asleep = senseless(factor, model.variable(factor.target).type.kind)
    options: dict[str, Any] = {o: plain for o in asleep if getattr(factor, o) != (plain := getattr(PLAIN, o))}
    return replace(factor, **options) if options else factor


def _term_label(weight: float, term: Model, exact: bool) -> str:
    reading = "wake_sleep" if term.wake_sleep else "importance" if term.importance is not None else ""
    return f"term {reading} {weight:g} {term.importance}" if exact else f"term {reading}"


def _variable_label(v: Variable, exact: bool) -> str:
    parts: list[object] = [len(v.type.values), v.data is not None, v.data is not None and v.data.given is not None]
    parts += [v.prior is not None, v.partial, v.index is not None]
    if exact:
        parts += [v.type.kind, v.prior and (v.prior.family, v.prior.args)]
    return f"variable {parts}"


def _data(graph: Labelled, v: Variable, here: Node, number: int, exact: bool) -> None:
    """Which variables are one field, which fields come from one record, and which variable is one of a chain."""
    stem, bracket, index = v.name.partition("[")
    if bracket:
        graph.edge(here, ("variable", str(number), stem), f"is [{index}")
    if v.data is not None and v.data.given:
        graph.edge(here, ("variable", str(number), v.data.given), "given")
    if v.data is None or not exact:
        return
    for place, (field, home) in enumerate(zip(v.data.fields, v.data.sets, strict=True)):
        at = graph.node(("field", home, field), "field")
        graph.edge(here, at, f"field {place}")
        graph.edge(at, graph.node(("set", home), "set"), "of")


def _factor(graph: Labelled, f: Factor, number: int, exact: bool) -> Node:
    label = f"{f.mark} {f.perfect} {f.when} {f.each}"
    if exact:
        label += f" {f.fixed} {f.temperature:g} {f.weight:g} {f.beta:g} {f.divergence.name} {f.divergence.penalty:g}"
    here = graph.node(("factor", str(number), f.name), label)
    graph.edge(here, graph.node(("group", f.group), "group"), "trained with")
    shifts = f.shifts or (None,) * (len(f.parents) + 1)
    for parent, shift in zip(f.parents, shifts, strict=False):
        _end(graph, here, parent, number, f"parent {shift}")
    _end(graph, here, f.target, number, f"target {shifts[-1]}")
    return here


def _end(graph: Labelled, here: Node, name: str, number: int, label: str) -> None:
    """An edge to a variable; an instance of a chain that nothing restates is told by its number."""
    node = ("variable", str(number), name)
    stem, bracket, index = name.partition("[")
    if bracket and node not in graph.labels:
        node, label = ("variable", str(number), stem), f"{label} [{index}"
    graph.edge(here, node, label)

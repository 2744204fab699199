"""Routes along a model's arrows: from records to what a model predicts of them, and back to the records.

A route is read off the graph, so that any drawn model has its predictions and round trips; the program's factors are
called one after the other, with the mean of what is continuous and the most probable value of what is discrete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from schematic.core.diagnostics import Report
from schematic.graph.model import AnyModel, Factor, Model, Prior, Sum, Variable
from schematic.runtime.folder import Run
from schematic.runtime.program import Program

Values = dict[str, Tensor]


@dataclass(frozen=True)
class Route:
    """`factors` in the order in which they are called, the last into `target`. Of the variables without one, `reads`
    come from the records and `drawn` from their priors."""

    graph: Model
    target: Variable
    factors: tuple[Factor, ...]
    reads: tuple[Variable, ...]
    drawn: tuple[Variable, ...] = ()

    @property
    def way(self) -> tuple[str, ...]:
        """The variables between the records and the target."""
        return tuple(f.target for f in self.factors[:-1])

    def kind(self, name: str) -> str:
        """The type of a variable on the way; at its end the mean is wanted, whatever the type."""
        return "real" if name == self.target.name else self.graph.variable(name).type.kind


def spec(run: Run) -> AnyModel | None:
    """The model of a run; None where the run was not given one."""
    from schematic.graph.build import parse

    file = run / "model.sg"
    return parse(file.read_text(errors="replace"), Report(), path=str(file)) if file.exists() else None


def terms(model: AnyModel) -> tuple[Model, ...]:
    """The models of a sum, or the one."""
    return tuple(m for _, m in model.terms) if isinstance(model, Sum) else (model,)


def together(model: AnyModel) -> Model:
    """One graph of all the terms of a sum: each variable and each conditional once."""
    parts = terms(model)
    variables = {v.name: v for m in reversed(parts) for v in m.variables}
    factors = {f.name: f for m in reversed(parts) for f in m.factors}
    ordered = [n for m in parts for n in (f.name for f in m.factors)]
    return Model(model.name, tuple(variables.values()), tuple(factors[n] for n in dict.fromkeys(ordered)))


def parents(graph: Model, f: Factor) -> tuple[str, ...]:
    """What a factor's module is called with: its parents in the file's order, the indicator left out."""
    return tuple(p for p in f.parents if graph.indicator is None or p != graph.indicator.name)


# --- finding them -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """How a variable is had: the factors to call, in order, what is read, what is drawn, and whether a start is met."""

    factors: tuple[Factor, ...] = ()
    reads: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    met: bool = False


def predictions(model: AnyModel) -> tuple[Route, ...]:
    """A route to every category that data label, from the other variables of the records: what classifies them."""
    graph = together(model)
    wanted = [v for v in graph.variables if v.data is not None and v.type.kind == "category" and not v.type.shape]
    found = (_route(graph, v, {u.name for u in graph.variables if u.data is not None} - {v.name}, ()) for v in wanted)
    return tuple(route for route in found if route is not None)


def clusters(model: AnyModel) -> tuple[Route, ...]:
    """A route from the records to every category that nothing labels: the classes that a model finds by itself."""
    graph = together(model)
    wanted = [v for v in graph.variables if v.data is None and v.type.kind == "category" and not v.type.shape]
    start = {v.name for v in graph.variables if v.data is not None}
    found = (_route(graph, v, start, ()) for v in wanted)
    return tuple(route for route in found if route is not None)


def round_trips(model: AnyModel) -> tuple[Route, ...]:
    """A route from every empirical variable to itself, by what is inferred or generated from it.

    Other empirical variables are read only where nothing leads to them from it (a label that is given).
    """
    graph = together(model)
    empirical = [v for v in graph.variables if v.data is not None and v.type.kind != "category"]
    spare = {v.name for v in graph.variables if v.data is not None}
    found = (_route(graph, v, {v.name}, spare - {v.name}) for v in empirical)
    return tuple(route for route in found if route is not None)


def generations(model: AnyModel) -> tuple[Route, ...]:
    """A route to every empirical variable but labels from the variables with a prior; conditions are read, too."""
    graph = together(model)
    empirical = {v.name: v for v in graph.variables if v.data is not None}
    codes = {v.name for v in graph.variables if v.prior is not None and v.data is None}
    wanted = [v for v in empirical.values() if v.type.kind != "category"]
    found = (_route(graph, v, codes, empirical.keys() - {v.name}) for v in wanted)
    return tuple(route for route in found if route is not None)


def _route(graph: Model, target: Variable, start: Collection[str], spare: Collection[str]) -> Route | None:
    """The route into a variable along one of its factors that meets a start."""
    goal = _Search(graph, frozenset(start), frozenset(spare))
    found = next((w for w in goal.ways(target.name, frozenset()) if w.met), None)
    if found is None:
        return None
    reads, drawn = (tuple(map(graph.variable, dict.fromkeys(names))) for names in (found.reads, found.drawn))
    return Route(graph, target, tuple(dict.fromkeys(found.factors)), reads, drawn)


@dataclass(frozen=True)
class _Search:
    """`start`: what is read first; `spare`: what is read where no factor leads to it from a start."""

    graph: Model
    start: frozenset[str]
    spare: frozenset[str]

    def had(self, name: str, above: frozenset[str]) -> _Way | None:
        """How a parent is had, rather from a start than not; None if it is not to be had."""
        if name in self.start:
            return _Way(reads=(name,), met=True)
        variable = self.graph.variable(name)
        found = list(self.ways(name, above)) if name not in above else []
        met = next((w for w in found if w.met), None)
        if met is not None:
            return met
        if name in self.spare:
            return _Way(reads=(name,))
        if found:
            return found[0]
        return _Way(drawn=(name,)) if variable.prior is not None else None

    def ways(self, name: str, above: frozenset[str]) -> Iterator[_Way]:
        """The ways into a variable along its factors, inference first; `above` are the variables on the way to it."""
        into = [f for f in self.graph.factors if f.target == name and not f.adversarial]
        for f in sorted(into, key=lambda f: f.process == "generative"):
            parts = [self.had(p, above | {name}) for p in parents(self.graph, f)]
            if all(p is not None for p in parts):
                ready = [p for p in parts if p is not None]
                yield _Way(
                    (*(g for p in ready for g in p.factors), f),
                    tuple(r for p in ready for r in p.reads),
                    tuple(d for p in ready for d in p.drawn),
                    any(p.met for p in ready),
                )


# --- following them ---------------------------------------------------------------------------------------


@torch.no_grad()
def follow(program: Program, route: Route, records: Mapping[str, Tensor]) -> Values:
    """Every variable of the route for records (n, *event) by variable; the target is the mean of its last factor."""
    n = len(next(iter(records.values())))
    values = {v.name: records[v.name] for v in route.reads}
    like = next(iter(values.values()))
    values |= {v.name: prior(v, n, like) for v in route.drawn}
    for f in route.factors:
        call = getattr(program, f.attribute)
        given = [values[p] for p in parents(route.graph, f)]
        made = call(*given) if given else call(batch=(n,))
        values[f.target] = _value(made, route.kind(f.target))
    return values


def _value(made: Any, kind: str) -> Tensor:
    """What a factor's call stands for: a hollow one's tensor, an explicit one's mean, or its most probable value."""
    if isinstance(made, Tensor):
        return made
    try:
        mean: Tensor = made.mean
    except NotImplementedError:  # a flow has none in closed form
        drawn: Tensor = made.sample()
        return drawn
    match kind:
        case "category":
            return one_hot(mean.argmax(-1), mean.shape[-1]).to(mean)
        case "binary":
            return mean.round()
        case _:
            return mean


def prior(v: Variable, n: int, like: Tensor) -> Tensor:
    """n draws (n, *event) of an explicit prior."""
    shape = (n, *v.type.shape)
    match v.prior:
        case Prior("Categorical"):
            drawn = one_hot(torch.randint(v.type.size, shape), v.type.size)
        case Prior("Bernoulli", args):
            drawn = torch.bernoulli(torch.full(shape, args[0]))
        case Prior("Normal" | "Laplace" | "Uniform" as family, args):
            drawn = getattr(torch.distributions, family)(*map(float, args)).sample(shape)
        case _:
            raise AssertionError(f"{v.name} has no prior to draw from")
    return drawn.to(like)

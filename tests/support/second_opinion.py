"""Emitted programs beside their Pyro programs: the same draws in both, values and gradients compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyro
import pyro.infer
import torch
from torch import Tensor, nn

from schematic.compiler import pyro as programs
from schematic.compiler.emit import Header, emit
from schematic.compiler.objectives import objectives
from schematic.compiler.plan import plan
from schematic.compiler.program import Branch, Drawn, Plan
from schematic.compiler.pyro_reading import Cell, read
from schematic.core.diagnostics import Report
from schematic.graph.model import Model


class OftenerDrawn(Exception):
    """Pyro enumerates over all rows: beside it, it drew a value for each outcome that this branch does not have."""


@dataclass
class Opinion:
    """One model, its plan, its program, and a batch."""

    plan: Plan
    text: str
    module: Any
    batch: dict[str, Tensor]

    @property
    def apart(self) -> bool:
        """Every branch has draws of its own: what no domain's record is drawn for may stand for all of them."""
        model = self.plan.models[0]
        return model.indicator is None or all(b.number is not None for b in self.plan.branches)

    @property
    def judges(self) -> set[str]:
        return {f.group for f in self.plan.model.factors if f.adversarial and not f.perfect and not f.fixed}


def opinion(model: Model, size: int = 5, seed: int = 0) -> Opinion:
    """The model's program in float64 on random data."""
    report = Report()
    planned = plan(model, objectives(model, report), report)
    report.check()
    scope: dict[str, Any] = {}
    text = emit(planned, Header("test.sg", "0", "0", "test"))
    exec(compile(text, "emitted", "exec"), scope)
    torch.manual_seed(seed)
    module = scope[model.name]().double()
    return Opinion(planned, text, module, {f: data(v.type, size) for f, v in planned.fields})


def data(type_: Any, size: int) -> Tensor:
    shape = (size, *type_.shape)
    match type_.kind:
        case "category":
            return nn.functional.one_hot(torch.randint(type_.size, shape), type_.size).double()
        case "binary":
            return torch.randint(2, shape).double()
        case "unit":
            return torch.rand(shape, dtype=torch.float64)
        case _:
            return torch.randn(shape, dtype=torch.float64)


def elbo(o: Opinion, name: str = "") -> tuple[Tensor, Any]:
    """The bound that Pyro computes, to be maximized, and the sites of the programs."""
    kept: list[Any] = []
    base = getattr(pyro.infer, name or programs.elbo(o.plan))

    class Kept(base):  # type: ignore[misc]
        def _get_trace(self, *args: Any) -> Any:
            model_trace, guide_trace = super()._get_trace(*args)
            kept.append({**model_trace.nodes, **guide_trace.nodes})
            return model_trace, guide_trace

    loss = Kept(max_plate_nesting=1).differentiable_loss(o.module.model, o.module.guide, o.batch)
    branches = len(read(o.plan).graph.branches)
    return -loss / (branches * len(next(iter(o.batch.values())))), kept[0]


def same_draws(o: Opinion, trace: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
    """The values of the guide's sites as a draw of the program: the rows of each branch and component."""
    r, n = read(o.plan), len(next(iter(o.batch.values())))
    drawn = o.module.draw(o.batch)
    for i, c in enumerate(r.cells):
        known = {d.variable: (b, d) for b in o.plan.branches for d in b.draws if _drawn_in(o, c, b, d)}
        for name in sorted(c.needed & trace.keys()):
            value = trace[name]["value"]
            axis = value.dim() - 1 - len(r.graph.variables[name].type.event_shape)
            value = value if value.shape[axis] == 1 else value.narrow(axis, i * n, n)
            b, d = known.get(name, (None, None))
            more = axis - (len(d.axes) if d is not None else 0)
            one = value[(0,) * more] if more > 0 else value
            if not (value == one).all():
                raise OftenerDrawn(name)
            if b is not None and d is not None and d.how != "enumerate":
                drawn[b.name][d.key] = one
    return drawn


def _drawn_in(o: Opinion, c: Cell, b: Branch, d: Drawn) -> bool:
    """The branch's value stands in the rows of a cell."""
    r, y = read(o.plan), o.plan.model.indicator
    name = y.type.values[c.y] if y and c.y else ""
    key = d.key in (d.variable, f"{d.variable}.{name}") and (
        d.outer or not r.weighed or (d.key == d.variable) == (not c.y)
    )
    return (c.origin if r.weighed else c.y) == b.number and key and not d.hidden


def gradients(o: Opinion, value: Tensor, groups: list[str]) -> dict[str, Tensor]:
    named = {
        k: p for k, p in o.module.named_parameters() if any(p is q for g in groups for q in o.module.parameters_of(g))
    }
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True, retain_graph=True)
    return {k: torch.zeros_like(p) if g is None else g for (k, p), g in zip(named.items(), found, strict=True)}


def compare(o: Opinion) -> Tensor:
    """Asserts equal gradients under the same draws; returns the difference of the values."""
    pyro.clear_param_store()
    torch.manual_seed(1)
    value, trace = elbo(o)
    groups = [g for g in o.module.GROUPS if g not in o.judges]
    drawn = same_draws(o, trace)
    own = o.module.objective(drawn, groups[0])
    theirs = gradients(o, value, groups)
    for key, mine in gradients(o, own, groups).items():
        torch.testing.assert_close(theirs[key], mine, rtol=1e-9, atol=1e-11, msg=lambda m, key=key: f"{key}: {m}")
    return (value - own).detach()

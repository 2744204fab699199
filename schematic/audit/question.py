"""What the audited process is told: the model's program, its variants and its terms, as plain data.

A variant is the same model with something restated: another divergence, no importance weights. Its program is derived
and emitted like any other; its terms are what a loss may hold instead of the model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from schematic.calculus.terms import KL, Critic, Log, LogMean
from schematic.compiler import pipeline
from schematic.compiler.emit import Header, emit
from schematic.compiler.plan import plan
from schematic.compiler.plan_passes import plain
from schematic.compiler.program import Conditional, Plan, Term
from schematic.core.diagnostics import Report, SchematicError
from schematic.core.version import VERSION
from schematic.graph.model import AnyModel, Divergence, Model, Sum, Variable

Data = dict[str, Any]
DivergenceName = Literal["nonsaturating", "minimax", "least_squares", "hinge", "wasserstein"]

SHAPES: tuple[DivergenceName, ...] = ("nonsaturating", "minimax", "least_squares", "hinge", "wasserstein")
"""The divergences that a hand-written loss may stand for; `kl` has their terms."""


def question(model: AnyModel) -> Data:
    """The program, its variants, factors, variables and terms of a model. Raises: SchematicError."""
    planned = _planned(model)
    partial = [v for v in planned.variables if v.partial and v.data is not None]
    masks = {f"{v.data.fields[0]}_observed": f"{v.name}_observed" for v in partial if v.data is not None}
    return {
        "name": model.name,
        "program": _text(planned),
        "variants": list(variants(model)),
        "factors": {c.factor.attribute: factor(c) for c in planned.conditionals},
        "variables": {v.name: variable(v) for v in planned.variables if v.type.kind != "domain"}
        | {
            name: {"event": [], "kind": "mask", "args": [], "data": [field], "prior": None}
            for field, name in masks.items()
        },
        "fields": {name: v.name for name, v in planned.fields} | masks,
        "updates": updates(planned),
        "generated": [b.name for b in planned.branches if b.number == 0],
    }


def updates(planned: Plan) -> list[Data]:
    return [{"groups": list(u.groups), "terms": [term(planned, t) for t in u.terms]} for u in planned.updates]


def _planned(model: AnyModel) -> Plan:
    report = Report()
    pipeline.waits(model, report, "error")
    report.check()
    found = pipeline.derive(model, report)
    report.check()
    made = plan(model, found, report)
    report.check()
    return made


def _text(planned: Plan) -> str:
    return emit(plain(planned), Header(planned.model.span.source.path, "", VERSION, "schematic audit"))


def variants(model: AnyModel) -> Iterator[Data]:
    """The programs of the model's variants, each with what it restates."""
    found: dict[str, AnyModel] = {name: _played(model, Divergence(name)) for name in SHAPES}
    if any(m.importance is not None for m in _models(model)):
        found["unweighted"] = _mapped(model, lambda m: replace(m, importance=None))
    for name, variant in found.items():
        if variant == model:
            continue
        try:
            planned = _planned(variant)
            yield {"restates": name, "program": _text(planned), "updates": updates(planned)}
        except SchematicError:
            continue  # not every divergence has a reading in every model


def _models(model: AnyModel) -> tuple[Model, ...]:
    return (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)


def _mapped(model: AnyModel, change: Callable[[Model], Model]) -> AnyModel:
    if isinstance(model, Sum):
        return replace(model, terms=tuple((scale, change(m)) for scale, m in model.terms))
    return change(model)


def _played(model: AnyModel, divergence: Divergence) -> AnyModel:
    """The model with every blue arrow playing so."""

    def change(m: Model) -> Model:
        blue = {f.name: replace(f, divergence=divergence) for f in m.factors if f.adversarial}
        return replace(m, factors=tuple(blue.get(f.name, f) for f in m.factors))

    return _mapped(model, change)


def factor(c: Conditional) -> Data:
    """A factor as the process needs it: whose values it takes, what it gives."""
    f = c.factor
    return {
        "name": f.name,
        "group": f.group,
        "family": c.family,
        "options": dict(c.options),
        "hollow": f.implicit,
        "adversarial": f.adversarial,
        "parents": [p.name for p in c.parents],
        "target": c.variable.name,
        "domains": len(c.variable.type.values),
        "event": list(c.variable.type.event_shape),
        "place": f"{f.span.source.path}:{f.span.line}",
        "statement": f.span.source.line(f.span.line).split("#")[0].strip(),
    }


def variable(v: Variable) -> Data:
    fields = {"data": list(v.data.fields) if v.data else [], "prior": v.prior.family if v.prior else None}
    given = list(v.prior.args) if v.prior else []
    return {"event": list(v.type.event_shape), "kind": v.type.kind, "args": given, **fields}


def term(planned: Plan, t: Term) -> Data:
    """A summand: its name in the program, and what it is made of."""
    names = {c.factor.name: c.factor.attribute for c in planned.conditionals}
    made = [c.density.factor for c in t.calls if c.density.factor is not None]
    kinds = {Log: "log", Critic: "critic", KL: "kl", LogMean: "log_mean"}
    return {
        "name": t.name,
        "kind": kinds[type(t.atom)],
        "form": t.atom.form if isinstance(t.atom, Critic) else None,
        "scale": float(t.scale),
        "branch": t.branch,
        "factor": names.get(t.left.density.factor or ""),
        "factors": sorted({names[f] for f in made if f in names}),
        "how": t.how,
        "drawn": next(
            (d.key for d in planned.branch(t.branch).draws if d.density.factor == t.left.density.factor), None
        ),
        "target": t.left.target or (t.right.target if t.right else None),
        "parents": list(t.left.parents),
        "place": _place(t),
    }


def _place(t: Term) -> str:
    span = t.left.density.span
    return f"{Path(span.source.path)}:{span.line}"

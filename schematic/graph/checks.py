"""What only types and shapes show of a model, and its warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from schematic.core.diagnostics import Diagnostic, Report, error, warning
from schematic.core.source import Span
from schematic.graph.model import AnyModel, Factor, Model, Sum, Type, Variable
from schematic.graph.networks import Misfit, built_in_misfit, declared_misfits, owner_problems


def check_written(model: Model, written: Collection[str], report: Report) -> None:
    """What a block writes on a factor must fit its ends; a factor whose ends are at fault is left alone."""
    known = {v.name for v in model.variables}
    for factor in (f for f in model.factors if f.name in written):
        if known.issuperset(n.partition("[")[0] for n in (*factor.parents, factor.target)):
            found = (family_misfit(model, factor), built_in_misfit(model, factor))
            report.add(*(m.told() for m in found if m is not None))


def whole_problems(model: Model, base: Model | None, at: Span) -> Iterator[Diagnostic]:
    """Declared networks that do not fit their factors or have no owner; what a base had is told elsewhere.

    What the block changed of the ends of a factor that it does not restate is told `at` the block.
    """
    before = {f.name: f for f in base.factors} if base else {}
    old = {m.factor.name for m in declared_misfits(base)} if base else set()
    for misfit in declared_misfits(model):
        factor = misfit.factor
        if factor is not before.get(factor.name):
            yield misfit.told()
        elif factor.name not in old:
            help = f"restate it, too: `{factor.name} = mlp(400)`"
            yield error("SG302", at, f"`{factor.name}` does not fit any more: {misfit.words}", help)
    yield from owner_problems(model)


# --- families ------------------------------------------------------------------------------------------------

_HOLDS = {
    "real": ("Normal", "Laplace", "Delta", "Flow"),
    "unit": ("Normal", "Laplace", "Bernoulli", "Delta", "Flow"),
    "binary": ("Normal", "Laplace", "Bernoulli", "Delta"),
    "category": ("Categorical", "Delta"),
}


def family_misfit(model: Model, factor: Factor) -> Misfit | None:
    """A family whose support does not hold its target's type."""
    if factor.how is None or factor.how.family is None:
        return None
    target = model.variable(factor.target)
    if target.type.kind == "domain":
        holds: tuple[str, ...] = ("Bernoulli",) if len(target.type.values) == 2 else ("Categorical",)
    else:
        holds = _HOLDS[target.type.kind]
    if factor.how.family in holds:
        return None
    words = f"{factor.how.family} does not hold {type_words(target.type)}, the type of `{target.name}`"
    return Misfit(factor, "SG203", factor.how.span, words, " or ".join(f"`{f}`" for f in holds))


def type_words(type_: Type) -> str:
    """A type as written: `real(64)`."""
    parts: tuple[object, ...] = type_.values or ((type_.size, *type_.shape) if type_.size else type_.shape)
    return f"{type_.kind}({', '.join(map(str, parts))})" if parts else type_.kind


# --- warnings ------------------------------------------------------------------------------------------------


def warnings(model: Model) -> Iterator[Diagnostic]:
    """Unused variables, and an indicator whose values are the wrong way round, of a model that a block declares."""
    for variable in unused(model):
        yield warning("SG903", variable.span, f"no factor mentions `{variable.name}`", "delete it, or draw an arrow")
    y = model.indicator
    if y is not None and _reversed(y):
        words = "the first value is y=0, the generated one"
        yield warning("SG901", _first_value(y), words, f"`domain({y.type.values[1]}, {y.type.values[0]})`")


def computed_warnings(model: AnyModel) -> Iterator[Diagnostic]:
    """Variables that the moves of an expression left without a factor, told at the model's name."""
    if isinstance(model, Sum):
        yield from scale_warnings(model)
    terms = [m for _, m in model.terms] if isinstance(model, Sum) else [model]
    idle = [
        {v.name for v in unused(m)} | ({v.name for t in terms for v in t.variables} - {v.name for v in m.variables})
        for m in terms
    ]
    for name in sorted(set.intersection(*idle)):
        yield warning(
            "SG903", model.span, f"no factor of {model.name} mentions `{name}`", f"`without {name}` removes it"
        )


def scale_warnings(total: Sum) -> Iterator[Diagnostic]:
    """A model with an indicator keeps its 1/K on each branch, one without has scale 1, unless `K * M` takes it away."""
    domains = [len(m.indicator.type.values) if m.indicator else 1 for _, m in total.terms]
    scales = {c / k for k, (c, _) in zip(domains, total.terms, strict=True)}
    if len({*domains}) > 1 and len(scales) > 1:
        words = ", ".join(f"{label} {_scale_words(m)}" for label, (_, m) in zip(total.labels, total.terms, strict=True))
        most = max(domains)
        help = f"`{most} * M` puts the objective of one with {most} domains on the scale of one without"
        yield warning("SG905", total.reading, f"the terms of this sum are on different scales: {words}", help)


def _scale_words(model: Model) -> str:
    y = model.indicator
    return f"has 1/{len(y.type.values)} on each branch" if y else "has no indicator: 1"


def unused(model: Model) -> tuple[Variable, ...]:
    """The variables that no factor and no `given` mentions."""
    used = {n.partition("[")[0] for f in model.factors for n in (*f.parents, f.target)}
    used |= {v.data.given for v in model.variables if v.data and v.data.given}
    return tuple(v for v in model.variables if v.name.partition("[")[0] not in used)


_GIVEN = frozenset(("real", "data", "source"))
_GENERATED = frozenset(("fake", "generated", "synthetic", "target"))


def _reversed(y: Variable) -> bool:
    if len(y.type.values) != 2:
        return False
    first, last = (v.lower() for v in y.type.values)
    return (first in _GIVEN and last not in _GIVEN) or (last in _GENERATED and first not in _GENERATED)


def _first_value(y: Variable) -> Span:
    """The place of the first value in `domain(A, B)`."""
    span, value = y.type.span, y.type.values[0]
    start = span.source.text.find(value, span.start + len("domain("), span.end)
    return replace(span, start=start, end=start + len(value)) if start >= 0 else span

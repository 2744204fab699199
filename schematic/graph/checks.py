"""What only types and shapes show of a model, and its warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from schematic.core.diagnostics import Diagnostic, Report, warning
from schematic.core.source import Span
from schematic.graph.model import Factor, Model, Type, Variable
from schematic.graph.networks import Misfit, built_in_misfit, declared_misfits, owner_problems


def check_written(model: Model, written: Collection[str], base: Model | None, report: Report) -> None:
    """The errors of a block's model, less those that concern only what the model that it restates brought along."""
    for factor in (f for f in model.factors if f.name in written):
        found = (family_misfit(model, factor), built_in_misfit(model, factor))
        report.add(*(m.told() for m in found if m is not None))
    before = {m.factor.name for m in declared_misfits(base)} - set(written) if base else set()
    report.add(*(m.told() for m in declared_misfits(model) if m.factor.name not in before))
    report.add(*owner_problems(model))


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
    """Unused variables, and an indicator whose values are the wrong way round."""
    used = {n.partition("[")[0] for f in model.factors for n in (*f.parents, f.target)}
    used |= {v.data.given for v in model.variables if v.data and v.data.given}
    for variable in model.variables:
        if variable.name.partition("[")[0] not in used:
            yield warning(
                "SG903", variable.span, f"no factor mentions `{variable.name}`", "delete it, or draw an arrow"
            )
    y = model.indicator
    if y is not None and _reversed(y):
        words = "the first value is y=0, the generated one"
        yield warning("SG901", _first_value(y), words, f"`domain({y.type.values[1]}, {y.type.values[0]})`")


_GIVEN = frozenset(("real", "data", "given", "source"))
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

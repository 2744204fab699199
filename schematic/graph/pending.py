"""What the language has and the compiler does not have yet, each at its place."""

from __future__ import annotations

from collections.abc import Iterator

from schematic.core.diagnostics import Diagnostic, warning
from schematic.core.source import NOWHERE, Span
from schematic.graph.defaults import links, resolve
from schematic.graph.model import AnyModel, Factor, Model, Variable


def pending(model: AnyModel) -> tuple[Diagnostic, ...]:
    """SG601, a warning for each form of the model that is checked and drawn but not compiled yet."""
    if isinstance(model, Model):
        return tuple(_in_model(model))
    return tuple(dict.fromkeys(d for _, term in model.terms for d in _in_model(term)))


def _told(span: Span, what: str) -> Diagnostic:
    verb = "are" if what.endswith("s") and not what.startswith(("a ", "`")) else "is"
    return warning("SG601", span, f"{what} {verb} not compiled yet", "the file is checked and drawn all the same")


def _in_model(model: Model) -> Iterator[Diagnostic]:
    for variable in model.variables:
        yield from _in_variable(variable)
    for factor in model.factors:
        yield from _in_factor(model, factor)
    for net in model.nets:
        yield from (_told(link.span, "a `python` network") for link in links(net.net) if link.kind == "python")


def _in_variable(variable: Variable) -> Iterator[Diagnostic]:
    if variable.partial:
        yield _told(variable.span, "`partial`")
    if variable.index is not None:
        yield _told(variable.span, "a chain")


def _in_factor(model: Model, factor: Factor) -> Iterator[Diagnostic]:
    place = factor.how.span if factor.how and factor.how.span is not NOWHERE else factor.arrow
    if resolve(model, factor).family == "Flow":
        yield _told(place, "`Flow`")
    if factor.how is not None and factor.how.net is not None:
        yield from (_told(link.span, "a `python` network") for link in links(factor.how.net) if link.kind == "python")

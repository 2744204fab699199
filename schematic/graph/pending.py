"""What the language has and the compiler does not have yet, each at its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from schematic.core.diagnostics import Diagnostic, warning
from schematic.core.source import Span
from schematic.graph.defaults import links
from schematic.graph.model import AnyModel, Factor, Model, Net, Variable
from schematic.graph.networks import users


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
        yield from _in_net(model, net.net)
        targets = {f.target for f in users(model).get(net.name, ())}
        if _outside(model, net.net) and len(targets) > 1:
            yield _told(net.span, "a `python` network with several targets")


def _in_variable(variable: Variable) -> Iterator[Diagnostic]:
    if variable.index is not None:
        yield _told(variable.span, "a chain")


def _in_factor(model: Model, factor: Factor) -> Iterator[Diagnostic]:
    if factor.how is not None and factor.how.net is not None:
        yield from _in_net(model, factor.how.net)


def _in_net(model: Model, net: Net) -> Iterator[Diagnostic]:
    """A `python` network has no body and head: it stands alone."""
    if net.then is not None:
        parts = (link for link in links(net) if _outside(model, replace(link, then=None)))
        yield from (_told(link.span, "`then` at a `python` network") for link in parts)


def _outside(model: Model, net: Net) -> bool:
    """The network, or the one that it names, is from Python."""
    return net.kind == "python" if not net.declared else any(_outside(model, n) for n in links(model.net(net.kind).net))

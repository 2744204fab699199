"""What the language has and the compiler does not have yet, each at its place."""

from __future__ import annotations

from schematic.core.diagnostics import Diagnostic, warning
from schematic.graph.model import AnyModel, Model


def pending(model: AnyModel) -> tuple[Diagnostic, ...]:
    """SG601, a warning for each form of the model that is checked and drawn but not compiled yet: chains."""
    models = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    help = "the file is checked and drawn all the same"
    chains = (v for m in models for v in m.variables if v.index is not None)
    return tuple(dict.fromkeys(warning("SG601", v.span, "a chain is not compiled yet", help) for v in chains))

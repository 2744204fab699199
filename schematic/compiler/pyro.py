"""A second opinion: a model as two Pyro programs, `model` (the solid side scores) and `guide` (the dashed one samples).

They are read off the graph apart from the objectives and share nothing with them but the factor modules.
`elbo(plan)(model, guide)`, divided by (batch x number of branches), has the gradients of `objective` for the groups
that do not judge, under the same draws, and its value up to the terms that the derivation drops. Two exceptions: a
score function has no baseline here, and its divergences are sampled.
"""

from __future__ import annotations

from schematic.compiler.program import Plan
from schematic.compiler.pyro_guide import Guide
from schematic.compiler.pyro_model import Model
from schematic.compiler.pyro_program import elbo
from schematic.compiler.pyro_reading import read

__all__ = ["elbo", "methods"]


def methods(plan: Plan) -> list[str]:
    """`def model(self, batch)` and `def guide(self, batch)`; nothing where Pyro cannot be asked: a divergence other
    than the default, more than two domains, no data."""
    divergences = {f.divergence.name for f in plan.model.factors if f.adversarial}
    r = read(plan)
    if divergences - {"nonsaturating"} or r.graph.domains > 2 or not plan.fields or not r.cells:
        return []
    guide, model = Guide(r), Model(r)
    guide.write()
    model.write()
    return [*model.method(), "", *guide.method()]

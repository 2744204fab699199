"""A second opinion: a model as two Pyro programs, `model` (the solid side scores) and `guide` (the dashed one samples).

They are read off the graph apart from the objectives and share nothing with them but the factor modules.
`elbo(plan)(model, guide)`, divided by (batch x number of branches), has the gradients of `objective` for the groups
that do not judge, under the same draws, and its value up to the terms that the derivation drops. Two exceptions: a
score function has no baseline here, and its divergences are sampled.
"""

from __future__ import annotations

from collections import Counter

from schematic.compiler.branches import Outer
from schematic.compiler.program import Plan
from schematic.compiler.pyro_guide import Guide
from schematic.compiler.pyro_model import Model
from schematic.compiler.pyro_program import elbo, terms
from schematic.compiler.pyro_reading import Reading, read

__all__ = ["elbo", "methods"]


def methods(plan: Plan) -> list[str]:
    """`def model(self, batch)` and `def guide(self, batch)`; nothing where Pyro cannot be asked: readings 5 to 8, a
    blue arrow into no domain, a divergence other than the default, more than two domains, no data, a variable that is
    carried and inferred at once, a divergence that has a closed form in some branches only, two variables that are
    drawn from each other, one in one branch and one in another."""
    m = plan.models[0]
    others = (f for f in m.factors if f.adversarial and m.variable(f.target).type.kind != "domain")
    special = any(v.partial or v.index for v in m.variables) or any(others)
    if len(plan.models) > 1 or m.importance is not None or m.wake_sleep or special:
        return []
    divergences = {f.divergence.name for f in m.factors if f.adversarial}
    r = read(plan)
    twice = any(Outer() in ways and len(ways) > 1 for ways in (r.origins(v.name) for v in r.variables))
    if divergences - {"nonsaturating"} or r.graph.domains > 2 or not plan.fields or not r.cells or twice or uneven(r):
        return []
    guide, model = Guide(r), Model(r)
    guide.write()
    model.write()
    return [] if guide.circular else [*model.method(), "", *guide.method()]


def uneven(r: Reading) -> bool:
    """The objective takes some factor's divergence in closed form in one cell and samples it in another."""
    left = (t.left.density.factor for t in terms(r.plan) if t.how == "closed")
    closed = Counter(name for name in left if name is not None)
    return any(count < sum(name in c.entropies for c in r.cells) for name, count in closed.items())

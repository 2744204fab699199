"""A second opinion: a model as two Pyro programs, `model` (the solid side scores) and `guide` (the dashed one samples).

They are read off the graph apart from the objectives and share nothing with them but the factor modules.
`elbo(plan)(model, guide)`, divided by (batch x number of branches), has the gradients of `objective` for the groups
that do not judge, under the same draws, and its value up to the terms that the derivation drops. Two exceptions: a
score function has no baseline here, and its divergences are sampled.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TypeVar

from schematic.compiler.branches import Outer
from schematic.compiler.emit_text import indent, quoted
from schematic.compiler.program import Plan, field
from schematic.compiler.pyro_guide import Guide
from schematic.compiler.pyro_model import Model
from schematic.compiler.pyro_program import Program
from schematic.compiler.pyro_reading import Reading, read


def elbo(plan: Plan) -> str:
    """The estimator of pyro.infer that computes what `objective` does."""
    return read(plan).elbo


MOST = 100  # variables that Pyro is asked of: a site is written inside of the one that needs it
P = TypeVar("P", bound=Program)


def methods(plan: Plan) -> list[str]:
    """`def model(self, batch)` and `def guide(self, batch)`; nothing where Pyro cannot be asked: readings 5 to 7, a
    blue arrow into no domain, a divergence other than the default, more than two domains, no data, a variable that is
    carried and inferred at once, a partial one beside domains or that nothing infers, a divergence that has a closed
    form in some branches only, two variables that are drawn from each other, one in one branch and one in another; and
    of models with more than MOST variables."""
    m = plan.models[0]
    others = (f for f in m.factors if f.adversarial and m.variable(f.target).type.kind != "domain")
    special = any(v.index for v in m.variables) or any(others) or len(m.variables) > MOST
    if len(plan.models) > 1 or m.importance is not None or m.wake_sleep or special:
        return []
    divergences = {f.divergence.name for f in m.factors if f.adversarial}
    r = read(plan)
    twice = any(Outer() in ways and len(ways) > 1 for ways in (r.origins(v.name) for v in r.variables))
    if divergences - {"nonsaturating"} or r.graph.domains > 2 or not plan.fields or not r.cells or twice or uneven(r):
        return []
    if r.graph.partial and (r.y or len(r.graph.partial) > len(r.graph.inferred)):
        return []
    guides, models = blocks(Guide, plan, r), blocks(Model, plan, r)
    if any(b.circular for b in guides.values()):
        return []
    return [*joined(models).method(), "", *joined(guides).method()]


def blocks(kind: type[P], plan: Plan, r: Reading) -> dict[str, P]:
    """The program under the mask of its records: one for every set of partial variables that may be observed."""
    names = r.graph.inferred
    sets = [frozenset(c) for n in range(len(names), -1, -1) for c in combinations(names, n)] if names else []
    found = {mask(plan, names, s): kind(read(plan, s), suffix(names, s)) for s in sets}
    for block in (found := found or {"": kind(r)}).values():
        block.write()
    return found


def suffix(names: tuple[str, ...], seen: frozenset[str]) -> str:
    """Of the values that are drawn where these are observed, as in a draw."""
    known = [v for v in names if v in seen] if len(names) > 1 else []
    return "".join(f" {word}" for word in (*known, "observed")) if seen else ""


def joined(found: dict[str, P]) -> P:
    """The blocks one after the other, each under its mask."""
    last = list(found.values())[-1]
    if len(found) > 1:
        last.lines = [
            line for m, b in found.items() for line in (f"with poutine.mask(mask={m}):", *indent(b.lines))
        ]
    return last


def mask(plan: Plan, names: tuple[str, ...], seen: frozenset[str]) -> str:
    """The records in which these are observed, and the others are missing."""
    fields = {name: quoted(f"{field(plan.models[0], name, None)}_observed") for name in names}
    parts = [f"batch[{fields[name]}] {'>' if name in seen else '<='} 0" for name in names]
    return parts[0] if len(parts) == 1 else " & ".join(f"({part})" for part in parts)


def uneven(r: Reading) -> bool:
    """The objective takes some factor's divergence in closed form in one cell and samples it in another."""
    left = (t.left.density.factor for t in r.terms if t.how == "closed")
    closed = Counter(name for name in left if name is not None)
    return any(count < sum(name in c.entropies for c in r.cells) for name, count in closed.items())

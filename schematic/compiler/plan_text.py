"""A plan as text: who draws what and how, who is updated with what. For `--stage plan`."""

from __future__ import annotations

from dataclasses import replace

from schematic.calculus.text import density_text
from schematic.calculus.text import lines as formula
from schematic.compiler.program import Branch, Drawn, Plan, Update
from schematic.graph import optimizers as defaults
from schematic.graph.model import Optimizer

HOW = {
    "data": "from the batch",
    "mask": "from the batch: 1 where it is observed",
    "prior": "from the prior",
    "map": "a transformation",
    "mean": "the mean",
    "path": "reparameterized",
    "sample": "sampled, no gradient needed",
    "enumerate": "every value",
    "score": "sampled, score function",
    "gumbel": "Gumbel softmax, biased",
    "mixture": "between the domains' draws",
    "straight_through": "straight through, biased",
}


def optimizers(plan: Plan, u: Update) -> str:
    """What the file sets, else the default of its kind of model."""
    shown = {g: optimizer(defaults.optimizer(plan.model, g)) for g in u.groups}
    if len(set(shown.values())) == 1:
        return shown[u.groups[0]]
    return ", ".join(f"{g} {o}" for g, o in shown.items())


def optimizer(o: Optimizer) -> str:
    return f"{str(o)[:-1]}, steps: {o.steps})" if o.steps != 1 else str(o)


def stopped(plan: Plan, u: Update) -> tuple[str, ...]:
    """The values that pass no gradient in an update, and the weights."""
    outer = [
        f"{b.name}: {d.variable}" for b in plan.branches for d in b.draws if d.outer and d.how not in ("data", "prior")
    ]
    cut = [f"{branch}: {key}" for branch, key in u.detached]
    masses = [density_text(m.density) for t in u.terms for m in t.masses]
    return tuple(dict.fromkeys((*cut, *outer, *masses)))


def show(plan: Plan) -> str:
    """The whole plan."""
    lines = [f"plan of {plan.model.name}", ""]
    for k in plan.conditionals:
        parents = ", ".join(v.name for v in k.parents)
        moved = "" if k.trained else ", trains nothing"
        net = f"{k.net.kind}({', '.join(map(str, k.net.args))})" if k.net.args else k.net.kind
        kind = "hollow" if k.factor.implicit else k.family
        lines.append(f"{k.factor.name}({k.variable.name} | {parents}): {kind}, {net}{moved}".replace(" | )", ")"))
    for b in plan.branches:
        lines += ["", f"draw {b.name}", *(f"  {_drawn(b, d)}" for d in b.draws)]
    for u in plan.updates:
        lines += ["", f"update {', '.join(u.groups)} with {optimizers(plan, u)}"]
        lines += [f"  {line}" for line in formula(u.objective.term, 96)]
        lines += [f"  {t.name}: {t.how}{_weighed(t.axes)}" for t in u.terms]
        lines += [f"  surrogate of {density_text(s.density)} in {s.branch}" for s in u.scores]
        lines += [f"  passes no gradient: {name}" for name in stopped(plan, u)]
        lines += [f"  as drawn from, evaluated once: {density_text(c.density)} in {c.branch}" for c, _ in u.made]
        lines += [f"  one pass: {cs[0].density.factor} in {', '.join(c.branch for c in cs)}" for cs in u.joined]
    order = ", ".join(f"{' '.join(groups)}{' (redrawn)' if fresh else ''}" for groups, fresh in plan.steps)
    lines += ["", f"a step: {order}", *(f"note: {line}" for line in plan.log)]
    return "\n".join(lines) + "\n"


def _drawn(branch: Branch, d: Drawn) -> str:
    where = ", at theta_0" if d.outer and d.how not in ("data", "prior") else ""
    axes = _weighed(d.axes)
    return f"{d.key} ~ {density_text(replace(d.density, stopped=d.outer))}: {HOW[d.how]}{where}{axes}"


def _weighed(axes: tuple[int, ...]) -> str:
    return f", axes {' x '.join(map(str, axes))}" if axes else ""

"""`sample` and `infer` of an emitted program: ancestral sampling outside of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from schematic.compiler import estimators
from schematic.compiler.emit_draw import prior, sample
from schematic.compiler.emit_text import indent, quoted
from schematic.compiler.program import Conditional, Plan
from schematic.graph.model import Model, Variable


@dataclass(frozen=True)
class Route:
    """What is drawn, in order, from what: a factor or the prior; and what must be given."""

    drawn: tuple[tuple[Variable, Conditional | None], ...]
    given: tuple[Variable, ...]


def generation(plan: Plan) -> Route:
    """At y=0, from the priors along the factors, on either side, that lead to empirical variables; if none does there
    (a classifier that is trained in the source domain alone), along those of every domain; if no prior leads to one
    (an autoencoder), from their own values through what is inferred from these. Of a sum, the first term's that can."""
    found = [_generated(m, plan.own(m)) for m in plan.models]
    return next((route for route in found if route.drawn), found[0])


def _generated(model: Model, own: tuple[Conditional, ...]) -> Route:
    factors = tuple(k for k in own if not k.factor.adversarial)
    here = _generation(model, tuple(k for k in factors if k.factor.when in (None, 0)))
    found = here if here.drawn else _generation(model, factors)
    return found if found.drawn else _reconstruction(model, factors)


def _reconstruction(model: Model, usable: tuple[Conditional, ...]) -> Route:
    empirical = tuple(v for v in model.variables if v.data is not None)
    first = _reach(usable, tuple(v.name for v in empirical))
    known = {*(v.name for v in empirical), *(k.variable.name for k in first)}
    latent = {k.variable.name for k in first}
    last = [k for k in usable if k.variable in empirical and latent & {p.name for p in k.parents}]
    ready = {k.variable.name: k for k in reversed(last) if all(p.name in known for p in k.parents)}
    drawn: list[tuple[Variable, Conditional | None]] = [(k.variable, k) for k in (*first, *ready.values())]
    wanted = _needed(drawn, lambda v: v.data is not None)
    read = {p.name for v, k in drawn if k is not None and v.name in wanted for p in k.parents}
    return Route(tuple(d for d in drawn if d[0].name in wanted), tuple(v for v in empirical if v.name in read))


def _generation(model: Model, usable: tuple[Conditional, ...]) -> Route:
    known = [v for v in model.variables if v.prior is not None or v.partial]
    found = _reach(usable, tuple(v.name for v in known))
    drawn_there = {k.variable.name for k in usable if k.factor.process == "inference"}
    # what no factor can reach is given, as far as the rest needs it
    names = frozenset(_names(found, known))
    for v in sorted(model.variables, key=lambda v: v.name in drawn_there):
        if v.data is not None and v.name not in names:
            producers = [k for k in usable if k.variable == v and all(p.name in names for p in k.parents)]
            if not producers:
                more = _reach(usable, (*_names(found, known), v.name))
                if len(more) > len(found):
                    found, known = more, [*known, v]
                    names = frozenset(_names(found, known))
    drawn: list[tuple[Variable, Conditional | None]] = [(v, None) for v in known if v.prior is not None or v.partial]
    drawn += [(k.variable, k) for k in found]
    wanted = _needed(drawn, lambda v: v.data is not None)
    given = tuple(v for v in known if v.data is not None and not v.partial and v.name in wanted)
    return Route(tuple(d for d in drawn if d[0].name in wanted), given)


def inference(plan: Plan) -> Route:
    """From empirical variables to those that are not, along the factors on either side, in any domain. Of a sum, the
    first term's that can."""
    found = [_inferred(m, plan.own(m)) for m in plan.models]
    return next((route for route in found if route.drawn), found[0])


def _inferred(model: Model, own: tuple[Conditional, ...]) -> Route:
    guessed = {k.variable.name for k in own if k.variable.partial and k.factor.process == "inference"}
    empirical = tuple(v for v in model.variables if v.data is not None and v.name not in guessed)
    usable = tuple(
        k for k in own if k.parents and not k.factor.adversarial
        and (k.variable.data is None or (k.variable.name in guessed and k.factor.process == "inference"))
    )  # fmt: skip
    first = sorted(usable, key=lambda k: k.factor.process == "generative")
    drawn: list[tuple[Variable, Conditional | None]] = [
        (k.variable, k) for k in _reach(tuple(first), tuple(v.name for v in empirical))
    ]
    known = frozenset(v.name for v in empirical)
    wanted = _needed(drawn, lambda v: v.name not in known)
    return Route(tuple(drawn), tuple(v for v in empirical if v.name in wanted))


def _names(found: tuple[Conditional, ...], known: list[Variable]) -> tuple[str, ...]:
    return (*(v.name for v in known), *(k.variable.name for k in found))


def _reach(usable: tuple[Conditional, ...], known: tuple[str, ...]) -> tuple[Conditional, ...]:
    """The factors that can be followed from the known variables, one into each new variable, in order."""
    have = set(known)
    missing = [{p.name for p in k.parents} - have for k in usable]
    waiting: dict[str, list[int]] = {}
    for i, names in enumerate(missing):
        for name in names:
            waiting.setdefault(name, []).append(i)
    ready = [i for i, names in enumerate(missing) if not names]  # in order: a heap
    found: list[Conditional] = []
    while ready:
        k = usable[heappop(ready)]
        if k.variable.name not in have:
            found.append(k)
            have.add(k.variable.name)
            for i in waiting.get(k.variable.name, ()):
                missing[i].discard(k.variable.name)
                if not missing[i]:
                    heappush(ready, i)
    return tuple(found)


def _needed(drawn: list[tuple[Variable, Conditional | None]], goal: Callable[[Variable], bool]) -> frozenset[str]:
    """The goals that are drawn, and all that they are drawn from."""
    wanted = {v.name for v, k in drawn if k is not None and goal(v)}
    for v, k in reversed(drawn):
        if v.name in wanted and k is not None:
            wanted |= {p.name for p in k.parents}
    return frozenset(wanted)


# --- code -------------------------------------------------------------------------------------------------


def methods(plan: Plan) -> list[str]:
    lines: list[str] = []
    made, inferred = generation(plan), inference(plan)
    if made.drawn:
        lines += [
            "@torch.no_grad()",
            "def sample(self, n: int, generator: torch.Generator | None = None, /, **given: Tensor) -> dict:",
            f'    """{_what(made, "n draws from the model")}"""',
            *indent(_body(plan, made)),
        ]
    if inferred.drawn:
        lines += ["", "@torch.no_grad()"] if lines else ["@torch.no_grad()"]
        lines += [
            "def infer(self, generator: torch.Generator | None = None, /, **given: Tensor) -> dict:",
            f'    """{_what(inferred, "A draw of what is not observed")}"""',
            *indent(_body(plan, inferred)),
        ]
    return lines


def _what(route: Route, what: str) -> str:
    drawn = ", ".join(v.name for v, _ in route.drawn)
    given = f"; given {', '.join(v.name for v in route.given)}" if route.given else ""
    return f"{what}: {drawn}{given}."


def _body(plan: Plan, route: Route) -> list[str]:
    lines: list[str] = []
    names = tuple(v.name for v in route.given)
    if names:
        listed = ", ".join(map(quoted, names))
        lines += [f"if missing := {{{listed}}} - given.keys():"]
        lines += ['    raise TypeError(f"these must be given: {\', \'.join(sorted(missing))}")']
    drawn: list[str] = []
    for v, k in route.drawn:
        drawn += _draw(plan, v, k, names)
    if any("**like" in line for line in drawn):
        lines += ["first = next(self.parameters())"]
        lines += ['like = {"dtype": first.dtype, "device": first.device}']
    return [*lines, "drawn: dict[str, Tensor] = {}", *drawn, "return drawn"]


def _draw(plan: Plan, v: Variable, k: Conditional | None, given: tuple[str, ...]) -> list[str]:
    target = f"drawn[{quoted(v.name)}]"
    if k is None:
        return [f"{target} = {prior(v)}"]
    parents = ", ".join(f"{'given' if p.name in given else 'drawn'}[{quoted(p.name)}]" for p in k.parents)
    called = f"self.{k.factor.attribute}({parents or 'batch=(n,)'})"
    how = estimators.draw(v.type, k.family, k.factor.implicit, None, False, 1)
    if how == "map" and plan.conditional(k.factor.name).factor.implicit:
        return [f"{target} = {called}"]
    if how in ("map", "mean"):
        return [f"{target} = {called}.mean"]
    return [f"q = {called}", f"{target} = {sample(k, how, None)}"]

"""What a loss may be made of: the model's own terms, and what hand-written losses put in their place.

An atom is a term of a derived objective, the model's or a variant's, evaluated by the emitted program; `changes` say
what was done to it: a net read in another way, a gradient cut or let through, a divergence taken at its sample. Nothing
here knows a model: the changes follow from the kinds of the factors and of the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence
from torch.overrides import TorchFunctionMode

from schematic.audit.factors import SPREADS, Wrapped, reading
from schematic.audit.parameters import Parameters, Vector

Data = dict[str, Any]
Draw = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Change:
    """What is done to a term. `what` is one of COSTS; `of` a factor or a value of the draw; `to` what it becomes."""

    what: str
    of: str = ""
    to: str = ""


COSTS = {
    "restated": 1.0,  # another divergence, or no importance weights
    "flip": 0.9,  # the other domain's probability
    "squash": 1.1,  # a probability where a logit stands
    "family": 1.0,  # another family around the same mean
    "sampled": 0.2,  # a divergence at its sample: the same expectation
    "halves": 0.6,  # one of the two logs of a sampled divergence
    "reversed": 1.0,  # KL(g || f)
    "part": 1.2,  # a part of the KL of two Normals
    "output": 1.0,  # the net's second output read in another way
    "cut": 1.0,  # a value passes no gradient
    "still": 1.0,  # the mean in place of a draw
    "held": 1.0,  # a net passes no gradient
    "attached": 0.8,  # what passes no gradient passes it
    "points": 1.0,  # a slope taken elsewhere
    "slope": 1.0,  # another penalty on the slope
    "weights": 1.0,  # importance weights that pass gradient
}


@dataclass(frozen=True)
class Key:
    """Which atom: the update and the term (names of the program that holds it), and what is done to it."""

    update: int
    term: str
    changes: tuple[Change, ...] = ()

    @property
    def cost(self) -> float:
        return sum(COSTS[c.what] for c in self.changes)


@dataclass(frozen=True)
class Value:
    """An atom at one draw."""

    value: float
    gradient: Vector


@dataclass(frozen=True)
class Program:
    """An emitted program around the user's nets. `terms`: for each update the facts of its terms."""

    instance: Any
    module: dict[str, Any]
    updates: Sequence[Data]
    restates: str = ""
    still: Draw | None = None  # what is drawn without noise

    @property
    def factors(self) -> dict[str, Wrapped]:
        return {n: m for n, m in self.instance.named_children() if isinstance(m, Wrapped)}


def load(text: str, factors: dict[str, Wrapped], updates: Sequence[Data], restates: str = "") -> Program:
    """The emitted class with these factors for its own."""
    module: dict[str, Any] = {"__name__": "schematic_audited"}
    exec(compile(text, "<program>", "exec"), module)
    (cls,) = (c for c in module.values() if isinstance(c, type) and hasattr(c, "UPDATES"))
    instance: Any = object.__new__(cls)
    nn.Module.__init__(instance)
    for name, wrapped in factors.items():
        setattr(instance, name, wrapped)
    return Program(instance, module, updates, restates)


# --- evaluating -----------------------------------------------------------------------------------------------------


class Attached(TorchFunctionMode):
    """Nothing is detached."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func is Tensor.detach else func(*args, **(kwargs or {}))


def own(program: Program, draw: Draw, parameters: Parameters) -> dict[Key, Value]:
    """The model's terms."""
    return changed(program, draw, parameters, ())


def changed(program: Program, draw: Draw, parameters: Parameters, changes: tuple[Change, ...],
            only: Callable[[Data], bool] = lambda t: True) -> dict[Key, Value]:  # fmt: skip
    """The terms of a program after changes; those that cannot be computed so are left out."""
    restated = (Change("restated", "", program.restates),) if program.restates else ()
    found: dict[Key, Value] = {}
    for u, update in enumerate(program.updates):
        if not any(only(t) for t in update["terms"]):
            continue
        with ExitStack() as stack:
            seen = draw
            for c in changes:
                seen = stack.enter_context(applied(program, seen, c))
            try:
                terms = program.instance.terms(seen, update["groups"][0])
            except Exception:
                if not changes:
                    raise
                continue
            for facts in update["terms"]:
                value = terms.get(facts["name"])
                if value is not None and only(facts) and bool(torch.isfinite(value)):
                    key = Key(u, facts["name"], (*restated, *changes))
                    found[key] = Value(value.item(), parameters.gradient(value))
    return found


@contextmanager
def applied(program: Program, draw: Draw, change: Change) -> Iterator[Draw]:
    """A change, for a while: the draw that the terms are then given."""
    module, factors = program.module, program.factors
    with ExitStack() as stack:
        match change.what:
            case "flip":
                w = factors[change.of]
                stack.enter_context(reading(w, replace(w.read, flip=change.to)))
            case "squash":
                w = factors[change.of]
                stack.enter_context(reading(w, replace(w.read, squash=True)))
            case "family":
                w = factors[change.of]
                stack.enter_context(reading(w, replace(w.read, family=change.to)))
            case "held":
                w = factors[change.of]
                stack.enter_context(reading(w, replace(w.read, held=True)))
            case "output":
                w = factors[change.of]
                stack.enter_context(reading(w, replace(w.read, output=change.to)))
            case "cut":
                branch, _, value = change.of.rpartition("/")
                draw = {**draw, branch: {**draw[branch], value: draw[branch][value].detach()}}
            case "still":
                branch, _, value = change.of.rpartition("/")
                assert program.still is not None
                draw = {**draw, branch: {**draw[branch], value: program.still[branch][value]}}
            case "attached":
                stack.enter_context(Attached())
            case "points":
                draw = {**draw, "penalty": {k: draw[change.of][k].detach() for k in draw["penalty"]}}
            case "sampled" | "halves" | "reversed" | "part":
                stack.enter_context(_patched(module, "kl_divergence", divergence(change, draw)))
            case "slope":
                stack.enter_context(_patched(module, "slope", SLOPES[change.to]))
            case "weights":
                stack.enter_context(_patched(module, "log_mean", WEIGHTS[change.to]))
            case _:
                raise AssertionError(change)
        yield draw


@contextmanager
def _patched(module: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    kept = module[name]
    module[name] = value
    try:
        yield
    finally:
        module[name] = kept


def divergence(change: Change, draw: Draw) -> Callable[[Any, Any], Any]:
    """What stands for KL(f || g) after a change; at a sample it is the draw's value (`of`: branch/value)."""

    def computed(f: Any, g: Any) -> Any:
        if change.what == "reversed":
            return kl_divergence(g, f)
        if change.what == "part":
            mean, spread = f.mean, f.stddev
            parts = {"mean": mean.square() / 2, "variance": spread.square() / 2, "log variance": -spread.log()}
            return parts[change.to].flatten(len(f.batch_shape)).sum(-1)
        branch, _, value = change.of.rpartition("/")
        z = draw[branch][value]
        match change.to:
            case "f":
                return f.log_prob(z)
            case "g":
                at = torch.distributions.Independent(type(g.base_dist)(torch.zeros_like(z), torch.ones_like(z)),
                                                     len(g.event_shape))  # fmt: skip
                return -(at if g.base_dist.mean.abs().max() == 0 else g).log_prob(z)
            case _:
                return f.log_prob(z) - g.log_prob(z)

    return computed


def _slope(critic: Any, points: tuple[Tensor, ...]) -> list[Tensor]:
    held = [p.detach().requires_grad_() for p in points]
    return list(torch.autograd.grad(critic(*held).logits.sum(), held, create_graph=True))


def _norm(gradients: list[Tensor]) -> Tensor:
    rows = torch.cat([g.reshape(len(g), -1) for g in gradients], 1)
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms


def _penalty(gradient_of: Callable[[list[Tensor]], Tensor]) -> Callable[..., Tensor]:
    return lambda critic, *points: -gradient_of(_slope(critic, points))


SLOPES: dict[str, Callable[..., Tensor]] = {
    "one-sided": _penalty(lambda g: (_norm(g) - 1).clamp_min(0).square()),
    "around 0": _penalty(lambda g: _norm(g).square()),
    "not squared": _penalty(lambda g: _norm(g) - 1),
    "norm over the first axis alone": _penalty(lambda g: (g[0].norm(dim=1) - 1).square()),
    "norm over the whole batch": _penalty(lambda g: (torch.cat([x.flatten() for x in g]).norm() - 1).square()),
}
"""Other penalties on a slope than that on its distance from 1, one a record."""

WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "attached": lambda w: (w.softmax(0) * w).sum(0),
    "uniform": lambda w: w.mean(0),
    "without log": lambda w: w.exp().mean(0),
    "over the batch": lambda w: w.logsumexp(-1),
    "largest": lambda w: w.max(0).values,
}


# --- which changes there are ----------------------------------------------------------------------------------------


def menu(program: Program, draw: Draw) -> Iterator[tuple[tuple[Change, ...], Callable[[Data], bool]]]:
    """Every change that makes sense for some term of the program, with the terms that it is for."""
    terms = [t for u in program.updates for t in u["terms"]]
    judged = {t["factor"] for t in terms if t["kind"] in ("log", "critic") and _blue(program, t)}
    if program.restates:
        weighed = program.restates == "unweighted"
        yield (), lambda t: weighed or t["factor"] in judged
    for q in sorted(judged):
        yield from ((c, _of(q)) for c in _of_judge(q))
    if program.restates and program.restates != "unweighted":
        return
    yield from _of_densities(program, terms)
    yield from chain(_of_divergences(program, terms), _of_gradients(program, draw), _of_slopes(terms, draw))


def _blue(program: Program, t: Data) -> bool:
    return bool(t["factor"]) and bool(program.factors[t["factor"]].facts["adversarial"])


Which = Callable[[Data], bool]


def _of(factor: str) -> Which:
    return lambda t: factor in t["factors"]


def _named(name: str) -> Which:
    return lambda t: bool(t["name"] == name)


def _in(branch: str) -> Which:
    return lambda t: bool(t["branch"] == branch)


def _of_judge(q: str) -> Iterator[tuple[Change, ...]]:
    squash = Change("squash", q)
    yield (squash,)
    for flip in (Change("flip", q, "negate"), Change("flip", q, "complement")):
        yield (flip,)
        yield (squash, flip)


def _of_densities(program: Program, terms: Sequence[Data]) -> Iterator[Any]:
    """A density's family and the reading of its net."""
    scored = {f for t in terms for f in t["factors"] if not program.factors[f].facts["adversarial"]}
    for f in sorted(scored):
        wrapped = program.factors[f]
        family = wrapped.facts["family"]
        yield (Change("held", f),), _of(f)
        for other in ("Normal", "Laplace"):
            if other != family or wrapped.read.output != "mean":
                yield (Change("family", f, other),), _of(f)
        if family in ("Bernoulli", "Categorical"):
            yield (Change("squash", f),), _of(f)
        for output in SPREADS if wrapped.read.output in SPREADS else ():
            if output != wrapped.read.output:
                yield (Change("output", f, output),), _of(f)


def _of_divergences(program: Program, terms: Sequence[Data]) -> Iterator[Any]:
    """A closed divergence: at its sample, the other way round, in parts."""
    for t in terms:
        if t["kind"] != "kl" or t["how"] != "closed":
            continue
        here = _named(t["name"])
        value = f"{t['branch']}/{t['drawn']}"
        yield (Change("sampled", value),), here
        yield (Change("cut", value), Change("sampled", value)), here
        yield (Change("halves", value, "f"),), here
        yield (Change("halves", value, "g"),), here
        yield (Change("reversed"),), here
        if program.factors[t["factor"]].facts["family"] == "Normal":
            yield from (((Change("part", "", p),), here) for p in ("mean", "variance", "log variance"))


def _of_gradients(program: Program, draw: Draw) -> Iterator[Any]:
    """Values that pass no gradient, or that pass it."""
    yield (Change("attached"),), lambda t: True
    for branch, values in draw.items():
        for name, value in values.items():
            if value.requires_grad:
                reads = _in(branch)
                yield (Change("cut", f"{branch}/{name}"),), reads
                if program.still is not None and not torch.equal(value, program.still[branch][name]):
                    yield (Change("still", f"{branch}/{name}"),), reads
    if "log_mean" in program.module:
        yield from (((Change("weights", "", w),), lambda t: t["kind"] == "log_mean") for w in WEIGHTS)


def _of_slopes(terms: Sequence[Data], draw: Draw) -> Iterator[Any]:
    """A slope's penalty elsewhere, and other penalties."""
    if not any(t["branch"] == "penalty" for t in terms):
        return
    here = _in("penalty")
    wanted = draw["penalty"].keys()
    yield from (((Change("points", b),), here) for b, v in draw.items() if b != "penalty" and wanted <= v.keys())
    yield from (((Change("slope", "", s),), here) for s in SLOPES)


def all_atoms(programs: Sequence[Program], draw: Draw, parameters: Parameters) -> dict[Key, Value]:
    """Every atom at a draw, the model's own first."""
    found = own(programs[0], draw, parameters)
    for program in programs:
        for changes, only in menu(program, draw):
            found |= changed(program, draw, parameters, changes, only)
    return found

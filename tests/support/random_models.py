"""Random finite graphs for hypothesis: any arrows, codes, labels, levels, domains, guards, options, shared groups.

Most graphs are drawn so that a reading exists (each variable has one source, what is scored is drawn); one factor in
some is drawn wildly, so that diagnostics occur too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

from schematic.graph.model import Data, Divergence, Factor, Model, Prior, Type, Variable
from schematic.proof.finite import count

NAMES = ("x", "z", "t", "h", "c")
GROUPS = ("theta", "eta", "lambda")
INDICATOR = Variable("y", Type("domain", values=("fake", "real")))
PLAIN: dict[str, Any] = {
    "fixed": False, "when": None, "weight": 1.0, "beta": 1.0, "temperature": 1.0, "perfect": False,
    "divergence": Divergence(),
}  # fmt: skip


def models(divergences: bool = False) -> st.SearchStrategy[Model]:
    """A random graph; `smallest` shrinks one that fails. With `divergences`, a third of the blue arrows has one."""
    drawn = st.integers(0, 2**48).map(Random)
    return drawn.map(lambda rng: diverging(rng, made(rng)) if divergences else made(rng))


def larger_models() -> st.SearchStrategy[Model]:
    """A random graph with a third domain, or with a variable whose units are predicted from each other, or both."""
    return st.integers(0, 2**48).map(Random).map(larger)


def larger(rng: Random) -> Model:
    model = made(rng)
    y, weighed = model.indicator, any(f.mark == "~~>" for f in model.factors)
    both = chance(rng, 40)
    if y is not None and not weighed and (both or chance(rng, 50)):
        model = with_three_domains(model)
    return with_units_predicted(rng, model) if both or model.indicator == y else model


def partial_models() -> st.SearchStrategy[Model]:
    """A random graph of which some variables are observed for some records only; every fifth one by wake-sleep, or
    importance-weighted."""
    return st.integers(0, 2**48).map(Random).map(partly)


def partly(rng: Random) -> Model:
    model = made(rng)
    judged = any(f.adversarial for f in model.factors)
    reading: dict[str, Any] = rng.choice(({"wake_sleep": True}, {"importance": None if judged else 2}, {}, {}, {}))

    def variable(v: Variable) -> Variable:
        if v.type.values or v.name == "x" or not v.given or not chance(rng, 60):
            return v
        data = v.data or Data((f"{rng.choice(('', 's/'))}{v.name}",))
        return replace(v, data=data, prior=Prior("Categorical"), partial=True)

    return replace(model, variables=tuple(map(variable, model.variables)), **reading)


def with_three_domains(model: Model) -> Model:
    """A domain more, first; what lives in the last one does so still, and takes its field."""

    def variable(v: Variable) -> Variable:
        by_domain = v.data is not None and v.data.given is not None
        data = replace(v.data, fields=(f"{v.name}2/v", *v.data.fields)) if by_domain and v.data else v.data
        return replace(v, type=Type("domain", values=("first", *v.type.values)) if v.type.values else v.type, data=data)

    factors = (replace(f, when=None if f.when is None else f.when + 1) for f in model.factors)
    return replace(model, variables=tuple(map(variable, model.variables)), factors=tuple(factors))


def with_units_predicted(rng: Random, model: Model) -> Model:
    """One of its variables an array of two bits, or of two classes of three, and its predictor."""
    name = rng.choice([v.name for v in model.variables if not v.type.values])
    size = rng.choice((2, 2, 3))
    variables = (replace(v, type=Type("category", (2,), size)) if v.name == name else v for v in model.variables)
    options: dict[str, Any] = {"temperature": rng.choice((1.0, 1.5)), "weight": rng.choice((1.0, 0.3))}
    options["divergence"] = Divergence(rng.choice(("nonsaturating", "minimax")))
    side = "inference" if any(f.mark == "~~>" for f in model.factors) else "generative"
    judge = rng.choice(("q_phi.each", "q_psi.each"))
    judge = Factor(judge, (name,), name, side, adversarial=True, each=True, **options)
    return replace(model, variables=tuple(variables), factors=(*model.factors, judge))


def diverging(rng: Random, model: Model) -> Model:
    names = ("minimax", "least_squares", "hinge", "wasserstein", "kl")
    chosen = (f.adversarial and chance(rng, 35) for f in model.factors)
    factors = (replace(f, divergence=Divergence(rng.choice(names))) if c else f
               for f, c in zip(model.factors, chosen, strict=True))  # fmt: skip
    return replace(model, factors=tuple(factors))


def smallest(model: Model, fails: Callable[[Model], bool]) -> Model:
    """A failing graph from which no factor, no option and no lone variable can be taken: it would not fail any more."""
    while (less := next((m for m in _less(model) if fails(m)), None)) is not None:
        model = less
    return model


def _less(model: Model) -> Iterator[Model]:
    for f in model.factors:
        yield replace(model, factors=tuple(g for g in model.factors if g is not f))
    used = {n for f in model.factors for n in (*f.parents, f.target)}
    for v in model.variables:
        if v.name not in used:
            yield replace(model, variables=tuple(w for w in model.variables if w is not v))
    for f in model.factors:
        for plainer in _plainer(f):
            yield replace(model, factors=tuple(plainer if g is f else g for g in model.factors))


def _plainer(f: Factor) -> Iterator[Factor]:
    yield from (replace(f, **{name: plain}) for name, plain in PLAIN.items() if getattr(f, name) != plain)
    if len(f.parents) > 1:
        yield from (replace(f, parents=tuple(q for q in f.parents if q != p)) for p in f.parents)


def sizes(model: Model) -> dict[str, int]:
    return {v.name: count(v.type) for v in model.variables}


def made(rng: Random) -> Model:
    with_y = chance(rng, 80)
    blue = rng.choice(("generative", "generative", "inference", None)) if with_y else None
    found = variables(rng, with_y)
    drawing = Drawing(rng, {v.name: v for v in found if v.name != "y"}, with_y, blue)
    arrows = drawing.arrows()
    if chance(rng, 12) or not arrows:
        arrows.append(drawing.wild())
    groups = (*GROUPS, "phi") if chance(rng, 20) else GROUPS
    factors = [
        Factor(f"p_{rng.choice(groups)}.{i}", (*a.parents, "y") if a.reads_y else a.parents, a.target, **a.options)
        for i, a in enumerate(arrows)
    ]
    return Model("Random", found, (*factors, *adversaries(rng, blue, drawing.compared, list(drawing.byname))))


def chance(rng: Random, percent: int) -> bool:
    return rng.randrange(100) < percent


def some(rng: Random, names: list[str], most: int = 2) -> tuple[str, ...]:
    return tuple(rng.sample(names, rng.randint(1, min(most, len(names)))))


def variables(rng: Random, with_y: bool) -> tuple[Variable, ...]:
    """x is data and z has a prior as a rule; the others have data, a prior or nothing."""
    found = []
    for name in NAMES[: rng.randint(2, 4)]:
        kinds = {"x": ("data",), "z": ("prior", "prior", "data")}.get(name, ("data", "prior", "none", "none"))
        kind = rng.choice(kinds)
        by_domain = with_y and kind == "data" and chance(rng, 15)
        home = "s/" if chance(rng, 50) else ""  # the variables of one set come from one record
        data = Data((f"{name}0/v", f"{name}1/v") if by_domain else (f"{home}{name}",), "y" if by_domain else None)
        prior = Prior("Categorical") if kind == "prior" else None
        type = Type("category", size=rng.choice((2, 2, 3)))
        found.append(Variable(name, type, data if kind == "data" else None, prior))
    return (*found, INDICATOR) if with_y else tuple(found)


def adversaries(rng: Random, blue: str | None, compared: tuple[str, ...], names: list[str]) -> list[Factor]:
    """The blue factor, rarely a second one."""
    if blue is None:
        return []
    options: dict[str, Any] = {"perfect": chance(rng, 45 if blue == "inference" else 2)}
    options["temperature"] = 1.5 if chance(rng, 25) else 1.0
    options["weight"] = 0.3 if chance(rng, 20 if blue == "generative" else 3) else 1.0
    found = [Factor("q_phi", compared, "y", blue, adversarial=True, **options)]
    if chance(rng, 12 if blue == "generative" else 3):
        side = "inference" if blue == "inference" or chance(rng, 10) else "generative"
        second = rng.choice(("q_phi.2", "q_psi"))
        found.append(Factor(second, compared if chance(rng, 70) else some(rng, names), "y", side, adversarial=True))
    return found


@dataclass(frozen=True)
class Arrow:
    parents: tuple[str, ...]
    target: str
    reads_y: bool
    options: dict[str, Any]


class Drawing:
    """Inference along a random order of the variables, generation against it."""

    def __init__(self, rng: Random, byname: dict[str, Variable], with_y: bool, blue: str | None) -> None:
        self.rng, self.byname, self.with_y, self.blue = rng, byname, with_y, blue
        self.order = rng.sample(list(byname), len(byname))
        pool = [n for n in self.order if byname[n].given] if blue == "inference" else self.order
        first = [n for n in pool if byname[n].data is not None] or pool
        self.compared = some(rng, first if chance(rng, 60) else pool) if blue else ()

    def arrows(self) -> list[Arrow]:
        known: set[str] = set()
        found: list[Arrow] = []
        for i, name in enumerate(self.order):
            pool = [n for n in self.order[:i] if n in known]
            if pool and self.infers(name):
                found.append(self.inferred(name, pool))
            if self.byname[name].given or (pool and found and found[-1].target == name):
                known.add(name)
        inferred = {a.target for a in found}
        for i, name in reversed(list(enumerate(self.order))):
            later = [n for n in self.order[i + 1 :] if n in known]
            if later and chance(self.rng, 65 if name in known else 95):
                hollow = name not in known and chance(self.rng, 97) and not (name in self.compared and self.weighs)
                found.append(Arrow(some(self.rng, later), name, *self.options("generative", hollow, name)))
                known.add(name)
        self.compared = tuple(n for n in self.compared if n in known) or tuple(known & {"x"}) or ("z",)
        return found if inferred or found else []

    @property
    def weighs(self) -> bool:
        return self.blue == "inference"

    def infers(self, name: str) -> bool:
        judged = name in self.compared and self.blue == "generative"
        if name in self.compared and self.weighs:
            return False
        return chance(self.rng, 75 if self.byname[name].data is None or judged else 3)

    def inferred(self, name: str, pool: list[str]) -> Arrow:
        """A code, a level or a compared variable, drawn by a dashed arrow."""
        hollow = chance(self.rng, 80 if name in self.compared else 12)
        return Arrow(some(self.rng, pool), name, *self.options("inference", hollow, name))

    def wild(self) -> Arrow:
        target = self.rng.choice(list(self.byname))
        process = self.rng.choice(("generative", "inference"))
        others = [n for n in self.byname if n != target]
        return Arrow(some(self.rng, others), target, *self.options(process, chance(self.rng, 40), target))

    def options(self, process: str, hollow: bool, target: str) -> tuple[bool, dict[str, Any]]:
        """Does the factor read y, and its options. What has no given distribution is mostly drawn in every domain."""
        everywhere = not self.byname[target].given and not chance(self.rng, 15)
        reads_y = self.with_y and not everywhere and chance(self.rng, 60)
        found: dict[str, Any] = {"process": process, "implicit": hollow, "fixed": chance(self.rng, 6)}
        if self.with_y and not everywhere and not reads_y and chance(self.rng, 45):
            found["when"] = self.rng.choice((0, 1))
        if not hollow and chance(self.rng, 15):
            found["weight"] = 0.5
        if process == "inference" and not hollow and chance(self.rng, 25):
            found["beta"] = 4.0
        return reads_y, found

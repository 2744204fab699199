"""Who draws what: the draws of every branch, merged over the objectives, with what their graphs hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from schematic.calculus.terms import KL, Density, LogMean, Objective, Summand, masked
from schematic.compiler import estimators
from schematic.compiler.program import Branch, Conditional, Drawn, Key
from schematic.core.diagnostics import Report, error
from schematic.graph.defaults import resolve
from schematic.graph.model import Factor, FamilyName, Model, Net, NetDeclaration
from schematic.graph.networks import owners

PENALTY = "penalty"
Level = int | None | str  # the component of an inferred value, None outside reading 3, "outer" for the outer sample
Number = int | str | None  # the branch: a value of the indicator, None where there is none, "penalty" for mixtures


# --- conditionals -----------------------------------------------------------------------------------------


def conditional(model: Model, f: Factor) -> Conditional:
    found = resolve(model, f)
    parents = tuple(v for p in f.parents if (v := model.variable(p)).type.kind != "domain")
    nets = tuple((n.name, frozenset(owners(model, n))) for n in declared(model, found.net))
    own = not found.net.declared or found.net.then is not None or found.family == "Flow"
    trained = not f.fixed and (own or any(f.group in groups for _, groups in nets))
    return Conditional(f, model.variable(f.target), parents, found.family, found.options, found.net, nets, trained)


def declared(model: Model, net: Net) -> tuple[NetDeclaration, ...]:
    """The declared nets that a net is made of, innermost last."""
    here = (model.net(net.kind),) if net.declared else ()
    inner = tuple(m for n in here for m in declared(model, n.net))
    return (*here, *inner, *(declared(model, net.then) if net.then else ()))


@dataclass(frozen=True)
class Context:
    """One model, of a sum one term: its own conditionals, those of the whole program, and its part of the objectives,
    by update. `label`: the term's, '' where there is no sum."""

    model: Model
    label: str
    conditionals: dict[str, Conditional]
    whole: dict[str, Conditional]
    objectives: tuple[Objective, ...]

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The branches that are sampled, y=0 first, mixtures last."""
        found = {s.branch for o in self.objectives for s in o.summands}
        return tuple(sorted(found, key=lambda b: (isinstance(b, str), b or 0)))

    def family(self, d: Density) -> FamilyName:
        """The family of an explicit density."""
        if d.factor is not None:
            return self.conditionals[d.factor].family
        v = self.model.variable(d.target)
        return estimators.prior_of(v.type, v.prior).family

    def moves(self, d: Density) -> frozenset[str]:
        """The group that a draw's own parameters belong to, if they move."""
        return _group(self.conditionals, d)

    def held(self, d: Density) -> frozenset[str]:
        """The group that a draw's parameters belong to, if they move in other terms of the sum alone."""
        return _group(self.whole, d) - self.moves(d)

    def closed(self, atom: KL) -> bool:
        return estimators.closed_form(self.family(atom.left), self.family(atom.right))

    def parents(self, d: Density) -> tuple[str, ...]:
        """The variables that the factor's module is called with, in the file's order."""
        return tuple(v.name for v in self.conditionals[d.factor].parents) if d.factor else ()

    def inner(self, s: Summand) -> tuple[Density, ...]:
        """The inner draws that stand once a record; a divergence without a closed form needs its own draw."""
        sampled = isinstance(s.atom, KL) and not self.closed(s.atom)
        return (*s.draws, s.atom.left) if sampled and isinstance(s.atom, KL) else s.draws

    @cached_property
    def _copies(self) -> dict[Number, int]:
        found: dict[Number, int] = {}
        for s in (s for o in self.objectives for s in o.summands):
            bound = s.atom.k if isinstance(s.atom, LogMean) else 0
            found[s.branch] = max(found.get(s.branch, 0), bound, s.normalized[0] if s.normalized else 0)
        return found

    def copies(self, number: Number) -> int:
        """The importance samples a record in a branch, 0 if there are none."""
        return self._copies.get(number, 0)

    @cached_property
    def _normalized(self) -> frozenset[Number]:
        return frozenset(s.branch for o in self.objectives for s in o.summands if s.normalized is not None)

    def normalized(self, number: Number) -> bool:
        """A branch whose samples are weighed against each other."""
        return number in self._normalized

    def key(self, variable: str, level: Level, observed: tuple[str, ...] = ()) -> Key:
        """The name of a value: of another component than the first, and of what follows from an observation."""
        y = self.model.indicator
        plain = f"{variable}.{y.type.values[level]}" if isinstance(level, int) and level and y else variable
        known = () if len(self.inferred) == 1 else observed
        return " ".join((plain, *known, "observed")) if observed else plain

    @cached_property
    def inferred(self) -> tuple[str, ...]:
        """The partial variables that a factor infers where they are missing."""
        into = {f.target for f in self.model.factors if f.process == "inference" and not f.adversarial}
        return tuple(v.name for v in self.model.variables if v.partial and v.name in into)

    def observed(self, s: Summand) -> dict[str, tuple[str, ...]]:
        """For every variable of a summand those of the inferred ones from whose observation its value follows."""
        found: dict[str, tuple[str, ...]] = {}
        known = tuple(v for v, yes in s.observed if yes and v in self.inferred)
        for d in (*s.outer, *self.inner(s), *repeated(s)):
            above = {o for p in d.given for o in found.get(p, ())}
            for t in d.targets:
                own = {t} & set(known) if d.kind == "data" else above
                found[t] = tuple(v for v in known if v in own)
        return found

    def branch_name(self, number: Number) -> str:
        y = self.model.indicator
        domains = y.type.values if y else ()
        own = number if isinstance(number, str) else "data" if number is None else domains[number]
        return f"{self.label}.{own}" if self.label else own


def _group(conditionals: dict[str, Conditional], d: Density) -> frozenset[str]:
    k = conditionals[d.factor] if d.factor else None
    return frozenset((k.factor.group,)) if k is not None and k.trained else frozenset()


# --- draws ------------------------------------------------------------------------------------------------


def _levels(c: Context, s: Summand) -> tuple[tuple[Level, tuple[Density, ...]], ...]:
    """The outer draws, those that stand once a record, those of the importance samples."""
    return (("outer", s.outer), (s.component, c.inner(s)), (s.component, repeated(s)))


def repeated(s: Summand) -> tuple[Density, ...]:
    return s.atom.draws if isinstance(s.atom, LogMean) else ()


def mixtures(c: Context, number: Number, branches: tuple[Branch, ...]) -> Branch:
    """The points of a gradient penalty, between the draws of the domains (Gulrajani et al., 2017)."""
    mixed = [d for o in c.objectives for s in o.summands for d in (*s.outer, *s.draws) if d.kind == "mixture"]
    targets = {t: d for d in mixed for t in d.targets}
    ends = {t: [b.drawn(t) for b in branches] for t in targets}
    draws = tuple(
        Drawn(t, t, d, "mixture", (), (), frozenset(), frozenset[str]().union(*(e.depends for e in ends[t])))
        for t, d in targets.items()
    )
    return Branch(c.branch_name(number), number, draws, c.model, c.label)


def penalized(c: Context, branches: tuple[Branch, ...], report: Report) -> None:
    """A penalty needs one point a record: it cannot stand on what is enumerated."""
    points = {d.key for b in branches for d in b.draws if d.how == "mixture"}
    for d in (d for b in branches for d in b.draws if d.key in points and d.how == "enumerate"):
        factor = c.conditionals[d.density.factor or ""].factor
        words = f"a gradient penalty needs one draw of `{d.variable}` a record, and `{factor.name}` is enumerated"
        report.add(error("SG421", factor.span, words, "`gradient reinforce` after the network"))


Place = tuple[Level, tuple[str, ...], str]  # the level, the observations that a value follows from, its variable


@dataclass(frozen=True)
class Wanted:
    """A draw of a branch as its summands ask for it: the places of its parents, the updates in which it passes
    gradient, and whether it is an importance sample."""

    density: Density
    parents: tuple[Place, ...]
    alive: frozenset[int] = frozenset()
    copied: bool = False


def branch(c: Context, number: Number) -> Branch:
    """The draws of one branch, merged over all objectives: each once, outer samples first, importance samples last, in
    ancestral order."""
    found = _wanted(c, number)
    for (level, variable), d in _mixed(c, number):
        found.setdefault((level, (), variable), Wanted(d, tuple((level, (), p) for p in c.parents(d))))
    inferred = {v for level, _, v in found if level == 0}
    drawn: dict[Place, Drawn] = {}
    every: dict[tuple[Level, tuple[str, ...]], Drawn] = {}  # of each reading the last value that is enumerated
    for place, wanted in found.items():
        level, observed, variable = place
        parents = tuple(drawn.get(p) or drawn[("outer", *p[1:])] for p in wanted.parents)
        copies = c.copies(number) if wanted.copied else None
        hidden = level == "outer" and not observed and variable in inferred
        key = f"{variable}.outer" if hidden else c.key(variable, level, observed)
        one = _drawn(c, key, wanted, level, parents, _beside(c, every, level, observed), copies)
        drawn[place] = one = replace(one, hidden=hidden, observed=observed)
        if one.how == "enumerate":
            every[(level, observed)] = one
    return Branch(c.branch_name(number), number, tuple(drawn.values()), c.model, c.label)


def _wanted(c: Context, number: Number) -> dict[Place, Wanted]:
    """What the summands of a branch draw: outer samples, then what stands once a record, then importance samples."""
    found: dict[Place, Wanted] = {}
    ordered = [(i, s, c.observed(s)) for i, o in enumerate(c.objectives) for s in o.summands if s.branch == number]
    for depth in range(3):
        for i, s, follows in ordered:
            level, draws = _levels(c, s)[depth]
            for d in draws:
                copied = depth == 2 or (c.normalized(number) and d.kind != "data")
                alive = frozenset((i,)) if not d.stopped and level != "outer" else frozenset[int]()
                parents = tuple((level, follows.get(p, ()), p) for p in c.parents(d))
                for target in d.targets:
                    place = (level, follows[target], target)
                    one = found.get(place) or Wanted(replace(d, targets=(target,)), parents)
                    if place not in found or not alive <= one.alive or copied > one.copied:
                        found[place] = replace(one, alive=one.alive | alive, copied=one.copied or copied)
    return found


def _beside(
    c: Context, every: dict[tuple[Level, tuple[str, ...]], Drawn], level: Level, observed: tuple[str, ...]
) -> Drawn | None:
    """The enumerated value beside which the next one stands: of its own reading, or of what no observation decides;
    with several inferred variables all share their axes."""
    shared = len(c.inferred) > 1
    beside = (d for (at, known), d in every.items() if at == level and (shared or set(known) <= set(observed)))
    return max(beside, key=lambda d: len(d.axes), default=None)


def _mixed(c: Context, number: Number) -> tuple[tuple[tuple[Level, str], Density], ...]:
    """The draws of a branch that mixtures read."""
    found: list[tuple[tuple[Level, str], Density]] = []
    for s in (s for o in c.objectives for s in o.summands if s.branch == PENALTY):
        for m in (*s.outer, *s.draws):
            level: Level = "outer" if m in s.outer else s.component
            drawn = m.cases[number] if m.kind == "mixture" and isinstance(number, int) else ()
            found += [((level, t), replace(d, targets=(t,))) for d in drawn for t in d.targets]
    return tuple(found)


def _drawn(
    c: Context,
    key: Key,
    wanted: Wanted,
    level: Level,
    parents: tuple[Drawn, ...],
    beside: Drawn | None,
    copies: int | None,
) -> Drawn:
    """One value: how it is drawn, whose parameters its graph holds. `copies`: as an importance sample, so many times a
    record, 0 for once, the batch being the samples; None: not as one."""
    d, axes = wanted.density, beside.axes if beside else ()
    above = c.moves(d).union(*(p.reach for p in parents)) if level != "outer" else frozenset[str]()
    moved = {g for i in wanted.alive for g in c.objectives[i].groups}
    variable = c.model.variable(masked(d.target) or d.target)
    widest = max(parents, key=lambda p: len(p.axes), default=None)
    shape, count, every = (widest.axes, widest.copies, widest.every) if widest else ((), 0, ())
    how: estimators.How
    if masked(d.target):
        how = "mask"
    elif d.kind in ("data", "prior"):
        how = "data" if d.kind == "data" else "prior"
    else:
        k = c.conditionals[d.factor or ""]
        budget = 1
        for size in axes:
            budget *= size
        how = estimators.draw(
            variable.type, k.family, k.factor.implicit, k.factor.gradient, bool(above & moved), budget,
            copies is not None,
        )  # fmt: skip
    if how == "enumerate":
        shape = (estimators.values(variable.type), *axes)
        every = (key, *(beside.every if beside else ()))
    elif copies and how not in ("data", "mask", "map", "mean"):
        shape, count, every = (copies, *axes), copies, beside.every if beside else ()
    reach = above if how in estimators.PATHWISE else frozenset[str]()
    own = c.moves(d) | c.held(d)
    value = frozenset[str]() if how == "enumerate" else own.union(*(p.depends for p in parents))
    keys = tuple(p.key for p in parents)
    found = Drawn(d.target, key, d, how, keys, shape, reach, value, level == "outer", copies=count, every=every)
    return replace(found, frozen=bool(c.held(d)))

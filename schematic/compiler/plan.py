"""Objectives -> plan: draws merged over the objectives, estimators chosen, gradients cut where they must not pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.terms import KL, Add, Critic, Density, Log, LogMean, Objective, Scale, Summand
from schematic.calculus.terms import Term as Formula
from schematic.calculus.text import text
from schematic.compiler import estimators
from schematic.compiler.program import Branch, Call, Conditional, Drawn, Key, Plan, Term, Update
from schematic.core.diagnostics import Report, error
from schematic.graph.defaults import resolve
from schematic.graph.model import Factor, FamilyName, Model, Net, NetDeclaration
from schematic.graph.networks import owners

PENALTY = "penalty"
Level = int | None | str  # the component of an inferred value, None outside reading 3, "outer" for the outer sample
Number = int | str | None  # the branch: a value of the indicator, None where there is none, "penalty" for mixtures


def plan(model: Model, objectives: tuple[Objective, ...], report: Report) -> Plan:
    """The program of a model: `objectives` in the order of the updates."""
    conditionals = tuple(_conditional(model, f) for f in model.factors if not f.perfect)
    context = _Context(model, {c.factor.name: c for c in conditionals}, objectives)
    groups = _groups(context)
    branches: tuple[Branch, ...] = ()
    for number in context.numbers:
        branches += (_mixtures(context, number, branches) if number == PENALTY else _branch(context, number),)
    if all(v.data is None for v in model.variables):
        help = "`= data`, or `= data(\"field\")`, after the type of one"
        words = f"no variable of {model.name} has data: there is nothing to train on"
        report.add(error("SG420", model.span, words, help))
    _penalized(context, branches, report)
    planned = tuple(_update(context, branches, i) for i in range(len(objectives)))
    kept = ((u, tuple(g for g in u.groups if g in dict(groups))) for u in planned)
    updates = tuple(replace(u, groups=moved) for u, moved in kept if moved)
    branches = tuple(_shown(b, updates) for b in branches)
    steps = _steps(model, branches, updates)
    return Plan(model, conditionals, branches, updates, steps, groups, _log(context, branches))


def _shown(branch: Branch, updates: tuple[Update, ...]) -> Branch:
    """An outer value that a term reads stands in the draw, beside the inferred one of its name."""
    calls = (c for u in updates for t in u.terms for c in t.calls if c.branch == branch.name)
    read = {k for c in calls for k in c.reads}
    return replace(branch, draws=tuple(replace(d, hidden=d.hidden and d.key not in read) for d in branch.draws))


# --- conditionals -----------------------------------------------------------------------------------------


def _conditional(model: Model, f: Factor) -> Conditional:
    found = resolve(model, f)
    parents = tuple(v for p in f.parents if (v := model.variable(p)).type.kind != "domain")
    nets = tuple((n.name, frozenset(owners(model, n))) for n in declared(model, found.net))
    own = not found.net.declared or found.net.then is not None
    trained = not f.fixed and (own or any(f.group in groups for _, groups in nets))
    return Conditional(f, model.variable(f.target), parents, found.family, found.options, found.net, nets, trained)


def declared(model: Model, net: Net) -> tuple[NetDeclaration, ...]:
    """The declared nets that a net is made of, innermost last."""
    here = (model.net(net.kind),) if net.declared else ()
    inner = tuple(m for n in here for m in declared(model, n.net))
    return (*here, *inner, *(declared(model, net.then) if net.then else ()))


@dataclass(frozen=True)
class _Context:
    model: Model
    conditionals: dict[str, Conditional]
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
        moved = d.factor is not None and self.conditionals[d.factor].trained
        return frozenset((self.conditionals[d.factor].factor.group,)) if moved and d.factor else frozenset()

    def closed(self, atom: KL) -> bool:
        return estimators.closed_form(self.family(atom.left), self.family(atom.right))

    def parents(self, d: Density) -> tuple[str, ...]:
        """The variables that the factor's module is called with, in the file's order."""
        return tuple(v.name for v in self.conditionals[d.factor].parents) if d.factor else ()

    def inner(self, s: Summand) -> tuple[Density, ...]:
        """The inner draws that stand once a record; a divergence without a closed form needs its own draw."""
        sampled = isinstance(s.atom, KL) and not self.closed(s.atom)
        return (*s.draws, s.atom.left) if sampled and isinstance(s.atom, KL) else s.draws

    def copies(self, number: Number) -> int:
        """The importance samples a record in a branch, 0 if there are none."""
        atoms = [s for o in self.objectives for s in o.summands if s.branch == number]
        bounds = (s.atom.k for s in atoms if isinstance(s.atom, LogMean))
        return max((*bounds, *(s.normalized[0] for s in atoms if s.normalized)), default=0)

    def normalized(self, number: Number) -> bool:
        """A branch whose samples are weighed against each other."""
        return any(s.normalized is not None for o in self.objectives for s in o.summands if s.branch == number)

    def key(self, variable: str, level: Level) -> Key:
        y = self.model.indicator
        return f"{variable}.{y.type.values[level]}" if isinstance(level, int) and level and y else variable

    def branch_name(self, number: Number) -> str:
        y = self.model.indicator
        if isinstance(number, str):
            return number
        return y.type.values[number] if y and number is not None else "data"


def _groups(c: _Context) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What each group that has an objective trains."""
    updated = dict.fromkeys(g for o in c.objectives for g in o.groups)
    trained = [k.factor for k in c.conditionals.values() if k.trained]
    found = ((g, tuple(f.name for f in trained if f.group == g)) for g in updated)
    return tuple((g, factors) for g, factors in found if factors)


# --- draws ------------------------------------------------------------------------------------------------


def _levels(c: _Context, s: Summand) -> tuple[tuple[Level, tuple[Density, ...]], ...]:
    """The outer draws, those that stand once a record, those of the importance samples."""
    return (("outer", s.outer), (s.component, c.inner(s)), (s.component, repeated(s)))


def repeated(s: Summand) -> tuple[Density, ...]:
    return s.atom.draws if isinstance(s.atom, LogMean) else ()


def _mixtures(c: _Context, number: Number, branches: tuple[Branch, ...]) -> Branch:
    """The points of a gradient penalty, between the draws of the domains (Gulrajani et al., 2017)."""
    mixed = [d for o in c.objectives for s in o.summands for d in (*s.outer, *s.draws) if d.kind == "mixture"]
    targets = {t: d for d in mixed for t in d.targets}
    ends = {t: [b.drawn(t) for b in branches] for t in targets}
    draws = tuple(
        Drawn(t, t, d, "mixture", (), (), frozenset(), frozenset[str]().union(*(e.depends for e in ends[t])))
        for t, d in targets.items()
    )
    return Branch(c.branch_name(number), number, draws)


def _penalized(c: _Context, branches: tuple[Branch, ...], report: Report) -> None:
    """A penalty needs one point a record: it cannot stand on what is enumerated."""
    points = {d.key for b in branches for d in b.draws if d.how == "mixture"}
    for d in (d for b in branches for d in b.draws if d.key in points and d.how == "enumerate"):
        factor = c.conditionals[d.density.factor or ""].factor
        words = f"a gradient penalty needs one draw of `{d.variable}` a record, and `{factor.name}` is enumerated"
        report.add(error("SG421", factor.span, words, "`gradient reinforce` after the network"))


def _branch(c: _Context, number: Number) -> Branch:
    """The draws of one branch, merged over all objectives: each once, outer samples first, importance samples last, in
    ancestral order."""
    found: dict[tuple[Level, str], Density] = {}
    alive: dict[tuple[Level, str], set[int]] = {}  # the updates in which the draw passes gradient
    ordered = [(i, s) for i, o in enumerate(c.objectives) for s in o.summands if s.branch == number]
    copied: set[tuple[Level, str]] = set()
    for level_index in (0, 1, 2):
        for i, s in ordered:
            level, draws = _levels(c, s)[level_index]
            for d in draws:
                for target in d.targets:
                    if level_index == 2 or (c.normalized(number) and d.kind != "data"):
                        copied.add((level, target))
                    found.setdefault((level, target), replace(d, targets=(target,)))
                    if not d.stopped and level != "outer":
                        alive.setdefault((level, target), set()).add(i)
    for place, d in _mixed(c, number):
        found.setdefault(place, d)
    inferred = {v for level, v in found if level == 0}
    drawn: dict[tuple[Level, str], Drawn] = {}
    axes: dict[Level, tuple[int, ...]] = {}
    for (level, variable), d in found.items():
        parents = [drawn.get((level, p)) or drawn[("outer", p)] for p in c.parents(d)]
        copies = c.copies(number) if (level, variable) in copied else None
        one = _drawn(c, d, level, tuple(parents), alive.get((level, variable), set()), axes.get(level, ()), copies)
        if one.how == "enumerate":
            axes[level] = one.axes
        hidden = level == "outer" and variable in inferred
        drawn[(level, variable)] = replace(one, key=f"{variable}.outer", hidden=True) if hidden else one
    return Branch(c.branch_name(number), number, tuple(drawn.values()))


def _mixed(c: _Context, number: Number) -> tuple[tuple[tuple[Level, str], Density], ...]:
    """The draws of a branch that mixtures read."""
    found: list[tuple[tuple[Level, str], Density]] = []
    for s in (s for o in c.objectives for s in o.summands if s.branch == PENALTY):
        for m in (*s.outer, *s.draws):
            level: Level = "outer" if m in s.outer else s.component
            drawn = m.cases[number] if m.kind == "mixture" and isinstance(number, int) else ()
            found += [((level, t), replace(d, targets=(t,))) for d in drawn for t in d.targets]
    return tuple(found)


def _drawn(
    c: _Context,
    d: Density,
    level: Level,
    parents: tuple[Drawn, ...],
    alive: set[int],
    axes: tuple[int, ...],
    copies: int | None,
) -> Drawn:
    """One value: how it is drawn, whose parameters its graph holds. `copies`: as an importance sample, so many times a
    record, 0 for once, the batch being the samples; None: not as one."""
    above = c.moves(d).union(*(p.reach for p in parents)) if level != "outer" else frozenset[str]()
    moved = {g for i in alive for g in c.objectives[i].groups}
    variable = c.model.variable(d.target)
    widest = max(parents, key=lambda p: len(p.axes), default=None)
    shape, count = (widest.axes, widest.copies) if widest else ((), 0)
    how: estimators.How
    if d.kind in ("data", "prior"):
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
    elif copies and how not in ("data", "map", "mean"):
        shape, count = (copies, *axes), copies
    reach = above if how in estimators.PATHWISE else frozenset[str]()
    value = frozenset[str]() if how == "enumerate" else c.moves(d).union(*(p.depends for p in parents))
    keys = tuple(p.key for p in parents)
    return Drawn(d.target, c.key(d.target, level), d, how, keys, shape, reach, value, level == "outer", copies=count)


# --- updates ----------------------------------------------------------------------------------------------


def _update(c: _Context, branches: tuple[Branch, ...], index: int) -> Update:
    objective = c.objectives[index]
    moved = frozenset(objective.groups)
    terms: list[Term] = []
    scores: dict[Call, None] = {}
    detached: dict[tuple[str, Key], None] = {}
    for s in objective.summands:
        branch = next(b for b in branches if b.number == s.branch)
        site = _Summand(c, s, branch, moved)
        term = site.term(terms)
        terms.append(term)
        scores.update((site.drawing(site.drawn[k]), None) for k in term.scores)
        detached.update(((branch.name, k), None) for k in site.reads(term) if site.cut(k))
    return Update(objective.groups, objective, tuple(terms), tuple(detached), tuple(scores))


@dataclass(frozen=True)
class _Summand:
    """One summand beside the draws of its branch."""

    c: _Context
    s: Summand
    branch: Branch
    moved: frozenset[str]

    @property
    def drawn(self) -> dict[Key, Drawn]:
        return {d.key: d for d in self.branch.draws}

    @property
    def stopped(self) -> frozenset[str]:
        """The variables whose draws pass no gradient in this objective."""
        return frozenset(t for d in self.inner if d.stopped for t in d.targets)

    @property
    def inner(self) -> tuple[Density, ...]:
        return (*self.c.inner(self.s), *repeated(self.s))

    def key(self, variable: str) -> Key:
        """The name in the draw of the value that stands for a variable here; inferred ones hide outer ones."""
        if any(variable in d.targets for d in self.inner):
            return self.c.key(variable, self.s.component)
        found = [d.key for d in self.branch.draws if d.outer and d.variable == variable]
        return found[0]

    def cut(self, key: Key) -> bool:
        """The value carries a graph, and none of it may be used here."""
        d = self.drawn[key]
        return bool(d.reach) and (d.variable in self.stopped or not d.reach & self.moved)

    def call(self, d: Density, target: Key | None = None, *, detached: bool = False) -> Call:
        parents = tuple(map(self.key, self.c.parents(d)))
        return Call(d, self.branch.name, parents, target, detached, self.frozen(d))

    def drawing(self, d: Drawn, *, detached: bool = False) -> Call:
        """The density that a value was drawn from, at that value."""
        return Call(d.density, self.branch.name, d.parents, d.key, detached, self.frozen(d.density))

    def frozen(self, d: Density) -> bool:
        """Another group of this update trains a net of the factor, and the factor's own group does not now."""
        if d.factor is None:
            return False
        k = self.c.conditionals[d.factor]
        group = k.factor.group
        return any(groups & self.moved and group in groups and group not in self.moved for _, groups in k.nets)

    def reads(self, term: Term) -> tuple[Key, ...]:
        """The values that the term's code reads."""
        targets = (k for call in term.calls for k in call.reads)
        scored = (k for s in term.scores for k in (*self.drawn[s].parents, s))
        return tuple(dict.fromkeys((*targets, *scored)))

    def above(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """The values, and all that they were drawn from."""
        found = dict.fromkeys(keys)
        pending = list(found)
        while pending:
            new = [k for k in self.drawn[pending.pop()].parents if k not in found]
            found.update(dict.fromkeys(new))
            pending += new
        return tuple(found)

    def trained(self, d: Drawn) -> bool:
        """The update moves the draw's distribution through what passes gradient."""
        above = self.c.moves(d.density).union(*(self.drawn[p].reach for p in d.parents))
        return d.variable not in self.stopped and not d.outer and bool(above & self.moved)

    def term(self, before: list[Term]) -> Term:
        """The summand as it is computed; names of terms are kept apart by their place."""
        s = self.s
        atoms = tuple(_sum(s.atom.body)) if isinstance(s.atom, LogMean) else ((Fraction(1), s.atom),)
        plain, *more = (self.part(*a) for a in atoms)
        inside = (plain, *more) if isinstance(s.atom, LogMean) else ()
        masses = tuple(self.call(m, detached=True) for m in s.masses)
        calls = (*(c for t in inside or (plain,) for c in t.calls), *masses)
        direct = tuple(k for call in calls for k in call.reads)
        widest = max((self.drawn[k] for k in direct), key=lambda d: len(d.axes), default=None)
        enumerated = widest.enumerated if widest else ()
        log_mean = bool(inside and widest and widest.copies)
        axes = enumerated if log_mean else widest.axes if widest else ()
        same = [d for d in self.branch.draws if d.how == "enumerate" and d.key == self._own(d.variable)]
        weights = tuple(
            self.drawing(d, detached=not self.trained(d)) for d in same if len(d.axes) <= len(enumerated)
        )
        scores = tuple(
            k for k in self.above(direct) if self.drawn[k].how == "score" and self.trained(self.drawn[k])
        )
        surrogate = "surrogate, importance-weighted " if s.normalized else ""
        shown = f"log 1/{s.atom.k} Σᵢ wᵢ" if isinstance(s.atom, LogMean) else text(s.atom)
        name = f"{self.branch.name}: {surrogate}{shown}{self.inferred}"
        count = sum(t.name == name or t.name.startswith(f"{name} #") for t in before)
        shown = f"{name} #{count + 1}" if count else name
        how: estimators.Atom = "log_mean" if log_mean else "sum" if inside else plain.how
        found = replace(plain, name=shown, scale=s.scale, how=how, atom=s.atom, masses=masses, weights=weights)
        return replace(found, axes=axes, scores=scores, inside=inside, ratio=self._ratio())

    def part(self, scale: Fraction | float, atom: Log | Critic | KL) -> Term:
        """One atom by itself."""
        left, right, how = self._atom(atom)
        return Term("", scale, self.branch.name, how, atom, left, right, (), (), (), ())

    def _ratio(self) -> tuple[Call, Call] | None:
        """What weighs importance samples; nothing where the samples of a record are alike."""
        if self.s.normalized is None:
            return None
        k, top, bottom = self.s.normalized
        ratio = self.call(top, detached=True), self.call(bottom, detached=True)
        return ratio if k == 0 or any(self.drawn[key].copies for key in ratio[0].reads) else None

    @property
    def inferred(self) -> str:
        """The component in a summand's name, where it is not the first."""
        y = self.c.model.indicator
        return f", {y.name}={y.type.values[self.s.component]}" if y and self.s.component else ""

    def _own(self, variable: str) -> Key:
        return self.c.key(variable, self.s.component)

    def _atom(self, atom: Log | Critic | KL) -> tuple[Call, Call | None, estimators.Atom]:
        match atom:
            case Log(d) if d.kind == "blue":
                return self.call(d), None, "blue"
            case Critic(_, d):
                return self.call(d), None, "critic"
            case Log(d):
                return self.call(d, self.key(d.target)), None, "log"
            case KL(left, right) if self.c.closed(atom):
                return self.call(left), self.call(right), "closed"
            case KL(left, right):
                key = self.key(left.target)
                return self.call(left, key), self.call(right, key), "sampled"


def _sum(body: Formula, scale: Fraction | float = Fraction(1)) -> Iterator[tuple[Fraction | float, Log | Critic | KL]]:
    """The atoms of what stands inside a log-mean, with their scales."""
    match body:
        case Add(terms):
            for term in terms:
                yield from _sum(term, scale)
        case Scale(factor, inner):
            yield from _sum(inner, scale * factor)
        case Log() | Critic() | KL():
            yield scale, body
        case _:
            raise AssertionError(f"a log-mean holds {body}")


# --- the order of a step ----------------------------------------------------------------------------------


def _steps(
    model: Model, branches: tuple[Branch, ...], updates: tuple[Update, ...]
) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """Each update as often as its optimizer says; drawn afresh first, when repeated, and when a parameter has moved
    on which its values depend."""
    repeats = {group: o.steps for group, o in model.train.optimizers}
    steps: list[tuple[tuple[str, ...], bool]] = []
    moved: set[str] = set()
    for u in updates:
        for i in range(max(repeats.get(g, 1) for g in u.groups)):
            groups = tuple(g for g in u.groups if repeats.get(g, 1) > i)
            fresh = not steps or i > 0 or bool(moved & _depends(branches, u))
            moved = set(groups) if fresh else moved | set(groups)
            steps.append((groups, fresh))
    return tuple(steps)


def _depends(branches: tuple[Branch, ...], u: Update) -> frozenset[str]:
    """The groups on whose parameters the values depend that an update reads."""
    drawn = {(b.name, d.key): d for b in branches for d in b.draws}
    calls = [c for t in u.terms for c in t.calls]
    keys = {(c.branch, k) for c in (*calls, *u.scores) for k in c.reads}
    return frozenset[str]().union(*(drawn[k].depends for k in keys))


# --- the log ----------------------------------------------------------------------------------------------


def _log(c: _Context, branches: tuple[Branch, ...]) -> tuple[str, ...]:
    """What the estimators assume, for the transform log."""
    said: dict[str, None] = {}
    for k in c.conditionals.values():
        if k.family == "Bernoulli" and k.variable.type.kind == "unit" and not k.factor.implicit:
            said[f"log {k.factor.name} is a cross-entropy: {k.variable.name} is unit, it is no density"] = None
    for b in branches:
        for d in b.draws:
            name = d.density.factor
            match d.how:
                case "mean":
                    said[f"a draw of {d.variable} from {name} is its mean"] = None
                case "enumerate":
                    count = estimators.values(c.model.variable(d.variable).type)
                    said[f"{d.variable} from {name} is enumerated: {count} values a record"] = None
                case "score":
                    said[f"{d.variable} from {name}: score function with a leave-one-out baseline"] = None
                case "gumbel" | "straight_through":
                    said[f"{d.variable} from {name}: {d.how} gradients are biased"] = None
                case _:
                    pass
    return tuple(said)

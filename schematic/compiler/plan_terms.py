"""What is updated with what: each summand as it is computed, with the values that pass no gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from schematic.calculus.terms import KL, Add, Critic, Density, Log, LogMean, Objective, Scale, Summand, mask
from schematic.calculus.terms import Term as Formula
from schematic.calculus.text import text
from schematic.compiler import estimators
from schematic.compiler.plan_draws import Context, repeated
from schematic.compiler.program import Branch, Call, Drawn, Key, Term, Update

Part = tuple[Context, tuple[Branch, ...]]  # a term of a sum, or the one model, with its branches


def update(parts: Iterable[Part], objective: Objective) -> Update:
    """What the groups of an objective maximize."""
    moved = frozenset(objective.groups)
    terms: list[Term] = []
    names = Counter[str]()
    scores: dict[Call, None] = {}
    detached: dict[tuple[str, Key], None] = {}
    renewed: dict[tuple[str, Key], None] = {}
    known = {c.label: (c, branches) for c, branches in parts}
    for s in objective.summands:
        c, branches = known[s.term]
        branch = next(b for b in branches if b.number == s.branch)
        site = Site(c, s, branch, moved)
        term = site.term(names)
        terms.append(term)
        scores.update((site.drawing(site.drawn[k]), None) for k in term.scores)
        again = tuple(k for k in site.above(site.reads(term)) if site.parted(k))
        read = (*site.reads(term), *(p for k in again for p in site.drawn[k].parents))
        detached.update(((branch.name, k), None) for k in read if site.cut(k))
        renewed.update(((branch.name, k), None) for k in again)
    return Update(objective.groups, objective, tuple(terms), tuple(detached), tuple(scores), tuple(renewed))


@dataclass(frozen=True)
class Site:
    """One summand beside the draws of its branch."""

    c: Context
    s: Summand
    branch: Branch
    moved: frozenset[str]

    @property
    def drawn(self) -> dict[Key, Drawn]:
        return self.branch.all

    @cached_property
    def stopped(self) -> frozenset[str]:
        """The variables whose draws pass no gradient in this objective."""
        return frozenset(t for d in self.inner if d.stopped for t in d.targets)

    @cached_property
    def inner(self) -> tuple[Density, ...]:
        return (*self.c.inner(self.s), *repeated(self.s))

    @cached_property
    def targets(self) -> frozenset[str]:
        return frozenset(t for d in self.inner for t in d.targets)

    @cached_property
    def observed(self) -> dict[str, tuple[str, ...]]:
        return self.c.observed(self.s)

    def key(self, variable: str) -> Key:
        """The name in the draw of the value that stands for a variable here; inferred ones hide outer ones."""
        observed = self.observed.get(variable, ())
        if variable in self.targets:
            return self.c.key(variable, self.s.component, observed)
        return next(d.key for d in self.branch.draws if (d.outer, d.variable, d.observed) == (True, variable, observed))

    def cut(self, key: Key) -> bool:
        """The value carries a graph, and none of it may be used here."""
        d = self.drawn[key]
        return bool(d.reach) and (d.variable in self.stopped or not d.reach & self.moved)

    def parted(self, key: Key) -> bool:
        """The value passes gradient, and something that it is computed from does not: a hollow factor of the
        discriminator's own group reads what others generate."""
        if not self.stopped:
            return False
        if not self.stopped:
            return False
        d = self.drawn[key]
        return not self.cut(key) and d.variable not in self.stopped and any(
            self.parted(p) or (bool(self.drawn[p].reach) and self.drawn[p].variable in self.stopped) for p in d.parents
        )  # fmt: skip

    def call(self, d: Density, target: Key | None = None, *, detached: bool = False) -> Call:
        parents = tuple(map(self.key, self.c.parents(d)))
        return Call(d, self.branch.name, parents, target, detached, self.frozen(d))

    def drawing(self, d: Drawn, *, detached: bool = False) -> Call:
        """The density that a value was drawn from, at that value."""
        return Call(d.density, self.branch.name, d.parents, d.key, detached, self.frozen(d.density))

    def frozen(self, d: Density) -> bool:
        """Another group of this update trains a net of the factor, and the factor's own group does not now; or the
        factor is fixed in this term of a sum and trained in another."""
        if d.factor is None:
            return False
        if self.c.held(d) & self.moved:
            return True
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

    def term(self, before: Counter[str]) -> Term:
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
        every = (self.drawn[k] for k in reversed(widest.every if widest else ()))
        weights = tuple(self.drawing(d, detached=not self.trained(d)) for d in every)
        scores = tuple(
            k for k in self.above(direct) if self.drawn[k].how == "score" and self.trained(self.drawn[k])
        )
        surrogate = "surrogate, importance-weighted " if s.normalized else ""
        shown = f"log 1/{s.atom.k} Σᵢ wᵢ" if isinstance(s.atom, LogMean) else text(s.atom)
        known = "".join(f", {v} {'observed' if yes else 'missing'}" for v, yes in s.observed)
        name = f"{self.branch.name}: {surrogate}{shown}{self.inferred}{known}"
        before[name] += 1
        shown = f"{name} #{before[name]}" if before[name] > 1 else name
        how: estimators.Atom = "log_mean" if log_mean else "sum" if inside else plain.how
        found = replace(plain, name=shown, scale=s.scale, how=how, atom=s.atom, masses=masses, weights=weights)
        masks = tuple((mask(v), yes) for v, yes in s.observed)
        return replace(found, axes=axes, scores=scores, inside=inside, ratio=self._ratio(), observed=masks)

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

    def _atom(self, atom: Log | Critic | KL) -> tuple[Call, Call | None, estimators.Atom]:
        match atom:
            case Log(d) if d.kind == "blue" and self.c.model.variable(d.target).type.kind != "domain":
                return self.call(d, self.key(d.target)), None, "predicted"
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

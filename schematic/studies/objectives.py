"""What a model's groups maximize, in a form that can be compared: what only tells how it was drawn is left out."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

from schematic.calculus.terms import Critic, Density, Expect, Log, Mass, Objective, Scale, Summand, Term, Where, mask
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report, in_order
from schematic.graph.model import AnyModel, Variable
from schematic.studies.labelled import Labelled, Node, canonical
from schematic.studies.matching import variables

UNORDERED = ("draws", "terms")  # the parts of a term whose order does not count

Number = Fraction | float
Key = tuple[tuple[str, ...], tuple[str, ...], str]
"""A term but for its scale: what is drawn, what weighs, and the rest; equal for terms that are one function."""


@dataclass(frozen=True)
class Derived:
    """The objectives of a model, or why it has none."""

    updates: tuple[Objective, ...]
    why: str = ""


def derived(model: AnyModel) -> Derived:
    """The objectives by the compiler's rules, in the order of the updates."""
    report = Report()
    if pipeline.waits(model, report, "error"):
        return Derived((), in_order(report)[0].message)
    updates = pipeline.derive(model, report)
    errors = [d for d in in_order(report) if d.severity == "error"]
    return Derived((), errors[0].message) if errors else Derived(updates)


def formula(s: Summand) -> Term:
    """A summand as a term by itself."""
    body: Term = s.atom
    for mass in reversed(s.masses):
        body = Mass(mass, body)
    for drawn in (s.draws, s.outer):
        body = Expect(drawn, body) if any(d.shown for d in drawn) else body
    for v, yes in reversed(s.observed):
        body = Where(mask(v), (int(yes),), f"{v} is {'observed' if yes else 'missing'}", body)
    return Scale(s.scale, body) if s.scale != 1 else body


# --- terms as functions -----------------------------------------------------------------------------------------


def key(s: Summand) -> Key:
    """What a summand is but for its scale."""
    drawn = tuple(sorted(repr(_plain(d)) for d in (*s.outer, *s.draws)))
    weighs = tuple(sorted(repr(_plain(d)) for d in s.masses))
    return drawn, weighs, repr(_plain(_rest(s)))


def sideless(s: Summand) -> Key:
    """The same, for a discriminator's log at whatever value."""
    match s.atom:
        case Log(d) | Critic(_, d) if d.kind == "blue":
            values = tuple((v, x) for v, x in d.values if v != d.target)
            return key(replace(s, atom=replace(s.atom, density=replace(d, values=values))))
        case _:
            return key(s)


def _rest(s: Summand) -> Summand:
    return replace(s, scale=1, outer=(), draws=(), masses=(), branch=None, component=None, term="")


def _plain(value: Any) -> Any:
    """A part of a term without what tells how it was drawn: letters, and the domain where it says nothing."""
    match value:
        case Density():
            return _plain_density(value)
        case tuple():
            return tuple(map(_plain, value))
        case _ if is_dataclass(value) and not isinstance(value, type):
            parts = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
            return replace(value, **{n: tuple(sorted(p, key=repr)) if n in UNORDERED else p for n, p in parts.items()})
        case _:
            return value


def _plain_density(d: Density) -> Density:
    """One that is degenerate in one of two domains is free in the other alone, and a prior is the same in all."""
    told = d.kind == "prior" or (d.kind in ("explicit", "implicit") and d.fixed_at is not None and d.domains == 2)
    return replace(
        d,
        letter="",
        targets=tuple(sorted(d.targets)),
        given=tuple(sorted(d.given)),
        values=() if told else tuple(sorted(d.values)),
        fixed_at=None,
        domains=d.domains if d.kind == "blue" else 0,
        cases=_plain(d.cases),
    )


# --- objectives up to renaming ------------------------------------------------------------------------------------


def ratios(model: AnyModel, left: Derived, other: AnyModel, right: Derived) -> tuple[Number, ...] | None:
    """By how much each objective of the left model is the right one's, names aside; None if they are not one."""
    if not left.updates or len(left.updates) != len(right.updates):
        return None
    a, b = canonical(_graph(model, left)), canonical(_graph(other, right))
    if a.form != b.form:
        return None
    pairs = [(int(n[1]), int(m[1])) for n, m in zip(a.order, b.order, strict=True) if n[0] == "update"]
    return tuple(_top(left.updates[i]) / _top(right.updates[j]) for i, j in sorted(pairs))


def _top(objective: Objective) -> Number:
    """The greatest scale among its terms; objectives are compared relative to it."""
    scales = [s.scale if s.scale > 0 else -s.scale for s in objective.summands]
    return max(scales)


def _graph(model: AnyModel, found: Derived) -> Labelled:
    parts = _Graph(Labelled(), variables(model))
    for i, update in enumerate(found.updates):
        home = parts.graph.node(("update", str(i)), "update")
        for group in update.groups:
            parts.graph.edge(home, parts.named("group", group), "moves")
        for j, s in enumerate(update.summands):
            scale = f"{float(s.scale / _top(update)):.9g}"
            here = parts.graph.node(("term", str(i), str(j)), scale)
            parts.graph.edge(home, here, "adds")
            parts.add(here, "draws", (*s.outer, *s.draws))
            parts.add(here, "weighs", s.masses)
            parts.add(here, "scores", s.atom)
            for n, part in enumerate(s.normalized or ()):
                parts.add(here, f"normalized {n}", part)
            for v, yes in s.observed:
                parts.graph.edge(here, parts.variable(v), "where it is observed" if yes else "where it is missing")
    return parts.graph


@dataclass(frozen=True)
class _Graph:
    """Parts of terms as nodes; the variables, groups and factors that they name are nodes that they share."""

    graph: Labelled
    known: dict[str, Variable]

    def named(self, kind: str, name: str) -> Node:
        return self.graph.node((kind, name), kind)

    def variable(self, name: str) -> Node:
        v = self.known.get(name.partition("[")[0])
        label = v and (v.type.kind, v.prior and (v.prior.family, v.prior.args))
        return self.graph.node(("variable", name), f"variable {label}")

    def add(self, home: Node, role: str, value: Any) -> None:
        """Adds a part; of several in one role the order does not count."""
        match value:
            case tuple():
                for part in value:
                    self.add(home, role, part)
            case Density():
                self._density(home, role, _plain_density(value))
            case _ if is_dataclass(value) and not isinstance(value, type):
                here = self._part(home, role, type(value).__name__)
                for f in fields(value):
                    self.add(here, f.name, getattr(value, f.name))
            case _:
                self._part(home, role, f"{value}")

    def _part(self, home: Node, role: str, label: str) -> Node:
        here = self.graph.node(("part", str(len(self.graph.labels))), label)
        self.graph.edge(home, here, role)
        return here

    def _density(self, home: Node, role: str, d: Density) -> None:
        label = (d.kind, d.reverse, d.perfect, d.stopped, d.each, d.temperature, d.domains)
        here = self._part(home, role, repr(label))
        for end, names in (("target", d.targets), ("given", d.given)):
            for v in names:
                self.graph.edge(here, self.variable(v), end)
        for v, value in d.values:
            self.graph.edge(here, self.variable(v), f"at {value}")
        for group in d.group.split(",") if d.group else ():
            self.graph.edge(here, self.named("group", group), "of")
        if d.factor is not None:
            self.graph.edge(here, self.named("factor", d.factor), "from")
        for value, case in enumerate(d.cases):
            self.add(here, f"case {value}", case)

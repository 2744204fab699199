"""The one place that reads a graph into terms: semantics.md's readings 1 to 4, applied to arrows.

Every objective starts in the paper's form, with the domain y open (Eqs. 4, 5, 15, 19, 23, 35), and is unfolded by
the rules of `calculus.rules`. Nothing here knows a model by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.rules import Context, derive, needs, places, tidy, trim
from schematic.calculus.terms import KL, Add, Density, Expect, Log, Mass, Objective, Scale, Summand, Term, substitute
from schematic.compiler.brackets import bracket, number, open_y, unpriced
from schematic.compiler.branches import (
    Branch,
    Graph,
    Source,
    ancestral_sources,
    density,
    draws,
    graph,
    sources,
)
from schematic.compiler.soundness import (
    check_bracket,
    check_objectives,
    check_own_draws,
    check_reading,
    check_warnings,
    generated_twice,
    unsourced,
)
from schematic.core.diagnostics import Report
from schematic.graph.defaults import resolve
from schematic.graph.model import Factor, Model, Process


def objectives(model: Model, report: Report) -> tuple[Objective, ...]:
    """The objective of every update, in the order of the updates: each discriminator's, then the others'.

    Diagnostics go to the report; an objective stands only where no error was found.
    """
    g = graph(model)
    check_reading(g, report)
    side = adversary_side(g)
    if report.failed:
        return ()
    judges = tuple(dict.fromkeys(f.group for f in g.blue if g.trains(f)))
    others = tuple(dict.fromkeys(f.group for f in model.factors if g.trains(f) and f.group not in judges))
    found = [_objective(g, side, (phi,), judge_term(g, side, phi, report)) for phi in judges]
    if others:
        found.append(_objective(g, side, others, others_term(g, side, report)))
    if not report.failed:
        check_objectives(g, tuple(found), report)
        check_warnings(g, tuple(found), report)
    return () if report.failed else tuple(o for o in found if o.summands)


def adversary_side(g: Graph) -> Process:
    """The side of the blue arrows: generative (reading 2; without any, 2 or 4 by the same words), inference (3)."""
    return g.blue[0].process if g.blue else "generative"


def _objective(g: Graph, side: Process, groups: tuple[str, ...], start: Term) -> Objective:
    fixed = frozenset(f.name for f in g.model.factors if not g.trains(f))
    derivation = derive(tidy(start), Context(g.y, frozenset(groups), fixed))
    found = tuple(summands(derivation.end, side == "inference"))
    return Objective(groups, derivation, found, tuple(dict.fromkeys(_assumptions(g, side, found))))


def _assumptions(g: Graph, side: Process, found: tuple[Summand, ...]) -> Iterator[str]:
    """What the readings assume beside the rules (semantics.md, the transform log)."""
    if any(isinstance(s.atom, KL) or s.atom.density.kind != "blue" for s in found):
        yield from (f"{f.name} brings no entropy: {f.target} has no density of its own" for f in unpriced(g))
    for s in found:
        atom = s.atom.density if isinstance(s.atom, Log) else s.atom.left
        if atom.kind == "blue" and side == "inference":
            yield "the discriminator classifies the origin, Eq. 50 for Eq. 49: the groups do not play one objective"
        if _is_grey(g, atom):
            yield f"{atom.target} is in [0, 1] and scored by cross-entropy, which is no density there: not a bound"
        for d in (*s.outer, *s.draws):
            if d.kind == "explicit" and _is_grey(g, d):
                yield f"the draw of {d.target}, in [0, 1], is the mean"


def _is_grey(g: Graph, d: Density) -> bool:
    """A `unit` variable with a Bernoulli factor."""
    known = d.kind == "explicit" and d.factor is not None and g.variables[d.target].type.kind == "unit"
    return known and resolve(g.model, g.factor(d.factor)).family == "Bernoulli"


# --- reading 1: the discriminators --------------------------------------------------------------------------


def judge_term(g: Graph, side: Process, phi: str, report: Report) -> Term:
    """E_{p(y)} E_{branch}[log b(y|.) + phi's own generative logs] (Eqs. 4, 15, 36, 50)."""
    own = tuple(f for f in g.blue if f.group == phi and g.trains(f))
    body: list[Term] = [Log(blue_density(g, b)) for b in own]
    mine = [f for f in g.model.factors if f.group == phi and f.process == "generative" and g.trains(f)]
    scored = [f for f in mine if not f.adversarial and not f.implicit]
    assert g.y is not None
    source = {b: ancestral_sources(g, b or 0) if side == "inference" else sources(g, b) for b in g.branches}
    entries = {b: tuple(e for e in bracket(g, b, source[b], g.compared) if e.owner in scored) for b in g.branches}
    body += open_y(g, entries)
    wants = {
        b: (*(p for f in own for p in g.parents(f)), *_read(g, [e.density for e in entries[b]])) for b in g.branches
    }
    if side == "inference":
        outer = [_outer(g, b or 0, frozenset(wants[b]), report) for b in g.branches]
        return _open(g, outer, g.y, body, stopped=True)
    check_own_draws(g, phi, report)

    def stopped(f: Factor) -> bool:
        return not (f.implicit and f.group == phi)

    cases = [_branch(g, b, wants[b], _mentioned(g, body, b), stopped, report) for b in g.branches]
    return _open(g, cases, g.y, body)


# --- readings 2 and 4: the others, sampled from the inference side -------------------------------------------


def others_term(g: Graph, side: Process, report: Report) -> Term:
    if side == "inference":
        return weighed_term(g, report)
    entries = {b: bracket(g, b, sources(g, b), g.compared) for b in g.branches}
    for b in g.branches:
        check_bracket(g, b, sources(g, b), report)
    body: list[Term] = list(open_y(g, entries))
    for f in g.blue:
        body.append(Scale(number(f.weight), Log(replace(blue_density(g, f), reverse=True, temperature=f.temperature))))
    wants = tuple(p for f in g.blue for p in g.parents(f))
    cases = [
        _branch(g, b, (*wants, *_read(g, [e.density for e in entries[b]])), _mentioned(g, body, b), _passes, report)
        for b in g.branches
    ]
    if g.y is None:
        return Expect(cases[0], Add(tuple(body)))
    return _open(g, cases, g.y, body)


def _passes(_: Factor) -> bool:
    return False


def _read(g: Graph, found: Iterable[Density]) -> tuple[str, ...]:
    """The variables that densities read, the indicator left out."""
    return tuple(v for d in found for v in (*d.given, *d.targets) if v != g.y)


def _read_all(g: Graph, body: list[Term]) -> tuple[str, ...]:
    names = needs(Add(tuple(body))) | {t for k in body for t in _targets(k)}
    return tuple(v for v in g.variables if v in names and v != g.y)


def _mentioned(g: Graph, body: list[Term], branch: Branch) -> tuple[str, ...]:
    """The variables of the terms that stand in a branch, those included that are degenerate there."""
    here = [t if g.y is None or branch is None else substitute(t, g.y, branch) for t in body]
    return _read_all(g, here)


def _targets(term: Term) -> tuple[str, ...]:
    match term:
        case Log(d):
            return d.targets
        case Scale(_, body):
            return _targets(body)
        case _:
            return ()


def _branch(
    g: Graph,
    branch: Branch,
    needed: tuple[str, ...],
    mentioned: tuple[str, ...],
    stopped: Callable[[Factor], bool],
    report: Report,
) -> tuple[Density, ...]:
    """The draws of a branch: what its own terms need, and what degenerate terms mention as far as it can be had."""
    source = sources(g, branch)
    _, problems = draws(g, source, needed, branch, stopped)
    for p in problems:
        unsourced(g, branch, p, report)
    return _with_mentioned(g, branch, source, needed, mentioned, stopped) if not problems else ()


def _with_mentioned(
    g: Graph,
    branch: Branch,
    source: dict[str, Source],
    needed: tuple[str, ...],
    mentioned: tuple[str, ...],
    stopped: Callable[[Factor], bool],
) -> tuple[Density, ...]:
    """The draws of what is needed, and of what terms that are degenerate here mention, as far as it can be had."""
    found, problems = draws(g, source, (*needed, *mentioned), branch, stopped)
    if not problems:
        return found
    had = [v for v in mentioned if not draws(g, source, (v,), branch, stopped)[1]]
    return draws(g, source, (*needed, *had), branch, stopped)[0]


def _open(g: Graph, cases: list[tuple[Density, ...]], y: str, body: list[Term], *, stopped: bool = False) -> Term:
    """E_{p(y)} E_{p(x|y)}[body], the distribution of the branch written as in Eq. 6, with the code encapsulated."""
    shown = tuple(c for c in g.model.compared if c in g.compared) or _read_all(g, body)
    letter, group = _author(cases, shown)
    domain = Density("indicator", "p", None, (y,), domains=g.domains)
    mixture = Density(
        "cases",
        letter,
        group,
        shown,
        (y,),
        cases=tuple(cases),
        domains=g.domains,
        stopped=stopped or _all_stopped(cases),
    )
    return Expect((domain, mixture), Add(tuple(body)))


def _all_stopped(cases: list[tuple[Density, ...]]) -> bool:
    drawn = [d for case in cases for d in case if d.kind in ("explicit", "implicit")]
    return bool(drawn) and all(d.stopped for d in drawn)


def _author(cases: list[tuple[Density, ...]], shown: tuple[str, ...]) -> tuple[str, str | None]:
    """The letter and the parameters of a distribution by cases: those of the factors that draw what is shown."""
    factors = [d for case in cases for d in case if d.group is not None and set(d.targets) & set(shown)]
    groups = dict.fromkeys(d.group for d in factors if d.group is not None)
    return (factors[0].letter if factors else "p"), (",".join(groups) or None)


def blue_density(g: Graph, f: Factor) -> Density:
    """b(y | sources)."""
    return replace(density(g, f), kind="blue", fixed_at=None)


# --- reading 3: the others, weighed by the adversary on the inference side -----------------------------------


@dataclass(frozen=True)
class Component:
    """The y inferred from the outer sample: its sources and what it takes from the outer sample."""

    source: dict[str, Source]
    carried: frozenset[str]


def _component(g: Graph, y: int) -> Component:
    inferred = {f.target for f in g.model.factors if g.free(f, y) and f.process == "inference" and not f.adversarial}
    empirical = {v.name for v in g.model.variables if v.data is not None} - inferred
    carried = g.compared | frozenset(empirical)
    return Component(sources(g, y, carried), carried)


def weighed_term(g: Graph, report: Report) -> Term:
    """E_{p(y')} E_{outer}[ E_{q^r(y|x)} E_{q(z|x,y)}[B_y] - KL(q^r(y|x) || p(y)) ] (Eqs. 19, 23, 48)."""
    (b,) = g.blue
    assert g.y is not None
    origin = f"{g.y}'"
    parts = {y: _component(g, y or 0) for y in g.branches}
    entries = {y: bracket(g, y, parts[y].source, frozenset()) for y in g.branches}
    for y in g.branches:
        check_bracket(g, y, parts[y].source, report)
    body = list(open_y(g, entries))
    mentioned = {y: _mentioned(g, body, y) for y in g.branches}
    inner = [
        _inner(g, y, parts[y], _read(g, [e.density for e in entries[y]]), mentioned[y], report) for y in g.branches
    ]
    read = {*(v for names in mentioned.values() for v in names), *(v for case in inner for d in case for v in d.given)}
    carried = {v for p in parts.values() for v in p.carried if v in read} | set(g.parents(b))
    outer = [_outer(g, o or 0, frozenset(carried), report) for o in g.branches]
    reads = (*g.parents(b), origin) if b.perfect else g.parents(b)
    weigher = replace(blue_density(g, b), given=reads, reverse=True, perfect=b.perfect, temperature=b.temperature)
    inside = Expect((weigher, *_inner_cases(g, inner)), Add(tuple(body)))
    constant = Scale(Fraction(-1), KL(weigher, Density("indicator", "p", None, (g.y,), domains=g.domains)))
    return _open(g, outer, origin, [inside, constant], stopped=True)


def _inner_cases(g: Graph, inner: list[tuple[Density, ...]]) -> tuple[Density, ...]:
    drawn = tuple(dict.fromkeys(t for case in inner for d in case for t in d.targets))
    if not drawn or g.y is None:
        return ()
    letter, group = _author(inner, drawn)
    read = dict.fromkeys(v for case in inner for d in case for v in d.given if v != g.y and v not in drawn)
    return (Density("cases", letter, group, drawn, (*read, g.y), cases=tuple(inner), domains=g.domains),)


def _inner(
    g: Graph, y: Branch, part: Component, needed: tuple[str, ...], mentioned: tuple[str, ...], report: Report
) -> tuple[Density, ...]:
    found, problems = draws(g, part.source, needed, y, _passes)
    for p in problems:
        unsourced(g, y, p, report)
    return _with_mentioned(g, y, part.source, needed, mentioned, _passes) if not problems else found


def _outer(g: Graph, origin: int, carried: frozenset[str], report: Report) -> tuple[Density, ...]:
    """The outer sample at an origin: the generative side at theta_0, and what it carries."""
    source = ancestral_sources(g, origin)
    wanted = tuple(v for v in g.variables if v in carried)
    found, problems = draws(g, source, wanted, origin, lambda _: True)
    for p in problems:
        unsourced(g, origin, p, report)
    for name in {t for d in found for t in d.targets}:
        if isinstance(source[name], Factor):
            generated_twice(g, name, origin, report)
    return found


# --- the summands ---------------------------------------------------------------------------------------------


def summands(term: Term, weighed: bool) -> list[Summand]:
    """An unfolded objective as a list: each atom with its scale, its weights and the draws that it depends on."""
    found: list[Summand] = []

    def visit(t: Term, s: Summand, where: tuple[dict[str, int], dict[str, int]]) -> None:
        match t:
            case Add(terms):
                for u in terms:
                    visit(u, s, where)
            case Scale(factor, body):
                visit(body, replace(s, scale=s.scale * factor), where)
            case Mass(b, body):
                visit(body, replace(s, masses=(*s.masses, b)), where)
            case Expect(drawn, body, branch) if weighed and branch is not None:
                visit(body, replace(s, outer=drawn, branch=branch), (places(drawn), {}))
            case Expect(drawn, body, branch):
                inner = (*s.draws, *drawn)
                at = s.branch if branch is None or weighed else branch
                visit(body, replace(s, draws=inner, branch=at), (where[0], places(inner)))
            case Log() | KL():
                judged = isinstance(t, Log) and t.density.kind == "blue"
                component = _component_of(s) if weighed and not judged else None
                found.append(_trimmed(replace(s, atom=t, component=component), *where))
            case _:
                raise AssertionError(f"an unfolded objective holds {t}")

    empty = Summand(Fraction(1), (), (), (), Log(Density("indicator", "p", None, ("",))))
    visit(term, empty, ({}, {}))
    return found


def _component_of(s: Summand) -> int | None:
    """The inferred y of a weighed summand: its weight is q(1-y | .); a perfect adversary has left y = 1 - origin."""
    if s.masses:
        value = s.masses[0].value(s.masses[0].target)
        return None if value is None else 1 - value
    return None if s.branch is None else 1 - s.branch


def _trimmed(s: Summand, outer: dict[str, int], inner: dict[str, int]) -> Summand:
    wanted = needs(s.atom)
    draws = trim(s.draws, wanted, inner)
    bound_inside = {t for d in draws for t in d.targets}
    above = {v for d in draws for v in d.given} | wanted
    weighed = {v for m in s.masses for v in m.given}
    return replace(s, draws=draws, outer=trim(s.outer, (above - bound_inside) | weighed, outer))

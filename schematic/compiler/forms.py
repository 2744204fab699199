"""What the readings share: the draws of a branch, and the paper's forms with the domain y open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from schematic.calculus.structure import needs
from schematic.calculus.terms import Add, Critic, Density, Expect, Log, Scale, Term, substitute
from schematic.compiler.brackets import number
from schematic.compiler.branches import Branch, Graph, Source, density, draws, sources
from schematic.compiler.soundness import unsourced
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor

Draws = tuple[Density, ...]


def passes(_: Factor) -> bool:
    return False


def read(g: Graph, found: Iterable[Density]) -> tuple[str, ...]:
    """The variables that densities read, the indicator left out."""
    return tuple(v for d in found for v in (*d.given, *d.targets) if v != g.y)


def read_all(g: Graph, body: list[Term]) -> tuple[str, ...]:
    names = needs(Add(tuple(body))) | {t for k in body for t in _targets(k)}
    return tuple(sorted((v for v in names if v in g.variables and v != g.y), key=g.places.__getitem__))


def mentioned_in(g: Graph, body: list[Term], branch: Branch) -> tuple[str, ...]:
    """The variables of the terms that stand in a branch, those included that are degenerate there."""
    here = [t if g.y is None or branch is None else substitute(t, g.y, branch) for t in body]
    return read_all(g, here)


def _targets(term: Term) -> tuple[str, ...]:
    match term:
        case Log(d):
            return d.targets
        case Scale(_, body):
            return _targets(body)
        case _:
            return ()


def branch_draws(
    g: Graph,
    branch: Branch,
    needed: tuple[str, ...],
    mentioned: tuple[str, ...],
    stopped: Callable[[Factor], bool],
    report: Report,
    seen: frozenset[str] = frozenset(),
) -> tuple[Density, ...]:
    """The draws of a branch: what its own terms need, and what degenerate terms mention as far as it can be had."""
    source = sources(g, branch, seen=seen)
    _, problems = draws(g, source, needed, branch, stopped)
    for p in problems:
        unsourced(g, branch, p, report)
    return with_mentioned(g, branch, source, needed, mentioned, stopped) if not problems else ()


def with_mentioned(
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


def open_domain(
    g: Graph,
    cases: list[Draws],
    body: list[Term],
    *,
    y: str | None = None,
    shown: tuple[str, ...] = (),
    stopped: bool = False,
) -> Term:
    """E_{p(y)} E_{p(x|y)}[body], the distribution of the branch written as in Eq. 6, with the code encapsulated.

    `y`: the indicator, or its name as the origin of an outer sample; `shown`: what the branch is a distribution of, by
    default the compared variables. Without an indicator the one branch is open.
    """
    y = y or g.y
    if y is None:
        return Expect(cases[0], Add(tuple(body)))
    shown = shown or tuple(c for c in g.model.compared if c in g.compared) or read_all(g, body)
    letter, group = author(cases, shown)
    domain = Density("indicator", "p", None, (y,), domains=g.domains)
    at0 = stopped or _all_stopped(cases)
    mixture = Density("cases", letter, group, shown, (y,), cases=tuple(cases), domains=g.domains, stopped=at0)
    return Expect((domain, mixture), Add(tuple(body)))


def by_domain(g: Graph, inner: list[Draws]) -> Draws:
    """The draws of every branch as one density by cases, in an open y."""
    drawn = tuple(dict.fromkeys(t for case in inner for d in case for t in d.targets))
    if g.y is None:
        return inner[0]
    if not drawn:
        return ()
    letter, group = author(inner, drawn)
    read = dict.fromkeys(v for case in inner for d in case for v in d.given if v != g.y and v not in drawn)
    return (Density("cases", letter, group, drawn, (*read, g.y), cases=tuple(inner), domains=g.domains),)


def _all_stopped(cases: list[Draws]) -> bool:
    drawn = [d for case in cases for d in case if d.kind in ("explicit", "implicit")]
    return bool(drawn) and all(d.stopped for d in drawn)


def author(cases: list[Draws], shown: tuple[str, ...]) -> tuple[str, str | None]:
    """The letter and the parameters of a distribution by cases: those of the factors that draw what is shown."""
    factors = [d for case in cases for d in case if d.group is not None and set(d.targets) & set(shown)]
    groups = dict.fromkeys(d.group for d in factors if d.group is not None)
    return (factors[0].letter if factors else "p"), (",".join(groups) or None)


def blue_density(g: Graph, f: Factor) -> Density:
    """b(y | sources), or b of every unit of its target given the others."""
    return replace(density(g, f), kind="blue", fixed_at=None, each=f.each)


def judged(g: Graph, f: Factor) -> Term:
    """What the blue factor's own group maximizes at y (semantics.md, rule 12)."""
    b = blue_density(g, f)
    match f.divergence.name:
        case "least_squares":
            return Critic("square", b)
        case "hinge":
            return Critic("hinge", b)
        case "wasserstein":
            return Critic("linear", b)
        case "nonsaturating" | "minimax" | "kl":
            return Log(b)


def fooled(g: Graph, f: Factor) -> Term:
    """What the others maximize of the blue factor at y: log b^r, or what its divergence has instead."""
    b = replace(blue_density(g, f), temperature=f.temperature)
    reverse = replace(b, reverse=True)
    match f.divergence.name:
        case "nonsaturating":
            own: Term = Log(reverse)
        case "minimax":
            own = Scale(Fraction(-1), Log(b))
        case "least_squares":
            own = Critic("square", reverse)
        case "hinge" | "wasserstein" | "kl":
            own = Critic("linear", reverse)
    return Scale(number(f.weight), own)


def penalties(g: Graph, own: tuple[Factor, ...], cases: list[Draws]) -> tuple[Term, ...]:
    """-(penalty/2) E(|grad f| - 1)^2 on the lines between a draw of each domain (Gulrajani et al. 2017)."""
    found = []
    for f in (f for f in own if f.divergence.penalty):
        points = Density("mixture", "p", None, g.parents(f), cases=tuple(cases), domains=g.domains, stopped=True)
        slope = Critic("slope", blue_density(g, f))
        found.append(Expect((points,), Scale(number(f.divergence.penalty) / 2, slope), "penalty"))
    return tuple(found)

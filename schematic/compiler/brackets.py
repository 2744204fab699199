"""The bracket of a sampled configuration (semantics.md, Words): which log terms a branch holds, and with what weight.

An entry is a summand with its branches; entries that live in every branch, or miss one only because they are
degenerate there, are written with y left open, as the paper writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.terms import Add, Density, Log, Scale, Term, Where
from schematic.compiler.branches import Branch, Graph, Source, density, prior_density
from schematic.graph.model import Factor


@dataclass(frozen=True)
class Entry:
    """scale * log f. `owner` is the factor on whose account the term stands (for a prior, the one that infers)."""

    scale: Fraction
    density: Density
    owner: Factor


def bracket(g: Graph, branch: Branch, source: dict[str, Source], hidden: frozenset[str]) -> tuple[Entry, ...]:
    """B of a branch, its entries with y left open. `hidden`: compared variables outside reading 3, which have
    neither log g(v) nor -log f: the adversary stands for them."""
    return tuple(e for f in g.model.factors if g.free(f, branch) for e in _of_factor(g, f, branch, source, hidden))


def _of_factor(
    g: Graph, f: Factor, branch: Branch, source: dict[str, Source], hidden: frozenset[str]
) -> Iterator[Entry]:
    drawer = source.get(f.target)
    inferring = drawer if isinstance(drawer, Factor) and drawer.process == "inference" else None
    variable = g.variables[f.target]
    observed = variable.partial and inferring is None and f in g.inferring(f.target, branch)[:1]
    match f:
        case Factor(adversarial=True) | Factor(implicit=True):
            return
        case Factor(process="generative"):
            heat = inferred_scale(g, inferring) if inferring and not inferring.implicit else 1.0
            yield Entry(number(f.weight * heat), density(g, f), f)
        case Factor(process="inference") if observed:  # the labelled part of Kingma et al. (2014), weight its alpha
            if f.target not in hidden:
                yield Entry(Fraction(1), prior_density(variable), f)
            yield Entry(number(f.weight), density(g, f), f)
        case Factor(process="inference") if f == inferring and f.target not in hidden:
            scale = number(inferred_scale(g, f))
            scored = any(not h.implicit for h in g.generating(f.target, branch))
            if variable.prior is not None:
                fixed = g.fixed_at[f.name]
                given = (g.y,) if fixed is not None and g.y is not None else ()
                prior = replace(prior_density(variable), given=given, fixed_at=fixed, domains=g.domains)
                yield Entry(scale, prior, f)
            if variable.prior is not None or scored:
                yield Entry(-scale, density(g, f), f)


def inferred_scale(g: Graph, f: Factor) -> float:
    """What scales -log f and all that scores its target; the weight of a `partial` one is for the observed records."""
    return f.beta if g.variables[f.target].partial else f.weight * f.beta


def unpriced(g: Graph) -> tuple[Factor, ...]:
    """Explicit inference factors whose -log f no bracket holds, since nothing scores what they draw."""
    return tuple(
        f
        for f in g.model.factors
        if f.process == "inference" and not f.adversarial and not f.implicit and f.target not in g.compared
        and g.variables[f.target].prior is None
        and not any(not h.implicit for b in g.branches if g.free(f, b) for h in g.generating(f.target, b))
    )  # fmt: skip


def open_y(g: Graph, brackets: dict[Branch, tuple[Entry, ...]], *, free: bool = False) -> tuple[Term, ...]:
    """The entries of all branches as terms in an open y; `free`: without those that are degenerate in theirs."""
    lives: dict[Entry, list[Branch]] = {}
    for branch, entries in brackets.items():
        for e in entries:
            lives.setdefault(e, []).append(branch)
    return tuple(_term(g, e, branches, free) for e, branches in lives.items())


def _term(g: Graph, e: Entry, branches: list[Branch], free: bool) -> Term:
    log: Term = Log(e.density) if e.scale == 1 else Scale(e.scale, Log(e.density))
    missing = set(g.branches) - set(branches)
    if g.y is None or not missing or (missing == {e.density.fixed_at} and not free):
        return log
    live = tuple(b for b in branches if b is not None)
    reason = f"{e.owner.name} lives there" if e.owner.when is not None else f"{e.owner.name} is free there"
    return Where(g.y, live, reason, log)


def total(terms: tuple[Term, ...]) -> Term:
    return terms[0] if len(terms) == 1 else Add(terms)


def number(value: float) -> Fraction:
    """The decimal that was written, exactly."""
    return Fraction(repr(float(value)))

"""An unfolded objective as a flat list: each atom with its scale, its weights and the draws that it depends on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from schematic.calculus.structure import needs, places, trim
from schematic.calculus.terms import (
    KL,
    Add,
    Critic,
    Density,
    Expect,
    Log,
    LogMean,
    Mass,
    Normalized,
    Scale,
    Summand,
    Term,
    Where,
    mask,
    masked,
)


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
            case Where(variable, values, _, body) if (name := masked(variable)) is not None:
                visit(body, replace(s, observed=(*s.observed, (name, 1 in values))), where)
            case Normalized(k, top, bottom, body):
                visit(body, replace(s, normalized=(k, top, bottom)), where)
            case Log() | Critic() | KL() | LogMean():
                here = replace(s, atom=t)
                component = _component_of(s) if weighed and here.scored.kind != "blue" else None
                found.append(_trimmed(replace(here, component=component), *where))
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
    return 1 - s.branch if isinstance(s.branch, int) else None


def _trimmed(s: Summand, outer: dict[str, int], inner: dict[str, int]) -> Summand:
    ratios = () if s.normalized is None else s.normalized[1:]
    wanted = needs(s.atom) | {v for m in ratios for v in m.given} | {mask(v) for v, _ in s.observed}
    draws = trim(s.draws, wanted, inner)
    bound_inside = {t for d in draws for t in d.targets}
    above = {v for d in draws for v in d.given} | wanted
    weighed = {v for m in s.masses for v in m.given}
    return replace(s, draws=draws, outer=trim(s.outer, (above - bound_inside) | weighed, outer))

"""Each row of the rule table, made wrong in turn, and the mathematics that has to notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from unittest.mock import patch

from mutant_models import PROGRAM_ALONE, Mutant, case, corpus, fails

from schematic.calculus import rules
from schematic.calculus.rules import RULES, Rewrite, Rule
from schematic.calculus.structure import Context, tidy
from schematic.calculus.terms import ZERO, Add, Density, Derivation, Expect, Log, Mass, Scale, Term, children, rebuild
from schematic.compiler import objectives as reading
from schematic.core.diagnostics import Report
from schematic.proof.claims import (
    Case,
    second_reading_agrees,
    steps_keep_their_value,
    unreached_terms_pass_no_gradient,
)


def rule_mutants() -> Iterator[Mutant]:
    for rule in RULES:
        for name, turn in TURNS.items():
            yield Mutant(f"rule {rule.name}: {name}", lambda rule=rule, turn=turn: _rule_noticed(rule, turn))


Turn = Callable[[Rewrite], Rewrite]


def _flipped(term: Term) -> Term:
    """The first density that stands at a value of a domain stands at the other one."""
    done = False

    def flip(d: Density) -> Density:
        nonlocal done
        if done or not d.values:
            return d
        done = True
        (name, value), *rest = d.values
        return replace(d, values=((name, 1 - value), *rest))

    def visit(t: Term) -> Term:
        match t:
            case Log(d):
                return Log(flip(d))
            case Mass(d, body):
                return Mass(flip(d), visit(body))
            case Expect(draws, body):
                return replace(t, draws=tuple(map(flip, draws)), body=visit(body))
            case _:
                return rebuild(t, tuple(map(visit, children(t))))

    return visit(term)


def _less(term: Term) -> Term:
    """Without the first summand of its first sum; nothing, where there is no sum."""
    match term:
        case Add((_, *rest)) if rest:
            return Add(tuple(rest))
        case _ if children(term):
            first, *others = children(term)
            return rebuild(term, (_less(first), *others))
        case _:
            return ZERO


TURNS: dict[str, Turn] = {
    "sign": lambda r: replace(r, term=Scale(Fraction(-1), r.term)),
    "factor 2": lambda r: replace(r, term=Scale(Fraction(2), r.term)),
    "a summand dropped": lambda r: replace(r, term=_less(r.term)),
    "y flipped": lambda r: replace(r, term=_flipped(r.term)),
    "dropped, and not told": lambda r: replace(r, dropped=()),
    "told twice": lambda r: replace(r, dropped=(*r.dropped, *r.dropped)),
}


def _rule_noticed(rule: Rule, turn: Turn) -> bool | None:
    """The row is wrong the first time that it matters in a derivation."""
    reached = False
    for name in (n for n in corpus() if n != PROGRAM_ALONE):
        wrong, turned = _derived_wrongly(name, rule, turn)
        reached |= turned
        if turned and (wrong is None or any(fails(claim, wrong) for claim in MATHEMATICS)):
            return True
    return False if reached else None


MATHEMATICS = (steps_keep_their_value, unreached_terms_pass_no_gradient, second_reading_agrees)


def _derived_wrongly(name: str, rule: Rule, turn: Turn) -> tuple[Case | None, bool]:
    """A case with the objectives that the wrong rule gives, None where it breaks; and whether it was wrong at all."""
    turned = False

    def derive(start: Term, context: Context) -> Derivation:
        spent = False

        def apply(term: Term, context: Context) -> Rewrite | None:
            nonlocal turned, spent
            found = rule.apply(term, context)
            if found is None or spent:
                return found
            other = turn(found)
            spent = tidy(other.term) != tidy(found.term) or other.dropped != found.dropped
            turned |= spent
            return other

        return rules.derive(start, context, tuple(replace(r, apply=apply) if r is rule else r for r in RULES))

    right = case(name)
    with patch.object(reading, "derive", derive):
        try:
            found = reading.objectives(right.model, Report())
        except Exception:
            return None, turned
    return replace(right, objectives=found), turned

"""Wrong rules, wrong plans and wrong programs, made from the right ones, and the checks that have to notice each.

A mutant is counted only where it changes something: a rule's outcome, or the program's text. One that nothing notices
survives, and so does one that nothing reaches.
"""

from __future__ import annotations

from collections.abc import Iterator

from mutant_models import Mutant
from wrong_plans import plan_mutants, program_noticed, programs_of, right
from wrong_programs import text_mutants
from wrong_rules import rule_mutants

__all__ = [
    "Mutant", "mutants", "plan_mutants", "program_noticed", "programs_of", "right", "rule_mutants", "text_mutants",
]  # fmt: skip


def mutants() -> Iterator[Mutant]:
    yield from rule_mutants()
    yield from plan_mutants()
    yield from text_mutants()

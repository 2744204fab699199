"""No wrong rule, plan or program survives. `python benchmarks/mutants.py` lists what became of each."""

from __future__ import annotations

from itertools import islice

import pytest
from mutants import mutants, plan_mutants, program_noticed, programs_of, right, rule_mutants, text_mutants

from schematic.calculus.rules import RULES
from schematic.proof.programs import PROGRAM_CLAIMS, Compiled


def survivors(step: int) -> list[str]:
    """Of every `step`-th mutant."""
    return [m.name for m in islice(mutants(), 0, None, step) if m.noticed() is False]


def test_what_mutants_are_made_from_is_right() -> None:
    for name, score in programs_of():
        r = right(name, score)
        assert program_noticed(r, r.text) is None
        again = r.program(f"{r.text}\n")
        errors = [claim.check(Compiled(again, again if score else None)) for claim in PROGRAM_CLAIMS]
        assert all(e is None or e < 1e-12 for e in errors), (name, errors)


def test_every_row_of_the_rule_table_has_an_oracle() -> None:
    """Each row is reached in some derivation that is held exact, and a mistake in it is noticed."""
    noticed = {m.name.split(":")[0].removeprefix("rule ") for m in rule_mutants() if m.noticed()}
    assert noticed == {rule.name for rule in RULES}


def test_there_are_mutants_of_every_model_and_kind() -> None:
    plans, texts = ([m.name for m in made()] for made in (plan_mutants, text_mutants))
    for name, _ in programs_of():
        assert any(f" of {name}" in m for m in plans) and any(f" of {name}" in m for m in texts)
    kinds = (": sign", "factor 2", "dropped", "y flipped", "not detached", " detached", "the prior forgotten")
    kinds = (*kinds, "the mean for a draw")
    assert not [k for k in kinds if not any(k in m for m in (*plans, *texts))]


def test_some_mutants_do_not_survive() -> None:
    assert not survivors(23)


@pytest.mark.slow
def test_no_mutant_survives() -> None:
    assert not survivors(1)

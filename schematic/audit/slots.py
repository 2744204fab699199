"""The atoms of an explanation, each beside the derived term whose place it takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from schematic.audit.atoms import Key
from schematic.audit.judging import Explanation
from schematic.audit.naming import Sizes, same

Data = dict[str, Any]

ALIKE = ("sampled", "halves", "part")


@dataclass
class Slot:
    """A derived term: how often it is there as derived, and what stands beside it or in its place."""

    facts: Data
    key: Key
    plain: Sizes
    others: list[tuple[Key, Sizes]] = field(default_factory=list)
    reached: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def there(self) -> bool:
        return any(abs(c) > 1e-9 for c in self.plain.values())


def slots(asked: Data, update: int, found: Explanation, reached: Sequence[Key],
          stray: Collection[Key]) -> tuple[list[Slot], list[tuple[Key, Sizes]]]:  # fmt: skip
    """A slot for each term of the update, and what has no place in it: what is `stray`, or is of no term of it."""
    terms = asked["updates"][update]["terms"]
    made = [Slot(t, Key(update, t["name"]), found.of(Key(update, t["name"]))) for t in terms]
    for s in made:
        s.reached = s.key in reached
    loose: list[tuple[Key, Sizes]] = []
    for key in found.keys:
        if key.changes or key.update != update:
            home = None if key in stray else _home(asked, key, made)
            if home is None:
                loose.append((key, found.of(key)))
            else:
                home.others.append((key, found.of(key)))
    for s in made:
        _same_expectation(s)
    return made, loose


def facts_of(asked: Data, key: Key) -> Data:
    """The facts of an atom's term, the model's or a variant's."""
    restated = next((c.to for c in key.changes if c.what == "restated"), None)
    updates = next((v["updates"] for v in asked["variants"] if v["restates"] == restated), asked["updates"])
    found: Data = next(t for t in updates[key.update]["terms"] if t["name"] == key.term)
    return found


def _home(asked: Data, key: Key, made: Sequence[Slot]) -> Slot | None:
    """The slot of an atom: its own term's, else that of the same factor in the same branch."""
    facts = facts_of(asked, key)
    exact = [s for s in made if s.key.term == key.term and s.key.update == key.update]
    alike = [s for s in made if (s.facts["branch"], s.facts["factor"]) == (facts["branch"], facts["factor"])]
    shared = [s for s in made if s.facts["kind"] == "log_mean" and facts["branch"] == s.facts["branch"]]
    return next(iter(exact or alike or shared), None)


def _same_expectation(s: Slot) -> None:
    """A divergence at its sample, or put together from its parts, is the divergence."""
    sampled = [c for k, c in s.others if [x.what for x in k.changes] == ["sampled"]]
    halves = [c for k, c in s.others if [x.what for x in k.changes] == ["halves"]]
    parts = [c for k, c in s.others if [x.what for x in k.changes] == ["part"]]
    whole = sampled or (halves if len(halves) == 2 and same(*halves) else [])
    whole = whole or (parts[:1] if len(parts) == 3 and same(parts[0], parts[1]) and same(parts[0], parts[2]) else [])
    if not whole:
        return
    s.plain = {n: s.plain[n] + c for n, c in whole[0].items()}
    s.others = [(k, c) for k, c in s.others if k.changes[-1].what not in ALIKE]
    if not parts:
        name = bare(s.facts["name"])
        s.notes.append(f"{name} is taken at its sample; the derivation has it in closed form: the same expectation")


def bare(name: str) -> str:
    """A term without its branch."""
    return name.partition(": ")[2] or name

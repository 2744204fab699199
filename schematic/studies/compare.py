"""`schematic diff`: what differs between two models in arrows, in assumptions and in each group's objective."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from schematic.calculus.terms import Objective, Summand
from schematic.graph.model import AnyModel
from schematic.studies.changes import Change, aligned, changes
from schematic.studies.matching import match
from schematic.studies.objectives import Derived, Key, Number, derived, key, sideless
from schematic.studies.skeleton import terms


@dataclass(frozen=True)
class TermChange:
    """A term of an objective; `left` or `right` is None where the model lacks it. Rescaled: by a positive number;
    reversed: it has the other sign, or scores the other value of the domain."""

    how: Literal["same", "added", "missing", "rescaled", "reversed"]
    left: Summand | None
    right: Summand | None


@dataclass(frozen=True)
class ObjectiveChange:
    """What the objective of some groups becomes; `left` or `right` is False where the model has none for them.

    Groups of one model alone may share the objective of groups that both have, `beside`: its terms stand there.
    """

    groups: tuple[str, ...]
    left: bool
    right: bool
    terms: tuple[TermChange, ...]
    beside: tuple[str, ...] = ()

    @property
    def factor(self) -> Number | None:
        """The number by which all of the objective is multiplied; None if more than that changes."""
        found = {t.right.scale / t.left.scale for t in self.terms if t.left and t.right and t.how != "reversed"}
        whole = self.left and self.right and all(t.how in ("same", "rescaled") for t in self.terms)
        return found.pop() if whole and len(found) == 1 else None


@dataclass(frozen=True)
class Difference:
    """Two models side by side, everything in the right one's names.

    `only_left`, `only_right`: assumptions that one of them makes; `no_left`, `no_right`: why one has no objectives.
    """

    renamed: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    objectives: tuple[ObjectiveChange, ...]
    no_left: str = ""
    no_right: str = ""

    @property
    def one_model(self) -> bool:
        """The two are one model up to names, event shapes and networks."""
        return all(c.aside for c in self.changes)


def difference(left: AnyModel, right: AnyModel) -> Difference:
    """The difference under the renaming that makes the two agree best."""
    found = match(left, right)
    two = aligned(left, right, found)
    a, b = derived(two.left), derived(two.right)
    assumed, other = assumptions(two.left, a), assumptions(two.right, b)
    return Difference(
        found.renamed,
        changes(two),
        tuple(x for x in assumed if x not in other),
        tuple(x for x in other if x not in assumed),
        () if a.why or b.why else tuple(_objectives(a, b)),
        a.why,
        b.why,
    )


def assumptions(model: AnyModel, found: Derived) -> tuple[str, ...]:
    """What the moves that made a model, the rules that unfold it and the readings assume, each once."""
    said = [line.text + (f" ({line.source})" if line.source else "") for _, m in terms(model) for line in m.log]
    for update in found.updates:
        said += [a for step in update.derivation.steps for a in step.assumptions]
        said += update.assumptions
    return tuple(dict.fromkeys(said))


# --- objectives -------------------------------------------------------------------------------------------------


def _objectives(left: Derived, right: Derived) -> Iterator[ObjectiveChange]:
    """The objectives of each group side by side; groups whose two objectives are the same two go together."""
    pairs: dict[tuple[int | None, int | None], list[str]] = {}
    for group in dict.fromkeys(g for found in (right, left) for o in found.updates for g in o.groups):
        pairs.setdefault((_of(left.updates, group), _of(right.updates, group)), []).append(group)
    for (i, j), groups in pairs.items():
        here = left.updates[i].summands if i is not None else ()
        there = right.updates[j].summands if j is not None else ()
        beside = () if i is not None and j is not None else _beside(pairs, i, j)
        found = () if beside else tuple(compared(here, there))
        yield ObjectiveChange(tuple(groups), i is not None, j is not None, found, beside)


def _beside(pairs: Mapping[tuple[int | None, int | None], list[str]], i: int | None, j: int | None) -> tuple[str, ...]:
    """The groups of both models that share the objective of those that one model has alone."""
    both = ((a, b, groups) for (a, b), groups in pairs.items() if a is not None and b is not None)
    return tuple(g for a, b, groups in both if (i is not None and a == i) or (j is not None and b == j) for g in groups)


def _of(updates: tuple[Objective, ...], group: str) -> int | None:
    return next((i for i, o in enumerate(updates) if group in o.groups), None)


def compared(left: Iterable[Summand], right: Iterable[Summand]) -> Iterator[TermChange]:
    """The terms of two objectives side by side, in the order of the right one, what is missing last."""
    here, there = _collected(left), _collected(right)
    sides = {sideless(s): k for k, s in here.items() if k not in there}
    for k, b in there.items():
        if a := here.pop(k, None):
            ratio = b.scale / a.scale
            yield TermChange("same" if ratio == 1 else "rescaled" if ratio > 0 else "reversed", a, b)
        elif (other := sides.get(sideless(b))) in here:
            yield TermChange("reversed", here.pop(other), b)
        else:
            yield TermChange("added", None, b)
    yield from (TermChange("missing", a, None) for a in here.values())


def _collected(summands: Iterable[Summand]) -> dict[Key, Summand]:
    """The terms by what they are, equal ones added."""
    found: dict[Key, Summand] = {}
    for s in summands:
        k = key(s)
        found[k] = replace(s, scale=s.scale + found[k].scale) if k in found else s
    return {k: s for k, s in found.items() if s.scale}

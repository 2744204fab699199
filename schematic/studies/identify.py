"""`schematic identify`: the known model that a model is up to names, or the nearest one and the moves between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schematic.graph.model import AnyModel, Sum
from schematic.studies.changes import Change, aligned, changes
from schematic.studies.known import Known
from schematic.studies.matching import Match, arrows, match, variables
from schematic.studies.moves import Move, Reached, goal, stepped
from schematic.studies.objectives import Derived, Number, derived, ratios
from schematic.studies.skeleton import form, terms

DEPTH = 3
STATES = 150  # graphs that are reached from one known model
TRIES = 15  # of those at one depth that are held against the model, the most alike first


@dataclass(frozen=True)
class Near:
    """A known model, moves from it, what of the moved model is what of the one asked for, and what then differs."""

    known: Known
    moves: tuple[Move, ...]
    match: Match
    changes: tuple[Change, ...]

    @property
    def exact(self) -> bool:
        return not self.changes

    @property
    def distance(self) -> int:
        """Moves, and things that differ."""
        return len(self.moves) + sum(len(c.words) for c in self.changes)


@dataclass(frozen=True)
class Equal:
    """A known model with the same objectives by another drawing: each of the model's is `ratios` times its own."""

    known: Known
    ratios: tuple[Number, ...]


@dataclass(frozen=True)
class Identity:
    """What a model is: the nearest known one, others of the same objectives, and of a sum what its terms are."""

    near: Near | None
    equal: tuple[Equal, ...]
    parts: tuple[tuple[float, str, Identity], ...] = ()


def identify(model: AnyModel, known: Sequence[Known]) -> Identity:
    """What a model is among the known ones, names, order, event shapes and networks aside."""
    near = nearest(model, known)
    itself = near.known.file if near is not None and near.exact and not near.moves else ""
    equal = tuple(equal_objectives(model, derived(model), [k for k in known if k.file != itself]))
    taken_apart = isinstance(model, Sum) and not (near is not None and near.exact)
    parts = tuple((c, m.name, identify(m, known)) for c, m in terms(model)) if taken_apart else ()
    return Identity(near, equal, parts)


# --- the nearest ------------------------------------------------------------------------------------------------


def nearest(model: AnyModel, known: Sequence[Known], depth: int = DEPTH) -> Near | None:
    """The known model and up to `depth` moves that leave the least to say; of equals the one with less that differs."""
    best: Near | None = None
    shape, towards = form(model).form, goal(model)
    level = {k: [Reached((), k.model)] for k in known}
    seen = {k: {form(k.model).form} for k in known}
    for moves in range(depth + 1):
        states = [(k, state) for k, reached in level.items() for state in reached]
        same = [(k, state) for k, state in states if form(state.model).form == shape]
        bounds = sorted(((_bound(s.model, model), k, s) for k, s in same[:1] or states), key=lambda b: b[0])
        for bound, k, state in bounds[:TRIES]:
            if best is None or same or moves + bound <= best.distance:
                found = _near(k, state, model)
                best = min(best or found, found, key=lambda n: (n.distance, len(n.changes), n.match.cost))
        if same or best is None or best.distance <= moves or moves == depth:
            break
        # Without a variable that the model has, a chain is no answer by itself: one move has to do.
        fits = [k for k in known if _worth(moves + 1, _missing(k.model, model), best.distance)]
        level = {k: list(stepped(level.get(k, []), towards, seen[k], STATES)) for k in fits}
    return best


def _near(known: Known, state: Reached, model: AnyModel) -> Near:
    found = match(state.model, model)
    left = changes(aligned(state.model, model, found))
    return Near(known, state.moves, found, tuple(c for c in left if not c.aside))


def _worth(moves: int, missing: int, best: int) -> bool:
    return moves + missing <= best and (missing == 0 or moves == 1)


def _missing(left: AnyModel, right: AnyModel) -> int:
    """How many variables of the right model no move gives the left one."""
    return (_variables(right) - _variables(left)).total()


def _bound(left: AnyModel, right: AnyModel) -> int:
    """No fewer things differ."""
    return _apart(_variables(left), _variables(right)) + _apart(_arrows(left), _arrows(right))


def _apart(a: Counter[str], b: Counter[str]) -> int:
    return max((a - b).total(), (b - a).total())


def _variables(model: AnyModel) -> Counter[str]:
    return Counter(f"{len(v.type.values)} {v.data is None} {v.prior is None}" for v in variables(model).values())


def _arrows(model: AnyModel) -> Counter[str]:
    return Counter(f"{a.factor.mark} {a.factor.perfect} {a.factor.when}" for a in arrows(model))


# --- equal objectives -------------------------------------------------------------------------------------------


def equal_objectives(model: AnyModel, found: Derived, known: Sequence[Known]) -> Iterator[Equal]:
    """Known models of the same objectives; their variables but for the indicator have to be alike."""
    wanted = _given(model)
    for k in known:
        if _given(k.model) == wanted and (by := ratios(model, found, k.model, k.objectives)) is not None:
            yield Equal(k, by)


def _given(model: AnyModel) -> Counter[str]:
    those = (v for v in variables(model).values() if v.type.kind != "domain")
    return Counter(f"{v.type.kind} {v.data is None} {v.prior}" for v in those)

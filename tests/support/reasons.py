"""Why a graph cannot have objectives, found apart from the compiler: by walking and evaluating a second reading of it.

A reason carries the code of the diagnostic that it confirms. Nothing of `compiler/` is used here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from random_models import sizes

from schematic.graph.model import Factor, Model
from schematic.proof.claims import by_loops
from schematic.proof.finite import random_tables
from schematic.proof.second_reading import SecondReading
from schematic.proof.second_words import Source


@dataclass(frozen=True)
class Sampling:
    """One way in which a branch is sampled: where each variable comes from, and what the branch's terms read."""

    at: int
    source: Mapping[str, Source]
    reads: frozenset[str]


def reasons(model: Model) -> frozenset[str]:
    """The codes of all that stands in the way of an objective."""
    reading = second_reading(model)
    found = frozenset(_adversary(model, reading))
    if found - {"SG411"}:
        return found
    branches = tuple(_branches(reading))
    found |= frozenset(_own_draws(model, reading))
    found |= frozenset(code for b in branches for code in (*_scored(model, reading, b), *_sourced(model, reading, b)))
    found |= frozenset(_generated(reading))
    return found or frozenset(_unreached(model))


def second_reading(model: Model) -> SecondReading:
    tables = random_tables(model, sizes(model), np.random.default_rng(5))
    return SecondReading(model, tables, tables, sizes(model))


def _adversary(model: Model, r: SecondReading) -> Iterator[str]:
    if any(b.perfect and b.process == "generative" for b in r.blue):
        yield "SG404"
    if len({b.process for b in r.blue}) > 1:
        yield "SG405"
    elif r.side == "inference":
        if len(r.blue) > 1 or r.blue[0].weight != 1.0:
            yield "SG407"
        if any(f.process == "inference" and not f.adversarial and f.target in r.compared for f in model.factors):
            yield "SG411"


def _own_draws(model: Model, r: SecondReading) -> Iterator[str]:
    """A discriminator's group draws, by a density, what the discriminator is trained on."""
    judges = {b.group for b in r.blue if not b.fixed and not b.perfect} if r.side == "generative" else set()
    mine = (f for f in model.factors if f.group in judges and f.process == "inference" and not f.adversarial)
    if any(not f.implicit for f in mine):
        yield "SG410"


# --- branches -----------------------------------------------------------------------------------------------------


def _branches(r: SecondReading) -> Iterator[Sampling]:
    if r.side == "generative":
        for v in r.branches:
            source = {n: r.drawn_from(n, v) for n in r.names}
            yield Sampling(v, source, _reads(r, source, v, weighed=False) | r.compared)
        return
    needed: set[str] = set()
    for y in r.branches:
        carried = _carried(r, y)
        source = {n: r.drawn_from(n, y, carried) for n in r.names}
        reads = _reads(r, source, y, weighed=True)
        yield Sampling(y, source, reads)
        needed |= carried & _ancestors(source, reads)
    own = _judges_reads(r)
    for o in r.branches:
        source = {n: r.generated_from(n, o) for n in r.names}
        yield Sampling(o, source, frozenset(needed | r.compared | own.get(o, set())))


def _carried(r: SecondReading, y: int) -> frozenset[str]:
    inferred = {n for n in r.names if r.into(n, "inference", y)}
    return frozenset(r.compared | ({v.name for v in r.m.variables if v.data is not None} - inferred))


def _judges_reads(r: SecondReading) -> dict[int, set[str]]:
    """What the discriminator's group scores of the outer sample by factors of its own."""
    groups = {b.group for b in r.blue if not b.fixed and not b.perfect}
    own = [f for f in r.m.factors if f.group in groups and f.process == "generative" and not f.adversarial]
    scored = [f for f in own if not f.implicit and not f.fixed]
    return {v: {n for f in scored if r.free(f, v) for n in (*f.parents, f.target) if n != r.y} for v in r.branches}


def _reads(r: SecondReading, source: Mapping[str, Source], v: int, *, weighed: bool) -> frozenset[str]:
    """The variables without whose value the bracket cannot be computed: found by leaving each out."""

    def missing(name: str) -> bool:
        try:
            r.bracket({n: 0 for n in r.names if n != name}, source, v, weighed=weighed)
        except KeyError:
            return True
        return False

    return frozenset(n for n in r.names if missing(n))


def _ancestors(source: Mapping[str, Source], names: frozenset[str]) -> frozenset[str]:
    """The names, and all that they are drawn from."""
    found, pending = set(names), list(names)
    while pending:
        drawer = source.get(pending.pop())
        above = set(drawer.parents) & set(source) - found if isinstance(drawer, Factor) else set()
        found |= above
        pending += above
    return frozenset(found)


def _sourced(model: Model, r: SecondReading, b: Sampling) -> Iterator[str]:
    """What the branch needs and cannot have: a value that nothing gives, or that needs itself."""
    usable = set(r.usable(b.source))
    for name in _ancestors(b.source, b.reads) - usable:
        drawer = b.source[name]
        if drawer is None:
            scoring = any(not f.implicit for f in r.into(name, "generative", b.at))
            yield "SG402" if scoring else "SG406"
        elif isinstance(drawer, Factor) and name in _ancestors(b.source, frozenset(drawer.parents)):
            yield "SG403"


def _scored(model: Model, r: SecondReading, b: Sampling) -> Iterator[str]:
    """What the branch would score without a density, or draw twice. (The outer sample of reading 3 is only drawn.)"""
    outer = r.side == "inference" and "outer" not in b.source.values()
    for f in model.factors if not outer else ():
        if f.adversarial or not r.free(f, b.at):
            continue
        if f.process == "generative" and f.implicit and b.source[f.target] != f:
            yield "SG204"
        if f.process == "inference" and len(r.into(f.target, "inference", b.at)) > 1:
            yield "SG210"
        judged = f.target in r.compared and r.side == "generative"
        variable = r.m.variable(f.target)
        drawn = f.process == "inference" and b.source[f.target] == f and not f.implicit and not judged
        unscored = all(g.implicit for g in r.into(f.target, "generative", b.at))
        if drawn and f.target not in r.compared and variable.data is not None and variable.prior is None and unscored:
            yield "SG401"


def _generated(r: SecondReading) -> Iterator[str]:
    """Reading 3: the outer sample is generated, and a variable of it by two factors at once."""
    if r.side == "generative":
        return
    for b in _branches(r):
        if "outer" not in b.source.values():
            for n in _ancestors(b.source, b.reads) & set(b.source):
                if isinstance(b.source[n], Factor) and len(r.into(n, "generative", b.at)) > 1:
                    yield "SG412"


# --- groups -------------------------------------------------------------------------------------------------------


def _unreached(model: Model) -> Iterator[str]:
    """A group whose parameters do not move the objective of its update, at random tables."""
    r = second_reading(model)
    tables = r.t
    judges = {b.group for b in r.blue if not b.fixed and not b.perfect}
    trained = [f for f in model.factors if not f.fixed and not f.perfect]
    others = tuple(dict.fromkeys(f.group for f in trained if f.group not in judges))
    for groups in (*((phi,) for phi in judges), others):
        for group in groups:

            def value(moved: object, groups: tuple[str, ...] = groups) -> complex:
                return SecondReading(model, moved, tables, sizes(model)).objective(groups)  # type: ignore[arg-type]

            slopes = [by_loops(value, tables, f.name) for f in trained if f.group == group]
            if not any(np.abs(s).max() > 1e-13 for s in slopes):
                yield "SG402"

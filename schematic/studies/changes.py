"""What two models draw otherwise: variables, arrows, readings; and beside them what no identity counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

from schematic.core.names import greek
from schematic.graph.checks import type_words
from schematic.graph.defaults import resolve
from schematic.graph.model import AnyModel, Factor, Model, Variable
from schematic.graph.networks import net_words
from schematic.studies.matching import Arrow, Match, Pairs, arrows, together, variables
from schematic.studies.renaming import named_as
from schematic.studies.skeleton import terms


@dataclass(frozen=True)
class Change:
    """A variable, an arrow or a reading of the left model and what it is in the right one; empty where it lacks.

    `words` say what changes; `aside`: event shapes, fields and networks, which are no part of what a model is.
    """

    kind: Literal["variable", "arrow", "reading"]
    name: str
    left: str
    right: str
    words: tuple[str, ...]
    aside: bool = False


@dataclass(frozen=True)
class Aligned:
    """Two models, the left one in the right one's names, and their arrows side by side."""

    left: AnyModel
    right: AnyModel
    pairs: Pairs
    terms: Mapping[int, int]


def aligned(left: AnyModel, right: AnyModel, match: Match) -> Aligned:
    named = named_as(left, right, match)
    new = dict(zip(arrows(left), arrows(named), strict=True))
    return Aligned(named, right, tuple((a and new[a], b) for a, b in match.arrows), match.terms)


def changes(two: Aligned) -> tuple[Change, ...]:
    """What changes from left to right, in the right one's names."""
    return (*_readings(two), *_variables(two), *_records(two), *_arrows(two))


# --- variables --------------------------------------------------------------------------------------------------


def _variables(two: Aligned) -> Iterator[Change]:
    left, right = variables(two.left), variables(two.right)
    for name in dict.fromkeys((*right, *left)):
        a, b = left.get(name), right.get(name)
        if a is None or b is None:
            here, there = variable_text(a) if a else "", variable_text(b) if b else ""
            yield Change("variable", name, here, there, ("missing",) if b is None else ("added",))
        elif words := tuple(_variable_words(a, b)):
            yield Change("variable", name, variable_text(a), variable_text(b), words)
        elif (shape := _shape_text(a)) != (other := _shape_text(b)):
            yield Change("variable", name, shape, other, (f"{other}, not {shape}",), aside=True)


def _variable_words(a: Variable, b: Variable) -> Iterator[str]:
    if (a.type.kind, len(a.type.values)) != (b.type.kind, len(b.type.values)):
        yield f"{_kind_text(b)}, not {_kind_text(a)}"
    if (a.data is None) != (b.data is None):
        yield "is data" if b.data else "is no data"
    elif a.data and b.data and (a.data.given is None) != (b.data.given is None):
        yield "has a field for each domain" if b.data.given else "has one field for all domains"
    if a.prior != b.prior:
        told = f"has the prior {_prior_text(b)}" if b.prior else "has no prior"
        yield told + (f", not {_prior_text(a)}" if a.prior and b.prior else "")
    if a.partial != b.partial:
        yield "is observed for some records only" if b.partial else "is observed for every record"
    if (a.index is None) != (b.index is None):
        yield "is a chain" if b.index else "is no chain"


def _records(two: Aligned) -> Iterator[Change]:
    """Fields of one record on one side, of independent ones on the other."""
    left, right = variables(two.left), variables(two.right)
    both = ((n, left[n].data, v.data) for n, v in right.items() if n in left)
    shared = [(n, a, b) for n, a, b in both if a is not None and b is not None and len(a.fields) == len(b.fields)]
    for (a, first, one), (b, second, other) in combinations_with_replacement(shared, 2):
        here, there = together(first, second), together(one, other)
        if here != there:
            yield Change("variable", a if a == b else f"{a}, {b}", here, there, (there,))


def variable_text(v: Variable) -> str:
    """A variable without its name: `real(16) ~ Normal(0, 1)`."""
    return _shape_text(v) + (f" ~ {_prior_text(v)}" if v.prior else "") + (" partial" if v.partial else "")


def _shape_text(v: Variable) -> str:
    if v.data is None:
        return type_words(v.type)
    fields = ", ".join(f'"{name}"' for name in v.data.fields)
    return f"{type_words(v.type)} = data({fields})" + (f" given {v.data.given}" if v.data.given else "")


def _kind_text(v: Variable) -> str:
    return f"a domain of {len(v.type.values)}" if v.type.kind == "domain" else v.type.kind


def _prior_text(v: Variable) -> str:
    assert v.prior is not None
    return v.prior.family + (f"({', '.join(f'{x:g}' for x in v.prior.args)})" if v.prior.args else "")


# --- arrows -----------------------------------------------------------------------------------------------------


def _arrows(two: Aligned) -> Iterator[Change]:
    for a, b in two.pairs:
        known = b or a
        assert known is not None
        name = _told(two.right if b else two.left, known)
        here = arrow_text(two.left, a) if a else ""
        there = arrow_text(two.right, b) if b else ""
        if a is None or b is None:
            yield Change("arrow", name, here, there, ("added",) if a is None else ("missing",))
        elif words := tuple(_arrow_words(a.factor, b.factor, terms(two.right)[b.term][1])):
            yield Change("arrow", name, here, there, words)
        elif (how := _how_text(two.left, a)) != (other := _how_text(two.right, b)):
            yield Change("arrow", name, how, other, (f"{other}, not {how}",), aside=True)


def _arrow_words(a: Factor, b: Factor, model: Model) -> Iterator[str]:
    if a.process != b.process:
        yield "dashed, not solid" if b.process == "inference" else "solid, not dashed"
    if a.implicit != b.implicit:
        yield "hollow, not explicit" if b.implicit else "explicit, not hollow"
    if a.adversarial != b.adversarial:
        yield "blue" if b.adversarial else "not blue"
    yield from (f"reads {p}" for p in b.parents if p not in a.parents)
    yield from (f"does not read {p}" for p in a.parents if p not in b.parents)
    if a.target != b.target:
        yield f"into {b.target}, not {a.target}"
    if a.group != b.group:
        yield f"trained with {greek(b.group)}, not {greek(a.group)}"
    for word in ("perfect", "fixed", "each"):
        if getattr(a, word) != getattr(b, word):
            yield word if getattr(b, word) else f"not {word}"
    for word in ("temperature", "weight", "beta"):
        if getattr(a, word) != getattr(b, word):
            yield f"{word} {getattr(b, word):g}, not {getattr(a, word):g}"
    if a.when != b.when:
        y = model.indicator
        yield f"when {y.name} = {y.type.values[b.when]}" if y and b.when is not None else "in every domain"
    if a.divergence != b.divergence:
        yield f"divergence {_divergence_text(b)}, not {_divergence_text(a)}"
    if a.shifts != b.shifts:
        yield "other steps along the chain"


def arrow_text(model: AnyModel, arrow: Arrow) -> str:
    """An arrow without its name and network: `x, y -> z when y = real`."""
    f, y = arrow.factor, terms(model)[arrow.term][1].indicator
    shifts = f.shifts or (None,) * (len(f.parents) + 1)
    rest, each = (".rest", ".each") if f.each else ("", "")
    parents = (_end_text(p, s) + (rest if p == f.target else "") for p, s in zip(f.parents, shifts, strict=False))
    parts = [", ".join(parents), f.mark, _end_text(f.target, shifts[-1]) + each]
    parts += [word for word in ("perfect", "fixed") if getattr(f, word)]
    parts += [f"{w} {getattr(f, w):g}" for w in ("temperature", "weight", "beta") if getattr(f, w) != 1]
    if f.when is not None and y is not None:
        parts.append(f"when {y.name} = {y.type.values[f.when]}")
    if f.divergence.name != "nonsaturating":
        parts.append(f"divergence {_divergence_text(f)}")
    return " ".join(p for p in parts if p)


def _end_text(name: str, shift: int | None) -> str:
    return name if shift is None else f"{name}[t{shift:+d}]" if shift else f"{name}[t]"


def _divergence_text(f: Factor) -> str:
    d = f.divergence
    return f"{d.name}(penalty: {d.penalty:g})" if d.penalty else d.name


def _how_text(model: AnyModel, arrow: Arrow) -> str:
    f = arrow.factor
    how = resolve(terms(model)[arrow.term][1], f)
    options = "".join(f", {name}: {value:g}" for name, value in how.options)
    return f"{how.family}({net_words(how.net)}{options})" + (f" gradient {f.gradient.name}" if f.gradient else "")


def _told(model: AnyModel, arrow: Arrow) -> str:
    """A factor's name, after its term's in a sum of several."""
    parts = terms(model)
    label = parts[arrow.term][1].name or str(arrow.term + 1)
    return f"{label}.{arrow.factor.name}" if len(parts) > 1 else arrow.factor.name


# --- readings ---------------------------------------------------------------------------------------------------


def _readings(two: Aligned) -> Iterator[Change]:
    """Weights of terms, `importance`, `wake_sleep`; terms without a counterpart."""
    left, right = terms(two.left), terms(two.right)
    for i, (weight, model) in enumerate(left):
        here = _reading_text(weight, model)
        if i not in two.terms:
            yield Change("reading", model.name or str(i + 1), here, "", ("missing",))
        elif (there := _reading_text(*right[two.terms[i]])) != here:
            name = right[two.terms[i]][1].name or str(two.terms[i] + 1)
            yield Change("reading", name, here, there, (f"{there}, not {here}",))
    for j, (weight, model) in enumerate(right):
        if j not in two.terms.values():
            yield Change("reading", model.name or str(j + 1), "", _reading_text(weight, model), ("added",))


def _reading_text(weight: float, model: Model) -> str:
    reading = "wake_sleep(M)" if model.wake_sleep else "M"
    if model.importance is not None:
        reading = f"importance({reading}{f', {model.importance}' if model.importance else ''})"
    return reading if weight == 1 else f"{weight:g} * {reading}"

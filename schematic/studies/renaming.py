"""A model in the names of another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from schematic.graph.model import AnyModel, Assumption, Factor, Model, Sum, Variable
from schematic.studies.matching import Match, arrows, variables
from schematic.studies.skeleton import terms


@dataclass(frozen=True)
class Names:
    """New names by old ones: of variables, groups, and factors (term, name)."""

    variables: Mapping[str, str]
    groups: Mapping[str, str]
    factors: Mapping[tuple[int, str], str]


def named_as(left: AnyModel, right: AnyModel, match: Match) -> AnyModel:
    """The left model with the right one's names for what they share; what it has alone keeps its own if it is free."""
    groups = _completed(match.groups, (x.factor.group for x in arrows(left)), {x.factor.group for x in arrows(right)})
    factors: dict[tuple[int, str], str] = {}
    taken = {x.factor.name for x in arrows(right)}
    for a, b in match.arrows:
        if a is None:
            continue
        group = groups[a.factor.group]
        name = f"{a.factor.letter}_{group}{a.factor.name[2 + len(a.factor.group) :]}"
        shared = b is not None and b.factor.group == group
        new = b.factor.name if b is not None and shared else _free(name, taken, "" if "." in name else ".")
        taken.add(new)
        factors[a.term, a.factor.name] = new
    return renamed(left, Names(_completed(match.variables, variables(left), variables(right)), groups, factors))


def renamed(model: AnyModel, names: Names) -> AnyModel:
    """The model in other names, all at once; its networks and training settings keep theirs."""
    parts = tuple((c, _term(m, number, names)) for number, (c, m) in enumerate(terms(model)))
    return replace(model, terms=parts) if isinstance(model, Sum) else parts[0][1]


def _completed(names: Mapping[str, str], every: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    found = dict(names)
    for name in every:
        if name not in found:
            found[name] = _free(name, {*taken, *found.values()})
    return found


def _free(name: str, taken: Collection[str], joint: str = "_") -> str:
    """The name, or the first of name_2, name_3, ... that is not taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}{joint}{number}", number + 1
    return free


def _term(model: Model, number: int, names: Names) -> Model:
    def new(name: str) -> str:
        stem, bracket, index = name.partition("[")
        return names.variables.get(name) or names.variables.get(stem, stem) + bracket + index

    def variable(v: Variable) -> Variable:
        data = v.data and replace(v.data, given=v.data.given and new(v.data.given))
        return replace(v, name=new(v.name), data=data)

    def factor(f: Factor) -> Factor:
        name = names.factors.get((number, f.name), f.name)
        return replace(f, name=name, parents=tuple(map(new, f.parents)), target=new(f.target))

    said = {f.name: names.factors.get((number, f.name), f.name) for f in model.factors}
    return Model(
        model.name,
        tuple(map(variable, model.variables)),
        tuple(map(factor, model.factors)),
        tuple(replace(n, groups=tuple(names.groups.get(g, g) for g in n.groups)) for n in model.nets),
        log=tuple(_line(line, said, new) for line in model.log),
        importance=model.importance,
        wake_sleep=model.wake_sleep,
        span=model.span,
        reading=model.reading,
    )


def _line(line: Assumption, factors: Mapping[str, str], new: Callable[[str], str]) -> Assumption:
    """A line of the log, which names factors in quotes and variables after `prior of`."""
    text = re.sub(r"`([^`]+)`", lambda m: f"`{factors.get(m[1], m[1])}`", line.text)
    text = re.sub(r"\bprior of ([A-Za-z]\w*)", lambda m: f"prior of {new(m[1])}", text)
    return replace(line, text=text)

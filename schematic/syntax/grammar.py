"""The LALR tables of the grammar, and the machine that runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from schematic.syntax.builder import Builder
from schematic.syntax.tokens import END, Token

STARTS = ("file", "loose", "sum", "net")


def grammar_text() -> str:
    """The text of `schematic.lark`, the reference of the language: from the package, else from the checkout."""
    packaged = resources.files("schematic").joinpath("grammars/schematic.lark")
    checkout = Path(__file__).parents[2] / "grammars" / "schematic.lark"
    return (packaged if packaged.is_file() else checkout).read_text("utf-8")


class Unexpected(Exception):
    """The machine cannot take a token; it still can be fed others."""


class _Inlined(list[Any]):
    """The items of a repetition, on their way into the rule around it."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """`build` makes the value of the left side from those of the right side; None: it is the only part's."""

    build: Callable[[list[Any]], Any] | None
    left: str
    length: int
    inlined: bool


@dataclass(frozen=True, slots=True)
class _Tables:
    """`states`: by symbol the state to go to, or `-1 - rule` to reduce by. Written by `schematic.syntax.generate`."""

    rules: tuple[_Rule, ...]
    states: tuple[dict[str, int], ...]
    starts: dict[str, tuple[int, int]]


@cache
def _tables() -> _Tables:
    read = json.loads(resources.files("schematic.syntax").joinpath("tables.json").read_text("utf-8"))
    builder = Builder()
    rules = tuple(_Rule(_builds(builder, name), *rest) for name, *rest in read["rules"])
    return _Tables(rules, tuple(read["states"]), {start: tuple(ends) for start, ends in read["starts"].items()})


def _builds(builder: Builder, name: str) -> Callable[[list[Any]], Any] | None:
    if name.startswith("_"):
        return _inlined
    return getattr(builder, name) if name else None


def _inlined(parts: list[Any]) -> _Inlined:
    return parts if isinstance(parts, _Inlined) else _Inlined(parts)


class Machine:
    """A stack of states and the values that were built so far; the parser may pop both to give something up."""

    def __init__(self, start: str) -> None:
        self._tables = _tables()
        first, self._last = self._tables.starts[start]
        self.states = [first]
        self.values: list[Any] = []

    def feed(self, token: Token) -> Any:
        """Takes a token; after the end token returns the value of the start symbol.

        Raises Unexpected if no rule has the token here, and what the builder raises.
        """
        states, values, table = self.states, self.values, self._tables.states
        kind = token.type
        while True:
            action = table[states[-1]].get(kind)
            if action is None:
                raise Unexpected
            if action >= 0:
                states.append(action)
                values.append(token)
                return None
            rule = self._tables.rules[-1 - action]
            keep = len(values) - rule.length
            parts = values[keep:]
            del values[keep:], states[keep + 1 :]
            value = rule.build(_flat(parts) if rule.inlined else parts) if rule.build else parts[0]
            states.append(table[states[-1]][rule.left])
            values.append(value)
            if kind == END and states[-1] == self._last:
                return value

    def accepts(self) -> frozenset[str]:
        """The terminals that the machine could take now."""
        return frozenset(kind for kind in self._tables.states[self.states[-1]] if self._takes(kind))

    def _takes(self, kind: str) -> bool:
        states = self.states.copy()
        while True:
            action = self._tables.states[states[-1]].get(kind)
            if action is None or not (kind.isupper() or kind.startswith("$")):
                return False
            if action >= 0:
                return True
            rule = self._tables.rules[-1 - action]
            del states[len(states) - rule.length :]
            states.append(self._tables.states[states[-1]][rule.left])
            if kind == END and states[-1] == self._last:
                return True


def _flat(parts: list[Any]) -> list[Any]:
    """The parts with repetitions in line; the first is made longer in place, which keeps long lists linear."""
    first, *rest = parts
    flat = first if isinstance(first, _Inlined) else [first]
    for part in rest:
        if isinstance(part, _Inlined):
            flat.extend(part)
        else:
            flat.append(part)
    return flat

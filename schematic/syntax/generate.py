"""From the grammar file to `tables.json`: `python -m schematic.syntax.generate`, after every change of the grammar.

lark reads the grammar and computes the LALR tables; that takes as long as all of `schematic check`, so it is done
here and not in every process. A test holds the two files together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from schematic.syntax.grammar import STARTS, grammar_text

TABLES = Path(__file__).with_name("tables.json")


def tables(grammar: str) -> dict[str, Any]:
    """`rules`: how to build, left side, length, whether lists are inlined. `states`: by symbol the state to go to,
    or `-1 - rule` to reduce by. `starts`: by start symbol its first and its last state."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    lark = Lark(grammar, parser="lalr", start=list(STARTS), keep_all_tokens=True, maybe_placeholders=False)
    table = lark.parser.parser._parse_table
    rules = {rule: number for number, rule in enumerate(lark.rules)}

    order: dict[Any, int] = {}
    ahead = [table.start_states[start] for start in STARTS]
    while ahead:  # the states in the order in which they are reached, which is the same on every machine
        state = ahead.pop(0)
        if state not in order:
            order[state] = len(order)
            actions = sorted(table.states[state].items())
            ahead += [target for _, (action, target) in actions if action is Shift]

    def encoded(action: Any, target: Any) -> int:
        return order[target] if action is Shift else -1 - rules[target]

    return {
        "rules": [_rule(rule) for rule in lark.rules],
        "states": [{name: encoded(*do) for name, do in sorted(table.states[state].items())} for state in order],
        "starts": {start: [order[table.start_states[start]], order[table.end_states[start]]] for start in STARTS},
    }


def _rule(rule: Any) -> list[Any]:
    inlined = any(symbol.name.startswith("_") and not symbol.is_term for symbol in rule.expansion)
    if rule.options.expand1 and not rule.alias and len(rule.expansion) == 1:
        build = ""  # `?rule`: the value of its only part
    else:
        build = rule.alias or str(rule.origin.name)
    return [build, str(rule.origin.name), len(rule.expansion), inlined]


def text() -> str:
    """What `tables.json` should hold: one rule, one state a line."""
    made = tables(grammar_text())
    parts = [f'"{key}": [\n{_lines(made[key])}\n]' for key in ("rules", "states")]
    return "{\n" + ",\n".join([*parts, f'"starts": {json.dumps(made["starts"])}']) + "\n}\n"


def _lines(rows: list[Any]) -> str:
    return ",\n".join(json.dumps(row) for row in rows)


if __name__ == "__main__":
    TABLES.write_text(text(), "utf-8")

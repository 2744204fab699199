"""The grammar file: no conflicts, and its words are those that the lexer and the names room know."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest
from lark import Lark, logger

from schematic.core.diagnostics import Report
from schematic.core.names import RESERVED
from schematic.core.source import Source
from schematic.syntax import generate, grammar
from schematic.syntax.builder import Builder
from schematic.syntax.lexer import lex
from schematic.syntax.tokens import SYMBOLS


def built() -> Lark:
    return Lark(grammar.grammar_text(), parser="lalr", start=list(grammar.STARTS), keep_all_tokens=True)


def test_the_grammar_has_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """lark resolves a shift/reduce conflict silently, and says so in its debug log."""
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG, logger.name)
    try:
        built()
        assert [r.getMessage() for r in caplog.records if "onflict" in r.getMessage()] == []
        Lark('start: start "+" start | "x"', parser="lalr")  # the log does tell of one
        assert any("onflict" in r.getMessage() for r in caplog.records)
    finally:
        logger.removeHandler(caplog.handler)


def terminals() -> dict[str, str]:
    return {t.name: t.pattern.to_regexp() for t in built().terminals}


def test_the_reserved_words_are_those_of_the_names_room() -> None:
    words = {name.lower() for name, pattern in terminals().items() if pattern == name.lower()}
    assert words == RESERVED


def test_the_lexer_gives_the_terminals_of_the_grammar() -> None:
    of_grammar = set(terminals()) - {"COMMENT", "SPACE"}
    of_lexer = set(SYMBOLS.values()) | {"NAME", "INT", "FLOAT", "STRING"} | {word.upper() for word in RESERVED}
    assert of_grammar == of_lexer


WORDS = [
    "x", "X1", "p_theta", "a_b_c", "0", "12", "0.5", "2e-4", "2.5E+7", "1e5", '"a b"', '""', "->", "-->", "=>", "==>",
    "~>", "~~>", "..", "weight", "θ", "_x", "1x", "1.", ".5", "1_0", "1e", "é", "x.y", "1.5.2", "'a'", "--->", "~=>",
    "<-", "=", "~", "-", "#c", "a b", "", "²", "٣",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_the_lexer_agrees_with_the_patterns_of_the_grammar(word: str) -> None:
    """A text is one word for the lexer, without a slip, just if one terminal of the grammar matches all of it."""
    report = Report()
    tokens = lex(Source("m.sg", word), report).tokens[:-1]
    patterns = terminals()
    matching = {name for name, pattern in patterns.items() if re.fullmatch(pattern, word)} - {"COMMENT", "SPACE"}
    one = len(tokens) == 1 and not list(report) and tokens[0].type in patterns
    assert one == bool(matching)
    if one:
        assert tokens[0].type in matching


def test_the_tables_are_those_of_the_grammar() -> None:
    """After a change of the grammar: `python -m schematic.syntax.generate`."""
    assert generate.TABLES.read_text("utf-8") == generate.text()


def test_every_rule_has_its_builder() -> None:
    for build, *_ in generate.tables(grammar.grammar_text())["rules"]:
        assert not build or build.startswith("_") or hasattr(Builder, build)


def test_reading_a_file_does_not_load_lark() -> None:
    """It would take longer than all the rest of `schematic check`."""
    program = (
        "import sys; from schematic.syntax.parser import *; parse(Source('m.sg', 'model M { }'), Report()); "
        "print('lark' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"

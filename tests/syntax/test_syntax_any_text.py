"""Any text at all: errors at most, never an exception; and time linear in its length."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schematic.core.diagnostics import Report
from schematic.core.source import Source
from schematic.syntax import ast
from schematic.syntax.format import format
from schematic.syntax.parser import parse, parse_expression, parse_net, parse_statements

GOOD = [p.read_text("utf-8") for p in sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))] + [
    'net F in a = D then mlp(3) fixed train { theta, eta = adam(1e-3) data = "m" } use "a.sg" as lib',
    "model A = perfect(swap(lib.B, x, z), q_phi) + 0.1 * (C without p.1) { q = mlp(scale: 0.1) temperature 2 }",
    'model M { z[1..9] : real = data("a", "b") given y ~ N(0, -1) partial p : z[t], z.rest ~> z[t-1] when y = real }',
]
_WORDS = """
// ; ' " ( ) { } [ ] .. . .5 1. 1e999 1.5weight θ → == ~=> -> ~ = : , + - * # | model net train use as in then without
given partial perfect fixed temperature weight beta gradient when divergence x p_a__b q_a
"""
BITS = st.one_of(
    st.sampled_from(_WORDS.split()),
    st.text(max_size=3),
    st.sampled_from(["\0", "\ud800", "\ufeff", "\r", "\n", "\u2028", "²", "٣", " "]),
)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def survives(text: str) -> None:
    for read in (parse, parse_statements, parse_expression, parse_net):
        report = Report()
        result = read(Source("m.sg", text), report)
        for diagnostic in report:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
            assert diagnostic.message
            diagnostic.render()
        if result is None:
            assert report.failed
        if isinstance(result, ast.File) and not report.failed:
            formatted = format(result)
            again = parse(Source("m.sg", formatted), report)
            assert not report.failed
            assert again == result
            assert format(again) == formatted
            assert sorted(c.text.rstrip() for c in result.comments) == sorted(c.text for c in again.comments)


@MANY
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), BITS), min_size=1, max_size=5))
def test_good_files_gone_wrong(text: str, changes: list[tuple[float, int, str]]) -> None:
    for where, gone, put in changes:
        at = int(where * len(text))
        text = text[:at] + put + text[at + gone :]
    survives(text)


@MANY
@given(st.lists(BITS, max_size=40), st.sampled_from(["", " ", "\n"]))
def test_words_in_any_order(words: list[str], between: str) -> None:
    survives(between.join(words))


@MANY
@given(st.binary(max_size=200))
def test_bytes(raw: bytes) -> None:
    survives(raw.decode("latin-1"))
    survives(raw.decode("utf-8", "surrogateescape"))


DEEP = [
    "model A = " + "(" * 20_000 + "B",
    "model A = " + "f(" * 20_000 + "B" + ")" * 20_000,
    "model A { x : " + "f(" * 20_000 + "1" + ")" * 20_000 + " }",
    "model A = B" + " without x" * 5_000,
    "model A = B" + " + B" * 5_000,
    "model A = " + "2 * " * 5_000 + "B",
    "model A = B" + " { }" * 5_000,
    "model A = " + "f(B { } " * 5_000,
    "net F = D" + " then D" * 5_000,
    "model A { " * 5_000,
    "{" * 20_000,
    "}" * 5_000,
    "model A { x : real" + ")" * 20_000,
    "model A { p : " + "x " * 20_000,
    "model A { p : x" + " ==" * 5_000,
    "'" * 20_001,
    "9" * 200_000,
    "θ " * 5_000,
    "\0" * 50_000,
]


@pytest.mark.parametrize("text", DEEP, ids=lambda text: f"{text[:20]}-{len(text)}")
def test_deep_and_long_texts(text: str) -> None:
    report = Report()
    parse(Source("m.sg", text), report)
    assert report.failed
    for diagnostic in list(report)[:50]:
        diagnostic.render()


@pytest.mark.parametrize(
    "text",
    ["model A = " + "(" * 99 + "B" + ")" * 99, "model A = B" + " without x" * 99, "model A = B" + " + B" * 99],
    ids=["parentheses", "without", "plus"],
)
def test_what_is_not_too_deep_can_be_worked_with(text: str) -> None:
    report = Report()
    file = parse(Source("m.sg", text), report)
    assert not list(report)
    assert parse(Source("m.sg", format(file)), report) == file
    assert hash(file) and repr(file)


def factors(count: int) -> str:
    lines = (f"  p_a{i} : z, y{i} ==> x{i} = Normal(mlp(128), scale: 0.1) weight 0.1  # {i}" for i in range(count))
    return "model M {\n" + "\n".join(lines) + "\n}\n"


def wrong_lines(count: int) -> str:
    return "model M {\n" + "  p_a : z y ==> x\n  q_b : x ~> y =\n" * (count // 2) + "}\n"


@pytest.mark.parametrize("text", [factors, wrong_lines], ids=["good", "wrong"])
def test_time_is_linear(text: Callable[[int], str]) -> None:
    def seconds(count: int) -> float:
        source = Source("m.sg", text(count))
        start = time.process_time()
        format(parse(source, Report()))
        return time.process_time() - start

    seconds(10)
    short, long = min(seconds(300) for _ in range(2)), seconds(3_000)
    assert long < 30 * short + 0.5  # quadratic: 100

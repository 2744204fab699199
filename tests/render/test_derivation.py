"""What `derive` prints: every step with its reason, what was dropped and assumed, and the table of updates."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from latex2mathml.converter import convert

from schematic.calculus.latex import latex
from schematic.calculus.terms import Objective
from schematic.calculus.text import lines, text
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.algebra import add
from schematic.graph.build import load, parse
from schematic.graph.model import AnyModel, Model
from schematic.render.derivation import (
    WIDTH,
    derivation_latex,
    derivation_text,
    display_latex,
    optimizer_text,
    steps,
    vectors,
)
from schematic.render.notebook import bundle
from schematic.render.page import derivation_html
from schematic.render.updates import updates

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))


def derived(name: str) -> tuple[AnyModel, tuple[Objective, ...]]:
    report = Report()
    model = load(next(p for p in EXAMPLES if p.stem == name), report)
    assert model is not None
    found = objectives(model, report)
    report.check()
    return model, found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_text_holds_every_step_drop_and_assumption(path: Path) -> None:
    model, found = derived(path.stem)
    printed = derivation_text(model, found)
    flat = " ".join(printed.split())
    for objective in found:
        for term in (objective.derivation.start, objective.term):
            assert " ".join(" ".join(lines(term, WIDTH - 3)).split()) in flat
        for step in objective.derivation.steps:
            assert all(" ".join(a.split()) in flat for a in step.assumptions)
            assert flat.count("drops:") >= len(step.dropped)
    terms = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    assert all(" ".join(a.text.split()) in flat for m in terms for a in m.log)
    assert max(map(len, printed.splitlines())) <= WIDTH + 20


def test_steps_that_show_nothing_are_left_out_and_no_other() -> None:
    _, found = derived("infogan")
    for objective in found:
        shown = steps(objective)
        assert all(s in objective.derivation.steps for s in shown)
        assert text(shown[-1].after) == text(objective.term)
        for step in objective.derivation.steps:
            if step not in shown:
                assert not step.dropped and not step.assumptions


def test_the_update_table() -> None:
    model, found = derived("infogan")
    phi, theta = updates(model, found)
    assert [m.text for m in phi.moved] == ["q_φ^(r)(y|x)"]
    assert [m.text for m in theta.moved] == ["p_θ(x|z, y)", "q_η(z|x, y)"]
    assert [(d.group, d.targets) for d in phi.stopped] == [("theta", ("x",))]  # x is a sample at theta_0 for phi
    assert theta.stopped == ()
    assert [(h.label.text, h.reason) for h in theta.held] == [("q_φ^(r)(y|x)", "trained in another update")]
    assert optimizer_text(phi) == "adam(0.0002, 0.5, 0.999)"


def test_the_update_table_of_reading_3_names_the_weight_and_the_outer_sample() -> None:
    model, found = derived("aavae")
    row = next(r for r in updates(model, found) if "theta" in r.objective.groups)
    kinds = {d.kind for d in row.stopped}
    assert "blue" in kinds
    assert any(d.group == "theta" for d in row.stopped)


def test_what_the_file_sets_is_in_the_table() -> None:
    source = """model V { x : real(4) = data  z : real(2) ~ Normal(0, 1)
      p_theta : z -> x  q_eta : x --> z  p_omega : z -> x = mlp(4) fixed
      train { theta = sgd(0.5)  eta = adam(1e-4, 0, 0.9, steps: 5) } }"""
    report = Report()
    model = parse(source, report)
    assert isinstance(model, Model)
    (row,) = updates(model, objectives(model, report))
    assert optimizer_text(row) == "θ: sgd(0.5), η: adam(0.0001, 0, 0.9), 5 times a step"
    assert [(h.label.text, h.reason) for h in row.held] == [("p_ω(x|z)", "fixed")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_latex_is_well_formed(path: Path) -> None:
    model, found = derived(path.stem)
    written = derivation_latex(model, found, document=True)
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?x?)\}", written):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    for body in re.findall(r"\\begin\{align\*\}\n(.*?)\\end\{align\*\}", written, re.DOTALL):
        rows = body.splitlines()
        for row, after in zip(rows, [*rows[1:], ""], strict=True):
            if row.startswith(r"\intertext"):
                assert row.count("{") == row.count("}")
            elif row.startswith("  &"):
                assert row.endswith(r"\\") == bool(after), "amsmath wants \\\\ before \\intertext and none at the end"
                convert(row.strip().removeprefix("&").removesuffix(r"\\"))
    for formula in re.findall(r"\$([^$]+)\$", written):
        convert(formula)
    assert written.isascii()


class Reader(HTMLParser):
    """Balanced tags, the symbols that a page has, and those that it uses."""

    VOID = frozenset(("meta", "br"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.symbols: set[str] = set()
        self.used: set[str] = set()
        self.count: dict[str, int] = {}
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag == "symbol":
            self.symbols.add(found["id"] or "")
        if tag == "use":
            self.used.add((found["href"] or "").removeprefix("#"))
        for name in ("src", "href"):
            assert tag == "use" or name not in found, "the page needs nothing from elsewhere"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("name", ["infogan", "vae"])
def test_the_page_is_whole(name: str) -> None:
    model, found = derived(name)
    reader = Reader()
    page = derivation_html(model, found)
    reader.feed(page)
    assert reader.open == []
    assert reader.used == reader.symbols
    # A MathML twin for every formula, a symbol sheet and the drawing beside them.
    assert reader.count["math"] == reader.count["svg"] - 2
    said = " ".join(reader.words)
    for objective in found:
        assert all(step.reason in said for step in steps(objective))
        assert all(a in said for step in objective.derivation.steps for a in step.assumptions)
    assert "prefers-color-scheme: dark" in page


def test_the_same_page_twice() -> None:
    model, found = derived("gan")
    assert derivation_html(model, found) == derivation_html(model, found)


def test_the_notebook_bundle() -> None:
    model, found = derived("gan")
    shown = bundle(model, found)
    assert set(shown) == {"image/svg+xml", "text/html", "text/plain"}
    assert shown["image/svg+xml"].startswith("<svg")
    assert shown["text/plain"].splitlines()[0] == "GAN"
    assert all(text(o.term) in shown["text/plain"] for o in found)


def test_a_long_formula_is_displayed_on_lines() -> None:
    """The same tokens, on lines; what a notebook gets of it is well-formed."""
    model, found = derived("cyclegan")
    for objective in found:
        shown = display_latex(objective.term, vectors(model), "L = ")
        rows = shown.removeprefix("\\begin{aligned}\n&").removesuffix("\n\\end{aligned}").split(" \\\\\n&")
        assert len(rows) > 1 and rows[0].startswith("L = ")
        kept = "".join(re.sub(r"^(\\quad )+(\{\})?|\s+", "", row) for row in rows)
        assert kept == re.sub(r"\s+", "", "L = " + latex(objective.term, vectors(model)))
    fromstring(f"<div>{bundle(model, found)['text/html']}</div>")
    short = derived("gan")[1][1]
    assert display_latex(short.term, frozenset(), "L = ") == "L = " + latex(short.term)


def test_a_sum_has_a_table_too() -> None:
    """q_phi is perfect in one term and learned in the other: what is trained is the learned one."""
    (gan, found), (vae, _) = derived("gan"), derived("vae")
    total: AnyModel = add(vae, gan)
    rows = updates(total, found)
    assert [m.text for m in rows[0].moved] == ["q_φ^(r)(y|x)"]
    assert derivation_text(total, found).count("trains") == len(found)

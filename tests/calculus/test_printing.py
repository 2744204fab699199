"""Printed terms: pinned ones in the paper's notation, and what must hold for any."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_terms import (
    DECODER,
    ENCODER,
    GENERATOR,
    HALF,
    JUDGE,
    P_DATA,
    P_X,
    P_Z,
    PERFECT,
    REVERSED,
    aae,
    aavae,
    at,
    gan,
    infogan,
    terms,
    vae,
)
from ziamath.zmath import Latex

from schematic.calculus.latex import density_latex, latex, latex_lines, name_latex
from schematic.calculus.rules import derive
from schematic.calculus.structure import Context, tidy
from schematic.calculus.terms import KL, ZERO, Add, Density, Expect, Log, Mass, Scale, Term, Where
from schematic.calculus.text import density_text, lines, text


def end(start: Term, *groups: str) -> Term:
    return derive(tidy(start), Context("y", frozenset(groups), frozenset())).end


A, B = Log(at(JUDGE, "y", 1)), Log(P_Z)
HOLLOW = at(GENERATOR, "y", 0)
SECOND = replace(HOLLOW, targets=("w",), factor="p_theta.w")

TERMS = [
    (gan()[0], "E_{p(y)} E_{p_θ(x | y)}[log q_φ(y | x)]"),
    (infogan()[1], "E_{p(y)} E_{p_θ(x | y)}[log q_η(z | x, y) + log q_φʳ(y | x)]"),
    (end(gan()[0], "phi"), "½ E_{z ~ p(z), x = G_θ(z)}[log q_φ(y=0 | x)] + ½ E_{p_data(x)}[log q_φ(y=1 | x)]"),
    (end(gan()[1], "theta"), "½ E_{z ~ p(z), x = G_θ(z)}[log q_φ(y=1 | x)]"),
    (end(aae()[1], "theta", "eta"), "½ E_{x ~ p_data(x), z = E_η(x)}[log p_θ(x | z) + log q_φ(y=1 | z)]"),
    (end(aavae(PERFECT), "theta", "eta"), "½ E_{p_data(x)} E_{q_η(z | x)}[log p_θ(x | z) − KL(q_η(z | x) ‖ p(z))]"),
    (vae(), "½ E_{p_data(x)}[E_{q_η(z | x, y=0)}[log p_θ(x | z, y=0)] − KL(q_η(z | x, y=0) ‖ p(z))]"),
    (Scale(Fraction(-1), KL(at(ENCODER, "y", 0), P_Z)), "−KL(q_η(z | x, y=0) ‖ p(z))"),
    (Mass(at(REVERSED, "y", 0), Add((A, B))), "q_φʳ(y=0 | x) [log q_φ(y=1 | x) + log p(z)]"),
    (Mass(at(REVERSED, "y", 0), Scale(HALF, A)), "q_φʳ(y=0 | x) [½ log q_φ(y=1 | x)]"),
    (Mass(at(at(PERFECT, "y'", 1), "y", 0), A), "q_*ʳ(y=0 | x, y'=1) log q_φ(y=1 | x)"),
    (Where("y", (0,), "", Add((A, B))), "[y=0: log q_φ(y=1 | x) + log p(z)]"),
    (Where("y", (0, 2), "", A), "[y ∈ {0,2}: log q_φ(y=1 | x)]"),
    (Scale(HALF, Add((A, Scale(Fraction(-1), B)))), "½ [log q_φ(y=1 | x) − log p(z)]"),
    (Add((Scale(Fraction(-3, 7), A), Scale(-0.1, B), Scale(Fraction(2), A))),
     "−(3/7) log q_φ(y=1 | x) − 0.1 log p(z) + 2 log q_φ(y=1 | x)"),
    (Add((A, Add((A, B)))), "log q_φ(y=1 | x) + [log q_φ(y=1 | x) + log p(z)]"),
    (Expect((P_Z, HOLLOW, SECOND), A), "E_{z ~ p(z), x = G_θ(z), w = G_θ,w(z)}[log q_φ(y=1 | x)]"),
    (Expect((P_Z, replace(HOLLOW, stopped=True)), A), "E_{z ~ p(z), x = G_θ₀(z)}[log q_φ(y=1 | x)]"),
    (Expect((replace(P_DATA, targets=("x", "t")), GENERATOR), A),
     "E_{(x, t) ~ p_data(x, t), x = G_θ(z, y)}[log q_φ(y=1 | x)]"),
    (Expect((), A), "[log q_φ(y=1 | x)]"),
    (ZERO, "0"),
]  # fmt: skip

DENSITIES = [
    (P_X, "p_θ(x | y)", r"p_{\theta}(x\mid y)"),
    (replace(P_X, group="theta,eta", targets=("x", "z")), "p_θ,η(x, z | y)", r"p_{\theta,\eta}(x,\,z\mid y)"),
    (replace(DECODER, stopped=True), "p_θ₀(x | z, y)", r"p_{\theta_{0}}(x\mid z,\,y)"),
    (replace(DECODER, group="theta1", stopped=True), "p_θ₁,₀(x | z, y)", r"p_{\theta_{1,0}}(x\mid z,\,y)"),
    (replace(DECODER, group="disc"), "p_disc(x | z, y)", r"p_{\mathrm{disc}}(x\mid z,\,y)"),
    (replace(P_DATA, targets=("x", "label")), "p_data(x, label)", r"p_{\mathrm{data}}(x,\,\mathrm{label})"),
    (replace(REVERSED, temperature=1.5), "q_φʳ(y | x; T=1.5)", r"q_{\phi}^{r}(y\mid x;\,T{=}1.5)"),
    (PERFECT, "q_*ʳ(y | x, y')", r"q_{*}^{r}(y\mid x,\,y')"),
    (Density("prior", "p", None, ("z2",)), "p(z₂)", "p(z_{2})"),
    (Density("prior", "p", None, ("epsilon",)), "p(ε)", r"p(\epsilon)"),
    (Density("explicit", "p", "a", ("z[0]",), ("z[1]", "x_1")), "p_a(z[0] | z[1], x_1)",
     r"p_{a}(z_{0}\mid z_{1},\,\mathrm{x\_1})"),
]  # fmt: skip


@pytest.mark.parametrize(("term", "expected"), TERMS)
def test_text(term: Term, expected: str) -> None:
    assert text(term) == expected


@pytest.mark.parametrize(("density", "written", "set_"), DENSITIES)
def test_densities(density: Density, written: str, set_: str) -> None:
    assert density_text(density) == written
    assert density_latex(density) == set_
    Latex(set_).getsize()


def test_latex() -> None:
    assert latex(gan()[0]) == r"\mathbb{E}_{p(y)}\,\mathbb{E}_{p_{\theta}(x\mid y)}[\log q_{\phi}(y\mid x)]"
    assert latex(end(gan()[1], "theta"), bold={"x", "z"}) == (
        r"\frac{1}{2}\,\mathbb{E}_{\mathbf{z}\sim p(\mathbf{z}),\,\mathbf{x}=G_{\theta}(\mathbf{z})}"
        r"[\log q_{\phi}(y=1\mid \mathbf{x})]"
    )
    assert latex(Add((Scale(Fraction(-1), KL(ENCODER, P_Z)), Scale(2.5e-7, B)))) == (
        r"-\mathrm{KL}(q_{\eta}(z\mid x,\,y)\,\Vert\,p(z)) + 2.5\times 10^{-7}\,\log p(z)"
    )


def test_a_line_that_opens_with_a_sign_keeps_its_spacing() -> None:
    assert latex_lines(Add((A, Scale(Fraction(-1), B))), 20) == (
        r"\log q_{\phi}(y=1\mid x)",
        r"{} - \log p(z)",
    )
    assert latex_lines(Scale(HALF, Add((A, B))), 20)[1] == r"\quad {} + \log p(z)]"


def test_names() -> None:
    assert name_latex("epsilon1", bold=True) == r"\boldsymbol{\epsilon}_{1}"
    assert name_latex("image", bold=True) == r"\mathbf{image}"
    assert name_latex("omicron") == "o"
    assert name_latex("z[t-1]") == "z_{t-1}"


def test_long_sums_are_broken_at_their_outermost_signs() -> None:
    weighed = Mass(at(REVERSED, "y", 0), vae())
    made = Expect((P_Z, at(replace(DECODER, stopped=True), "y", 0)), weighed)
    assert lines(Add((made, made)), 80) == (
        "E_{p(z) p_θ₀(x | z, y=0)}[q_φʳ(y=0 | x) [½ E_{p_data(x)}[E_{q_η(z | x, y=0)}[log p_θ(x | z, y=0)]",
        "      − KL(q_η(z | x, y=0) ‖ p(z))]]]",
        "+ E_{p(z) p_θ₀(x | z, y=0)}[q_φʳ(y=0 | x) [½ E_{p_data(x)}[E_{q_η(z | x, y=0)}[log p_θ(x | z, y=0)]",
        "      − KL(q_η(z | x, y=0) ‖ p(z))]]]",
    )
    assert lines(infogan()[0], 100) == (text(infogan()[0]),)
    assert lines(Add((vae(), B)), 90) == (text(vae()), "+ log p(z)")


@settings(max_examples=200, deadline=None)
@given(terms(), st.integers(20, 120))
def test_lines_are_the_text_and_no_wider_than_they_must_be(term: Term, width: int) -> None:
    found = lines(term, width)
    assert "".join(f" {p.strip()}" if i else p for i, p in enumerate(found)) == text(term)
    for line in found:
        assert len(line) <= width or not re.search(r"[^\s] [+−] ", line)


def balanced(written: str) -> bool:
    """Every bracket and brace closes in order; the braces of sets, `\\{`, count as brackets."""
    pairs, open_ = {")": "(", "]": "[", "}": "{"}, []
    for sign in written:
        if sign in "([{":
            open_.append(sign)
        elif sign in pairs and (not open_ or open_.pop() != pairs[sign]):
            return False
    return not open_


@settings(max_examples=200, deadline=None)
@given(terms())
def test_any_term_prints_with_balanced_brackets(term: Term) -> None:
    written, set_ = text(term), latex(term, bold={"x"})
    assert balanced(written)
    assert balanced(set_)
    assert "\n" not in written and "  " not in written
    assert not re.search(r"\^\{[^}]*\}\^|\}_\{[^}]*\}_\{", set_)  # no double superscripts, no double subscripts
    assert set_.count(r"\log") == written.count("log ") and set_.count(r"\mathbb{E}") == written.count("E_{")


@settings(max_examples=40, deadline=None)
@given(terms(), st.integers(40, 80))
def test_any_term_is_set_by_ziamath(term: Term, width: int) -> None:
    for line in latex_lines(term, width, bold={"z"}):
        Latex(line).getsize()

"""docs/language.md: its examples are good files, and its list of what is not compiled yet is the compiler's."""

import re
from pathlib import Path

import pytest

import schematic as sg
from schematic.core.diagnostics import Report
from schematic.graph.build import parse
from schematic.graph.model import AnyModel
from schematic.graph.pending import pending

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "language.md").read_text()
FORMS = {
    "`importance(M, k)`": "model M = importance(InfoGAN, 4)",
    "`wake_sleep(M)`": "model M = wake_sleep(InfoGAN without q_phi)",
    "`M + N`": "model M = InfoGAN + 0.1 * InfoGAN",
    "`partial`": 'model M = InfoGAN { z : category(3) ~ Categorical = data("label") partial  q_eta = mlp(4) }',
    "`z.rest ~> z.each`": "model M = InfoGAN { z : binary(4) ~ Bernoulli(0.5)  q_psi : z.rest ~> z.each }",
    "`z[1..1000]`": "model M = InfoGAN { w[1..1000] : real(3)  p_a : z -> w }",
    "`domain(A, B, C)`": "model M = InfoGAN { y : domain(A, B, C) }",
    "`Flow`": "model M = InfoGAN { q_eta = Flow(mlp(4)) }",
    "`python(...)`": 'model M = InfoGAN { q_eta = python("package.module:Name") }',
    "`divergence": "model M = InfoGAN { q_phi = mlp(4) divergence hinge }",
}


def built(text: str) -> AnyModel:
    """The model of a text that stands in examples/."""
    report = Report()
    model = parse(text, report, path=str(ROOT / "examples" / "page.sg"))
    report.check()
    assert model is not None
    return model


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_compiled_yet_is_on_the_list(form: str) -> None:
    waits = bool(pending(built('use "infogan.sg"\n' + FORMS[form])))
    assert waits == (f"\n- {form}" in PAGE.split("## Not compiled yet")[1])


def test_the_page_lists_nothing_else() -> None:
    listed = re.findall(r"^- (`.*?`)$", PAGE.split("## Not compiled yet")[1], re.M)
    assert set(listed) <= set(FORMS)


def test_examples_on_the_page_are_good() -> None:
    blocks = [b for b in re.findall(r"^```\n(.*?)^```$", PAGE, re.M | re.S) if "model" in b]
    assert len(blocks) >= 2
    for block in blocks:
        assert sg.objectives(sg.Model(built(block)))

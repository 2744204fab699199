"""The Python interface: what design.md shows works as it stands there."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import schematic as sg

ROOT = Path(__file__).parents[2]
INFOGAN = ROOT / "examples" / "infogan.sg"


@pytest.fixture(scope="module")
def infogan() -> sg.Model:
    return sg.load(INFOGAN)


@pytest.fixture(scope="module")
def vae(infogan: sg.Model) -> sg.Model:
    return sg.perfect(sg.swap_arrows(infogan), "q_phi")


def test_moves_in_python_are_moves_in_the_language(vae: sg.Model) -> None:
    file = sg.load(ROOT / "examples" / "vae.sg")
    assert [str(o) for o in sg.objectives(vae)] == [str(o) for o in sg.objectives(file)]
    assert vae.log == file.log


def test_moves_undo_each_other(infogan: sg.Model, vae: sg.Model) -> None:
    assert str(sg.swap(sg.swap(infogan, "x", "z"), "z", "x")) == str(infogan)
    assert str(sg.swap_arrows(sg.activate(vae))) == str(infogan)
    assert "mlp(8)" in str(sg.activate(vae, "q_phi", "mlp(8)"))
    assert str(sg.rename(sg.rename(infogan, "x", "pixels"), "pixels", "x")) == str(infogan)
    assert "q_eta" not in str(sg.without(infogan, "q_eta"))


def test_graph_has_an_edge_for_each_parent_of_each_factor(infogan: sg.Model) -> None:
    edges = infogan.graph.edges(data=True)
    marks = {(a, b, d["factor"], d["process"], d["implicit"], d["adversarial"]) for a, b, d in edges}
    assert marks == {
        ("z", "x", "p_theta", "inference", True, False),
        ("y", "x", "p_theta", "inference", True, False),
        ("x", "y", "q_phi", "generative", False, True),
        ("x", "z", "q_eta", "generative", False, False),
        ("y", "z", "q_eta", "generative", False, False),
    }


def test_objectives_print_and_carry_their_derivation(vae: sg.Model) -> None:
    (objective,) = sg.objectives(vae)
    assert "KL(q_η(z | x) ‖ p(z))" in str(objective) and "\\mathrm{KL}" in objective.latex()
    assert objective.derivation.end == objective.term and objective.derivation.steps


def test_a_model_shows_itself(vae: sg.Model, infogan: sg.Model) -> None:
    shown = vae._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html", "image/svg+xml"} and "<svg" in shown["text/html"]
    without_objectives = sg.perfect(infogan, "q_phi")
    assert "<svg" in without_objectives._repr_mimebundle_()["image/svg+xml"]


def test_a_prompt_shows_text_and_formulas(vae: sg.Model) -> None:
    (objective,) = sg.objectives(vae)
    assert repr(vae) + "\n" == str(vae) and repr(vae).startswith("model ")
    assert repr(objective) == str(objective) and repr(objective).startswith("theta, eta: ½ E_{")


def test_emit_and_render(vae: sg.Model, tmp_path: Path) -> None:
    ast.parse(sg.emit(vae))
    assert sg.render(vae, tmp_path / "vae.svg").read_text().startswith("<")


def test_text_and_model_are_the_same(infogan: sg.Model) -> None:
    assert str(sg.parse(str(infogan))) == str(infogan)


def test_errors_are_one_kind(infogan: sg.Model) -> None:
    mistakes = (
        lambda: sg.parse("model M { x : rael }"),
        lambda: sg.load(ROOT / "no_such.sg"),
        lambda: sg.load(INFOGAN, "GAN"),
        lambda: sg.swap(infogan, "x", "w"),
        lambda: sg.activate(infogan, "q_phi", "dcgan(0)"),
        lambda: sg.objectives(sg.perfect(infogan, "q_phi")),
        lambda: sg.emit(sg.perfect(infogan, "q_phi")),
    )
    for mistake in mistakes:
        with pytest.raises(sg.SchematicError, match=r"error\[SG\d{3}\]"):
            mistake()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        sg.no_such  # noqa: B018
    assert set(sg.__all__) <= set(dir(sg)) and all(hasattr(sg, name) for name in sg.__all__)


def test_training_is_the_first_to_import_torch(tmp_path: Path) -> None:
    code = f"""if True:
        import sys, json, schematic as sg
        vae = sg.load({str(ROOT / "examples" / "vae_direct.sg")!r})
        sg.objectives(vae), sg.emit(vae), sg.render(vae, {str(tmp_path / "a.svg")!r})
        before = "torch" in sys.modules
        outcome = sg.train(vae, out={str(tmp_path / "run")!r}, steps=2)
        print(json.dumps([before, "torch" in sys.modules, outcome.steps]))
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert json.loads(done.stdout) == [False, True, 2]

"""What differs: nothing between two namings of one model; each kind of change in a term; the screens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from other_names import renamed
from random_models import models

from schematic.cli.main import cli
from schematic.core.diagnostics import Report
from schematic.graph.build import load, parse
from schematic.graph.model import AnyModel, Model
from schematic.studies.compare import Difference, difference
from schematic.studies.screens import WIDTH, difference_text

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(f.name for f in EXAMPLES.glob("*.sg"))


def example(name: str) -> AnyModel:
    model = load(EXAMPLES / name, Report())
    assert model is not None
    return model


def built(text: str) -> AnyModel:
    report = Report()
    model = parse(text, report, path=str(EXAMPLES / "asked.sg"))
    assert model is not None and not report.failed, "\n".join(d.render() for d in report)
    return model


def same_in_all(found: Difference) -> bool:
    return found.one_model and not found.only_left + found.only_right and all(o.factor == 1 for o in found.objectives)


@pytest.mark.parametrize("file", FILES)
def test_nothing_differs_between_two_namings(file: str) -> None:
    model = example(file)
    found = difference(renamed(model, Random(7)), model)
    assert found.one_model and all(o.factor == 1 for o in found.objectives)
    assert found.no_left == found.no_right


@given(models(), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_nothing_differs_between_two_namings_of_any_model(model: Model, seed: int) -> None:
    found = difference(renamed(model, Random(seed)), model)
    assert found.one_model and all(o.factor == 1 for o in found.objectives)


@given(models(), models())
@settings(max_examples=40, deadline=None)
def test_any_two_models_have_a_screen_that_is_not_too_wide(a: Model, b: Model) -> None:
    text = difference_text("a", "b", difference(a, b))
    assert text.endswith("\n") and max(map(len, text.splitlines())) <= 2 * WIDTH


# --- terms ------------------------------------------------------------------------------------------------------


def changed(statements: str, base: str = "infogan.sg", name: str = "InfoGAN") -> Difference:
    return difference(example(base), built(f'use "{base}" model M = {name} {{ {statements} }}'))


def kinds(found: Difference, group: str) -> list[str]:
    (objective,) = (o for o in found.objectives if group in o.groups)
    return [t.how for t in objective.terms]


def test_a_weight_rescales_one_term() -> None:
    found = changed("q_eta : x, y -> z weight 0.25")
    (term,) = (t for o in found.objectives for t in o.terms if t.how == "rescaled")
    assert term.left is not None and term.right is not None and term.right.scale / term.left.scale == 0.25
    assert sorted(kinds(found, "theta")) == ["rescaled", "same"] and kinds(found, "phi") == ["same", "same"]


def test_another_divergence_reverses_a_term() -> None:
    found = changed("q_phi : x ~> y divergence minimax")
    assert sorted(kinds(found, "theta")) == ["reversed", "same"] and kinds(found, "phi") == ["same", "same"]


def test_what_is_added_one_way_is_missing_the_other_way() -> None:
    there, back = (difference(example(a), example(b)) for a, b in (("gan.sg", "infogan.sg"), ("infogan.sg", "gan.sg")))
    assert kinds(there, "theta") == ["added", "same"] and sorted(kinds(back, "theta")) == ["missing", "same"]
    (eta,) = (o for o in there.objectives if o.groups == ("eta",))
    assert (eta.left, eta.right, eta.beside) == (False, True, ("theta",))
    assert there.only_right == back.only_left and there.only_left == back.only_right


def test_the_adversary_s_half() -> None:
    found = difference(example("vae.sg"), example("vae_direct.sg"))
    (objective,) = found.objectives
    assert objective.factor == 2 and not found.one_model


def test_event_shapes_fields_and_networks_stand_aside() -> None:
    found = changed('x : unit(3, 32, 32) = data("photo")  q_eta = mlp(5)')
    assert found.one_model and all(o.factor == 1 for o in found.objectives)
    assert [c.name for c in found.changes] == ["x", "q_eta"] and all(c.aside for c in found.changes)


def test_a_name_of_both_that_means_two_things_is_told_apart() -> None:
    """x and z exchange their names: data stay with data."""
    text = """model M {{ {x} : unit(4) = data("image")  {z} : real(3) ~ Normal(0, 1)
      p_theta : {z} -> {x}  q_eta : {x} --> {z} }}"""
    found = difference(built(text.format(x="x", z="z")), built(text.format(x="z", z="x")))
    assert found.renamed == (("x", "z"), ("z", "x")) and same_in_all(found)


def test_a_model_without_objectives_is_compared_all_the_same() -> None:
    wrong = built("model W { x : real(3) = data  z : real(2)  p_theta : z -> x }")
    found = difference(example("gan.sg"), wrong)
    assert found.no_right and not found.objectives and "none derived" in difference_text("a", "b", found)


# --- screens ----------------------------------------------------------------------------------------------------


def test_the_screen() -> None:
    found = difference(example("infogan.sg"), example("aae.sg"))
    assert (
        difference_text("InfoGAN", "AAE", found)
        == """\
- InfoGAN
+ AAE

Arrows
  p_theta  - z, y ==> x
           + z, y -> x   solid, not dashed; explicit, not hollow
  q_phi    - x ~> y
           + z ~> y   reads z; does not read x
  q_eta    - x, y -> z
           + x, y ==> z   dashed, not solid; hollow, not explicit

Assumptions
  - q_η(z | x, y=1) is fixed, without parameters: its log is a constant
  + p_θ(x | z, y=1) is fixed, without parameters: its log is a constant
  + x is in [0, 1] and scored by cross-entropy, which is no density there: not a bound

Objectives, maximized
  φ:
    - ½ E_{z ~ p(z), x = G_θ₀(z)}[log q_φ(y=0 | x)]
    - ½ E_{p_data(x)}[log q_φ(y=1 | x)]
    + ½ E_{x ~ p_data(x), z = E_η₀(x)}[log q_φ(y=0 | z)]
    + ½ E_{p(z)}[log q_φ(y=1 | z)]
  η, θ:
    - ½ E_{z ~ p(z), x = G_θ(z)}[log q_η(z | x)]
    - ½ E_{z ~ p(z), x = G_θ(z)}[log q_φ(y=1 | x)]
    + ½ E_{x ~ p_data(x), z = E_η(x)}[log p_θ(x | z)]
    + ½ E_{x ~ p_data(x), z = E_η(x)}[log q_φ(y=1 | z)]
"""
    )


@pytest.mark.parametrize("i", range(len(FILES)))
def test_two_examples_fit_one_screen(i: int) -> None:
    for a, b in ((FILES[i], FILES[i - 1]), (FILES[i], FILES[i - 4])):
        text = difference_text(a, b, difference(example(a), example(b)))
        assert len(text.splitlines()) <= 66, text


# --- the command ------------------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    return result.exit_code, result.stdout


def test_models_of_a_file_are_named_in_two_ways(tmp_path: Path) -> None:
    file = tmp_path / "two.sg"
    file.write_text((EXAMPLES / "gan.sg").read_text() + "model Other = GAN { q_phi : x ~> y weight 0.5 }\n")
    code, text = run("diff", f"{file}:GAN", file)
    assert code == 0 and "weight 0.5, not 1" in text and text.startswith(f"- GAN  {file}\n+ Other  {file}\n")
    assert run("diff", file, file, "--model-a", "GAN") == (code, text)
    assert run("diff", f"{file}:GAN", f"{file}:GAN")[1].count("the same") == 3
    assert run("diff", "no.sg", file)[0] == 2


def test_as_data() -> None:
    code, text = run("diff", EXAMPLES / "vae.sg", EXAMPLES / "vae_direct.sg", "--json")
    found = json.loads(text)
    assert code == 0 and not found["one_model"] and found["objectives"][0]["factor"] == 2
    assert all(t["how"] == "rescaled" and t["left"]["latex"] for t in found["objectives"][0]["terms"])
    assert "p(y) is uniform" in found["assumptions"]["left"]


def test_neither_command_imports_what_is_slow() -> None:
    code = """import sys
from schematic.cli.main import run
run(["diff", "examples/gan.sg", "examples/aae.sg"]); run(["identify", "examples/vae.sg"])
print({"torch", "pyro", "networkx", "numpy", "rich"} & set(sys.modules))"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=EXAMPLES.parent)
    assert told.stdout.endswith("set()\n")


# --- every form of the language ---------------------------------------------------------------------------------

FORMS = {
    "sum": 'use "vae_direct.sg" use "gan.sg" model M = VAE + 0.1 * GAN',
    "sum of swapped halves": """model Half { x : unit(4) = data("a/x")  z : unit(4) = data("b/z")
      y : domain(fake, real)  p_theta : z, y ==> x  q_phi : x ~> y  q_eta : x, y -> z = Laplace(mlp(8), scale: 0.1) }
      model M = Half + swap(Half, x, z)""",
    "times": 'use "gan.sg" model M = 3 * GAN',
    "importance of a sum": 'use "vae_direct.sg" use "gan.sg" model M = importance(VAE, 5) + GAN',
    "asleep": 'use "two_level_vae.sg" model M = wake_sleep(TwoLevelVAE)',
    "chain": """model M { z[0..9] : real(3)  z[9] : real(3) ~ Normal(0, 1)
      p_theta : z[t] -> z[t-1]  q_eta : z[t-1] --> z[t] }""",
    "each": """model M { x : unit(4) = data  z : unit(3)
      q_eta : x ==> z  q_phi : z.rest ~> z.each  p_theta : z -> x }""",
    "partial": """model M { x : unit(4) = data  t : category(3) ~ Categorical = data("label") partial
      z : real(2) ~ Normal(0, 1)  p_theta : z, t -> x  q_eta.t : x --> t weight 50  q_eta.z : x, t --> z }""",
    "domains": """model M { x : real(4) = data("a/x", "b/x", "c/x") given y  h : real(2)  y : domain(a, b, c)
      p_theta : x ==> h  q_phi : h ~> y divergence minimax }""",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_told_apart_from_the_others_and_not_from_itself(form: str) -> None:
    model = built(FORMS[form])
    found = difference(renamed(model, Random(3)), model)
    assert found.one_model and all(o.factor == 1 for o in found.objectives), found.changes
    for other in FORMS:
        if other != form:
            assert not difference(model, built(FORMS[other])).one_model

"""What a model is: renamed models are identified, moved ones found again, unknown ones told with what differs."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from other_names import renamed
from random_models import models

from schematic.cli.main import cli
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.build import parse
from schematic.graph.model import AnyModel, Model
from schematic.studies.changes import aligned, changes
from schematic.studies.identify import Identity, Near, identify, nearest
from schematic.studies.identity_screen import identity_text
from schematic.studies.known import Known, folder, known
from schematic.studies.matching import match, variables
from schematic.studies.moves import Move, goal, possible
from schematic.studies.skeleton import form

EXAMPLES = Path(__file__).parents[2] / "examples"
KNOWN = known()
BY_FILE = {k.file: k for k in KNOWN}


def built(text: str) -> AnyModel:
    report = Report()
    model = parse(text, report, path=str(EXAMPLES / "asked.sg"))
    assert model is not None and not report.failed, "\n".join(d.render() for d in report)
    return model


def moved(near: Near) -> AnyModel:
    """The known model after the moves that were found."""
    model = near.known.model
    for move in near.moves:
        model = move.applied(model)
    return model


def test_the_wheel_brings_the_examples_along() -> None:
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["examples"] == "schematic/examples"


def test_every_example_is_known() -> None:
    assert folder() == EXAMPLES and [k.file for k in KNOWN] == sorted(f.name for f in EXAMPLES.glob("*.sg"))


@pytest.mark.parametrize("file", BY_FILE)
@pytest.mark.parametrize("seed", range(3))
def test_an_example_under_other_names_is_identified(file: str, seed: int) -> None:
    model = BY_FILE[file].model
    other = renamed(model, Random(seed))
    assert form(model).form == form(other).form
    near = nearest(other, KNOWN)
    assert near is not None and near.exact and not near.moves
    assert form(near.known.model).form == form(model).form
    names = near.match.variables
    assert set(names) == set(variables(near.known.model)) and set(names.values()) == set(variables(other))


@given(st.sampled_from(KNOWN), st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_a_single_move_is_found_again(start: Known, seed: int) -> None:
    rng = Random(seed)
    move = rng.choice(list(possible(start.model, replace(goal(start.model), factors=0))))
    try:
        model = move.applied(start.model)
    except SchematicError:
        return
    near = nearest(renamed(model, rng), KNOWN)
    assert near is not None and near.exact and len(near.moves) <= 1
    assert form(moved(near)).form == form(model).form


@given(models())
@settings(max_examples=5, deadline=None)
def test_any_model_has_a_nearest_one_and_what_is_told_exact_is(model: Model) -> None:
    near = nearest(model, KNOWN)
    assert near is not None
    assert near.exact == (form(moved(near)).form == form(model).form)


@given(models(), models())
@settings(max_examples=40, deadline=None)
def test_two_models_are_one_exactly_if_nothing_differs(a: Model, b: Model) -> None:
    for other in (b, replace(a, factors=b.factors if {v.name for v in a.variables} >= ends(b) else a.factors)):
        differ = [c for c in changes(aligned(a, other, match(a, other))) if not c.aside]
        assert (not differ) == (form(a).form == form(other).form)


def ends(model: Model) -> set[str]:
    return {n for f in model.factors for n in (*f.parents, f.target)}


# --- what counts ------------------------------------------------------------------------------------------------

GAN = """model G { x : unit(1, 8, 8) = data("image")  z : real(16) ~ Normal(0, 1)  y : domain(fake, real)
  p_theta : z, y ==> x  q_phi : x ~> y }"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("unit(1, 8, 8)", "unit(3, 64, 64)"),
        ('data("image")', 'data("faces/picture")'),
        ("domain(fake, real)", "domain(dream, day)"),
        ("z, y ==> x", "y, z ==> x = dcgan(64)"),
        ("p_theta :", "q_generator.9 :"),
        ("q_phi : x ~> y", "q_phi : x ~> y = mlp(8)  train { epochs = 3 }"),
    ],
)
def test_what_does_not_count(old: str, new: str) -> None:
    near = nearest(built(GAN.replace(old, new)), KNOWN)
    assert near is not None and near.exact and not near.moves and near.known.file == "gan.sg"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("unit(1, 8, 8)", "real(3)", ("real, not unit",)),
        ("Normal(0, 1)", "Normal(0, 2)", ("has the prior Normal(0, 2), not Normal(0, 1)",)),
        ("Normal(0, 1)", "Uniform(-1, 1)", ("has the prior Uniform(-1, 1), not Normal(0, 1)",)),
        ("~> y", "~> y weight 0.5", ("weight 0.5, not 1",)),
        ("~> y", "~> y temperature 2", ("temperature 2, not 1",)),
        ("~> y", "~> y fixed", ("fixed",)),
        ("~> y", "~> y divergence hinge", ("divergence hinge, not nonsaturating",)),
        ("q_phi", "q_theta", ("trained with θ, not φ",)),
    ],
)
def test_what_counts(old: str, new: str, words: tuple[str, ...]) -> None:
    near = nearest(built(GAN.replace(old, new)), [BY_FILE["gan.sg"]])
    assert near is not None and not near.moves and [c.words for c in near.changes] == [words]


def test_fields_of_one_record_and_of_two_are_two_models() -> None:
    text = """model M { a : real(3) = data("s/a")  b : real(3) = data("t/b")  p_theta : a -> b }"""
    paired, unpaired = built(text.replace("t/b", "s/b")), built(text)
    assert form(paired).form != form(unpaired).form
    assert form(unpaired).form == form(built(text.replace("s/a", "u/c"))).form
    assert form(paired).form != form(built(text.replace("t/b", "s/a"))).form


def test_the_domain_of_a_record_counts() -> None:
    text = """model M { y : domain(a, b)  z : real(3) = data("s/a", "t/a") given y  c : real(3) = data("s/c")
      x : real(3)  p_theta : z ==> x  q_phi : x ~> y  p_eta : x -> c }"""
    one, other = built(text), built(text.replace("s/c", "t/c"))
    assert form(one).form != form(other).form
    found = changes(aligned(one, other, match(one, other)))
    assert [(c.name, c.left, c.right) for c in found if not c.aside] == [
        ("z, c", "of one record in domains 0/0", "of one record in domains 1/0")
    ]


def test_an_option_that_a_move_put_to_sleep_does_not_count() -> None:
    model = built('use "infogan.sg" model M = swap_arrows(InfoGAN { q_phi : x ~> y }) { q_eta : x, y --> z beta 4 }')
    assert form(built_swap(model)).form == form(BY_FILE["infogan.sg"].model).form
    assert form(model).form != form(BY_FILE["aavae.sg"].model).form


def built_swap(model: AnyModel) -> AnyModel:
    return Move("swap_arrows").applied(model)


# --- screens ----------------------------------------------------------------------------------------------------


def screen(text: str) -> str:
    return identity_text("M", asked(text))


def asked(text: str) -> Identity:
    return identify(built(text), [BY_FILE[f"{n}.sg"] for n in ("aae", "aavae", "cgan", "gan", "infogan", "vae_direct")])


def test_the_screen_of_a_renamed_model() -> None:
    assert screen(
        """model M { picture : unit(1, 8, 8) = data("image")  code : real(4) ~ Normal(0, 1)
           q_enc : picture --> code  p_dec : code -> picture }"""
    ) == ("M is VAE (vae_direct.sg)\n  where x is picture, z is code, θ is dec, η is enc\n")


def test_the_screen_of_a_moved_model_with_equal_objectives() -> None:
    assert screen('use "aae.sg" model M = perfect(swap_arrows(swap(AAE, x, z)), q_phi)') == (
        "M is perfect(AAVAE, q_phi) (aavae.sg), by 1 move\n"
        "\n"
        "Equal objectives, other drawing\n"
        "  VAE (vae_direct.sg), times ½\n"
    )


def test_the_screen_of_an_unknown_model() -> None:
    text = screen(
        """use "infogan.sg" model M = swap(InfoGAN, x, z) {
             c : category(10) = data("label")  q_eta : x, y, c ==> z  p_phi : z -> c weight 0.5 }"""
    )
    assert text == (
        "M is no known model. The nearest is AAE (aae.sg), by 3 differences\n"
        "\n"
        "- AAE   + M\n"
        '  c      + category(10) = data("label")\n'
        "  q_eta  - x, y ==> z\n"
        "         + x, y, c ==> z   reads c\n"
        "  p_phi  + z -> c weight 0.5\n"
    )


def test_a_sum_is_identified_term_by_term() -> None:
    found = asked('use "vae_direct.sg" use "gan.sg" model M = VAE + 0.1 * GAN')
    assert found.near is not None and not found.near.exact
    parts = [(w, p.near.known.file, p.near.exact) for w, _, p in found.parts if p.near]
    assert parts == [(1.0, "vae_direct.sg", True), (0.1, "gan.sg", True)]


def test_equal_objectives_up_to_names_and_a_number() -> None:
    other = renamed(BY_FILE["vae.sg"].model, Random(1))
    found = identify(other, KNOWN)
    assert (Fraction(1, 2),) in [e.ratios for e in found.equal if e.known.file == "vae_direct.sg"]


def test_nothing_is_known() -> None:
    assert identity_text("M", identify(built(GAN), [])) == "M is no known model: none is known\n"


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command_as_text_and_as_data(tmp_path: Path) -> None:
    file = tmp_path / "mine.sg"
    file.write_text(GAN + "\n")
    told = CliRunner().invoke(cli, ["identify", str(file)])
    assert told.exit_code == 0 and told.stdout == "G is GAN (gan.sg)\n"
    data = json.loads(CliRunner().invoke(cli, ["identify", str(file), "--json"]).stdout)
    assert data["known"] and data["nearest"]["file"] == "gan.sg" and data["nearest"]["moves"] == []
    changed = CliRunner().invoke(cli, ["identify", str(file), "--with", "q_phi : x ~> y weight 3", "--json"])
    near = json.loads(changed.stdout)["nearest"]
    assert not json.loads(changed.stdout)["known"] and near["differences"][0]["words"] == ["weight 3, not 1"]

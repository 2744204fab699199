"""Nothing covers anything, and a model and its moves have their variables in the same places."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from svg_geometry import overlaps, read

from schematic.core.diagnostics import Report, SchematicError
from schematic.graph import algebra
from schematic.graph.build import load, parse
from schematic.graph.model import Data, Factor, Model, Prior, Type, Variable
from schematic.render.drawing import svg

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))
NAMES = ("x", "z", "h", "c", "image", "theta", "z12")
NORMAL = Prior("Normal", (0.0, 1.0))

FOUR = """
model A {
  x : unit(1, 8, 8) = data("image")   z : real(16) ~ Normal(0, 1)   c : category(10) ~ Categorical
  y : domain(fake, real)
  p_theta : z, c, y ==> x   q_phi : x ~> y   q_eta : x, y -> z   q_kappa : x, y -> c
}
model Swapped = swap(A, x, z)
model Turned = swap_arrows(A)
model Perfect = perfect(Turned, q_phi)
model Both = swap(swap_arrows(A), x, c)
model Less = Swapped without q_kappa
model Renamed = rename(A, c, w)
model Warmer = Turned { q_phi : x ~~> y temperature 2 }
"""


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Any arrows between up to eight variables: a drawing asks no question about their meaning."""
    count = draw(st.integers(1, 7))
    found = [Variable(n, Type("real", (4,)), prior=None if i else NORMAL) for i, n in enumerate(NAMES[:count])]
    if draw(st.booleans()):
        found.insert(draw(st.integers(0, count)), Variable("y", Type("domain", values=("fake", "real"))))
    names = [v.name for v in found]
    factors = []
    for i in range(draw(st.integers(0, count + 2))):
        target = draw(st.sampled_from(names))
        others = [n for n in names if n != target]
        most = min(3, len(others))
        parents = draw(st.lists(st.sampled_from(others), max_size=most, unique=True)) if others else []
        process = draw(st.sampled_from(("generative", "inference")))
        implicit = draw(st.booleans())
        adversarial = target == "y" and bool(parents)
        factors.append(Factor(f"p_g{i}", tuple(parents), target, process, implicit and not adversarial, adversarial))
    return Model("M", tuple(found), tuple(factors))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_nothing_overlaps_in_the_examples(path: Path) -> None:
    model = load(path, Report())
    assert model is not None
    drawn = read(svg(model))
    assert overlaps(drawn) == []
    assert drawn.nodes and drawn.labels


@settings(max_examples=25, deadline=None)
@given(models())
def test_nothing_overlaps_in_random_graphs(model: Model) -> None:
    drawn = read(svg(model))
    assert overlaps(drawn) == []
    assert len(drawn.nodes) == len(model.variables)
    assert len(drawn.labels) == len(model.factors)


def test_the_check_finds_what_overlaps() -> None:
    """The second opinion is no yes-man."""
    model = load(EXAMPLES[0], Report())
    assert model is not None
    drawn = read(svg(model))
    name, place = next(iter(drawn.nodes.items()))
    drawn.labels["moved"] = place
    assert any("moved" in told and name in told for told in overlaps(drawn))


@pytest.mark.parametrize("name", ["Swapped", "Turned", "Perfect", "Both", "Less", "Renamed", "Warmer"])
def test_moves_keep_places(name: str) -> None:
    one, other = (parse(FOUR, Report(), model=m) for m in ("A", name))
    assert one is not None and other is not None
    before, after = read(svg(one)).nodes, read(svg(other)).nodes
    assert list(before.values()) == list(after.values())
    assert overlaps(read(svg(other))) == []


def test_the_symmetric_pair_has_one_page() -> None:
    """InfoGAN and the VAE that its swapped arrows are lie on pages of one size; marks and shades differ."""
    found = [load(p, Report()) for p in EXAMPLES if p.stem in ("infogan", "vae", "aavae")]
    pages = [read(svg(m)) for m in found if m is not None]
    assert len(pages) == 3
    assert len({p.view for p in pages}) == 1
    # The group's name on the blue label differs (q_phi, q_*), the arcs do not.
    assert len({tuple(p.nodes.values()) for p in pages}) == 1


@settings(max_examples=15, deadline=None)
@given(models(), st.data())
def test_moves_keep_places_in_random_graphs(model: Model, data: st.DataObject) -> None:
    names = [v.name for v in model.variables if v.name != "y"]
    if len(names) < 2:
        return
    a, b = data.draw(st.permutations(names))[:2]
    try:
        moved = algebra.swap_arrows(algebra.swap(model, a, b))
    except SchematicError:
        return  # the move itself is refused, which is not the drawing's business
    assert list(read(svg(model)).nodes.values()) == list(read(svg(moved)).nodes.values())


def test_data_stand_to_the_right_and_the_indicator_below() -> None:
    model = load(next(p for p in EXAMPLES if p.stem == "infogan"), Report())
    assert model is not None
    nodes = read(svg(model)).nodes
    assert nodes["x"][0] > nodes["z"][2]
    assert nodes["y"][1] > max(nodes["x"][3], nodes["z"][3])


def test_a_chain_of_levels_is_level() -> None:
    levels = tuple(Variable(f"z{i}", Type("real", (4,))) for i in range(4))
    x = Variable("x", Type("real", (4,)), Data(("x",)))
    names = [*(v.name for v in levels), "x"]
    arrows = tuple(Factor(f"p_theta.{i}", (a,), b, "generative") for i, (a, b) in enumerate(pairwise(names)))
    nodes = read(svg(Model("Deep", (*levels, x), arrows))).nodes
    tops = [n[1] for n in nodes.values()]
    assert max(tops) - min(tops) < 2
    assert [n[0] for n in nodes.values()] == sorted(n[0] for n in nodes.values())

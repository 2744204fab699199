"""What a drawing says: shades, marks, labels; and its formats."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from svg_geometry import NS, overlaps, read
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from schematic.core.diagnostics import Report
from schematic.graph.build import load, parse
from schematic.graph.model import AnyModel, Factor, Model, Prior, Sum, Type, Variable
from schematic.render.drawing import FORMATS, dot, draw, pdf, png, render, svg, tikz
from schematic.render.picture import label, picture

ROOT = Path(__file__).parents[2]


def example(name: str) -> Model:
    model = load(ROOT / "examples" / f"{name}.sg", Report())
    assert isinstance(model, Model)
    return model


def shades(model: Model) -> dict[str, str]:
    return {n.name: n.shade for n in picture(model).nodes}


class Svg(SingleFileSnapshotExtension):
    file_extension = "svg"


class Dot(SingleFileSnapshotExtension):
    file_extension = "dot"


# --- what is drawn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "visible", "latent"),
    [
        ("gan", "zy", "x"),  # Figure 1(c): "we have interpreted x as a latent variable and (z, y) as visible"
        ("infogan", "zy", "x"),
        ("vae", "x", "zy"),  # inverted treatments of (z, y) and x, section 3.4
        ("aavae", "x", "zy"),
        ("aae", "xy", "z"),
        ("ada", "zty", "x"),
        ("bigan", "y", "xz"),
        ("cgan", "zcy", "x"),
        ("cvae", "xc", "z"),
        ("vae_direct", "x", "z"),
    ],
)
def test_shades_are_the_papers(name: str, visible: str, latent: str) -> None:
    assert shades(example(name)) == dict.fromkeys(visible, "visible") | dict.fromkeys(latent, "latent")


def test_a_prior_alone_is_latent_in_a_plain_generative_model_and_partial_is_half_shaded() -> None:
    text = """model M { x : real(4) = data  z : real(4) ~ Normal(0, 1)  t : category(3) = data partial  h : real(4)
      p_theta : z, t -> x  q_eta : x --> t  p_omega : x => h }"""
    model = parse(text, Report())
    assert isinstance(model, Model)
    assert shades(model) == {"x": "visible", "z": "latent", "t": "partial", "h": "latent"}


MARKS = {  # glyph: (dashes, lines of the shaft, blue)
    "->": (False, 1, False),
    "-->": (True, 1, False),
    "=>": (False, 2, False),
    "==>": (True, 2, False),
    "~>": (False, 1, True),
    "~~>": (True, 1, True),
}


@pytest.mark.parametrize("mark", MARKS)
def test_marks(mark: str) -> None:
    dashed, lines, blue = MARKS[mark]
    process = "inference" if mark in ("-->", "==>", "~~>") else "generative"
    factor = Factor("q_phi", ("x",), "y", process, "=" in mark, "~" in mark)
    assert factor.mark == mark
    x, y = Variable("x", Type("real", (4,))), Variable("y", Type("domain", values=("a", "b")))
    root = ElementTree.fromstring(svg(Model("M", (x, y), (factor,))))
    group = next(g for g in root.findall(f"{NS}g") if g.get("class") == "factor")
    shapes = [p for p in group.findall(f"{NS}path") if not p.get("aria-label")]
    shafts = [p for p in shapes if not p.get("d", "").endswith("Z")]
    head = next(p for p in shapes if p.get("d", "").endswith("Z"))
    assert len(shafts) == lines
    assert all(("stroke-dasharray" in p.attrib) == dashed for p in shafts)
    assert {p.get("stroke") for p in shafts} == {"#1f4fd8" if blue else "#000000"}
    assert (head.get("fill") == "none") == ("=" in mark)
    assert "stroke-dasharray" not in head.attrib
    # The tip points at y and stands outside it.
    assert overlaps(read(svg(Model("M", (x, y), (factor,))))) == []


def test_labels_are_mathematics() -> None:
    infogan, vae = example("infogan"), example("vae")
    found = {f.name: label(infogan, f) for f in infogan.factors}
    assert found["q_eta"].tex == r"q_{\eta}(\mathbf{z} \mid \mathbf{x}, y)"
    assert found["q_phi"].tex == r"q_{\phi}^{(r)}(y \mid \mathbf{x})"
    assert found["q_phi"].text == "q_φ^(r)(y|x)"
    assert label(vae, vae.factor("q_phi")).tex == r"q_{*}^{(r)}(y \mid \mathbf{x})"


def test_a_factor_with_several_parents_has_an_arrow_from_each_and_one_label() -> None:
    drawn = picture(example("infogan"))
    assert len(drawn.labels) == 3
    ends = [(a.source, a.target) for a in drawn.arrows if a.factor == 0]
    assert ends == [(1, 0), (2, 0)]
    assert svg(example("infogan")).count('aria-label="p_θ(x|z, y)"') == 1


def test_the_same_conditional_twice_is_drawn_once() -> None:
    x, z = Variable("x", Type("real", (4,))), Variable("z", Type("real", (4,)), prior=Prior("Normal", (0.0, 1.0)))
    twice = (Factor("p_theta.a", ("z",), "x", "generative"), Factor("p_theta.b", ("z",), "x", "generative"))
    drawn = picture(Model("M", (x, z), twice))
    assert len(drawn.arrows) == len(drawn.labels) == 1


def test_learned_priors_self_arrows_chains_and_lone_variables_are_drawn() -> None:
    z = Variable("z", Type("binary", (4,)), index=(1, 1000))
    x, lone = Variable("x", Type("real", (4,))), Variable("lone", Type("real"))
    factors = (
        Factor("p_theta", (), "x", "generative"),
        Factor("p_omega", ("z",), "z", "generative", shifts=(0, -1)),
        Factor("q_phi", ("x",), "x", "generative", adversarial=True, each=True),
    )
    drawn = svg(Model("M", (x, z, lone), factors))
    assert overlaps(read(drawn)) == []
    assert 'aria-label="p_ω(z_t-1|z_t)"' in drawn
    assert 'aria-label="q_φ^(r)(x_i|x_-i)"' in drawn


def test_a_sum_draws_each_terms_arrows() -> None:
    infogan, vae = example("infogan"), example("vae")
    total = Sum("Both", ((1.0, vae), (0.1, infogan)))
    drawn = svg(total)
    assert drawn.count('class="node"') == 6
    assert drawn.count('class="factor"') == 6
    assert drawn.count('class="sign"') == 1
    panels = [dict(shades(m)) for m in (vae, infogan)]
    assert panels[0]["x"] != panels[1]["x"]


def test_drawings_are_for_light_and_dark_pages() -> None:
    drawn = svg(example("infogan"))
    assert "@media (prefers-color-scheme: dark)" in drawn
    assert 'fill="#d0d0d0"' in drawn
    rules = re.findall(r"\.([sf]-\w+)\{", drawn)
    classes = {c for text in re.findall(r'class="([^"]*)"', drawn) for c in text.split() if c[1:2] == "-"}
    assert classes <= set(rules)
    assert "<rect" not in drawn  # no background: the page shows through


# --- formats ----------------------------------------------------------------------------------------------


def test_golden_drawings(snapshot: SnapshotAssertion) -> None:
    for name in ("infogan", "vae", "aae"):
        assert svg(example(name)).encode() == snapshot(name=name, extension_class=Svg)
    assert dot(example("infogan")).encode() == snapshot(name="graph", extension_class=Dot)


def test_the_same_bytes_in_every_process() -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from schematic.core.diagnostics import Report\n"
        "from schematic.graph.build import load; from schematic.render.drawing import FORMATS, draw\n"
        "m = load(Path('examples/ada.sg'), Report())\n"
        "data = [draw(m, k) for k in FORMATS]\n"
        "print(hashlib.sha256(b''.join(d.encode() if isinstance(d, str) else d for d in data)).hexdigest())\n"
        "assert 'torch' not in sys.modules and 'networkx' not in sys.modules"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_png_has_the_size_of_the_drawing_and_a_white_ground() -> None:
    model = example("gan")
    drawn = read(svg(model))
    data = png(model, 2.0)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == (2 * drawn.width, 2 * drawn.height)
    assert first_pixel(data)[:3] == (255, 255, 255)


def first_pixel(data: bytes) -> tuple[int, ...]:
    """The first pixel of a PNG: every filter but None predicts it from zeros."""
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return tuple(zlib.decompress(packed)[1:4])


def test_pdf_is_well_formed() -> None:
    """Its table points at its objects, and its one page fills and strokes what the SVG has."""
    model = example("infogan")
    data = pdf(model)
    assert data.startswith(b"%PDF-1.4") and data.endswith(b"%%EOF\n")
    table = int(re.findall(rb"startxref\n(\d+)", data)[0])
    assert data[table : table + 4] == b"xref"
    for n, start in enumerate(re.findall(rb"(\d{10}) 00000 n", data), 1):
        assert data[int(start) :].startswith(b"%d 0 obj" % n)
    content = zlib.decompress(re.findall(rb"stream\n(.*)\nendstream", data, re.DOTALL)[0]).decode()
    paints = [line for line in content.splitlines() if line in ("f", "S", "B")]
    assert len(paints) == svg(model).count("<path")
    assert "0.12 0.31 0.85 RG" in content


def test_dot_has_the_marks_and_the_places() -> None:
    text = dot(example("infogan"))
    assert "style=dashed" in text and '"black:invis:black"' in text and '"#1f4fd8"' in text and '"#d0d0d0"' in text
    places = dict(re.findall(r"\t(\w+) \[.*pos=\"([^\"]+)!\"", text))
    x, z, y = (tuple(map(float, places[n].split(","))) for n in "xzy")
    assert x[1] == z[1] > y[1] and z[0] < y[0] < x[0]


def test_tikz_leaves_formulas_to_latex() -> None:
    text = tikz(example("vae"))
    assert text.count(r"\begin{tikzpicture}") == text.count(r"\end{tikzpicture}") == 1
    assert r"$q_{*}^{(r)}(y \mid \mathbf{x})$" in text
    assert text.count("{") == text.count("}")


def test_render_writes_every_format_and_names_them(tmp_path: Path) -> None:
    model: AnyModel = example("vae_direct")
    for kind in FORMATS:
        path = render(model, tmp_path / f"vae.{kind}")
        expected = draw(model, kind)
        assert path.read_bytes() == (expected.encode() if isinstance(expected, str) else expected)
    with pytest.raises(ValueError, match=r"svg, png, pdf, dot, tex"):
        render(model, tmp_path / "vae.jpeg")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == sorted(f".{k}" for k in FORMATS)


def test_formulas_leave_the_engines_settings_alone() -> None:
    from ziamath.config import config

    before = config.svg2
    for value in (True, False):
        config.svg2 = value
        svg(example("gan"))
        assert config.svg2 is value
    config.svg2 = before


def test_every_label_is_said_to_who_cannot_see_it() -> None:
    for name in ("infogan", "bigan", "two_level_vae"):
        root = ElementTree.fromstring(svg(example(name)))
        for group in root.findall(f"{NS}g"):
            title = group.find(f"{NS}title")
            assert title is not None and title.text
            assert any(p.get("aria-label") for p in group.findall(f"{NS}path"))

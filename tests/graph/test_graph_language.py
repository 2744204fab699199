"""The forms of the language, as its users will write them, are models without a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from schematic.core.diagnostics import Report
from schematic.graph.build import load_all
from schematic.graph.model import AnyModel, Data, Model, Net, Optimizer, Prior, Sum

FIRST = """# InfoGAN (Chen et al., 2016): Figure 3(a), Eq. 15 of the paper.
model InfoGAN {
  x : unit(1, 8, 8) = data("image")      # a given distribution: the data set's field (the embedded digits)
  z : real(16)      ~ Normal(0, 1)       # a given distribution: an explicit prior
  y : domain(fake, real)                 # the domain indicator, uniform

  p_theta : z, y ==> x
  q_phi   : x     ~> y
  q_eta   : x, y  -> z = Normal(mlp(128))
}
"""
HALF = """model Half {
  x : unit(3, 32, 32) = data("horses/image")
  z : unit(3, 32, 32) = data("zebras/image")
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y
  q_eta : x, y -> z = Laplace(resnet(64, blocks: 6), scale: 0.1)
}
train { data = sets(horses: "h2z_a", zebras: "h2z_b") }
"""
HELMHOLTZ = """model Helmholtz {
  x : binary(8, 8) = data("bits")
  h : binary(16) ~ Bernoulli(0.5)
  p_theta : h -> x
  q_lambda : x --> h
}
"""
ALGEBRA = """use "infogan.sg"  use "half.sg"  use "helmholtz.sg"

model GAN      = InfoGAN without q_eta
model AAE      = swap(InfoGAN, x, z)
model AAVAE    = swap_arrows(InfoGAN)
model VAE      = perfect(AAVAE, q_phi)
model IWGAN    = importance(GAN)
model IWAE     = importance(VAE, 16)
model VAEGAN   = VAE + 0.1 * GAN
model CycleGAN = Half + swap(Half, x, z)
model Tempered = AAVAE { q_phi : x ~~> y = dcgan(64) temperature 1.5 }
model Warmer   = AAVAE { q_phi = dcgan(64) temperature 3 }
model WS       = wake_sleep(Helmholtz)
model Both     = VAE + 0.1 * GAN without q_phi
"""


def clean(path: Path) -> dict[str, AnyModel]:
    report = Report()
    models = load_all(path, report)
    assert not list(report), "\n".join(d.render() for d in report)
    return {m.name: m for m in models}


@pytest.fixture(scope="module")
def algebra(tmp_path_factory: pytest.TempPathFactory) -> dict[str, AnyModel]:
    folder = tmp_path_factory.mktemp("algebra")
    for name, text in (("infogan", FIRST), ("half", HALF), ("helmholtz", HELMHOLTZ), ("moves", ALGEBRA)):
        (folder / f"{name}.sg").write_text(text, encoding="utf-8")
    return clean(folder / "moves.sg")


def marks(model: AnyModel) -> str:
    terms = [m for _, m in model.terms] if isinstance(model, Sum) else [model]
    return "; ".join(", ".join(f"{f.name} {f.mark} {f.target}" for f in m.factors) for m in terms)


ARROWS = {
    "GAN": "p_theta ==> x, q_phi ~> y",
    "AAE": "q_eta ==> z, q_phi ~> y, p_theta -> x",
    "AAVAE": "p_theta -> x, q_phi ~~> y, q_eta --> z",
    "VAE": "p_theta -> x, q_phi ~~> y, q_eta --> z",
    "IWGAN": "p_theta ==> x, q_phi ~> y",
    "IWAE": "p_theta -> x, q_phi ~~> y, q_eta --> z",
    "VAEGAN": "p_theta -> x, q_phi ~~> y, q_eta --> z; p_theta ==> x, q_phi ~> y",
    "CycleGAN": "p_theta ==> x, q_phi ~> y, q_eta -> z; q_eta ==> z, q_phi.z ~> y, p_theta -> x",
    "Tempered": "p_theta -> x, q_phi ~~> y, q_eta --> z",
    "WS": "p_theta -> x, q_lambda --> h",
    "Both": "p_theta -> x, q_phi ~~> y, q_eta --> z; p_theta ==> x",
}


@pytest.mark.parametrize(("name", "drawn"), ARROWS.items())
def test_the_moves_of_the_paper(algebra: dict[str, AnyModel], name: str, drawn: str) -> None:
    assert marks(algebra[name]) == drawn


def test_what_the_moves_keep(algebra: dict[str, AnyModel]) -> None:
    vae, iwgan, iwae, ws = (algebra[n] for n in ("VAE", "IWGAN", "IWAE", "WS"))
    assert isinstance(vae, Model) and isinstance(iwgan, Model) and isinstance(iwae, Model) and isinstance(ws, Model)
    assert vae.factor("q_phi").perfect and not iwgan.factor("q_phi").perfect
    assert (iwgan.importance, iwae.importance, vae.importance) == (0, 16, None)
    assert ws.wake_sleep
    warmer, vaegan = algebra["Warmer"], algebra["VAEGAN"]
    assert isinstance(warmer, Model) and isinstance(vaegan, Sum)
    assert warmer.factor("q_phi").temperature == 3 and warmer.factor("q_phi").mark == "~~>"
    assert [c for c, _ in vaegan.terms] == [1, 0.1] and vaegan.labels == ("VAE", "GAN")
    assert algebra["CycleGAN"].train.data == (("horses", "h2z_a"), ("zebras", "h2z_b"))


def test_the_settings_of_training(tmp_path: Path) -> None:
    block = 'train { data = "mnist"  batch = 64  epochs = 20  phi = adam(2e-4, 0.5, 0.999)  theta, eta = adam(1e-3) }'
    text = FIRST + block
    (tmp_path / "m.sg").write_text("\ufeff" + text.replace("\n", "\r\n"), encoding="utf-8")
    train = clean(tmp_path / "m.sg")["InfoGAN"].train
    assert (train.data, train.batch, train.epochs) == ("mnist", 64, 20)
    slow, fast = Optimizer("adam", 2e-4, (0.5, 0.999)), Optimizer("adam", 1e-3)
    assert train.optimizers == (("phi", slow), ("theta", fast), ("eta", fast))


FORMS = """
net F in theta, eta = mlp(8)
net V = python("lpips:VGG") fixed
model M {
  x : unit(1, 28, 28) = data  y : domain(usps, mnist)
  w : unit(1, 16, 16) = data("usps/image", "mnist/image") given y
  t : category(10) ~ Categorical = data("label") partial   u : category(10) = data("label2") partial ~ Categorical
  a : real ~ Uniform(-1, 1)  b : real(2) ~ Laplace(0, 1)  c : binary(3) ~ Bernoulli(0.5)
  z[1..1000] : real(3, 32, 32)  z[1000] : real(3, 32, 32) ~ Normal(0, 1)

  p_theta.t : z[t] -> z[t-1]
  p_theta.1 : a, c -> x
  p_theta : -> b
  net D = patchgan(64)
  q_phi : x, w ~> y = D perfect
  q_eta : a
    -> t = F  # an array of parents, a statement on two lines
    weight 50 when y = mnist
  p_eta : a -> u = F fixed
  q_xi : x --> c = Bernoulli(conv(8, 16,),) gradient straight_through beta 0.5
  p_xi : x -> w = V
}
"""


def test_the_other_forms(tmp_path: Path) -> None:
    (tmp_path / "m.sg").write_text(FORMS)
    model = clean(tmp_path / "m.sg")["M"]
    assert isinstance(model, Model)
    assert model.variable("w").data == Data(("usps/image", "mnist/image"), "y")
    assert model.variable("t").prior == Prior("Categorical") and model.variable("u").partial
    assert model.variable("z").index == (1, 1000) and model.variable("z[1000]").index == (1000, 1000)
    assert model.factor("p_theta.t").shifts == (0, -1)
    assert model.groups == ("theta", "phi", "eta", "xi")
    assert model.factor("q_eta").when == 1
    assert [n.name for n in model.nets] == ["F", "V", "D"]
    assert model.net("V").net == Net("python", ("lpips:VGG",))


def test_a_names_case_and_words_inside_it_count(tmp_path: Path) -> None:
    (tmp_path / "m.sg").write_text(
        "model model1 { X : real = data  x : real  p_weigh : X -> x  q_uses : x --> X }\nmodel M = model1"
    )
    assert marks(clean(tmp_path / "m.sg")["M"]) == "p_weigh -> x, q_uses --> X"

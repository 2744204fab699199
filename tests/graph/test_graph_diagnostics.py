"""Every diagnostic of the graph room: its code and exactly the place that it marks, ⟦so⟧, and nothing else.

A text without marks is the near miss beside it: it has no finding at all.
"""

# ruff: noqa: E501 (one slip a line)
from __future__ import annotations

import re
from pathlib import Path

import pytest

from schematic.core.diagnostics import Report, in_order
from schematic.graph import build
from schematic.graph.build import parse
from schematic.graph.codes import CODES

GAN = """model GAN {
  x : unit(1, 8, 8) = data("image")
  z : real(16) ~ Normal(0, 1)
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y
}
"""
INFOGAN = """model InfoGAN {
  x : unit(1, 8, 8) = data("image")
  z : real(16) ~ Normal(0, 1)
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y
  q_eta : x, y -> z = Normal(mlp(128))
}
"""


def block(statements: str) -> str:
    """A model with x, z, y, a hidden h and these statements; every variable is mentioned."""
    return f"""model M {{
  x : unit(1, 8, 8) = data("image")
  z : real(16) ~ Normal(0, 1)
  h : binary(4)
  y : domain(fake, real)
  p_a : z -> h
  q_b : x ~> y
  {statements}
}}
"""


def findings(marked: str) -> tuple[list[tuple[str, int, int]], list[str]]:
    report = Report()
    parse(re.sub("[⟦⟧]", "", marked), report)
    found = in_order(report)
    return [(d.code, d.span.start, d.span.end) for d in found], [d.render() for d in found]


def places(marked: str) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    opened = 0
    for number, match in enumerate(re.finditer("[⟦⟧]", marked)):
        at = match.start() - number
        if match.group() == "⟦":
            opened = at
        else:
            result.append((opened, at))
    return result


# --- one slip, one finding -------------------------------------------------------------------------------------

SLIPS = [
    # names
    ("SG101", block("p_c : ⟦zz⟧ -> x"), "did you mean `z`?"),
    ("SG101", block("p_c : z -> ⟦xx⟧"), "no variable `xx` in M"),
    ("SG102", block("w : ⟦rael⟧(3)"), "did you mean `real`?"),
    ("SG103", block("⟦z⟧ : real(3)"), "first on line 3"),
    ("SG103", block("net F = linear  net ⟦F⟧ = mlp(3)"), "`F` is declared twice"),
    ("SG103", GAN + GAN.replace("GAN", "⟦GAN⟧"), "first on line 1"),
    ("SG103", "net F = mlp(4)\nnet ⟦F⟧ = mlp(5)\n" + GAN, "first on line 1"),
    ("SG104", block("⟦theta⟧ : z -> x"), "`p_theta`"),
    ("SG104", block("⟦p_⟧ : z -> x"), "p_GROUP"),
    ("SG104", block("⟦p_batch⟧ : z -> x"), "setting of `train`"),
    ("SG104", block("⟦q_weight.x⟧ : z -> x"), "word of the language"),
    ("SG103", block("p_c : real  q_c : p_c -> h  ⟦p_c⟧ : z -> x"), "declared twice"),
    ("SG103", block("net w = mlp(3)  ⟦w⟧ : real  p_c : w -> x").replace("net w", "net ⟦w⟧").replace("⟦w⟧ : ", "w : "), "twice"),
    ("SG105", block("⟦p_a⟧ : z -> x"), "`p_a.x` shares its group"),
    ("SG106", block("p_a.t : z -> x  ⟦p_a_t⟧ : h -> x"), "one name in the program"),
    ("SG107", block("p_c : z -> x when y = ⟦reel⟧"), "did you mean `real`?"),
    ("SG107", block("p_c : z -> x when ⟦h⟧ = real"), "`h` is not the domain indicator"),
    ("SG109", INFOGAN + "model G = ⟦InfoGan⟧ without q_eta", "did you mean `InfoGAN` (<text>:1)?"),
    ("SG109", "model A = ⟦GAN⟧ without q_phi\n" + GAN, "declared further down"),
    ("SG109", block("p_c : z -> x = ⟦F⟧  net F = dcgan(8)"), "declared further down"),
    ("SG110", block("p_c : z -> x = ⟦dcgam⟧(64)"), "did you mean `dcgan`?"),
    ("SG110", block("p_c : z -> x = Normal(⟦mpl⟧(4))"), "no network `mpl`"),
    ("SG110", block("p_c : z -> x = Normal(mlp(4), ⟦0.1⟧)"), "scale: 0.1"),
    ("SG110", block("p_c : z -> x = Normal(mlp(4), ⟦scael⟧: 0.1)"), "no option `scael`"),
    ("SG110", block("p_c : z -> x = ⟦Uniform⟧(mlp(4))"), "not a network"),
    ("SG110", block("w : real ~ ⟦Norml⟧(0, 1)  p_c : w -> x"), "did you mean `Normal`?"),
    ("SG110", block("net F = mlp(4)  p_c : z -> h = ⟦F()⟧"), "takes nothing"),
    ("SG110", block("net F = ⟦Normal⟧(mlp(4))"), "is a family"),
    ("SG110", block("p_c : z -> h = python(⟦\"os.system('x')\"⟧)"), "package.module:Name"),
    ("SG111", block("⟦mlp⟧ : real(3)  p_c : z -> h"), "cannot be redefined"),
    ("SG111", block("net ⟦Normal⟧ = mlp(3)"), "is a family"),
    ("SG111", GAN + "model ⟦swap⟧ = GAN", "is a move"),
    ("SG112", block('w : real = data(⟦"a/b/c"⟧)  p_c : w -> h'), '"set/field"'),
    ("SG113", block("train { batch = 3  ⟦batch⟧ = 4 }"), "set twice"),
    ("SG114", block("p_c : z -> x = Normal(mlp(4), scale: ⟦0⟧)"), "positive"),
    ("SG114", block("q_c : z ~> y temperature ⟦0⟧"), "temperature is positive"),
    ("SG114", block("p_c : z -> h weight ⟦-1⟧"), "zero or positive"),
    ("SG114", block("q_c : x --> h gradient ⟦gumbel⟧"), "gumbel(0.5)"),
    ("SG115", block("p_c : z -> h ⟦perfect⟧"), "belongs to a blue arrow"),
    ("SG115", block("p_c : z -> h ⟦divergence hinge⟧"), "belongs to a blue arrow"),
    ("SG115", block("p_c : z -> h ⟦temperature 2⟧"), "belongs to a blue arrow"),
    ("SG115", block("q_c : z ~> y ⟦when y = real⟧"), "tells the domains apart"),
    ("SG115", block("q_c : x ==> h ⟦weight 2⟧"), "no term of its own"),
    ("SG115", block("q_c : x -> h ⟦beta 2⟧"), "`beta` weighs"),
    ("SG115", block("q_c : x --> z ⟦gradient enumerate⟧"), "discrete variable"),
    ("SG115", block("q_c : x -> h ⟦gradient enumerate⟧"), "a factor that draws"),
    ("SG115", block("q_c : x ==> h ⟦gradient enumerate⟧"), "a factor that draws"),
    ("SG115", block("net F = mlp(3) ⟦weight 2⟧"), "belongs to a factor"),
    ("SG116", block("q_c : x --> h gradient ⟦reinforced⟧"), "did you mean `reinforce`?"),
    ("SG116", block("q_c : z ~> y divergence ⟦hing⟧"), "did you mean `hinge`?"),
    ("SG117", block("train { ⟦aa⟧ = adam(1e-3) }"), "no group `aa`"),
    ("SG117", block("train { a = ⟦adm⟧(1e-3) }"), "did you mean `adam`?"),
    ("SG117", block("train { data = sets(⟦horses⟧: \"a\") }"), "of a set `horses`"),
    ("SG117", block("net F in ⟦psi⟧ = mlp(3)"), "M has no group `psi`"),
    ("SG118", block("train { batch = ⟦0⟧ }"), "positive whole number"),
    ("SG118", block("train { epochs = ⟦1.5⟧ }"), "positive whole number"),
    ("SG118", block("train { a = adam(⟦-1⟧) }"), "a rate is positive"),
    ("SG118", block("train { a = adam(1e-3, ⟦1⟧) }"), "[0, 1)"),
    ("SG118", block("train { a = adam(1e-3, steps: ⟦0⟧) }"), "`steps: 5`"),
    ("SG118", block("train { a = adam(1e-3, clip: ⟦0⟧) }"), "`clip: 1`"),
    ("SG118", block("train { a = sgd(1e-3, average: ⟦1⟧) }"), "between 0 and 1"),
    ("SG118", block("train { a = rmsprop(1e-3, warmup: ⟦0.5⟧) }"), "`warmup: 500`"),
    ("SG118", block('train { a = adam(1e-3, schedule: ⟦"cosine"⟧) }'), "one of constant, linear, cosine"),
    ("SG117", block("train { a = adam(1e-3, schedule: ⟦cosin⟧) }"), "did you mean `cosine`?"),
    ("SG117", block("train { a = adam(1e-3, ⟦averag⟧: 0.9) }"), "did you mean `average`?"),
    ("SG118", block("train { a = ⟦sgd(0.1, 0.9)⟧ }"), "takes its rate"),
    ("SG118", block("train { data = ⟦3⟧ }"), "`data` is a source"),
    ("SG119", GAN + "model S = ⟦swop⟧(GAN, x, z)", "did you mean `swap`?"),
    # types and given distributions
    ("SG201", block("w : unit(1, 28, ⟦0⟧)"), "positive whole number"),
    ("SG201", block("w : real(⟦2.5⟧)"), "positive whole number"),
    ("SG201", block("w : ⟦category⟧"), "how many classes?"),
    ("SG201", "model M { y : ⟦domain(a)⟧ }", "at least two values"),
    ("SG201", "model M { y : domain(a, ⟦a⟧) }", "said twice"),
    ("SG202", block("w : real(28, 28)  p_c : z -> w = ⟦dcgan(64)⟧"), "needs an image"),
    ("SG202", block("p_c : z -> h = ⟦mlp(0)⟧"), "positive whole numbers"),
    ("SG202", block("p_c : z -> h = ⟦table⟧"), "not finite"),
    ("SG202", block("p_c : z -> h = mlp(⟦mlp(3)⟧)"), "takes numbers"),
    ("SG202", block("net F = mlp(4)  p_c : z -> h = F  p_c.2 : x -> h = ⟦F⟧"), "one body"),
    ("SG202", block("net F = resnet(8)  p_c : z -> h = ⟦F⟧"), "`F` (line 8): `resnet` needs an image"),
    ("SG203", "model M { x : unit(1,28,28) ⟦~ Normal(0, 1)⟧  p_a : -> x }", "Normal is not on [0, 1]"),
    ("SG203", block("w : binary ⟦~ Uniform(0, 1)⟧  p_c : w -> h"), "{0, 1}"),
    ("SG203", block("w : category(3) ⟦~ Normal(0, 1)⟧  p_c : w -> h"), "~ Categorical"),
    ("SG203", block("w : real ~ Normal(0, ⟦0⟧)  p_c : w -> h"), "standard deviation is positive"),
    ("SG203", block("w : real ~ ⟦Normal(0)⟧  p_c : w -> h"), "mean and standard deviation"),
    ("SG203", block("w : real ~ ⟦Uniform(1, 1)⟧  p_c : w -> h"), "empty"),
    ("SG203", block("w : binary ~ Bernoulli(⟦2⟧)  p_c : w -> h"), "between 0 and 1"),
    ("SG203", block("q_c : x -> z = ⟦Bernoulli(mlp(4))⟧"), "does not hold real(16)"),
    ("SG203", block("q_c : x -> h = ⟦Categorical(mlp(4))⟧"), "does not hold binary(4)"),
    ("SG205", 'model M { z : real = data(⟦"A", "B"⟧)  p_a : z -> x  x : real }', "two fields but no domain"),
    ("SG205", block('w : real = data("a", "b") given ⟦z⟧  p_c : w -> h'), "not the domain indicator"),
    ("SG205", block('w : real = data(⟦"a", "b", "c"⟧) given y  p_c : w -> h'), "three fields for 2 domains"),
    ("SG206", block("q_c : x ⟦~>⟧ z"), "`z` is real(16)"),
    ("SG206", block("q_c : x ⟦==>⟧ y"), "domain indicator"),
    ("SG206", block("q_c : x ⟦-->⟧ y"), "domain indicator"),
    ("SG206", block("q_c : ⟦~>⟧ y"), "compares its parents"),
    ("SG207", block("net ⟦D⟧ = mlp(8)  q_c : x -> h = D  q_d : x -> z = D then mlp(4)"), "who trains it?"),
    ("SG208", GAN + "model N = GAN { net ⟦A⟧ = B then mlp(3)  net B = A then mlp(3) }", "made of itself"),
    ("SG209", block("p_c : z, ⟦z⟧ -> h"), "a parent twice"),
    ("SG209", block("p_c : ⟦h⟧ -> h"), "its own parent"),
    ("SG213", block('w : real(3) ⟦= data("image")⟧  p_c : w -> h'), "one shape"),
    ("SG214", block("q_c : ⟦h.rest⟧ ~> h"), "stand together"),
    ("SG214", block("q_c : z.rest ~> ⟦z.each⟧"), "no bound"),
    ("SG214", block("q_c : h.⟦rset⟧ ~> h.each"), "did you mean `rest`?"),
    ("SG216", block("p_c : z⟦[t]⟧ -> h"), "not a chain"),
    ("SG216", block("w[1..5] : real  p_c : w⟦[9]⟧ -> h"), "from 1 to 5"),
    ("SG216", block("w⟦[5..1]⟧ : real  p_c : w -> h"), "empty"),
    ("SG216", block("⟦w⟧[5] : real"), "no chain `w`"),
    ("SG216", block("w[1..5] : real  p_c : w[t] -> w⟦[s]⟧"), "one letter"),
    ("SG217", block('w : real = data("w") ⟦~ Normal(0, 1)⟧  p_c : w -> h'), "two given"),
    ("SG217", block("w : real = data ⟦partial⟧  p_c : w -> h"), "uniform one"),
    ("SG217", block("w : real ~ Normal(0, 1) ⟦partial⟧  p_c : w -> h"), "has none"),
    ("SG217", "model M { y : domain(a, b) ⟦~ Bernoulli(0.5)⟧ }", "uniform"),
    ("SG218", block("⟦w⟧ : domain(a, b)"), "one domain indicator"),
    # moves
    ("SG301", INFOGAN + "model S = swap(InfoGAN, x, ⟦w⟧)", "InfoGAN has no variable `w`"),
    ("SG301", INFOGAN + "model S = InfoGAN without ⟦q_et⟧", "did you mean `q_eta`?"),
    ("SG301", INFOGAN + "model S = perfect(InfoGAN, ⟦q_fi⟧)", "did you mean `q_phi`?"),
    ("SG301", INFOGAN + "model S = rename(InfoGAN, ⟦w⟧, v)", "no variable, factor or group"),
    ("SG301", INFOGAN + "model S = InfoGAN { ⟦q_fi⟧ = mlp(3) }", "no factor `q_fi`"),
    ("SG305", INFOGAN + "model S = activate(⟦InfoGAN⟧, q_phi)", "`q_phi` is not perfect in InfoGAN"),
    ("SG305", INFOGAN + "model S = activate(⟦InfoGAN⟧, q_star)", "not perfect"),
    ("SG306", INFOGAN + "model S = perfect(InfoGAN, ⟦q_eta⟧)", "no discriminator"),
    ("SG306", INFOGAN + "model S = swap(InfoGAN, x, ⟦y⟧)", "domain indicator"),
    ("SG306", INFOGAN + "model S = swap(InfoGAN, x, ⟦x⟧)", "named twice"),
    ("SG306", INFOGAN + "model S = swap(InfoGAN, ⟦x⟧)", "takes two variables"),
    ("SG306", INFOGAN + "model S = rename(InfoGAN, x, ⟦z⟧)", "must be new"),
    ("SG306", INFOGAN + "model S = rename(InfoGAN, x, ⟦mlp⟧)", "cannot be a name"),
    ("SG306", INFOGAN + "model S = rename(InfoGAN, theta, ⟦phi⟧)", "must be new"),
    ("SG306", INFOGAN + "model S = rename(InfoGAN, q_eta, ⟦eta⟧)", "p_GROUP or q_GROUP"),
    ("SG306", INFOGAN + "model S = importance(InfoGAN, ⟦0⟧)", "positive whole number"),
    ("SG306", INFOGAN + "model S = rename(InfoGAN, q_eta, ⟦q_batch⟧)", "setting of `train`"),
    ("SG306", "model M { z[1..3] : real  x : real  p_a : z[t] -> z[t-1]  p_b : z -> x } model N = swap(M, x, ⟦z⟧)", "chains"),
    ("SG302", "model M { z : unit(3)  x : real(3)  p_a : z.rest ~> z.each  p_b : z -> x } model N = ⟦swap(M, x, z)⟧", "bound"),
    ("SG307", INFOGAN + "model S = InfoGAN without ⟦z⟧", "used by `p_theta`, `q_eta`"),
    ("SG308", INFOGAN + "model S = ⟦0⟧ * InfoGAN", "positive number"),
    # notes and warnings
    ("SG901", "model M { x : real = data  y : domain(⟦real⟧, fake)  q_a : x ~> y }", "`domain(fake, real)`"),
    ("SG905", INFOGAN + "model V { x : unit(1, 8, 8) = data(\"image\") p_a : -> x } model S = ⟦V + InfoGAN⟧", "different scales"),
    ("SG903", block("⟦w⟧ : real(3)"), "no factor mentions `w`"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "marked", "words"), SLIPS, ids=[f"{c}-{i}" for i, (c, _, _) in enumerate(SLIPS)])
def test_a_slip_has_one_finding_at_its_place(code: str, marked: str, words: str) -> None:
    found, rendered = findings(marked)
    assert found == [(code, *places(marked)[0])], "\n".join(rendered) or "nothing found"
    assert words in rendered[0]


# --- near misses: nothing to find ------------------------------------------------------------------------------

GOOD = [
    block("p_c : z -> x when y = real"),
    block("p_c : -> h"),
    block("p_a.t : z -> x  p_a.h : z -> h  q_a_t : x -> z"),
    block("p_c : z -> x = Normal(dcgan(8), scale: 0.1)"),
    block("p_c : z -> x = Normal"),
    block("p_c : z -> h = Normal(mlp(4))"),
    block("p_c : h -> z = table"),
    block("p_c : z, x -> h = Bernoulli(mlp(4, 4))"),
    block("q_c : z --> h beta 0 weight 0 gradient gumbel(0.5) fixed when y = fake"),
    block("q_c : x --> z beta 4"),
    block("p_c : z => x weight 0.5"),
    block("q_c : z, x ~> y divergence wasserstein(penalty: 0) temperature 0.5 perfect weight 2"),
    block("q_c : z ~> y divergence wasserstein"),
    block("q_c : x -> y"),
    block("w : category(3, 2) ~ Categorical  p_c : w -> h"),
    block("w : category(3, 2)  p_c : h -> w = Categorical(mlp(3))"),
    block("w : real ~ Bernoulli(0.5)  p_c : w -> h"),
    block("w : unit ~ Bernoulli(0.5)  p_c : w -> h"),
    block("w : unit ~ Uniform(0.25, 0.5)  p_c : w -> h"),
    block("w : binary(3) = data partial  p_c : w -> h"),
    block('w : unit(3) ~ Uniform(0, 1) = data("image2") partial  p_c : w -> h'),
    block('w : real(3) = data("a/image", "b/image") given y  p_c : w -> h'),
    block('w : real(1, 8, 8) = data("image")  p_c : w -> h'),
    block("net F = mlp(4)  p_c : z -> h = F  p_c.2 : z -> x = F"),
    block("net F in c = mlp(4)  p_c : z -> h = F  p_d : z -> x = F"),
    block("net F = mlp(4) fixed  p_c : z -> h = F  p_d : z -> x = F"),
    block("net D = conv(8)  q_c : x -> h = D then mlp(4)  q_c.2 : x ~> y = D"),
    block("net F = mlp(4)  net G = linear  p_c : z -> h = F  p_d : z -> x = F then G".replace("net F", "net F in c")),
    block("net F = mlp(4) then linear  p_c : z -> h = F"),
    block('p_c : z -> h = python("my_package.nets:Encoder")'),
    block('net F = python("a:b.c")  p_c : z -> h = F then mlp(3)'),
    block("q_c : h.rest ~> h.each"),
    block("q_c : h.rest, x ~> h.each = mlp(3)"),
    block("w[1..5] : real  p_c : w[t] -> w[t-1]  p_d : w[5] -> h  p_e : w -> z"),
    block("w[1..5] : real  w[5] : real ~ Normal(0, 1)  p_c : w[t] -> w[t-1]"),
    block('train { a, b = adam(1e-3)  epochs = 3  data = "mnist" }'),
    block('w : real = data("s/w")  p_c : w -> h  train { data = sets(s: "a.npz") c = adam(1e-3, 0, 0.9, steps: 5, clip: 1) }'),
    block("net real_D = mlp(3)  fake : real  p_c : fake -> h = real_D"),
    "model M { y : domain(generated, data)  x : real = data  q_a : x ~> y }",
    "model M { y : domain(target, source)  x : real = data  q_a : x ~> y }",
    "model M { y : domain(usps, mnist)  x : real = data  q_a : x ~> y }",
    "model M { p_a : z -> x  x : real  z : real }",
    INFOGAN + "model S = rename(InfoGAN, theta, omega) { train { omega = sgd(1) } }",
    INFOGAN + "model S = rename(InfoGAN, q_eta, q_xi.1)",
    INFOGAN + "model S = activate(perfect(InfoGAN, q_phi), q_phi)",
    INFOGAN + "model S = importance(InfoGAN, 1)",
    INFOGAN + "net D = dcgan(8)  model S = InfoGAN { q_phi = D }",
    "net D in phi = dcgan(8)\n" + GAN.replace("x ~> y", "x ~> y = D"),
]


@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_a_near_miss_has_no_finding(text: str) -> None:
    found, rendered = findings(text)
    assert not found, "\n".join(rendered)


def test_codes_keep_their_meaning() -> None:
    """Every code that the graph room uses is listed with its meaning, and pinned here or in the tests beside."""
    source = "".join(p.read_text() for p in Path(build.__file__).parent.glob("*.py") if p.name != "codes.py")
    used = set(re.findall(r"SG\d{3}", source))
    assert used == set(CODES)

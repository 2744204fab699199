"""Wrong programs: the code, and the marked place. « and » stand around what must be marked."""

from __future__ import annotations

import pytest

from schematic.syntax.codes import CODES
from tests.syntax.reading import read

# Statements of a model; other statements stand on the lines before and after.
IN_A_MODEL = [
    ("SG001", "x : real(3)«;»"),
    ("SG002", "x : real(3) «//» the prior"),
    ("SG003", "x : real = data(«'»image')"),
    ("SG003", "x : real = data(«“»image”)"),
    ("SG004", "p_«θ» : z ==> x"),
    ("SG004", "p_a : z ==> caf«é»"),
    ("SG005", "p_theta : z «→» x"),
    ("SG005", "p_theta : z «⇒» x"),
    ("SG006", "x : real ~ Normal(0, «.5»)"),
    ("SG006", "x : real ~ Normal(0, «5.»)"),
    ("SG006", "p_theta : z -> x weight «.1»"),
    ("SG007", "x : real = data(«\"image»)"),
    ("SG009", "«weight» : real(1)"),
    ("SG009", "«given» : real(1)"),
    ("SG009", "«net» : real(1)"),
    ("SG009", "p_theta : «weight», z -> x"),
    ("SG009", "p_theta : z -> «when»"),
    ("SG009", "p_theta.«fixed» : z -> x"),
    ("SG010", "x : real(3) ~ Normal(0, «1e999»)"),
    ("SG010", "x : real(«" + "9" * 400 + "»)"),
    ("SG011", "q_phi : x ~> y «=»"),
    ("SG011", "q_phi : x ~> y «=» fixed"),
    ("SG011", "x : real(3) «=»"),
    ("SG011", "q_phi «=»"),
    ("SG011", "net F «=»"),
    ("SG011", "train { phi «=» }"),
    ("SG011", "q_a : x -> z «=» p_b : z -> x"),
    ("SG012", "p_theta : z« »y ==> x"),
    ("SG012", "p_theta : z, y« »w ==> x"),
    ("SG012", "p_theta : z[t]« »y ==> x"),
    ("SG012", "x : domain(a« »b)"),
    ("SG012", "x : real(1, 28« »28)"),
    ("SG012", "net F in theta« »eta = mlp(4)"),
    ("SG013", "p_theta : z, y«,» ==> x"),
    ("SG013", "x : real(1«,», 2)"),
    ("SG013", "train { phi«,» = adam(1e-3) }"),
    ("SG014", "«p_theta(x | z, y)» = mlp(4)"),
    ("SG014", "«p_theta(x)»"),
    ("SG015", "q_phi «x» ~> y"),
    ("SG015", "q_phi «x», z ~> y"),
    ("SG015", "q_phi.a «x» ~> y"),
    ("SG015", "x «real»(3)"),
    ("SG015", "«z» -> x"),
    ("SG015", "«z», y -> x"),
    ("SG016", "p_a : z -> h «->» x"),
    ("SG016", "p_a : z, y -> h «==>» x"),
    ("SG017", "q_phi : x «~=>» y"),
    ("SG017", "q_phi : x «<-» y"),
    ("SG017", "q_phi : x «--->» y"),
    ("SG017", "q_phi : x «->>» y"),
    ("SG017", "q_phi : x «-» y"),
    ("SG017", "q_phi : x «==» y"),
    ("SG017", "q_phi : x «-~>» y"),
    ("SG018", "q_eta : x -> y = Normal(mlp(4), scale«=»0.1)"),
    ("SG019", "q_phi : x ~> y perfect «=» mlp(4)"),
    ("SG019", "q_phi : x ~> y when y = real «=» mlp(4)"),
    ("SG020", "q_phi : x ~> y when y «==» real"),
    ("SG020", "x : real «==» data"),
    ("SG021", "z[1..«]» : real"),
    ("SG021", "z[«1.5»] : real"),
    ("SG021", "z[t-«]» : real"),
    ("SG021", "x : real(«,»)"),
    ("SG021", "«p_theta.t» : real(3)"),
    ("SG022", "p : x «&» y --> z"),
    ("SG022", "p : x --> z «?»"),
    ("SG022", "x : real(3)«\0»"),
    ("SG022", "x :«\u00a0»real(3)"),
    ("SG022", "x : real(3) # half: «\ud83d»"),
    ("SG022", "x : real ~ Normal(0, «−»1)"),
    ("SG023", "«p_a__b» : z -> x"),
    ("SG024", "«_x» : real"),
    ("SG024", "x : real(«1_000»)"),
    ("SG024", "x : real(«3a»)"),
    ("SG024", "p_theta : z -> x weight «1.5fixed»"),
    ("SG024", "p_theta.«1.5» : z -> x"),
    ("SG024", "p_theta.«1.t» : z -> x"),
    ("SG024", "p : z.rest«.»x -> y"),
    ("SG024", "x : real ~ Normal(0, «1e»)"),
    ("SG024", "x : real ~ Normal(0, «1.5.2»)"),
    ("SG025", "net F = «D" + " then D" * 100 + "»"),
    ("SG026", "q : x -> y = mlp(4)«)»"),
    ("SG026", "x : real«]»"),
    ("SG027", "q_phi : x ~> y = Normal«(»mlp(4)"),
    ("SG027", "q_phi : x ~> y = Normal«(»mlp(4),"),
    ("SG027", "x : real«(»3 ~ Normal(0, 1)"),
    ("SG027", "x : real«(»3 = data"),
    ("SG027", "p_theta : z«[»t -> x"),
    ("SG028", "x : real ~ Normal(0, 1) «~ Laplace(0, 1)»"),
    ("SG028", "x : real = data ~ Normal(0, 1) «= data(\"a\")»"),
    ("SG028", "x : real ~ Normal(0, 1) partial «partial»"),
    ("SG028", "q : x ~> y = mlp(4) «=» mlp(5)"),
    ("SG028", "q : x ~> y fixed weight 2 «fixed»"),
    ("SG028", "q : x -> y = Normal(scale: 1, «scale»: 2)"),
    ("SG029", "«use» \"x.sg\""),
    ("SG029", "«model» B = A"),
    ("SG029", "«model» B { x : real }"),
    ("SG029", "x : real(3) «weight» 3"),
    ("SG029", "x : real(3) «given» y"),
    ("SG029", "p : z -> x «partial»"),
    ("SG030", "«trian» { batch = 3 }"),
    ("SG031", "x : real = «Normal(0, 1)»"),
    ("SG031", "x : real = «data(3)»"),
    ("SG034", "q_phi : x ~> y «temperature»"),
    ("SG034", "q_phi : x ~> y «gradient»"),
    ("SG034", "q_phi : x ~> y «divergence» = mlp(3)"),
    ("SG034", "q_phi : x ~> y «when» y"),
    ("SG034", "q_phi : x ~> y «when» = real"),
    ("SG034", "q_phi : x ~> y «when» y ="),
    ("SG034", "q_phi : x ~> y = D «then»"),
    ("SG034", "net F «in» = mlp(3)"),
    ("SG034", "x : real = data(\"a\", \"b\") «given»"),
    ("SG035", "q : x -> y = Normal(scale: 3, «mlp(4)»)"),
    ("SG037", "net F« »mlp(3)"),
    ("SG037", "train { phi« »adam(3) }"),
    ("SG037", "train { batch «:» 3 }"),
    ("SG038", "p_theta : z «==>»"),
    ("SG038", "x «:»"),
    ("SG038", "x : real «~»"),
]  # fmt: skip

# Whole files.
FILES = [
    ("SG008", "model M «{»"),
    ("SG008", "model M «{»\n  x : real\nmodel B { y : real }"),
    ("SG008", "model M { train «{» batch = 3\n x : real(3)\n p : x -> z }"),
    ("SG009", "model «weight» = B"),
    ("SG011", "model A «=»"),
    ("SG011", "model A «=»\nmodel B = A"),
    ("SG011", "model A «=» without q"),
    ("SG012", "model A = swap(B« »x, z)"),
    ("SG013", "model A = swap(B, x«,», z)"),
    ("SG021", "model M «x» : real }"),
    ("SG021", "«=»"),
    ("SG022", "«“»"),
    ("SG025", "model A = " + "(" * 100 + "«(»B" + ")" * 101),
    ("SG025", "model A = «B" + " without x" * 100 + "»"),
    ("SG026", "«}»"),
    ("SG026", "model A = B + C«)»"),
    ("SG027", "model A = swap«(»B, x, z"),
    ("SG027", "model A = «(»B + C\nmodel D = A"),
    ("SG029", "«x» : real"),
    ("SG029", "model M { x : real }\n«p_theta» : z -> x"),
    ("SG029", "model M { x : real }\nmodel A = M «fixed»"),
    ("SG030", "«modle» M { x : real }"),
    ("SG030", "model M { x : real }\n«tran» { batch = 3 }"),
    ("SG034", "use «infogan».sg"),
    ("SG034", "use \"a.sg\" «as»"),
    ("SG034", "model A = B «without»"),
    ("SG034", "model A = B without q «without»"),
    ("SG034", "«model» { x : real }"),
    ("SG036", "model A = B «-» C"),
    ("SG036", "model A = 0.1« »B"),
    ("SG038", "model A = B «+»"),
    ("SG038", "model A = 0.1 «*»"),
    ("SG304", "model A = «GAN * 0.1»"),
]  # fmt: skip


def check(code: str, marked: str) -> None:
    start, end = marked.index("«"), marked.index("»") - 1
    text = marked.replace("«", "").replace("»", "")
    _, found = read(text)
    assert [d.code for d in found] == [code], "\n".join(d.render() for d in found)
    span = found[0].span
    assert (span.start, span.end) == (start, end), found[0].render()
    before = text[:start]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert found[0].render().startswith(f"m.sg:{line}:{column}: error[{code}]: ")


@pytest.mark.parametrize(("code", "statement"), IN_A_MODEL)
def test_a_statement_of_a_model(code: str, statement: str) -> None:
    check(code, f"model M {{\n  z : real(2)\n\n  {statement}\n  w : real(2)\n}}\n")


@pytest.mark.parametrize(("code", "text"), FILES)
def test_a_file(code: str, text: str) -> None:
    check(code, text)


def test_every_code_has_a_program() -> None:
    pinned = {code for code, _ in IN_A_MODEL + FILES}
    elsewhere = {"SG032", "SG033", "SG039"}  # files that cannot be read: test_syntax_reader
    assert pinned | elsewhere == set(CODES)


def test_one_run_reports_every_error() -> None:
    text = """
use gan.sg
model A {
  x : real(3
  weight : real(1)
  p_theta : z y ==> x
  q_phi : x ~> y =
  q_eta : x, -> z = Normal(mlp(4), scale=.1)
}
model B = A without
model C [ {
  z : real(3;)
}
"""
    _, found = read(text)
    assert [(d.code, d.span.line) for d in found] == [
        ("SG034", 2), ("SG027", 4), ("SG009", 5), ("SG012", 6), ("SG011", 7), ("SG013", 8), ("SG006", 8),
        ("SG034", 10), ("SG021", 11), ("SG001", 12),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("model M { x : real(3); }", "delete it, a statement ends by itself"),
        ("model M { p_θ : z ==> x }", "write `theta`, it prints as θ"),
        ("model M { p : z → x }", "`->` solid, `-->` dashed, `==>` dashed and hollow"),
        ("model M { x : real ~ Normal(0, .5) }", "`0.5`"),
        ("model M { weight : real }", "`w`"),
        ("model M { p : z y ==> x }", "`z, y`"),
        ("model M { p_theta(x | z, y) }", "`p_theta : z, y -> x`"),
        ("model M { q_phi x ~> y }", "`q_phi : x ~> y`"),
        ("model M { p_a : z -> h -> x }", "`p_a.1 : z -> h`, `p_a.2 : h -> x`"),
        ("model M { p_a : z ~=> x }", "`~>`, `~~>`"),
        ("model M { p_a : z -> x = Normal(mlp(4), scale=0.1) }", "`scale: 0.1`"),
        ("modle M { }", "did you mean `model`?"),
        ("model A = B * 0.1", "`0.1 * B`"),
    ],
)
def test_the_help_shows_the_cure(text: str, help: str) -> None:
    assert [d.help for d in read(text)[1]] == [help]


def test_messages_stay_short() -> None:
    _, found = read("model M { x : real = Normal(" + "9" * 5000 + "x) }\n" + "a" * 100_000)
    assert found
    assert all(len(d.render()) < 2000 for d in found)

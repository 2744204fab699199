"""Files that use one another, moves that leave something unfit, sums, and many errors in one run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schematic.core.diagnostics import Diagnostic, Report, in_order
from schematic.graph.build import load, load_all, parse
from schematic.graph.model import How, Model, Net, Sum, Train

INFOGAN = """model InfoGAN {
  x : unit(1, 28, 28) = data("image")
  z : real(64) ~ Normal(0, 1)
  y : domain(fake, real)
  p_theta : z, y ==> x = dcgan(64)
  q_phi : x ~> y = dcgan(64)
  q_eta : x, y -> z = Normal(mlp(128))
}
"""
SHARED = """net D in phi = dcgan(64)
model InfoGAN {
  x : unit(1, 28, 28) = data("image")
  z : real(64) ~ Normal(0, 1)
  y : domain(fake, real)
  p_theta : z, y ==> x
  q_phi : x ~> y = D
  q_eta : x, y -> z = Normal(D then mlp(128))
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "infogan.sg").write_text(INFOGAN)
    return tmp_path


def found(path: Path, text: str) -> tuple[tuple[Diagnostic, ...], Report]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    report = Report()
    load_all(path, report)
    return in_order(report), report


def told(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[str, str, int, int]]:
    return [(d.code, Path(d.span.source.path).name, d.span.line, d.span.column) for d in diagnostics]


# --- use -------------------------------------------------------------------------------------------------------


def test_use_makes_the_models_of_a_file_visible(folder: Path) -> None:
    path = folder / "moves.sg"
    path.write_text('use "infogan.sg"\nmodel GAN = InfoGAN without q_eta\nmodel AAE = swap(InfoGAN, x, z)')
    report = Report()
    models = load_all(path, report)
    assert [m.name for m in models] == ["GAN", "AAE"]
    main, first = load(path, Report()), load(path, Report(), model="GAN")
    assert main is not None and main.name == "AAE"
    assert first is not None and first.name == "GAN"


def test_what_a_used_file_uses_is_not_visible(folder: Path) -> None:
    (folder / "gan.sg").write_text('use "infogan.sg"\nmodel GAN = InfoGAN without q_eta')
    diagnostics, _ = found(folder / "m.sg", 'use "gan.sg"\nmodel A = GAN\nmodel B = InfoGAN')
    assert told(diagnostics) == [("SG109", "m.sg", 3, 11)]


def test_an_alias_stands_before_the_name(folder: Path) -> None:
    text = 'use "../infogan.sg" as lib\nmodel InfoGAN = lib.InfoGAN { q_phi = mlp(4) }\nmodel B = InfoGAN'
    diagnostics, _ = found(folder / "sub" / "m.sg", text)
    assert diagnostics == ()
    diagnostics, _ = found(folder / "sub" / "m.sg", 'use "../infogan.sg" as lib\nmodel B = lib.infogan')
    assert told(diagnostics) == [("SG109", "m.sg", 2, 11)]
    assert "did you mean `lib.InfoGAN` (" in diagnostics[0].help and "infogan.sg:1)?" in diagnostics[0].help


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("infogam.sg", "did you mean `infogan.sg`?"),
        ("infogan", '`"infogan.sg"`'),
        ("sub\\\\infogan.sg".replace("\\\\", "\\"), '`"sub/infogan.sg"`'),
        ("/etc/passwd.sg", "relative"),
        (".sg", "ends in `.sg`"),
    ],
)
def test_a_path_that_is_none(folder: Path, path: str, words: str) -> None:
    diagnostics, _ = found(folder / "m.sg", f'use "{path}"\nmodel A = InfoGAN without q_eta')
    assert told(diagnostics) == [("SG112", "m.sg", 1, 5)]
    assert words in diagnostics[0].render()


def test_a_ring_of_files_is_told_where_it_is_entered(folder: Path) -> None:
    (folder / "b.sg").write_text('# b\nuse "c.sg"\nmodel B { x : real = data  p_a : -> x }')
    (folder / "c.sg").write_text('use "a.sg"\nmodel C { x : real = data  p_a : -> x }')
    diagnostics, _ = found(folder / "a.sg", 'use "b.sg"\nmodel A = B')
    assert told(diagnostics) == [("SG108", "a.sg", 1, 1)]
    assert diagnostics[0].message == "a.sg uses b.sg, which uses c.sg, which uses a.sg (c.sg:1)"
    diagnostics, _ = found(folder / "d.sg", 'use "d.sg"\nmodel A = B')
    assert told(diagnostics) == [("SG108", "d.sg", 1, 1)]


def test_a_file_is_read_once_however_often_it_is_used(folder: Path) -> None:
    (folder / "gan.sg").write_text('use "infogan.sg"\nmodel GAN = InfoGAN without q_eta')
    text = 'use "infogan.sg" use "gan.sg" use "./infogan.sg"\nmodel A = InfoGAN\nmodel B = GAN'
    assert found(folder / "m.sg", text)[0] == ()


def test_names_of_two_files_clash(folder: Path) -> None:
    (folder / "other.sg").write_text(INFOGAN)
    diagnostics, _ = found(folder / "m.sg", 'use "infogan.sg"\nuse "other.sg"\nmodel A = InfoGAN')
    assert told(diagnostics) == [("SG121", "m.sg", 2, 5)]
    assert "as other" in diagnostics[0].help
    diagnostics, _ = found(folder / "m.sg", 'use "infogan.sg"\n' + INFOGAN)
    assert told(diagnostics) == [("SG103", "m.sg", 2, 7)]


def test_errors_of_a_used_file_are_told_there_and_once(folder: Path) -> None:
    (folder / "bad.sg").write_text("model Bad { x : rael  p_a : -> x }\nmodel Good { x : real = data  p_a : -> x }")
    text = 'use "bad.sg"\nmodel A = swap(Bad, x, z)\nmodel B = Good\nmodel C = Baad'
    diagnostics, _ = found(folder / "m.sg", text)
    assert told(diagnostics) == [("SG102", "bad.sg", 1, 17), ("SG109", "m.sg", 4, 11)]


def test_an_unread_file_has_no_consequences(folder: Path) -> None:
    (folder / "bad.sg").write_bytes(b"model M { \xff }")
    diagnostics, _ = found(folder / "m.sg", 'use "bad.sg"\nmodel A = M\nmodel B { x : real = data  p_a : -> x }')
    assert told(diagnostics) == [("SG033", "bad.sg", 1, 11)]


def test_which_model(folder: Path) -> None:
    report = Report()
    assert load(folder / "infogan.sg", report, model="InfoGan") is None
    assert [d.code for d in report] == ["SG109"] and "did you mean `InfoGAN`" in next(iter(report)).help
    report = Report()
    assert parse("net F = mlp(4)", report) is None
    assert [d.code for d in report] == ["SG120"]
    report = Report()
    assert load(folder / "none.sg", report) is None
    assert [d.code for d in report] == ["SG032"]


# --- train of a file -------------------------------------------------------------------------------------------


def test_a_files_training_settings_are_its_main_models() -> None:
    text = "train { batch = 8 }\nmodel A { x : real = data  p_a : -> x  train { epochs = 2 batch = 4 } }"
    report = Report()
    model = parse(text, report)
    assert model is not None and model.train == Train(None, 8, 2)
    first = parse(text + "model B { x : real = data  p_a : -> x }", Report(), model="A")
    assert first is not None and first.train == Train(None, 4, 2)


# --- with ------------------------------------------------------------------------------------------------------


def test_with_restates_the_main_model() -> None:
    report = Report()
    model = parse(INFOGAN, report, restate='x : unit(1, 8, 8) = data("image")  q_phi = mlp(4)')
    assert isinstance(model, Model) and not list(report)
    assert model.variable("x").type.shape == (1, 8, 8)
    assert model.factor("q_phi").how == How(Net("mlp", (4,)))


def test_with_is_told_at_its_own_place() -> None:
    report = Report()
    assert parse(INFOGAN, report, restate="q_phi = mpl(4)") is None
    assert [(d.code, d.span.source.path, d.span.line, d.span.column) for d in report] == [("SG110", "--with", 1, 9)]
    report = Report()
    assert parse(INFOGAN, report, restate='x : real(5) = data("image")') is not None
    assert [(d.code, d.severity) for d in report] == [("SG904", "note"), ("SG904", "note")]


# --- what a move leaves unfit ------------------------------------------------------------------------------------


def findings(text: str) -> list[tuple[str, str]]:
    """Codes and marked texts."""
    report = Report()
    parse(text, report)
    return [(d.code, d.span.source.text[d.span.start : d.span.end]) for d in in_order(report)]


def test_a_built_in_net_gives_way_with_a_note() -> None:
    report = Report()
    model = parse(INFOGAN + "model AAE = swap(InfoGAN, x, z)", report)
    assert model is not None
    (note,) = report
    assert (note.code, note.severity) == ("SG904", "note")
    assert note.message == "q_phi's `dcgan(64)` does not fit z (64): `mlp(400, 400)` is used"
    assert note.span.source.text[note.span.start : note.span.end] == "swap(InfoGAN, x, z)"


def test_what_a_block_mends_is_not_told() -> None:
    assert findings(INFOGAN + "model AAE = swap(InfoGAN, x, z) { q_phi = mlp(3) }") == []
    assert findings(INFOGAN + "model AAE = swap(swap(InfoGAN, x, z), x, z)") == []
    assert findings(SHARED + "model AAE = swap(InfoGAN, x, z) { q_phi = mlp(3)  q_eta = mlp(4) }") == []
    assert findings(SHARED + "model AAE = swap(InfoGAN, x, z) without q_phi { q_eta = mlp(4) }") == []
    assert findings(SHARED + "model Same = swap(swap(InfoGAN, x, z), x, z)") == []


def test_a_declared_net_on_other_ends_is_an_error() -> None:
    move = "swap(InfoGAN, x, z)"
    assert findings(SHARED + f"model AAE = {move}") == [("SG302", move)]
    report = Report()
    alone = SHARED.replace("q_eta : x, y -> z = Normal(D then mlp(128))", "").replace("==> x", "==> x = F")
    parse("net F = dcgan(64)\n" + alone + f"model N = {move} {{ q_phi = mlp(3) }}", report)
    (problem,) = report
    assert "`q_eta : x, y ==> z = F` does not fit: F (line 1) ends in unit(1, 28, 28)" in problem.message
    assert "restate it: `{ q_eta = " in problem.help


def test_a_family_that_does_not_hold_its_new_target_is_an_error() -> None:
    text = "model M { x : unit(3) = data  z : real(3) ~ Normal(0, 1)  p_theta : z -> x = Bernoulli(mlp(3)) }\n"
    assert findings(text + "model N = swap(M, x, z)") == [("SG302", "swap(M, x, z)")]
    assert findings(text + "model N = swap(M, x, z) { q_eta = mlp(4) }") == []


def test_a_weight_on_an_arrow_that_becomes_hollow_and_dashed() -> None:
    text = (
        "model M { x : real = data  z : real  y : domain(a, b)  p_a : z -> x weight 2  q_b : x ~> y  q_c : x --> z }\n"
    )
    assert findings(text + "model N = swap_arrows(M)") == [("SG302", "swap_arrows(M)")]
    assert findings(text + "model N = swap_arrows(swap_arrows(M))") == []


def test_new_types_under_an_old_declared_net() -> None:
    block = "InfoGAN { x : real(5) = data }"
    assert findings(SHARED + f"model N = {block}") == [("SG302", block), ("SG302", block)]  # q_phi and q_eta
    assert findings(SHARED + 'model N = InfoGAN { x : unit(3, 4, 4) = data("rgb") }') == []


def test_an_activated_net_must_fit() -> None:
    text = INFOGAN + "model V = perfect(swap_arrows(InfoGAN), q_phi)\n"
    assert findings(text + "model A = activate(V, q_star, mlp(8))") == []
    assert findings(text + "net D = conv(8)  model A = activate(V, q_phi, D)") == []
    assert findings(text + "model A = activate(V, q_phi, table)") == [("SG202", "table")]
    assert findings(text + "model A = activate(V, q_phi, tabel)") == [("SG110", "tabel")]


def test_a_variable_that_the_moves_leave_alone() -> None:
    assert findings(INFOGAN + "model N = InfoGAN without q_eta without p_theta") == [("SG903", "N")]
    assert findings(INFOGAN + "model N = InfoGAN without q_eta without p_theta without z") == []


# --- sums ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ('G { x : binary(1, 28, 28) = data("image") }', "`x` is unit(1, 28, 28) in G and binary(1, 28, 28) in term 2"),
        ('G { x : unit(1, 28, 28) = data("other") }', "`x` has other data in G"),
        ("G { z : real(64) ~ Laplace(0, 1) }", "`z` has another prior"),
        ("G { q_phi = mlp(4) }", "`q_phi` has two right sides"),
        ("G { net D = mlp(4) }", "`net D` is declared in two ways"),
    ],
)
def test_terms_that_do_not_go_together(right: str, words: str) -> None:
    text = INFOGAN.replace("InfoGAN", "G").replace("p_theta", "net D = mlp(3)  p_theta")
    report = Report()
    assert parse(text + f"model S = G + {right}", report) is None
    (problem,) = report
    assert problem.code == "SG303" and words in problem.message
    assert problem.span.source.text[problem.span.start : problem.span.end] == right


def test_a_shared_net_has_one_body_in_all_terms() -> None:
    text = "net D = mlp(4)\nmodel A { x : real(3) = data  z : real(2)  p_a : z -> x = D }\n"
    text += "model B { x : real(3) = data  w : real(5)  p_a : w -> x = D }\n"
    assert findings(text + "model S = A + B") == [("SG303", "B")]


def test_a_sum_without_a_finding() -> None:
    report = Report()
    total = parse(INFOGAN + "model S = InfoGAN + 0.1 * swap_arrows(InfoGAN)", report)
    assert isinstance(total, Sum) and not list(report)
    assert [c for c, _ in total.terms] == [1, 0.1]


# --- one run tells everything, and nothing twice --------------------------------------------------------------------

MANY = """model M {
  x : ⟦rael⟧(3)
  z : real(⟦0⟧)
  w : real ~ ⟦Norml⟧(0, 1)
  v : real(2)
  p_theta : x, z, ⟦q⟧, w ==> ⟦t⟧
  q_phi : x ~> ⟦yy⟧ = ⟦mpl⟧(3)
  ⟦p_theta⟧ : x -> z
  p_eta : v -> w = ⟦mlp(0)⟧
  p_a : v, ⟦v⟧ -> w = dcgan(64)
  p_b : ⟦v⟧ ~> v
  p_c : -> v = ⟦dcgan(8)⟧
  q_b : w -> v ⟦beta 2⟧ when ⟦y⟧ = real
  train { a = sgd(⟦0⟧) }
}
model N = swap(M, x, u)
model O = ⟦swop⟧(M, x, z)
model P = M { q_zz = linear }
model Q = ⟦Mm⟧
train { theta = ⟦adam()⟧ ⟦bathc⟧ = 3 }
"""


def test_many_errors_in_one_run_and_no_consequences() -> None:
    marks = [m.start() - 2 * i for i, m in enumerate(re.finditer("⟦", MANY))]
    report = Report()
    parse(re.sub("[⟦⟧]", "", MANY), report)
    assert sorted(d.span.start for d in report) == marks, "\n".join(d.render() for d in in_order(report))


def test_a_statement_that_does_not_parse_has_no_consequences() -> None:
    text = INFOGAN.replace("z : real(64) ~", "z : real(64 ~").replace("q_phi : x ~> y =", "q_phi : x ~> y = =")
    report = Report()
    parse(text + "model V = perfect(InfoGAN, q_phi)", report)
    assert {d.code[:3] for d in report} == {"SG0"}, "\n".join(d.render() for d in in_order(report))


def test_a_broken_net_has_no_consequences() -> None:
    text = """net F = mpl(3)
    model M { x : real = data  net G = dcgam(8)  p_a : -> x = F  p_b : -> x = Normal(G then mlp(3)) }"""
    report = Report()
    parse(text, report)
    assert [d.code for d in report] == ["SG110", "SG110"], "\n".join(d.render() for d in report)

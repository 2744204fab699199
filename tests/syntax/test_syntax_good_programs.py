"""Good programs: the forms of the language, and what tree each gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from schematic.core.diagnostics import Report
from schematic.core.source import Source
from schematic.syntax import ast
from schematic.syntax.format import format
from schematic.syntax.parser import parse_expression, parse_net, parse_statements
from tests.syntax.reading import block, good

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.sg"))

FILES = [
    "",
    "# only a comment",
    "\ufeffmodel M { }\r\n",
    """model InfoGAN {
      x : unit(1, 8, 8) = data("image")
      z : real(16)      ~ Normal(0, 1)
      y : domain(fake, real)
      p_theta : z, y ==> x
      q_phi   : x     ~> y
      q_eta   : x, y  -> z = Normal(mlp(128))
    }""",
    'use "infogan.sg"  use "half.sg"  use "helmholtz.sg" as lib',
    """model GAN      = InfoGAN without q_eta
       model AAE      = swap(InfoGAN, x, z)
       model AAVAE    = swap_arrows(InfoGAN)
       model VAE      = perfect(AAVAE, q_phi)
       model Other    = activate(VAE, q_star, dcgan(64) then mlp(3))
       model IWGAN    = importance(GAN)
       model IWAE     = importance(VAE, 16)
       model VAEGAN   = VAE + 0.1 * GAN
       model CycleGAN = Half + swap(Half, x, z)
       model Tempered = AAVAE { q_phi : x ~~> y = dcgan(64) temperature 1.5 }
       model Warmer   = AAVAE { q_phi = dcgan(64) temperature 3 }
       model WS       = wake_sleep(Helmholtz)
       model Renamed  = rename(lib.InfoGAN, p_theta.t, p_theta.1)
       model Less     = VAE + 0.1 * GAN without q_eta without q_phi.x""",
    """train { data = "mnist"  batch = 64  epochs = 20  phi = adam(2e-4, 0.5, 0.999)  theta, eta = adam(1e-3) }
       train { data = sets(horses: "h2z_a", zebras: "h2z_b") phi = adam(1e-4, 0, 0.9, steps: 5) }""",
    """net F = resnet(64, blocks: 6)
       net D in theta, eta = F then mlp(128) fixed
       net V = python("lpips:VGG") fixed""",
]

STATEMENTS = [
    "x : real",
    "x : real(16)",
    "x : unit(1, 28, 28) = data",
    'x : binary(3) = data("horses/image")',
    't : category(10) ~ Categorical = data("label") partial',
    't : category(10) = data("label") partial ~ Categorical',
    "t : category(10) partial",
    'x : unit(3,) = data("A", "B") given y',
    "y : domain(a, b, c)",
    "z : real(2) ~ Laplace(-1, 2e-4)",
    'z[1..1000] : real(3, 32, 32) = data("steps")',
    "z[1000] : real(3) ~ Normal(0, 1)",
    "p_theta : -> h",
    "p_theta.t : z, y ==> x",
    "p_theta.1 : z -> x = Normal(mlp(400), scale: 0.1)",
    "p_theta : z[t] -> z[t-1] = mlp(4)",
    "p_theta : z[t+1], z[3] -> z[t]",
    "q_phi : z.rest ~> z.each = mlp(64)",
    "q_phi : x ~~> y = patchgan(64) temperature 1.5 weight 0.1 when y = real divergence wasserstein(penalty: 10)",
    "q_phi : x ~> y perfect",
    "q_eta : x --> t gradient gumbel(0.5) beta 4 fixed",
    "q_eta : x => t = table gradient straight_through",
    "q_eta = Flow(linear) weight 2",
    "net F in theta = D then mlp(128) then linear",
    "train { batch = 64 }",
    # words that are not reserved name anything
    "data : real = data  swap : real  adam : real  mlp : unit(3)  real : real  importance : real  rest : real",
    "p_mlp : data, swap -> adam = mlp  q_a : adam ~> real",
]


@pytest.mark.parametrize("text", FILES)
def test_a_file_reads_and_formats(text: str) -> None:
    file = good(text)
    assert good(format(file)) == file


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_reads_and_formats(text: str) -> None:
    assert block(text)
    file = good(f"model M {{ {text} }}")
    assert good(format(file)) == file


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_read_and_format(path: Path) -> None:
    file = good(path.read_text("utf-8"))
    assert good(format(file)) == file


def test_statements_end_where_the_next_begins() -> None:
    one_line = block(
        "x : real p_a : x -> z = F p_a.t : -> t q_b = D then mlp weight 2 z[1] : real(3) train { } net F = mlp"
    )
    apart = block(
        "x\n:\nreal\np_a\n:\nx\n->\nz\n=\nF\np_a.t : -> t q_b = D\nthen mlp weight\n2 z[1] : real(3) train{}net F=mlp"
    )
    kinds = [ast.VariableDecl, ast.FactorDecl, ast.FactorDecl, ast.FactorHow, ast.VariableDecl, ast.Train, ast.NetDecl]
    assert [type(s) for s in one_line] == kinds
    assert one_line == apart


def expression(text: str) -> ast.ModelExpr:
    report = Report()
    read = parse_expression(Source("m.sg", text), report)
    assert read is not None and not list(report)
    return read


def ref(name: str) -> ast.Ref:
    return ast.Ref(ast.Name(name))


def test_what_binds_tightest() -> None:
    a, b = ref("A"), ref("B")
    without = ast.Without(b, ast.Name("q"))
    assert expression("A + 0.1 * B without q") == ast.Plus(a, ast.Times(ast.Number("0.1"), without))
    assert expression("A + B + A") == ast.Plus(ast.Plus(a, b), a)
    assert expression("A + (B + A)") == ast.Plus(a, ast.Plus(b, a))
    assert expression("(A + B) without q") == ast.Without(ast.Plus(a, b), ast.Name("q"))
    assert expression("B without q { } without p.1") == ast.Without(
        ast.Restate(without, ast.Block(())), ast.Name("p.1")
    )


def test_the_parts_of_a_variable() -> None:
    (t,) = block('t : category(10) ~ Categorical = data("a", "b") given y partial')
    assert t == ast.VariableDecl(
        ast.Name("t"), None, ast.Call(ast.Name("category"), (ast.Number("10"),), parens=True),
        ast.Data((ast.Text("a"), ast.Text("b")), ast.Name("y")), ast.Call(ast.Name("Categorical")), ast.Name("partial"),
    )  # fmt: skip


def test_the_parts_of_a_factor() -> None:
    (p,) = block("p_theta.t : z[t-1], z.rest ==> x = Normal(D then mlp(4,), scale: 0.1) when y = real")
    inner = ast.Call(ast.Name("D"), then=ast.Call(ast.Name("mlp"), (ast.Number("4"),), parens=True))
    assert p == ast.FactorDecl(
        ast.Name("p_theta.t"),
        (ast.End(ast.Name("z"), ast.Index("t", -1)), ast.End(ast.Name("z"), None, ast.Name("rest"))),
        ast.Arrow("==>"),
        ast.End(ast.Name("x")),
        ast.Call(ast.Name("Normal"), (inner,), ((ast.Name("scale"), ast.Number("0.1")),), parens=True),
        (ast.Option(ast.Name("when"), (ast.Call(ast.Name("y")), ast.Call(ast.Name("real")))),),
    )


def test_spans_cover_what_was_written() -> None:
    text = "model M {\n  x : real(3) = data\n  p_a : z, y -> x = mlp(4) fixed\n}\nmodel A = swap((M), x, z)"

    def written(node: ast.Node) -> str:
        return node.span.source.text[node.span.start : node.span.end]

    drawn, computed = good(text).statements
    assert written(drawn) == text.split("\nmodel A")[0]
    assert written(computed) == "model A = swap((M), x, z)"
    assert isinstance(drawn, ast.ModelDecl) and isinstance(drawn.body, ast.Block)
    x, p = drawn.body.statements
    assert (written(x), written(p)) == ("x : real(3) = data", "p_a : z, y -> x = mlp(4) fixed")
    assert isinstance(p, ast.FactorDecl) and p.how
    assert [written(n) for n in (p.name, *p.parents, p.arrow, p.target, p.how, *p.options)] == [
        "p_a", "z", "y", "->", "x", "mlp(4)", "fixed"
    ]  # fmt: skip
    assert isinstance(computed, ast.ModelDecl) and isinstance(computed.body, ast.Move)
    assert written(computed.body.model) == "(M)"


def test_comments_are_kept_with_their_places() -> None:
    file = good('# a\nuse "b#c.sg" # b\n\n  # c')
    assert [(c.text, c.alone, c.span.line) for c in file.comments] == [
        ("# a", True, 1), ("# b", False, 2), ("# c", True, 4)
    ]  # fmt: skip


def test_parts_of_a_command_line() -> None:
    report = Report()
    statements = parse_statements(Source("--with", 'x : real = data("a") q_phi = mlp(3) train { batch = 3 }'), report)
    assert [type(s) for s in statements] == [ast.VariableDecl, ast.FactorHow, ast.Train]
    net = parse_net(Source("net", "D then mlp(3)"), report)
    assert net is not None and net.then is not None
    assert not list(report)
    parse_net(Source("net", "mlp(3"), report)
    assert parse_expression(Source("expression", "A +"), report) is None
    assert parse_statements(Source("--with", "x : "), report) == ()
    assert [d.code for d in report] == ["SG027", "SG038", "SG038"]

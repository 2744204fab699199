"""The formatter: what it writes, that it changes no meaning, that a second pass changes nothing, that comments stay."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schematic.syntax import ast
from schematic.syntax.format import format, format_expression, format_statement
from tests.syntax.reading import good
from tests.syntax.trees import files

SOME = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

GOLDEN = [
    (
        """
# InfoGAN
model InfoGAN{x:unit(1,8,8)=data("image")   # given
 z:real(16)~Normal(0,1) # prior
 y : domain( fake,real )


 p_theta : z,y==>x q_phi : x~>y
   q_eta : x,y->z=Normal(mlp(128))}
""",
        """\
# InfoGAN
model InfoGAN {
  x : unit(1, 8, 8) = data("image")  # given
  z : real(16)      ~ Normal(0, 1)   # prior
  y : domain(fake, real)

  p_theta : z, y ==> x
  q_phi   : x     ~> y
  q_eta   : x, y  -> z = Normal(mlp(128))
}
""",
    ),
    (
        """use "a.sg" as lib use "b.sg"
model A=((B+C)without x)+0.1*(2*D)
model Long = (A + (B + C)) { q_phi = mlp(3,) weight 2 }
model E = perfect( swap_arrows(A) , q_phi , )
model F = A { q = mlp ; # never read
}""".replace(";", " "),
        """\
use "a.sg" as lib
use "b.sg"
model A    = (B + C) without x + 0.1 * 2 * D
model Long = (A + (B + C)) { q_phi = mlp(3) weight 2 }
model E    = perfect(swap_arrows(A), q_phi)
model F = A {
  q = mlp  # never read
}
""",
    ),
    (
        """model M { # head
# first
x : real # on x

# on y, and
# on y

# apart

y : real ~ # inside
  Normal(0, 1) # on y's line
# last
} # tail
# end""",
        """\
model M {  # head
  # first
  x : real  # on x

  # on y, and
  # on y

  # apart

  # inside
  y : real ~ Normal(0, 1)  # on y's line
  # last
}  # tail
# end
""",
    ),
    (
        """net F in theta,eta=D then mlp(128)fixed train{data="mnist" batch=64 theta,eta=adam(1e-3)} model M{ }
model C { z[1..1000]:real(3)=data z[1000]:real~Categorical=data("l","m")given y partial
p:z[t]->z[t-1] q.1:z.rest~>z.each=mlp when y=real divergence wasserstein(penalty:10) p_h:->h }""",
        """\
net F in theta, eta = D then mlp(128) fixed
train {
  data       = "mnist"
  batch      = 64
  theta, eta = adam(1e-3)
}
model M { }
model C {
  z[1..1000] : real(3) = data
  z[1000]    : real    = data("l", "m") given y ~ Categorical partial
  p   : z[t]   -> z[t-1]
  q.1 : z.rest ~> z.each = mlp when y = real divergence wasserstein(penalty: 10)
  p_h :        -> h
}
""",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "formatted"), GOLDEN)
def test_golden(text: str, formatted: str) -> None:
    assert format(good(text)) == formatted
    assert format(good(formatted)) == formatted


@SOME
@given(files)
def test_what_is_written_reads_back(file: ast.File) -> None:
    text = format(file)
    again = good(text)
    assert again == file
    assert format(again) == text


@SOME
@given(files, st.data())
def test_comments_stay_in_their_block(file: ast.File, data: st.DataObject) -> None:
    text = _commented(format(file), data)
    read = good(text)
    assert read == file
    formatted = format(read)
    assert _places(formatted) == _places(text)
    again = good(formatted)
    assert again == file
    assert format(again) == formatted


@SOME
@given(files)
def test_a_break_anywhere_changes_nothing(file: ast.File) -> None:
    one_a_line = "\n".join(re.findall(r'"[^"\n]*"|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|\w+|\.\.|[-=~>]+|\S', format(file)))
    assert good(one_a_line) == file


def _commented(text: str, data: st.DataObject) -> str:
    """The text with comments and blank lines between its words."""
    gaps = [m.end() for m in re.finditer(r'"[^"\n]*"|[(){},]|\n', text) if not m.group().startswith('"')]
    chosen = sorted(data.draw(st.lists(st.sampled_from(gaps), max_size=8, unique=True))) if gaps else []
    pieces, last = [], 0
    for number, gap in enumerate(chosen):
        pieces += [text[last:gap], data.draw(st.sampled_from([" ", "\n", "\n\n\n"])), f"# c{number}  \n"]
        last = gap
    return "".join([*pieces, text[last:]])


def _places(text: str) -> dict[str, tuple[int, ...]]:
    """For each comment the braces around it, each by its number in the text."""
    places: dict[str, tuple[int, ...]] = {}
    open_braces: list[int] = []
    count = 0
    for word in re.findall(r'"[^"\n]*"|#[^\n]*|[{}]', text):
        if word == "{":
            count += 1
            open_braces.append(count)
        elif word == "}":
            open_braces.pop()
        elif word.startswith("#"):
            places[word.rstrip()] = tuple(open_braces)
    return places


def test_long_lines_are_broken_and_long_comments_are_not() -> None:
    net = ", ".join(["400"] * 60)
    text = f"model M {{\n  p_theta : z, y ==> x = Normal(mlp({net}), scale: 0.1) weight 0.5  # {'c' * 150}\n}}\n"
    formatted = format(good(text))
    assert format(good(formatted)) == formatted
    assert good(formatted) == good(text)
    assert all(len(line.split("#")[0].rstrip()) <= 120 for line in formatted.splitlines())
    assert f"# {'c' * 150}" in formatted


def test_a_column_that_would_be_too_wide_stays_ragged() -> None:
    text = f"model M {{\n  x : real ~ Normal(0, 1)\n  {'n' * 90} : real\n}}\n"
    assert format(good(text)) == text


def test_parts_can_be_written_alone() -> None:
    model = good("model A = (B + 0.5*C) without x model D { x : real(3)=data }")
    computed, drawn = model.statements
    assert isinstance(computed, ast.ModelDecl) and not isinstance(computed.body, ast.Block)
    assert format_expression(computed.body) == "(B + 0.5 * C) without x"
    assert isinstance(drawn, ast.ModelDecl) and isinstance(drawn.body, ast.Block)
    assert format_statement(drawn.body.statements[0]) == "x : real(3) = data"


def test_comments_of_a_tree_without_places_are_not_lost() -> None:
    file = ast.File((ast.Use(ast.Text("a.sg")),), (ast.Comment("# kept", True),))
    assert format(file) == 'use "a.sg"\n# kept\n'

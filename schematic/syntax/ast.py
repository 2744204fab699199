"""The whole syntax tree of a `.sg` file: frozen, places outside equality. `docs` of the forms: language.md.

Names keep their place (`Name.span`) because every diagnostic points at one. Comments live in
`File.comments`, by offset, and the formatter puts them back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from schematic.core.source import NOWHERE, Span

ArrowMark = Literal["->", "-->", "=>", "==>", "~>", "~~>"]


@dataclass(frozen=True)
class Node:
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Name(Node):
    """An identifier; a dotted one (`p_theta.t`, `lib.InfoGAN`) keeps its dot in `text`."""

    text: str


@dataclass(frozen=True)
class Number(Node):
    """A number as written (`text`), so that formatting changes nothing, and its value."""

    text: str

    @property
    def value(self) -> float:
        return float(self.text)


@dataclass(frozen=True)
class Text(Node):
    """A string without its quotes."""

    text: str


# --- calls: types, priors, families, nets, optimizers all have one shape ---------------------------------


@dataclass(frozen=True)
class Call(Node):
    """`name`, `name(args, key: value)`; `then` chains nets: `D then mlp(128)`. `parens`: were any written."""

    name: Name
    args: tuple[Arg, ...] = ()
    options: tuple[tuple[Name, Arg], ...] = ()
    then: Call | None = None
    parens: bool = False


Arg = Call | Number | Text  # a bare word is a Call without parentheses


# --- statements -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use(Node):
    path: Text
    alias: Name | None = None


@dataclass(frozen=True)
class Option(Node):
    """`perfect`, `fixed`, `temperature 1.5`, `weight 0.1`, `beta 4`, `gradient gumbel(0.5)`,
    `divergence wasserstein(penalty: 10)`, `when y = real` (name `when`, args (y, real))."""

    name: Name
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True)
class NetDecl(Node):
    """`net F in theta, eta = NET OPTIONS`."""

    name: Name
    groups: tuple[Name, ...]
    net: Call
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Index(Node):
    """`[1..1000]` (first and last), `[1000]` or `[t]`, `[t-1]` (letter and shift)."""

    letter: str | None
    first: int
    last: int | None = None


@dataclass(frozen=True)
class End(Node):
    """A variable at an arrow's end: `x`, `z[t-1]`, `z.rest`, `z.each`."""

    name: Name
    index: Index | None = None
    part: Name | None = None


@dataclass(frozen=True)
class Data(Node):
    """`= data`, `= data("f")`, `= data("A", "B") given y`."""

    fields: tuple[Text, ...] = ()
    given: Name | None = None


@dataclass(frozen=True)
class VariableDecl(Node):
    """`NAME : TYPE [= data(...)] [~ PRIOR] [partial]`."""

    name: Name
    index: Index | None
    type: Call
    data: Data | None = None
    prior: Call | None = None
    partial: Name | None = None  # the word itself, for its place


@dataclass(frozen=True)
class Arrow(Node):
    mark: ArrowMark


@dataclass(frozen=True)
class FactorDecl(Node):
    """`NAME : PARENTS ARROW TARGET [= HOW] OPTIONS`; `how` None: the default net."""

    name: Name
    parents: tuple[End, ...]
    arrow: Arrow
    target: End
    how: Call | None = None
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class FactorHow(Node):
    """`NAME = HOW OPTIONS`: keeps the arrow and its ends."""

    name: Name
    how: Call
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Setting(Node):
    """`data = "mnist"`, `batch = 64`, `theta, eta = adam(1e-3)`."""

    names: tuple[Name, ...]
    value: Arg


@dataclass(frozen=True)
class Train(Node):
    settings: tuple[Setting, ...]


Statement = VariableDecl | FactorDecl | FactorHow | NetDecl | Train


@dataclass(frozen=True)
class Block(Node):
    statements: tuple[Statement, ...]


# --- model expressions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref(Node):
    name: Name


@dataclass(frozen=True)
class Move(Node):
    """`swap(M, x, z)`, `swap_arrows(M)`, `perfect(M, q_phi)`, `activate`, `rename`, `importance`, `wake_sleep`.

    `args` are what follows the model: names, numbers or a net.
    """

    name: Name
    model: ModelExpr
    args: tuple[Arg, ...] = ()


@dataclass(frozen=True)
class Without(Node):
    model: ModelExpr
    name: Name


@dataclass(frozen=True)
class Restate(Node):
    model: ModelExpr
    block: Block


@dataclass(frozen=True)
class Times(Node):
    scale: Number
    model: ModelExpr


@dataclass(frozen=True)
class Plus(Node):
    left: ModelExpr
    right: ModelExpr


ModelExpr = Ref | Move | Without | Restate | Times | Plus


@dataclass(frozen=True)
class ModelDecl(Node):
    """`model M { ... }` (body a Block) or `model M = EXPR`."""

    name: Name
    body: Block | ModelExpr


TopLevel = Use | NetDecl | ModelDecl | Train


@dataclass(frozen=True)
class Comment(Node):
    """A comment with its `#`; `alone` when nothing but space precedes it on its line."""

    text: str
    alone: bool


@dataclass(frozen=True)
class File(Node):
    statements: tuple[TopLevel, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)

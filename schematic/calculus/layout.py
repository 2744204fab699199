"""How a term is set, once for text and LaTeX: a row of tokens, each of which either printer can write.

The one traversal: `text.py` and `latex.py` differ in the spelling of tokens alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from schematic.calculus.terms import (
    KL,
    Add,
    Critic,
    Density,
    Expect,
    Log,
    LogMean,
    Mass,
    Normalized,
    Scale,
    Term,
    Where,
    masked,
)


@dataclass(frozen=True)
class Mark:
    """A sign that is written one way in text and another in LaTeX."""

    text: str
    latex: str


@dataclass(frozen=True)
class Name:
    """A variable, or the name of parameters, which may stand at theta_0. Greek names are written as letters."""

    name: str
    variable: bool = True
    at0: bool = False


@dataclass(frozen=True)
class Number:
    value: Fraction | float


@dataclass(frozen=True)
class Join:
    """The plus or minus between two summands: where a line may be broken, the outermost first."""

    sign: str
    depth: int


@dataclass(frozen=True)
class Script:
    """A subscript of parameters, or the bound variables under an expectation."""

    row: Row
    wide: bool = False


Token = Mark | Name | Number | Join | Script
Row = tuple[Token, ...]

MINUS = Mark("−", "-")
LOG = Mark("log ", r"\log ")
OPEN, CLOSE = Mark("[", "["), Mark("]", "]")
LEFT, RIGHT = Mark("(", "("), Mark(")", ")")
COMMA = Mark(", ", r",\,")
SPACE = Mark(" ", r"\,")
BAR = Mark(" | ", r"\mid ")
PARALLEL = Mark(" ‖ ", r"\,\Vert\,")
OVER = Mark(" / ", "/")
TILDE = Mark(" ~ ", r"\sim ")
EQUALS = Mark(" = ", "=")
IS = Mark("=", "=")
EXPECTATION = Mark("E", r"\mathbb{E}")
DIVERGENCE = Mark("KL", r"\mathrm{KL}")
REVERSE = Mark("ʳ", "^{r}")
ZERO, ONE = Mark("0", "0"), Mark("1", "1")
SQUARE, LESS = Mark("²", "^{2}"), Mark(" − ", "-")
GRADIENT, NORM = Mark("‖∇", r"\Vert\nabla "), Mark("‖", r"\Vert ")
MINIMUM = Mark("min", r"\min")
GENERATED = Mark(" generated: ", r"\text{ generated}:\,")
OBSERVED, MISSING = Mark(" observed: ", r"\text{ observed}:\,"), Mark(" missing: ", r"\text{ missing}:\,")
UNITS = Mark("Σᵢ ", r"\textstyle\sum_{i}")


def layout(term: Term) -> Row:
    """A term as a row of tokens."""
    return _sum(term, 0)


def layout_density(d: Density) -> Row:
    """A density as it stands in a formula: q_eta(z | x, y=0)."""
    perfect = (Mark("_*", "_{*}"),) if d.perfect else ()
    sign = (Mark(d.letter, d.letter), *(perfect or _parameters(d)), *((REVERSE,) if d.reverse else ()))
    unit: Row = (Script((Mark("i", "i"),)),) if d.each else ()
    rest: Row = (Script((Mark("−i", "-i"),)),) if d.each else ()
    targets = _listed(tuple((*_variable(d, v), *unit) for v in d.shown))
    given = _listed(tuple((*_variable(d, v), *(rest if v in d.targets else ())) for v in d.given))
    condition = (BAR, *given) if given else ()
    heat = (Mark("; T=", r";\,T{=}"), Number(d.temperature)) if d.temperature != 1 else ()
    return (*sign, LEFT, *targets, *condition, *heat, RIGHT)


# --- densities ------------------------------------------------------------------------------------------------


def _listed(rows: tuple[Row, ...], separator: Mark = COMMA) -> Row:
    return tuple(t for i, row in enumerate(rows) for t in ((separator, *row) if i else row))


def _variable(d: Density, name: str) -> Row:
    """z, or y=0 where it stands at a value."""
    value = d.value(name)
    return (Name(name),) if value is None else (Name(name), IS, Number(Fraction(value)))


def _parameters(d: Density, suffix: str = "") -> Row:
    """The subscript of a letter: the groups, at theta_0 if samples pass no gradient; p_data of what is empirical, p_mix
    of what lies between the domains."""
    if d.kind == "data":
        return (Script((Mark("data", r"\mathrm{data}"),)),)
    if d.kind == "mixture":
        return (Script((Mark("mix", r"\mathrm{mix}"),)),)
    if d.group is None:
        return ()
    groups = tuple((Name(g, variable=False, at0=d.stopped),) for g in d.group.split(","))
    names = (*groups, (Name(suffix, variable=False),)) if suffix else groups
    return (Script(_listed(names, Mark(",", ","))),)


def _map(d: Density) -> Row:
    """x = G_theta(z), Eq. 3: G the map of a factor p, E (Eq. 34) that of a factor q; in its domain y goes unsaid."""
    suffix = (d.factor or "").partition(".")[2]
    letter = {"p": "G", "q": "E"}.get(d.letter, d.letter)
    given = _listed(tuple((Name(v),) for v in d.given if d.value(v) is None))
    return (Name(d.target), EQUALS, Mark(letter, letter), *_parameters(d, suffix), LEFT, *given, RIGHT)


def _sampled(d: Density) -> Row:
    """z ~ p(z), (x, t) ~ p_data(x, t), x = G_theta(z)."""
    if d.kind == "implicit":
        return _map(d)
    names = _listed(tuple((Name(v),) for v in d.shown))
    left = names if len(d.shown) == 1 else (LEFT, *names, RIGHT)
    return (*left, TILDE, *layout_density(d))


# --- terms ----------------------------------------------------------------------------------------------------


def _sum(term: Term, depth: int) -> Row:
    """A term where a sum may stand: at the outermost, and inside brackets."""
    terms = term.terms if isinstance(term, Add) else (term,)
    row: list[Token] = []
    for i, t in enumerate(terms):
        factor, body = _coefficient(t)
        if i:
            row.append(Join("−" if factor < 0 else "+", depth))
        elif factor < 0:
            row.append(MINUS)
        row += _scaled(-factor if factor < 0 else factor, body, depth)
    return tuple(row) or (ZERO,)


def _coefficient(term: Term) -> tuple[Fraction | float, Term]:
    factor: Fraction | float = Fraction(1)
    while isinstance(term, Scale):
        factor, term = factor * term.factor, term.body
    return factor, term


def _scaled(factor: Fraction | float, body: Term, depth: int) -> Row:
    number: Row = () if factor == 1 else (Number(factor), SPACE)
    return (*number, *_product(body, depth))


def _bracket(body: Term, depth: int) -> Row:
    return (OPEN, *_sum(body, depth + 1), CLOSE)


def _product(term: Term, depth: int) -> Row:
    """A term where a factor may stand: sums and scales in brackets."""
    match term:
        case Log(d):
            return (*((UNITS,) if d.each else ()), LOG, *layout_density(d))
        case Critic():
            return _critic(term)
        case KL(left, right):
            return (DIVERGENCE, LEFT, *layout_density(left), PARALLEL, *layout_density(right), RIGHT)
        case Expect(draws, body) if not any(d.shown for d in draws):
            return _product(body, depth) if isinstance(body, Where | Expect) else _bracket(body, depth)
        case Expect(draws, body):
            bare = (isinstance(body, Expect) and body.draws) or isinstance(body, Where)
            inside = _product(body, depth) if bare else _bracket(body, depth)
            between = (SPACE,) if isinstance(body, Expect) and body.draws else ()
            return (*_expectations(draws), *between, *inside)
        case LogMean(k, draws, body):
            many = (*_listed(tuple(_sampled(d) for d in draws)), COMMA, Mark("i ≤ ", r"i\le "), _draws(k))
            mean = (LOG, Mark("1/", "1/"), _draws(k), Mark(" Σᵢ exp", r"\,\textstyle\sum_{i}\exp"))
            return (EXPECTATION, Script(many, wide=True), OPEN, *mean, *_bracket(body, depth + 1), CLOSE)
        case Normalized(_, top, bottom, body):
            ratio = (LEFT, *layout_density(top), OVER, *layout_density(bottom), RIGHT)
            return (Mark("Σᵢ w̃ᵢ", r"\textstyle\sum_{i}\tilde{w}_{i}"), *ratio, SPACE, *_bracket(body, depth))
        case Mass(d, body):
            return (*layout_density(d), SPACE, *_product(body, depth))
        case Where(variable, values, _, body) if (name := masked(variable)) is not None:
            words = OBSERVED if 1 in values else MISSING if 0 in values else GENERATED
            return (OPEN, Name(name), words, *_sum(body, depth + 1), CLOSE)
        case Where(variable, values, _, body):
            listed = _listed(tuple((Number(Fraction(v)),) for v in values), Mark(",", ","))
            some: Row = (Mark(" ∈ {", r"\in\{"), *listed, Mark("}", r"\}"))
            guard = (Name(variable), *((IS, *listed) if len(values) == 1 else some))
            return (OPEN, *guard, Mark(": ", r":\,"), *_sum(body, depth + 1), CLOSE)
        case Scale() | Add():
            return _bracket(term, depth)
        case _:
            assert_never(term)


def _draws(k: int) -> Token:
    return Number(Fraction(k)) if k else Mark("batch", r"\mathrm{batch}")


def _critic(c: Critic) -> Row:
    """f_phi(x), the logit, in the form of its divergence; y open, or at its value."""
    d = c.density
    f: Row = (Mark("f", "f"), *_parameters(d), LEFT, *_listed(tuple((Name(v),) for v in d.given)), RIGHT)
    at = d.value(d.target)
    value = at if at is None or not d.reverse else 1 - at
    y: Row = (Name(d.target),) if value is None else (Number(Fraction(value)),)
    if value is None and d.reverse:
        y = (LEFT, ONE, LESS, *y, RIGHT)
    sign: Row = {None: (LEFT, Number(Fraction(2)), *y, LESS, ONE, RIGHT, SPACE), 0: (MINUS,), 1: ()}[value]
    match c.form:
        case "slope":
            return (MINUS, LEFT, GRADIENT, *f, NORM, LESS, ONE, RIGHT, SQUARE)
        case "square":
            return (MINUS, LEFT, *f, *((LESS, *y) if value != 0 else ()), RIGHT, SQUARE)
        case "linear":
            return (*sign, *f)
        case "hinge":
            return (MINIMUM, LEFT, ZERO, COMMA, *sign, *f, LESS, ONE, RIGHT)


def _expectations(draws: tuple[Density, ...]) -> Row:
    """E_{p(y)} E_{p_theta(x | y)}; E_{z ~ p(z), x = G_theta(z)} where a map is among the draws."""
    draws = tuple(d for d in draws if d.shown)
    first, rest = draws[0], draws[1:]
    if first.kind == "indicator" and rest:
        return (*_expectations((first,)), SPACE, *_expectations(rest))
    if any(d.kind == "implicit" for d in draws):
        row = _listed(tuple(_sampled(d) for d in draws))
    else:
        row = _listed(tuple(layout_density(d) for d in draws), SPACE)
    return (EXPECTATION, Script(row, wide=True))

"""The paper's objectives as terms, written by hand, and random well-formed terms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from schematic.calculus.terms import KL, Add, Density, Expect, Kind, Log, Mass, Scale, Term, Where

HALF = Fraction(1, 2)
SIZES = {"x": 3, "z": 2, "t": 2, "w": 3}


def at(d: Density, variable: str, value: int) -> Density:
    return replace(d, values=(*d.values, (variable, value)))


# --- the parts of Figure 3 -----------------------------------------------------------------------------------

P_Y = Density("indicator", "p", None, ("y",))
P_Z = Density("prior", "p", None, ("z",))
P_DATA = Density("data", "p", None, ("x",))
GENERATOR = Density("implicit", "p", "theta", ("x",), ("z", "y"), "p_theta", fixed_at=1)
DECODER = replace(GENERATOR, kind="explicit")
ENCODER = Density("explicit", "q", "eta", ("z",), ("x", "y"), "q_eta", fixed_at=1)
JUDGE = Density("blue", "q", "phi", ("y",), ("x",), "q_phi")
REVERSED = replace(JUDGE, reverse=True)
PERFECT = replace(REVERSED, given=("x", "y'"), perfect=True)

P_X = Density("cases", "p", "theta", ("x",), ("y",), cases=((P_Z, at(GENERATOR, "y", 0)), (P_DATA,)))
"""p_theta(x | y), Eq. 6."""


def gan() -> tuple[Term, Term]:
    """Eqs. 4 and 5."""
    return Expect((P_Y, P_X), Log(JUDGE)), Expect((P_Y, P_X), Log(REVERSED))


def infogan() -> tuple[Term, Term]:
    """Eq. 15."""
    first = Expect((P_Y, P_X), Add((Log(ENCODER), Log(JUDGE))))
    return first, Expect((P_Y, P_X), Add((Log(ENCODER), Log(REVERSED))))


def aae() -> tuple[Term, Term]:
    """Eqs. 33 to 35: x and z exchanged."""
    encoder = Density("implicit", "q", "eta", ("z",), ("x", "y"), "q_eta", (("y", 0),), fixed_at=1)
    q_z = Density("cases", "q", "eta", ("z",), ("y",), cases=((P_DATA, encoder), (replace(P_Z, letter="q"),)))
    judge = replace(JUDGE, given=("z",))
    scored = Log(DECODER)
    reverse = replace(judge, reverse=True)
    return Expect((P_Y, q_z), Add((scored, Log(judge)))), Expect((P_Y, q_z), Add((scored, Log(reverse))))


def aavae(weigher: Density = REVERSED) -> Term:
    """Eq. 23; with the perfect weigher Eq. 19, line 1. The outer sample is at theta_0 and has the origin y'."""
    made = at(replace(DECODER, stopped=True), "y", 0)
    outer = Density("cases", "p", "theta", ("x",), ("y'",), cases=((P_Z, made), (P_DATA,)), stopped=True)
    origin = replace(P_Y, targets=("y'",))
    inferred = Density(
        "cases", "q", "eta", ("z",), ("x", "y"), cases=((at(ENCODER, "y", 0),), (P_Z,))
    )  # q_eta(z | x, y), whose code at y=1 is degenerate
    prior = replace(P_Z, given=("y",), fixed_at=1)
    inner = Expect((weigher, inferred), Add((Log(DECODER), Log(prior), Scale(Fraction(-1), Log(ENCODER)))))
    constant = Scale(Fraction(-1), KL(weigher, P_Y))
    return Expect((origin, outer), Add((inner, constant)))


def elbo() -> Term:
    """Eq. 17, inside the expectation over x."""
    q, p = at(ENCODER, "y", 0), at(DECODER, "y", 0)
    return Add((Expect((q,), Log(p)), Scale(Fraction(-1), KL(q, P_Z))))


def vae() -> Term:
    """Eq. 17, with the 1/2 of its branch."""
    return Scale(HALF, Expect((P_DATA,), elbo()))


# --- random terms ---------------------------------------------------------------------------------------------

VARIABLES = tuple(SIZES)
DOMAINS = ("y", "o")
GROUPS = {"x": "theta", "w": "theta", "z": "eta", "t": "a1", "y": "phi", "o": "phi"}


@st.composite
def conditionals(draw: st.DrawFn, target: str, scope: frozenset[str], *, drawn: bool = False) -> Density:
    """An explicit, hollow, given or blue density of a target, over some of the variables in scope."""
    kinds: tuple[Kind, ...] = ("explicit", "implicit", "prior", "data") if drawn else ("explicit", "explicit", "prior")
    kind: Kind = "blue" if target in DOMAINS else draw(st.sampled_from(kinds))
    others = sorted((scope | {"y"}) - {target} - (set(DOMAINS) if kind == "blue" else {"o"}))
    given = tuple(draw(st.lists(st.sampled_from(others), unique=True, max_size=3))) if others else ()
    if kind in ("prior", "data"):
        return Density(kind, "p", None, (target,))
    name = ".".join((kind, target, *given))
    values = (("y", draw(st.integers(0, 1))),) if "y" in given and ("y" not in scope or draw(st.booleans())) else ()
    found = Density(kind, draw(st.sampled_from("pq")), GROUPS[target], (target,), given, name, values)
    if kind == "blue":
        return replace(found, reverse=draw(st.booleans()), temperature=draw(st.sampled_from((1.0, 1.5))))
    fixed = draw(st.sampled_from((None, 1))) if "y" in given else None
    return replace(found, fixed_at=fixed, stopped=drawn and draw(st.booleans()))


@st.composite
def mixtures(draw: st.DrawFn, scope: frozenset[str]) -> Density:
    """A distribution by cases of x, with another code in each."""
    first = draw(conditionals("x", frozenset({"z"}), drawn=True).filter(lambda d: d.kind == "implicit"))
    second = draw(conditionals("x", frozenset(), drawn=True).filter(lambda d: d.kind != "prior"))
    fixed = tuple(
        at(d, "y", v) if "y" in d.given and d.value("y") is None else d for v, d in enumerate((first, second))
    )
    values = () if "y" in scope else (("y", draw(st.integers(0, 1))),)
    return Density("cases", "p", "theta", ("x",), ("y",), values=values, cases=((P_Z, fixed[0]), (P_Z, fixed[1])))


@st.composite
def draws(draw: st.DrawFn, scope: frozenset[str]) -> Density:
    kind = draw(st.sampled_from(("indicator", "blue", "cases", "other", "other")))
    if kind == "indicator":
        return P_Y
    if kind == "cases":
        return draw(mixtures(scope))
    target = "y" if kind == "blue" else draw(st.sampled_from(VARIABLES))
    return draw(conditionals(target, scope, drawn=True))


@st.composite
def perfect(draw: st.DrawFn) -> Density:
    """q_* or its reverse at a value, of a sample whose origin is known."""
    values = (("y", draw(st.integers(0, 1))), ("o", draw(st.integers(0, 1))))
    return Density("blue", "q", "phi", ("y",), ("x", "o"), "q_phi", values, perfect=True, reverse=draw(st.booleans()))


@st.composite
def brackets(draw: st.DrawFn, scope: frozenset[str]) -> Term:
    """E_f[log g - log f], and more: what closes into a KL, or may not."""
    target = draw(st.sampled_from(VARIABLES))
    f = draw(conditionals(target, scope - {target}, drawn=True).filter(lambda d: d.kind == "explicit"))
    scored = draw(st.lists(conditionals(target, scope | {target}), min_size=1, max_size=2))
    parts: tuple[Term, ...] = (*(Log(g) for g in scored), Scale(Fraction(-1), Log(replace(f, stopped=False))))
    return Expect((f,), Add(tuple(draw(st.permutations(parts)))))


def bound(d: Density) -> frozenset[str]:
    return frozenset((*d.targets, *(t for case in d.cases for c in case for t in c.targets)))


@st.composite
def terms(draw: st.DrawFn, scope: frozenset[str] = frozenset(), depth: int = 3) -> Term:
    """A random term, well formed in a scope of bound variables; closed by default."""
    kinds = [
        "kl",
        *(["log"] if scope else []),
        *(["expect", "bracket", "add", "scale", "mass", "where"] if depth else []),
    ]
    match draw(st.sampled_from(kinds)):
        case "log":
            return Log(draw(conditionals(draw(st.sampled_from(sorted(scope))), scope)))
        case "kl":
            target = draw(st.sampled_from(VARIABLES))
            free = conditionals(target, scope - {target})
            return KL(draw(free), draw(free))
        case "mass" if "y" in scope:
            return Mass(draw(conditionals("y", scope)), draw(terms(scope, depth - 1)))
        case "mass":
            return Mass(draw(perfect()), draw(terms(scope, depth - 1)))
        case "bracket":
            return draw(brackets(scope))
        case "where" if "y" in scope:
            values = draw(st.sampled_from(((0,), (1,), (0, 1))))
            return Where("y", values, "it lives there", draw(terms(scope, depth - 1)))
        case "add":
            return Add(tuple(draw(st.lists(terms(scope, depth - 1), max_size=3))))
        case "scale":
            fractions: tuple[Fraction | float, ...] = (HALF, Fraction(-1), Fraction(3, 7), Fraction(0), 0.1, -2.5e-7)
            return Scale(draw(st.sampled_from(fractions)), draw(terms(scope, depth - 1)))
        case _:
            found: list[Density] = []
            own: frozenset[str] = frozenset()  # a variable is drawn once here, and hides what is further out
            for _ in range(draw(st.integers(1, 3))):
                d = draw(draws(scope | own))
                if not bound(d) & own:
                    found.append(d)
                    own |= bound(d)
            return Expect(tuple(found), draw(terms(scope | own, depth - 1)))

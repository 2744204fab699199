"""The rewrite rules, one row each, and the engine that applies them.

A rule leaves value and gradient unchanged, or changes them by exactly the terms that its step lists as dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.terms import (
    KL,
    ZERO,
    Add,
    Density,
    Derivation,
    Expect,
    Log,
    Mass,
    Scale,
    Step,
    Term,
    Where,
    children,
    densities,
    rebuild,
    substitute,
)
from schematic.calculus.text import density_text


@dataclass(frozen=True)
class Context:
    """What a derivation knows beside its term: the indicator, the parameters that move, and which factors are fixed."""

    y: str | None
    groups: frozenset[str]
    fixed: frozenset[str]

    def moves(self, d: Density) -> bool:
        """The density has parameters of the groups that are updated."""
        mine = d.group is not None and bool(self.groups & set(d.group.split(",")))
        return mine and not d.perfect and d.factor not in self.fixed


@dataclass(frozen=True)
class Rewrite:
    """The outcome of a rule at one node: what it becomes, what was assumed, what was dropped there."""

    term: Term
    assumptions: tuple[str, ...] = ()
    dropped: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One row. `formula` reads left = right; `apply` answers None where the row does not match.

    `scope` node: tried at every node, innermost first; term: at the whole term.
    """

    name: str
    formula: str
    equation: str
    apply: Callable[[Term, Context], Rewrite | None]
    scope: str = "node"


# --- structure --------------------------------------------------------------------------------------------


def tidy(term: Term) -> Term:
    """Sums flattened, scales collected, empty parts gone: the same value in its plainest shape."""
    new = rebuild(term, tuple(tidy(t) for t in children(term)))
    match new:
        case Add(terms):
            flat = tuple(u for t in terms for u in (t.terms if isinstance(t, Add) else (t,)))
            return flat[0] if len(flat) == 1 else Add(flat)
        case Expect(_, body) | Mass(_, body) | Scale(_, body) | Where(_, _, _, body) if body == ZERO:
            return ZERO
        case Expect((), body) | Scale(1, body):
            return body
        case Scale(0, _):
            return ZERO
        case Scale(outer, Scale(inner, body)):
            return tidy(Scale(outer * inner, body))
        case Scale(factor, Add(terms)):
            return tidy(Add(tuple(Scale(factor, t) for t in terms)))
        case Expect(draws, Scale(factor, body), branch):
            return tidy(Scale(factor, Expect(draws, body, branch)))
        case Mass(d, Scale(factor, body)):
            return tidy(Scale(factor, Mass(d, body)))
        case _:
            return new


def needs(term: Term) -> frozenset[str]:
    """The variables that a term reads from the draws around it."""
    match term:
        case Log(d):
            return frozenset((*d.targets, *d.given))
        case KL(left, right):
            return frozenset((*left.given, *right.given)) - {left.target}
        case Mass(d, body):
            return frozenset((*d.targets, *d.given)) | needs(body)
        case Expect(draws, body):
            found = needs(body)
            for d in reversed(draws):
                found = (found - set(bound(d))) | set(outside(d))
            return found
        case _:
            return frozenset(v for t in children(term) for v in needs(t))


def bound(d: Density) -> tuple[str, ...]:
    """The variables that a draw binds."""
    return (*d.targets, *(t for case in d.cases for c in case for t in c.targets))


def outside(d: Density) -> frozenset[str]:
    """The variables that a draw reads from those before it."""
    found = set(d.given)
    for case in d.cases:
        inner: set[str] = set()
        for c in case:
            found |= set(c.given) - inner
            inner |= set(c.targets)
    return frozenset(found)


def trim(draws: tuple[Density, ...], needed: frozenset[str]) -> tuple[Density, ...]:
    """The draws on which the needed variables depend; a record keeps the fields that are needed."""
    kept: list[Density] = []
    wanted = set(needed)
    for d in reversed(draws):
        here = [t for t in bound(d) if t in wanted]
        if not here:
            continue
        wanted = (wanted - set(bound(d))) | set(outside(d))
        kept.append(replace(d, targets=tuple(t for t in d.targets if t in here)) if d.kind == "data" else d)
    return tuple(reversed(kept))


# --- the rows ---------------------------------------------------------------------------------------------


def _domain(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect((Density(kind="indicator", values=()) as d, *rest), body):
            parts = tuple(
                Scale(Fraction(1, d.domains), substitute(Expect(tuple(rest), body, v), d.target, v))
                for v in range(d.domains)
            )
            return Rewrite(Add(parts), ("p(y) is uniform",))
    return None


def _cases(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect(draws):
            new: list[Density] = []
            for d in draws:
                value = d.value(d.given[-1]) if d.kind == "cases" else None
                new += d.cases[value] if value is not None else (d,)
            return Rewrite(replace(term, draws=tuple(new))) if tuple(new) != draws else None
    return None


def _component(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect((Density(kind="blue") as b, *rest), body) if b.value(b.target) is None:
            inner = Expect(tuple(rest), body)
            parts = (
                Mass(replace(b, values=(*b.values, (b.target, v))), substitute(inner, b.target, v))
                for v in range(b.domains)
            )
            return Rewrite(Add(tuple(parts)))
    return None


def _perfect(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Mass(Density(kind="blue", perfect=True, reverse=True) as b, body):
            origin, value = b.value(b.given[-1]), b.value(b.target)
            if origin is None or value is None:
                return None
            return Rewrite(body if value == 1 - origin else ZERO, ("q_* reads the origin of the sample",))
    return None


def _degenerate(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Log(d) if d.fixed_at is not None and context.y is not None:
            if d.value(context.y) == d.fixed_at:
                assumption = f"{density_text(d)} is fixed, without parameters: its log is a constant"
                return Rewrite(ZERO, (assumption,), (term,))
    return None


def _plain(term: Term, context: Context) -> Rewrite | None:
    """In a branch the domain is known, and the densities need not repeat it."""
    y = context.y

    def plain(d: Density) -> Density:
        known = y is not None and d.kind not in ("blue", "data") and y in d.given and d.value(y) is not None
        return replace(d, given=tuple(g for g in d.given if g != y)) if known else d

    match term:
        case Log(d):
            new: Term = Log(plain(d))
        case KL(left, right):
            new = KL(plain(left), plain(right))
        case Expect(draws):
            new = replace(term, draws=tuple(plain(d) for d in draws))
        case _:
            return None
    return Rewrite(new) if new != term else None


def _reverse(term: Term, context: Context) -> Rewrite | None:
    def turned(b: Density) -> Density | None:
        value = b.value(b.target)
        if not (b.kind == "blue" and b.reverse) or value is None or b.domains != 2:
            return None
        others = tuple((v, x) for v, x in b.values if v != b.target)
        return replace(b, reverse=False, values=(*others, (b.target, 1 - value)))

    match term:
        case Log(b) if (new := turned(b)) is not None:
            return Rewrite(Log(new))
        case Mass(b, body) if (new := turned(b)) is not None:
            return Rewrite(Mass(new, body))
    return None


def _coefficient(term: Term) -> tuple[Fraction | float, Term]:
    return (term.factor, term.body) if isinstance(term, Scale) else (Fraction(1), term)


def _pair(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect(draws, body, branch):
            parts = list(body.terms if isinstance(body, Add) else (body,))
            for i, entropy in enumerate(parts):
                match _coefficient(entropy):
                    case (scale, Log(f)) if scale < 0 and f.kind == "explicit":
                        j = _partner(parts, i, scale, f, draws)
                        if j is not None:
                            _, prior = _coefficient(parts[j])
                            assert isinstance(prior, Log)
                            parts[j] = Scale(scale, KL(f, prior.density))
                            del parts[i]
                            paired = Expect(draws, Add(tuple(parts)), branch)
                            return _pair(paired, context) or Rewrite(paired)
    return None


def _partner(
    parts: list[Term], i: int, scale: Fraction | float, f: Density, draws: tuple[Density, ...]
) -> int | None:
    """The place of log g that makes -KL(f || g) with the -log f at place i: g is the one density of f's target,
    as heavy as f, and no parent of g was drawn from the target."""
    if not any(d.kind == "explicit" and d.factor == f.factor for d in draws):
        return None
    scored = [
        (j, c, t.density)
        for j, part in enumerate(parts)
        for c, t in [_coefficient(part)]
        if j != i and isinstance(t, Log) and t.density.kind in ("explicit", "prior") and t.density.target == f.target
    ]
    if len(scored) != 1 or scored[0][1] != -scale:
        return None
    found = {f.target}
    for d in draws:
        if found & set(d.given):
            found |= set(d.targets)
    j, _, g = scored[0]
    return None if found & set(g.given) else j


def _unreached(term: Term, context: Context) -> Rewrite | None:
    dropped: list[Term] = []

    def visit(t: Term, around: tuple[Density, ...], wrap: Callable[[Term], Term]) -> Term:
        match t:
            case Add(terms):
                return Add(tuple(visit(u, around, wrap) for u in terms))
            case Expect(draws, body, v):
                return Expect(draws, visit(body, (*around, *draws), lambda u: wrap(Expect(draws, u, v))), v)
            case Mass(b, body):
                return Mass(b, visit(body, around, lambda u: wrap(Mass(b, u))))
            case Scale(c, body):
                return Scale(c, visit(body, around, lambda u: wrap(Scale(c, u))))
            case Where(body=body):
                return replace(t, body=visit(body, around, lambda u: wrap(replace(t, body=u))))
            case _:
                if reached(t, around, context):
                    return t
                dropped.append(tidy(wrap(t)))
                return ZERO

    new = tidy(visit(term, (), lambda u: u))
    new = tidy(marginal(new))
    return Rewrite(new, dropped=tuple(dropped)) if new != term else None


def marginal(term: Term) -> Term:
    """Draws on which nothing inside depends integrate to one and go."""
    new = rebuild(term, tuple(marginal(t) for t in children(term)))
    match new:
        case Expect(draws, body, branch):
            return Expect(trim(draws, needs(body)), body, branch)
        case _:
            return new


def reached(atom: Term, draws: tuple[Density, ...], context: Context) -> bool:
    """A parameter of the updated groups moves the atom: its own density, or a draw under it that passes gradient."""
    if any(context.moves(d) for d in densities(atom)):
        return True
    wanted = set(needs(atom))
    for d in reversed(draws):
        if wanted & set(bound(d)):
            if not d.stopped and context.moves(d):
                return True
            wanted = (wanted - set(bound(d))) | (set() if d.stopped else outside(d))
    return False


RULES: tuple[Rule, ...] = (
    Rule("domain", "E_{p(y)}[T(y)] = sum_v p(y=v) T(v), p(y) uniform", "Eq. 7", _domain),
    Rule("cases", "a distribution that differs by domain is written out in each; an implicit one by its map "
         "x = G(z), z ~ p(z)", "Eqs. 3, 6, 18, 33, 34", _cases),
    Rule("component", "E_{q(y|x)}[T(y)] = sum_v q(y=v|x) T(v)", "Eqs. 37, 38", _component),
    Rule("perfect", "q_*^r(y|x) puts all its mass on 1 - origin", "Lemma 2, Eq. 37", _perfect),
    Rule("degenerate", "log f(. | ., y=given) is fixed, without parameters: constant", "sections 3.2.2, 3.3",
         _degenerate),
    Rule("reverse", "q^r(y|x) = q(1-y|x)", "section 3.1", _reverse),
    Rule("plain", "in its branch f(. | ., y=v) is written f(. | .)", "Eqs. 6, 18", _plain),
    Rule("pair", "E_f[log g(v) - log f(v)] = -KL(f || g)", "Eqs. 19, 38", _pair),
    Rule("unreached", "what no parameter of these groups reaches is constant and goes", "Eq. 7, const.",
         _unreached, scope="term"),
)  # fmt: skip


# --- the engine -------------------------------------------------------------------------------------------


def rewrite(rule: Rule, term: Term, context: Context) -> Rewrite:
    """The rule at every node, innermost first; dropped terms come back inside the expectations around them."""
    if rule.scope == "term":
        return rule.apply(term, context) or Rewrite(term)
    inner = [rewrite(rule, t, context) for t in children(term)]
    here = rebuild(term, tuple(r.term for r in inner))
    assumptions = tuple(a for r in inner for a in r.assumptions)
    around = [rebuild(term, (d,)) if not isinstance(term, Add) else d for r in inner for d in r.dropped]
    found = rule.apply(here, context)
    if found is None:
        return Rewrite(here, assumptions, tuple(around))
    return Rewrite(found.term, (*assumptions, *found.assumptions), (*around, *found.dropped))


def derive(start: Term, context: Context, rules: tuple[Rule, ...] = RULES) -> Derivation:
    """Applies the first row that changes the term, again and again, and records each as a step."""
    steps: list[Step] = []
    term = start
    while (step := _next(term, context, rules)) is not None:
        steps.append(step)
        term = step.after
    return Derivation(start, tuple(steps))


def _next(term: Term, context: Context, rules: tuple[Rule, ...]) -> Step | None:
    for rule in rules:
        done = rewrite(rule, term, context)
        after = tidy(done.term)
        if after != term:
            assumptions = tuple(dict.fromkeys(done.assumptions))
            return Step(rule.name, rule.formula, rule.equation, after, assumptions, done.dropped)
    return None

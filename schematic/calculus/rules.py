"""The rewrite rules, one row each, and the engine that applies them.

A rule leaves value and gradient unchanged, or changes them by exactly the terms that its step lists as dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from schematic.calculus.structure import Context, Moved, after, marginal, reaching, tidy
from schematic.calculus.terms import (
    KL,
    ZERO,
    Add,
    Critic,
    Density,
    Derivation,
    Expect,
    Log,
    LogMean,
    Mass,
    Normalized,
    Scale,
    Step,
    Term,
    Where,
    children,
    masked,
    rebuild,
    substitute,
)
from schematic.calculus.text import density_text


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
        case Expect(draws) | LogMean(_, draws):
            new: list[Density] = []
            for d in draws:
                value = d.value(d.given[-1]) if d.kind == "cases" else None
                new += d.cases[value] if value is not None else (d,)
            return Rewrite(replace(term, draws=tuple(new))) if tuple(new) != draws else None
    return None


def _known(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect(draws, body):
            for i, d in enumerate(draws):
                if d.kind == "indicator" and (value := d.value(d.target)) is not None:
                    rest = Expect((*draws[:i], *draws[i + 1 :]), body, term.branch)
                    return Rewrite(substitute(rest, d.target, value))
            masks = frozenset(t for d in draws if d.kind == "data" for t in d.targets if masked(t))
            new = replace(term, body=_of_record(body, masks))
            return Rewrite(new) if new != term else None
    return None


def _of_record(term: Term, masks: frozenset[str]) -> Term:
    """A record has its partial variables or has them not: nothing of it is generated."""
    new = rebuild(term, tuple(_of_record(t, masks) for t in children(term)))
    match new:
        case Where(variable, values, _, _) if variable in masks:
            left = tuple(v for v in values if v < 2)
            return replace(new, values=left) if left else ZERO
        case _:
            return new


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
        case Expect(draws) | LogMean(_, draws):
            new = replace(term, draws=tuple(plain(d) for d in draws))
        case _:
            return None
    return Rewrite(new) if new != term else None


def _unweighed(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect(draws, Normalized(body=body)) if term.branch is not None:
            if not any(groups for groups in after(draws, {}, context).values()):
                return Rewrite(replace(term, body=body))
    return None


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
        case Critic(form, b) if (new := turned(b)) is not None:
            return Rewrite(Critic(form, new))
        case Mass(b, body) if (new := turned(b)) is not None:
            return Rewrite(Mass(new, body))
        case Normalized(k, top, bottom, body) if (new := turned(top)) is not None:
            return Rewrite(Normalized(k, new, bottom, body))
    return None


def _logit(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Critic("linear", b) if b.value(b.target) == 0 and not b.reverse:
            others = tuple((v, x) for v, x in b.values if v != b.target)
            return Rewrite(Scale(Fraction(-1), Critic("linear", replace(b, values=(*others, (b.target, 1))))))
    return None


def _coefficient(term: Term) -> tuple[Fraction | float, Term]:
    return (term.factor, term.body) if isinstance(term, Scale) else (Fraction(1), term)


def _pair(term: Term, context: Context) -> Rewrite | None:
    match term:
        case Expect(draws, body):
            parts = dict(enumerate(body.terms if isinstance(body, Add) else (body,)))
            scored: dict[str, list[int]] = {}
            for j, part in parts.items():
                match _coefficient(part):
                    case scale, Log(Density(kind="explicit" | "prior") as g) if scale > 0:
                        scored.setdefault(g.target, []).append(j)
            drawn = {d for d in draws if d.kind == "explicit"}
            for i, part in tuple(parts.items()):
                match _coefficient(part):
                    case scale, Log(f) if scale < 0 and f in drawn and len(scored.get(f.target, ())) == 1:
                        (j,) = scored[f.target]
                        weight, prior = _coefficient(parts[j])
                        if weight == -scale and isinstance(prior, Log) and _apart(prior.density, f.target, draws):
                            parts[j] = Scale(scale, KL(f, prior.density))
                            del parts[i]
            new = replace(term, body=Add(tuple(parts.values())))
            return Rewrite(new) if any(isinstance(_coefficient(p)[1], KL) for p in parts.values()) else None
    return None


def _apart(g: Density, target: str, draws: tuple[Density, ...]) -> bool:
    """No parent of g was drawn from the target: then the mean over it is a divergence given the parents."""
    if not g.given:
        return True
    found = {target}
    for d in draws:
        if found & set(d.given):
            found |= set(d.targets)
    return not found & set(g.given)


def _unreached(term: Term, context: Context) -> Rewrite | None:
    dropped: list[Term] = []

    def visit(t: Term, moved: Moved, wrap: Callable[[Term], Term]) -> Term:
        match t:
            case Add(terms):
                return Add(tuple(visit(u, moved, wrap) for u in terms))
            case Expect(draws, body):
                return replace(t, body=visit(body, after(draws, moved, context), lambda u: wrap(replace(t, body=u))))
            case Normalized(body=body) | Mass(body=body) | Scale(body=body) | Where(body=body):
                return replace(t, body=visit(body, moved, lambda u: wrap(replace(t, body=u))))
            case _:
                if reaching(t, moved, context):
                    return t
                dropped.append(tidy(wrap(t)))
                return ZERO

    new = tidy(visit(term, {}, lambda u: u))
    new = tidy(marginal(new))
    return Rewrite(new, dropped=tuple(dropped)) if new != term else None


RULES: tuple[Rule, ...] = (
    Rule("domain", "E_{p(y)}[T(y)] = sum_v p(y=v) T(v), p(y) uniform", "Eq. 7", _domain),
    Rule("cases", "a distribution that differs by domain is written out in each; an implicit one by its map "
         "x = G(z), z ~ p(z)", "Eqs. 3, 6, 18, 33, 34", _cases),
    Rule("known", "on generated samples a partial variable is not observed; drawn from its prior it is known",
         "Kingma et al. 2014", _known),
    Rule("component", "E_{q(y|x)}[T(y)] = sum_v q(y=v|x) T(v)", "Eqs. 37, 38", _component),
    Rule("perfect", "q_*^r(y|x) puts all its mass on 1 - origin", "Lemma 2, Eq. 37", _perfect),
    Rule("degenerate", "log f(. | ., y=given) is fixed, without parameters: constant", "sections 3.2.2, 3.3",
         _degenerate),
    Rule("unweighed", "importance weights are for samples that carry gradient", "Eq. 47", _unweighed),
    Rule("reverse", "q^r(y|x) = q(1-y|x)", "section 3.1", _reverse),
    Rule("logit", "s f at y=0 is -f", "s = 2y - 1", _logit),
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

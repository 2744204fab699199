"""The whole calculus on one screen: densities and the terms that objectives are made of. Frozen, no torch.

An objective is a term. It is printed (text, LaTeX), evaluated exactly on finite tables, and compiled to code
from the very same value; no formula is ever a stored string. Letters come from the variables.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from schematic.core.source import NOWHERE, Span

Kind = Literal["explicit", "implicit", "blue", "prior", "data", "indicator", "cases", "mixture"]


@dataclass(frozen=True)
class Density:
    """A conditional distribution as it stands in a formula: q_eta(z | x, y=0).

    kind       explicit: can be scored · implicit: hollow, target = G(given) · blue: b or its reverse b^r
               · prior, data: given distributions p(z), p_data(x, t) · indicator: uniform p(y), or a mask at its value
               · cases: defined domain by domain, p_theta(x|y) of Eq. 6, with the code encapsulated (Eq. 3)
    group      the parameters, several joined by a comma (cases: p_theta,eta(x, z|y)); None: given
    values     the domain variables that stand at a fixed value here: (("y", 0),); one that is fixed may be left out
               of `given`, as in q_eta(z|x) for q_eta(z|x, y=0), and still selects the factor's row
    fixed_at   the value of y at which it is degenerate: fixed, without parameters
    reverse    blue: y and 1-y exchanged
    perfect    blue: q_*, which reads the origin of the sample, its last given variable
    stopped    at theta_0: what is sampled from it passes no gradient
               · mixture: on the line between a draw of each domain, at a uniform place (a slope's points)
    each       blue: of every unit of the target given the others, q(z_i | z_-i), the logs added up
    cases      for kinds cases and mixture, per value of the domain variable the draws that define it; all are bound
    domains    names of the values of the domain variable, for printing
    """

    kind: Kind
    letter: str
    group: str | None
    targets: tuple[str, ...]
    given: tuple[str, ...] = ()
    factor: str | None = None
    values: tuple[tuple[str, int], ...] = ()
    fixed_at: int | None = None
    reverse: bool = False
    perfect: bool = False
    stopped: bool = False
    each: bool = False
    temperature: float = 1.0
    cases: tuple[tuple[Density, ...], ...] = ()
    domains: int = 2
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def target(self) -> str:
        return self.targets[0]

    @property
    def shown(self) -> tuple[str, ...]:
        """The targets as the paper writes them: whether a variable is observed goes unsaid."""
        return tuple(t for t in self.targets if masked(t) is None)

    def value(self, variable: str) -> int | None:
        """The value at which a domain variable stands here, None while it is free."""
        return dict(self.values).get(variable)

    def mentions(self, variable: str) -> bool:
        return variable in self.targets or variable in self.given


def mask(variable: str) -> str:
    """The name of whether a `partial` variable is observed, 1 or 0; no variable of a file can have it."""
    return f"{variable}?"


def masked(name: str) -> str | None:
    """The variable that a mask is about, None of any other name."""
    return name[:-1] if name.endswith("?") else None


@dataclass(frozen=True)
class Log:
    """log f, in nats."""

    density: Density


@dataclass(frozen=True)
class Critic:
    """What a divergence makes of a discriminator's logit f = log b(y=1|.) - log b(y=0|.), at the y of the density, with
    s = 2y - 1. linear: s f · square: -(f - y)^2 · hinge: min(0, s f - 1) · slope: -(|grad f| - 1)^2, for no y."""

    form: Literal["linear", "square", "hinge", "slope"]
    density: Density


@dataclass(frozen=True)
class KL:
    """KL(left || right) over the left density's target, the conditioning variables of both being given; in nats."""

    left: Density
    right: Density


@dataclass(frozen=True)
class Expect:
    """E_draws[body]; draws in ancestral order, each binds its targets.

    `branch`: the domain's number, once fixed; "model" for the model's own samples (sleep), "penalty" for mixtures.
    """

    draws: tuple[Density, ...]
    body: Term
    branch: int | str | None = None


@dataclass(frozen=True)
class Mass:
    """density(...) * body: a probability that weighs, for example q^r(y=0 | x) in Eq. 23; passes no gradient."""

    density: Density
    body: Term


@dataclass(frozen=True)
class LogMean:
    """E[log 1/k sum_i exp(body_i)] over k joint draws: the importance-weighted bound (Eq. 40)."""

    k: int
    draws: tuple[Density, ...]
    body: Term


@dataclass(frozen=True)
class Normalized:
    """sum_i w_i / (sum_j w_j) * body_i over k samples, w = top / bottom, which pass no gradient (Eqs. 22, 44).

    k = 0: the batch. A surrogate: its gradient is meant, not its value.
    """

    k: int
    top: Density
    bottom: Density
    body: Term


@dataclass(frozen=True)
class Scale:
    factor: Fraction | float
    body: Term


@dataclass(frozen=True)
class Add:
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Where:
    """The term in the listed values of a domain variable, or of a mask, nothing in the others, for the reason given."""

    variable: str
    values: tuple[int, ...]
    reason: str
    body: Term


Term = Log | Critic | KL | Expect | LogMean | Normalized | Mass | Scale | Add | Where
ZERO = Add(())


def children(term: Term) -> tuple[Term, ...]:
    match term:
        case Log() | Critic() | KL():
            return ()
        case Expect(body=body) | LogMean(body=body) | Normalized(body=body) | Mass(body=body):
            return (body,)
        case Scale(body=body) | Where(body=body):
            return (body,)
        case Add(terms):
            return terms


def rebuild(term: Term, new: tuple[Term, ...]) -> Term:
    """The same node over other children."""
    match term:
        case Log() | Critic() | KL():
            return term
        case Expect() | LogMean() | Normalized() | Mass() | Scale() | Where():
            return replace(term, body=new[0])
        case Add():
            return Add(new)


def densities(term: Term) -> tuple[Density, ...]:
    """Every density of a term, those inside draws and cases included, in reading order."""
    match term:
        case Log(d) | Critic(_, d):
            own: tuple[Density, ...] = (d,)
        case KL(left, right):
            own = (left, right)
        case Mass(d, _):
            own = (d,)
        case Normalized(_, top, bottom, _):
            own = (top, bottom)
        case Expect(draws, _) | LogMean(_, draws, _):
            own = tuple(e for d in draws for e in (d, *(c for case in d.cases for c in case)))
        case _:
            own = ()
    return (*own, *(d for t in children(term) for d in densities(t)))


def substitute(term: Term, variable: str, value: int) -> Term:
    """The term with a domain variable at a value, wherever it is not bound again."""

    def at(d: Density) -> Density:
        free = d.mentions(variable) and d.value(variable) is None
        return replace(d, values=(*d.values, (variable, value))) if free else d

    match term:
        case Log(d):
            return Log(at(d))
        case Critic(form, d):
            return Critic(form, at(d))
        case KL(left, right):
            return KL(at(left), at(right))
        case Mass(d, body):
            return Mass(at(d), substitute(body, variable, value))
        case Normalized(k, top, bottom, body):
            return Normalized(k, at(top), at(bottom), substitute(body, variable, value))
        case Expect(draws, body) | LogMean(_, draws, body):
            binding = (i for i, d in enumerate(draws) if variable in d.targets and d.value(variable) is None)
            again = next(binding, len(draws))
            inner = body if again < len(draws) else substitute(body, variable, value)
            before = (d if variable in d.targets else at(d) for d in draws[:again])
            return replace(term, draws=(*before, *draws[again:]), body=inner)
        case Where(name, values, _, body) if name == variable:
            return substitute(body, variable, value) if value in values else ZERO
        case _:
            return rebuild(term, tuple(substitute(t, variable, value) for t in children(term)))


@dataclass(frozen=True)
class Step:
    """One rewrite of a derivation: the rule's name and reason, the term after it, and what it assumed or dropped."""

    rule: str
    reason: str
    equation: str
    after: Term
    assumptions: tuple[str, ...] = ()
    dropped: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Derivation:
    """From the paper's form to the unfolded one."""

    start: Term
    steps: tuple[Step, ...]

    @property
    def end(self) -> Term:
        return self.steps[-1].after if self.steps else self.start


@dataclass(frozen=True)
class Summand:
    """One term of an unfolded objective: scale * E_outer E_draws[ prod masses * atom ]. `scale` carries the sign.

    `branch` is that of the expectation: the domain's number (in reading 3 the origin), None where there is no
    indicator. `term` names the model of a sum that it belongs to. `normalized` is (k, top, bottom) of `Normalized`.
    Reading 3 alone has `outer` draws, at theta_0, and the `component`, the y inferred from the outer sample;
    a variable among `draws` hides the outer one of its name. `observed`: it counts the records in which these `partial`
    variables are observed (True) or missing (False).
    """

    scale: Fraction | float
    outer: tuple[Density, ...]
    draws: tuple[Density, ...]
    masses: tuple[Density, ...]
    atom: Log | Critic | KL | LogMean
    branch: int | str | None = None
    component: int | None = None
    term: str = ""
    normalized: tuple[int, Density, Density] | None = None
    observed: tuple[tuple[str, bool], ...] = ()

    @property
    def scored(self) -> Density:
        """The density that the atom is a function of: of a KL the left one, of a log-mean the first."""
        match self.atom:
            case Log(d) | Critic(_, d) | KL(d, _):
                return d
            case LogMean(_, _, body):
                return densities(body)[0]


@dataclass(frozen=True)
class Objective:
    """What the groups of one update maximize together."""

    groups: tuple[str, ...]
    derivation: Derivation
    summands: tuple[Summand, ...]
    assumptions: tuple[str, ...] = ()

    @property
    def term(self) -> Term:
        return self.derivation.end

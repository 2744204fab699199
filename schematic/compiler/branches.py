"""Who is drawn from what in each branch of a model (semantics.md, Words). A pure reading of the graph.

A branch is a value of the indicator y; a model without one has the single branch None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from schematic.calculus.terms import Density, mask, masked
from schematic.graph.model import Factor, Model, Variable

Branch = int | None


@dataclass(frozen=True)
class Given:
    """The variable takes its given distribution g(v)."""

    variable: Variable


@dataclass(frozen=True)
class Outer:
    """Reading 3: the variable stands at the value that the outer sample carries."""


@dataclass(frozen=True)
class Fixed:
    """Whether a `partial` variable is observed is known here: 0 on generated samples, from which it is inferred, 1 for
    a draw from its prior; 2 at reading 3's generated origin, from whose sample one component infers it and another has
    what it was generated from."""

    mask: str
    value: int


Source = Factor | Given | Outer | Fixed | None


@dataclass(frozen=True)
class Graph:
    """A model with what every reading asks of it, looked up once."""

    model: Model
    y: str | None
    domains: int
    blue: tuple[Factor, ...]
    into: dict[str, tuple[Factor, ...]]
    variables: dict[str, Variable]
    compared: frozenset[str]
    fixed_at: dict[str, int | None]
    factors: dict[str, Factor]

    def factor(self, name: object) -> Factor:
        """The factor that a density came from."""
        return self.factors[str(name)]

    @property
    def branches(self) -> tuple[Branch, ...]:
        return (None,) if self.y is None else tuple(range(self.domains))

    def free(self, factor: Factor, branch: Branch) -> bool:
        """The factor has its parameters here: it lives in this branch and is not degenerate in it."""
        if branch is None:
            return True
        return self.fixed_at[factor.name] != branch and factor.when in (None, branch)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each variable stands in the file."""
        return {name: i for i, name in enumerate(self.variables)}

    @cached_property
    def partial(self) -> tuple[Variable, ...]:
        """The variables that are observed for some records only."""
        return tuple(v for v in self.variables.values() if v.partial)

    @cached_property
    def inferred(self) -> tuple[str, ...]:
        """Those of them that an inference factor draws where they are missing."""
        return tuple(v.name for v in self.partial if any(self.inferring(v.name, b) for b in self.branches))

    def reads(self, variable: str, branch: Branch) -> bool:
        """A factor that lives in this branch has the variable at an end."""
        here = (f for f in self.model.factors if f.adversarial or self.free(f, branch))
        return any(variable in (*f.parents, f.target) for f in here)

    @property
    def judges(self) -> tuple[Factor, ...]:
        """The blue factors that are trained."""
        return tuple(f for f in self.blue if self.trains(f))

    def trains(self, factor: Factor) -> bool:
        """The factor has parameters that this model's training moves."""
        return not factor.fixed and not factor.perfect

    def parents(self, factor: Factor) -> tuple[str, ...]:
        """The factor's parents without the indicator."""
        return tuple(p for p in factor.parents if p != self.y)

    def inferring(self, variable: str, branch: Branch) -> tuple[Factor, ...]:
        """The inference factors that are free here and draw the variable."""
        return tuple(
            f
            for f in self.into.get(variable, ())
            if f.process == "inference" and not f.adversarial and self.free(f, branch)
        )

    def generating(self, variable: str, branch: Branch) -> tuple[Factor, ...]:
        """The generative factors into the variable that are free here."""
        return tuple(
            f
            for f in self.into.get(variable, ())
            if f.process == "generative" and not f.adversarial and self.free(f, branch)
        )


def graph(model: Model) -> Graph:
    """The model with its lookups; linear in its size."""
    indicator = model.indicator
    into: dict[str, list[Factor]] = {}
    for f in model.factors:
        into.setdefault(f.target, []).append(f)
    variables = {v.name: v for v in model.variables}
    y = indicator.name if indicator else None
    last = len(indicator.type.values) - 1 if indicator else 0
    blue = tuple(f for f in model.factors if f.adversarial)
    compared = frozenset(p for f in blue for p in f.parents if p != y)
    features = _features(model, variables, compared)
    fixed_at = {f.name: last if y in f.parents and f.target not in features else None for f in model.factors}
    tuples = {name: tuple(fs) for name, fs in into.items()}
    factors = {f.name: f for f in model.factors}
    return Graph(model, y, last + 1, blue, tuples, variables, compared, fixed_at, factors)


def _features(model: Model, variables: dict[str, Variable], compared: frozenset[str]) -> set[str]:
    """Variables without a given distribution that are compared, or lead to one through such: free in every domain."""
    found = {c for c in compared if not variables[c].given}
    pending = list(found)
    producers: dict[str, list[Factor]] = {}
    for f in model.factors:
        if not f.adversarial:
            producers.setdefault(f.target, []).append(f)
    while pending:
        for f in producers.get(pending.pop(), ()):
            new = {p for p in f.parents if not variables[p].given and variables[p].type.kind != "domain"} - found
            found |= new
            pending += new
    return found


def sources(
    g: Graph, branch: Branch, carried: frozenset[str] = frozenset(), seen: frozenset[str] = frozenset()
) -> dict[str, Source]:
    """How each variable comes about when the branch is sampled; `carried` stand at the outer sample's values.

    An inference factor that is free here, else the given distribution, else the hollow generative factor that
    computes it, else nothing. Of several inference factors the first: a diagnostic speaks of the others. Of the
    `partial` variables that are inferred those that are `seen` take the observation where their record is sampled.
    """
    found: dict[str, Source] = {}
    for name, variable in g.variables.items():
        if name == g.y:
            continue
        inferring = g.inferring(name, branch)
        hollow = [f for f in g.generating(name, branch) if f.implicit]
        if name in carried:
            found[name] = Outer()
        elif inferring:
            found[name] = inferring[0]
        elif variable.given:
            found[name] = Given(variable)
        else:
            found[name] = hollow[0] if hollow else None
    return _observed(g, branch, found, seen)


def _observed(g: Graph, branch: Branch, found: dict[str, Source], seen: frozenset[str]) -> dict[str, Source]:
    """With the `partial` variables, and their masks: from the record where it is sampled; else inferred, or, at y=0,
    from the prior (semantics.md, rule 8)."""
    for v in g.partial:
        drawn = found[v.name]
        if isinstance(drawn, Outer):
            found[mask(v.name)] = drawn
        elif recorded(g, branch, found, v) or (branch != 0 and not isinstance(drawn, Factor)):
            found[mask(v.name)] = _mask(v)
            found[v.name] = Given(v) if v.name in seen else drawn
        else:
            found[mask(v.name)] = Fixed(mask(v.name), 0 if isinstance(drawn, Factor) else 1)
            found[v.name] = drawn if isinstance(drawn, Factor) else _prior(v)
    return found


def _mask(v: Variable) -> Given:
    return Given(replace(v, name=mask(v.name)))


def _prior(v: Variable) -> Given:
    return Given(replace(v, data=None, partial=False))


def recorded(g: Graph, branch: Branch, source: dict[str, Source], variable: Variable) -> bool:
    """The record that a `partial` variable belongs to is sampled here: by another variable, or there are no domains."""
    if branch is None:
        return True
    home = _set(variable, branch)
    mates = (v for v in g.variables.values() if v.data is not None and v != variable and _set(v, branch) == home)
    return any(isinstance(source[v.name], Given) and not v.partial and g.reads(v.name, branch) for v in mates)


def ancestral_sources(g: Graph, origin: int) -> dict[str, Source]:
    """Reading 3: how the outer sample at an origin comes about, by the generative side at theta_0."""
    given = origin == g.domains - 1
    found: dict[str, Source] = {}
    for name, variable in g.variables.items():
        if name == g.y:
            continue
        generating = g.generating(name, origin)
        here = [f for f in generating if f.when == origin]
        if name in g.compared and here:
            found[name] = here[0]
        elif given and (variable.data or (name in g.compared and variable.given)):
            found[name] = Given(variable)
        elif generating:
            found[name] = generating[0]
        else:
            found[name] = Given(variable) if variable.given else None
    for v in g.partial:
        observed = isinstance(found[v.name], Given) and (given or recorded(g, origin, found, v))
        if isinstance(found[v.name], Given) and not observed:
            found[v.name] = _prior(v)
        found[mask(v.name)] = _mask(v) if observed else Fixed(mask(v.name), 2 if v.name in g.inferred else 1)
    return found


@dataclass(frozen=True)
class Unsourced:
    """A variable that is needed and has no source, or takes part in a cycle of sources."""

    variable: str
    cycle: tuple[str, ...] = ()


def draws(
    g: Graph, source: dict[str, Source], needed: Iterable[str], branch: Branch, stopped: Callable[[Factor], bool]
) -> tuple[tuple[Density, ...], tuple[Unsourced, ...]]:
    """The draws of a branch, in ancestral order, that the needed variables ask for, and what is in the way.

    Empirical variables of one data set come from one record: one draw. `stopped` tells which factors' samples
    pass no gradient.
    """
    order, problems = _ancestral(g, source, needed)
    result: list[Density] = []
    known: set[str] = set()
    for name in order:
        match source[name]:
            case Factor() as f:
                result.append(density(g, f, branch, stopped=stopped(f)))
            case Given(variable) if variable.data is not None:
                if name not in known:
                    mates = _record(g, source, order, variable, branch)
                    known |= set(mates)
                    result.append(record_density(g, mates, branch))
            case Given(variable):
                result.append(prior_density(variable))
            case Fixed(name, value):
                result.append(Density("indicator", "p", None, (name,), values=((name, value),)))
            case _:
                pass
    first = sorted(result, key=lambda d: 0 if d.kind == "data" else 1)
    return tuple(first), problems


def _ancestral(
    g: Graph, source: dict[str, Source], needed: Iterable[str]
) -> tuple[tuple[str, ...], tuple[Unsourced, ...]]:
    """Depth first, without recursion: the needed variables after all that they are drawn from."""
    order: dict[str, None] = {}
    problems: list[Unsourced] = []
    open_: list[str] = []
    stack = [(name, False) for name in reversed(tuple(dict.fromkeys(needed)))]
    while stack:
        name, done = stack.pop()
        if done:
            open_.remove(name)
            order[name] = None
        elif name in open_:
            problems.append(Unsourced(name, tuple(open_[open_.index(name) :])))
        elif name not in order:
            match source[name]:
                case Factor() as f:
                    open_.append(name)
                    stack.append((name, True))
                    stack += [(p, False) for p in reversed(g.parents(f))]
                case None:
                    problems.append(Unsourced(name))
                    order[name] = None
                case _:
                    order[name] = None
    return tuple(order), tuple(problems)


def _set(variable: Variable, branch: Branch) -> str:
    data = variable.data
    assert data is not None
    return data.sets[branch if data.given and branch is not None else 0]


def _record(
    g: Graph, source: dict[str, Source], order: tuple[str, ...], variable: Variable, branch: Branch
) -> tuple[str, ...]:
    """The variables that share a record with this one here, in the order of the file, then their masks."""
    home = _set(variable, branch)
    inside = set(order)

    def mate(name: str) -> bool:
        match source.get(name):
            case Given(v) if v.data is not None:
                return name in inside and _set(v, branch) == home
            case _:
                return False

    masks = tuple(mask(v.name) for v in g.partial)
    return tuple(name for name in (*(v.name for v in g.model.variables), *masks) if mate(name))


def descends(drawn: tuple[Density, ...], variable: str) -> frozenset[str]:
    """The variables whose draws depend on this one, itself included; draws in ancestral order."""
    found = {variable}
    for d in drawn:
        if found & set(d.given) and d.kind in ("explicit", "implicit"):
            found |= set(d.targets)
    return frozenset(found)


# --- densities of a graph's parts ----------------------------------------------------------------------------


def density(g: Graph, f: Factor, branch: Branch = None, *, stopped: bool = False) -> Density:
    """The factor's conditional, with y at the branch's value where it is a parent."""
    here = g.y is not None and branch is not None and g.y in f.parents
    return Density(
        kind="implicit" if f.implicit else "explicit",
        letter=f.letter,
        group=f.group,
        targets=(f.target,),
        given=f.parents,
        factor=f.name,
        values=((g.y, branch),) if here and g.y is not None and branch is not None else (),
        fixed_at=g.fixed_at[f.name],
        stopped=stopped,
        domains=g.domains,
        span=f.span,
    )


def prior_density(variable: Variable) -> Density:
    letter = "p"
    return Density("prior", letter, None, (variable.name,), span=variable.span)


def record_density(g: Graph, names: tuple[str, ...], branch: Branch) -> Density:
    """p_data over the variables of one record; given y where the domain chooses among the fields of its set."""
    known = tuple(g.variables[masked(n) or n] for n in names)
    homes = {home for v in known if v.data is not None for home in v.data.sets}
    chosen = any(v.data is not None and v.data.given and homes & set(v.data.sets) for v in g.model.variables)
    by_domain = ((g.y, branch),) if g.y is not None and branch is not None and chosen else ()
    return Density(
        kind="data",
        letter="p",
        group=None,
        targets=names,
        given=tuple(y for y, _ in by_domain),
        values=by_domain,
        domains=g.domains,
        span=known[0].span,
    )

"""Who draws what, who is updated with what, what passes no gradient: a model and its objectives, ready to be written.

The whole plan on one screen; frozen. `emit` writes it as Python and decides nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from schematic.calculus.terms import KL, Critic, Density, Log, LogMean, Objective, masked
from schematic.compiler.estimators import Atom, How
from schematic.graph.model import AnyModel, Factor, FamilyName, Model, Net, NetDeclaration, Variable

Key = str  # a value's name in its branch of a draw: "z", or "z.real" in another component
Step = tuple[tuple[str, ...], bool]  # the groups of one update of a training step, and whether it draws afresh


@dataclass(frozen=True)
class Conditional:
    """A factor with the family and net in force. `nets`: the declared nets in it, with the groups that train each;
    `trained`: its own group moves something of it. One that several terms of a sum share is hollow if it is so in all
    of them, and trained if it is so in any."""

    factor: Factor
    variable: Variable
    parents: tuple[Variable, ...]  # the indicator left out, in the file's order
    family: FamilyName
    options: tuple[tuple[str, float], ...]
    net: Net
    nets: tuple[tuple[str, frozenset[str]], ...]
    trained: bool


@dataclass(frozen=True)
class Drawn:
    """One value of a branch. `axes`: the axes before its batch, that of the importance samples first, of which there
    are `copies` (0: it has no such axis), then the enumerated ones; `reach`: groups whose parameters its graph holds;
    `depends`: groups on whose parameters its value depends."""

    variable: str
    key: Key
    density: Density
    how: How
    parents: tuple[Key, ...]
    axes: tuple[int, ...]
    reach: frozenset[str]
    depends: frozenset[str]
    outer: bool = False  # reading 3: under theta_0
    hidden: bool = False  # an outer value that the inferred one of its name hides
    copies: int = 0
    frozen: bool = False  # its factor's parameters are held: they move in other terms of the sum
    observed: tuple[str, ...] = ()  # the partial variables, inferred elsewhere, whose observation it follows from
    every: tuple[Key, ...] = ()  # the enumerated values on its enumerated axes

    @property
    def enumerated(self) -> tuple[int, ...]:
        """Its enumerated axes."""
        return self.axes[1:] if self.copies else self.axes


@dataclass(frozen=True)
class Branch:
    """A value of the indicator, in reading 3 the origin; "data" where there is none; "penalty" for mixtures. `model`
    is the term that it belongs to, `term` its label, which the name begins with; '' where there is no sum."""

    name: str
    number: int | str | None
    draws: tuple[Drawn, ...]
    model: Model
    term: str

    @cached_property
    def all(self) -> dict[Key, Drawn]:
        """Every value of the branch by its name, hidden ones too."""
        return {d.key: d for d in self.draws}

    @cached_property
    def by_key(self) -> dict[Key, Drawn]:
        """The values of the branch by their names, the first of each."""
        return {d.key: d for d in reversed(self.draws) if not d.hidden}

    def drawn(self, key: Key) -> Drawn:
        return self.by_key[key]


@dataclass(frozen=True)
class Call:
    """A density at the values of its parents: factor(parents), or a prior in the shape of its target."""

    density: Density
    branch: str
    parents: tuple[Key, ...]
    target: Key | None
    detached: bool = False  # its value passes no gradient at all
    frozen: bool = False  # gradient passes to its inputs alone, not to its parameters

    @property
    def reads(self) -> tuple[Key, ...]:
        """The values that its code reads."""
        return (*self.parents, *((self.target,) if self.target else ()))


@dataclass(frozen=True)
class Term:
    """One summand: scale * mean over the batch of prod masses * atom, weighed by the enumerated draws.

    axes     the axes of its value before the batch
    weights  the enumerated conditionals, innermost first, by whose probabilities the enumerated axes are summed
    scores   the draws whose gradient goes through the score function of this term
    inside   of a log-mean the terms in it; their sum has the importance samples' axis first
    observed the masks of the records that it counts, True: those that are observed
    ratio    (b^r, b), whose quotient, normalized over the importance samples or the batch, weighs
    """

    name: str
    scale: Fraction | float
    branch: str
    how: Atom
    atom: Log | Critic | KL | LogMean
    left: Call
    right: Call | None
    masses: tuple[Call, ...]
    weights: tuple[Call, ...]
    axes: tuple[int, ...]
    scores: tuple[Key, ...]
    inside: tuple[Term, ...] = ()
    ratio: tuple[Call, Call] | None = None
    observed: tuple[tuple[Key, bool], ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every density that the term evaluates."""
        inside = tuple(c for t in self.inside for c in t.calls)
        atoms = inside or (self.left, *((self.right,) if self.right else ()))
        return (*atoms, *self.masses, *self.weights, *(self.ratio or ()))


@dataclass(frozen=True)
class Update:
    """What the groups of one update maximize. `detached`: values, by branch, that pass no gradient here;
    `scores`: the conditionals of the draws that need a score-function surrogate; `renewed`: values computed once more,
    because they pass gradient and what they are computed from does not; `made`: densities that the draw has evaluated,
    with the values drawn from them; `joined`: calls whose logits come from one pass."""

    groups: tuple[str, ...]
    objective: Objective
    terms: tuple[Term, ...]
    detached: tuple[tuple[str, Key], ...]
    scores: tuple[Call, ...]
    renewed: tuple[tuple[str, Key], ...] = ()
    made: tuple[tuple[Call, Key], ...] = ()
    joined: tuple[tuple[Call, ...], ...] = ()


@dataclass(frozen=True)
class Plan:
    """The whole program. `steps`: the groups of each update of one training step, and whether it draws afresh;
    `groups`: the factors that each group trains; `log`: what the estimators assume."""

    model: AnyModel
    conditionals: tuple[Conditional, ...]
    branches: tuple[Branch, ...]
    updates: tuple[Update, ...]
    steps: tuple[Step, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    log: tuple[str, ...]

    @cached_property
    def _conditionals(self) -> dict[str, Conditional]:
        return {c.factor.name: c for c in reversed(self.conditionals)}

    def conditional(self, factor: str) -> Conditional:
        return self._conditionals[factor]

    @cached_property
    def _branches(self) -> dict[str, Branch]:
        return {b.name: b for b in reversed(self.branches)}

    def branch(self, name: str) -> Branch:
        return self._branches[name]

    @property
    def models(self) -> tuple[Model, ...]:
        """The terms of a sum, or the one model."""
        return (self.model,) if isinstance(self.model, Model) else tuple(m for _, m in self.model.terms)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Every variable, with its given distributions in any term."""
        found: dict[str, Variable] = {}
        for v in (v for m in self.models for v in m.variables):
            one = found.get(v.name, v)
            found[v.name] = replace(one, data=one.data or v.data, prior=one.prior or v.prior)
        return tuple(found.values())

    @cached_property
    def scored_again(self) -> frozenset[tuple[str, Key]]:
        """The values, by branch, whose densities some update takes from the draw."""
        return frozenset((c.branch, key) for u in self.updates for c, key in u.made)

    @cached_property
    def _variables(self) -> dict[str, Variable]:
        return {v.name: v for v in self.variables}

    def variable(self, name: str) -> Variable:
        return self._variables[name]

    def net(self, name: str) -> NetDeclaration:
        """A declared net; terms of a sum declare those of one name alike."""
        return next(n for m in self.models for n in m.nets if n.name == name)

    def own(self, model: Model) -> tuple[Conditional, ...]:
        """The conditionals of a term, with its own arrows and its own given distributions."""
        mine = (f for f in model.factors if not f.perfect)
        return tuple(replace(self.conditional(f.name), factor=f, variable=model.variable(f.target)) for f in mine)

    @cached_property
    def fields(self) -> tuple[tuple[str, Variable], ...]:
        """The data fields that the draws read, each with its (first) variable; where they read none, the first field of
        the model, whose records say how large a batch is."""
        read = ((b, d.variable) for b in self.branches for d in b.draws if d.how in ("data", "mask"))
        found: dict[str, Variable] = {}
        for b, name in ((b, masked(v) or v) for b, v in read):
            found.setdefault(field(b.model, name, b.number), b.model.variable(name))
        spare = ((v.data.fields[0], v) for v in self.variables if v.data is not None)
        return tuple(found.items()) or tuple(spare)[:1]

    @cached_property
    def by_field(self) -> dict[str, Variable]:
        return dict(self.fields)

    @property
    def partial(self) -> tuple[str, ...]:
        """The fields of which only some records have a value, as far as a draw asks which."""
        masks = ((b, masked(d.variable)) for b in self.branches for d in b.draws)
        return tuple(dict.fromkeys(field(b.model, name, b.number) for b, name in masks if name is not None))

    @property
    def data(self) -> tuple[tuple[str, str], ...]:
        """The empirical variables whose fields are read, with the field: that of the first domain if it has several."""
        read = dict(self.fields)
        empirical = ((v.name, v.data) for v in self.variables if v.data is not None)
        return tuple((name, data.fields[0]) for name, data in empirical if data.fields[0] in read)


def field(model: Model, variable: str, branch: int | str | None) -> str:
    """The data field that a variable takes in a branch."""
    data = model.variable(variable).data
    assert data is not None
    return data.fields[branch if data.given and isinstance(branch, int) else 0]

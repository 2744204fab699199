"""The whole graph on one screen: what a `.sg` model means before any mathematics. Frozen; places outside equality.

A model is data and knows nothing of objectives: `compiler/objectives.py` alone reads it into terms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from schematic.core.source import NOWHERE, Span

Kind = Literal["real", "unit", "binary", "category", "domain"]
Process = Literal["generative", "inference"]
FamilyName = Literal["Normal", "Laplace", "Bernoulli", "Categorical", "Delta", "Flow", "Uniform"]
Value = int | float | str


@dataclass(frozen=True)
class Placed:
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


# --- variables --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Type(Placed):
    """`shape` is the declared event shape; `size` the classes of a category; `values` the domains, y=0 first."""

    kind: Kind
    shape: tuple[int, ...] = ()
    size: int = 0
    values: tuple[str, ...] = ()

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of a value without its batch: a category is one-hot, its classes last."""
        return (*self.shape, self.size) if self.kind == "category" else self.shape


@dataclass(frozen=True)
class Data(Placed):
    """An empirical distribution: one field ("set/field" or "field"), or one a domain with `given` the indicator."""

    fields: tuple[str, ...]
    given: str | None = None

    @property
    def sets(self) -> tuple[str, ...]:
        """The set of each field; variables of one set come from the same record. The unnamed set is ''."""
        return tuple(f.rpartition("/")[0] for f in self.fields)


@dataclass(frozen=True)
class Prior(Placed):
    """An explicit prior: `Normal(0, 1)` is (mean, standard deviation), `Uniform` (low, high), `Categorical` uniform."""

    family: FamilyName
    args: tuple[float, ...] = ()


@dataclass(frozen=True)
class Variable(Placed):
    """One node. `data` and `prior` both: observed for some records (`partial`). `index`: a chain's first and last."""

    name: str
    type: Type
    data: Data | None = None
    prior: Prior | None = None
    partial: bool = False
    index: tuple[int, int] | None = None

    @property
    def given(self) -> bool:
        """Has a given distribution g(v): empirical, an explicit prior, or both."""
        return self.data is not None or self.prior is not None


# --- networks ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Net(Placed):
    """A network as written: `mlp(400, 400)`, `dcgan(64)`, `python("pkg.mod:Name")` (args the string), or the
    name of a declared one (`declared` true, kind its name). `then` is the head of `D then mlp(128)`."""

    kind: str
    args: tuple[Value, ...] = ()
    options: tuple[tuple[str, Value], ...] = ()
    declared: bool = False
    then: Net | None = None


@dataclass(frozen=True)
class How(Placed):
    """A factor's right side as written; `family` None: it follows the target's type."""

    net: Net | None = None
    family: FamilyName | None = None
    options: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class NetDeclaration(Placed):
    """`net F in GROUPS = NET`: one body, a head a target. `groups` as written, possibly empty."""

    name: str
    net: Net
    groups: tuple[str, ...] = ()
    fixed: bool = False


# --- factors ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gradient(Placed):
    """`enumerate`, `reinforce`, `gumbel(0.5)`, `straight_through`."""

    name: Literal["enumerate", "reinforce", "gumbel", "straight_through"]
    temperature: float = 0.0


@dataclass(frozen=True)
class Divergence(Placed):
    """`nonsaturating` is the paper's q^r; `penalty` belongs to `wasserstein`."""

    name: Literal["nonsaturating", "minimax", "least_squares", "hinge", "wasserstein", "kl"] = "nonsaturating"
    penalty: float = 0.0


@dataclass(frozen=True)
class Factor(Placed):
    """One arrow statement, one conditional distribution. `when` is the domain's number in which it lives."""

    name: str
    parents: tuple[str, ...]
    target: str
    process: Process
    implicit: bool = False
    adversarial: bool = False
    how: How | None = None
    perfect: bool = False
    fixed: bool = False
    temperature: float = 1.0
    weight: float = 1.0
    beta: float = 1.0
    when: int | None = None
    gradient: Gradient | None = None
    divergence: Divergence = Divergence()
    shifts: tuple[int | None, ...] = ()  # chains: the index shift at each parent and at the target, last
    each: bool = False  # `z.rest ~> z.each`
    arrow: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)
    target_span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    @property
    def letter(self) -> str:
        """The paper's p or q; it carries no meaning."""
        return self.name[0]

    @property
    def group(self) -> str:
        """The name of the parameters that are trained together: `theta` of `p_theta.t`."""
        return self.name[2:].split(".")[0]

    @property
    def attribute(self) -> str:
        """The factor's name in an emitted program."""
        return self.name.replace(".", "_")

    @property
    def mark(self) -> str:
        """The arrow's glyph."""
        shaft = {"generative": "-", "inference": "--"}[self.process]
        if self.adversarial:
            return shaft.replace("-", "~") + ">"
        return (shaft.replace("-", "=") if self.implicit else shaft) + ">"


# --- models -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optimizer(Placed):
    """`adam(rate, beta1, beta2)`, `sgd(rate)`, `rmsprop(rate)`, with named options.

    steps     updates a training step
    clip      the norm at most of the group's gradient
    average   the decay of a moving average of the parameters, by which the model is sampled and judged
    schedule  the rate over a run: constant; linear, constant until half of it, then falling to 0; cosine, falling to 0
    warmup    steps over which the rate rises first
    """

    name: Literal["adam", "sgd", "rmsprop"] = "adam"
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    steps: int = 1
    clip: float | None = None
    average: float | None = None
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = 0

    @property
    def options(self) -> tuple[tuple[str, float | str], ...]:
        """The named options that are not as they are unsaid."""
        plain = Optimizer()
        names = ("steps", "clip", "average", "schedule", "warmup")
        return tuple((n, getattr(self, n)) for n in names if getattr(self, n) != getattr(plain, n))

    def __str__(self) -> str:
        """What one update is; the schedule is the run's."""
        rates = (self.rate, *self.betas) if self.name == "adam" else (self.rate,)
        said = (f"{name}: {value:g}" for name, value in self.options if name in ("clip", "average"))
        return f"{self.name}({', '.join((*(f'{r:g}' for r in rates), *said))})"


@dataclass(frozen=True)
class Train(Placed):
    """Training settings; None and empty: not set. `data` is a source, or (set, source) pairs."""

    data: str | tuple[tuple[str, str], ...] | None = None
    batch: int | None = None
    epochs: int | None = None
    optimizers: tuple[tuple[str, Optimizer], ...] = ()


@dataclass(frozen=True)
class Assumption(Placed):
    """One line of the transform log: what a move, or the paper, assumes without drawing it."""

    text: str
    source: str = ""  # "Eq. 49, 50", "Lemma 2"


@dataclass(frozen=True)
class Model(Placed):
    """A schematic graphical model (Figures 1 and 3). `importance`: draws k, 0 for the batch, None for none.

    `span` is its name's place, `reading` that of `importance` or `wake_sleep`.
    """

    name: str
    variables: tuple[Variable, ...]
    factors: tuple[Factor, ...]
    nets: tuple[NetDeclaration, ...] = ()
    train: Train = Train()
    log: tuple[Assumption, ...] = ()
    importance: int | None = None
    wake_sleep: bool = False
    joined: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False, repr=False)
    reading: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        """`joined`: parents and targets as first drawn, and each variable with itself. Moves carry it, so that they
        are drawn in the same places."""
        if not self.joined:
            ends = {(p, f.target) for f in self.factors for p in f.parents}
            object.__setattr__(self, "joined", frozenset(ends | {(v.name, v.name) for v in self.variables}))

    @cached_property
    def _by_name(self) -> dict[str, Variable]:
        return {v.name: v for v in self.variables}

    @cached_property
    def _factors(self) -> dict[str, Factor]:
        return {f.name: f for f in self.factors}

    @cached_property
    def _nets(self) -> dict[str, NetDeclaration]:
        return {n.name: n for n in self.nets}

    def variable(self, name: str) -> Variable:
        """The variable of a name; `z[5]`, an instance that nothing restates, is its chain's. KeyError if unknown."""
        found = self._by_name.get(name)
        return found if found is not None else self._by_name[name.partition("[")[0]]

    def factor(self, name: str) -> Factor:
        """KeyError if unknown."""
        return self._factors[name]

    def net(self, name: str) -> NetDeclaration:
        """KeyError if unknown."""
        return self._nets[name]

    @cached_property
    def indicator(self) -> Variable | None:
        """The domain indicator y, at most one a model."""
        return next((v for v in self.variables if v.type.kind == "domain"), None)

    @property
    def compared(self) -> tuple[str, ...]:
        """The sources of blue arrows, in the order of declaration."""
        blue = {p for f in self.factors if f.adversarial for p in f.parents}
        return tuple(v.name for v in self.variables if v.name in blue and v.type.kind != "domain")

    @property
    def groups(self) -> tuple[str, ...]:
        """Every parameter group, in the order of its first factor."""
        return tuple(dict.fromkeys(f.group for f in self.factors))


@dataclass(frozen=True)
class Sum(Placed):
    """`M + 0.1 * N`: weighted models, each with its own branches and indicator.

    `span` is its name's place, `reading` that of the sum itself.
    """

    name: str
    terms: tuple[tuple[float, Model], ...]
    train: Train = Train()
    reading: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each term is called: its model's name if it is a plain one that occurs once, else its place from 1."""
        return tuple(m.name or str(i) for i, (_, m) in enumerate(self.terms, 1))

    @property
    def groups(self) -> tuple[str, ...]:
        """Every parameter group, in the order of its first factor."""
        return tuple(dict.fromkeys(g for _, m in self.terms for g in m.groups))


AnyModel = Model | Sum

"""What the Pyro programs of a model sample and score, read off the graph once more, apart from the objectives.

A *cell* is a block of rows of the stacked batch: a branch, in reading 3 an origin of the outer sample together with
the y inferred from it. The rows of a Pyro program are its cells, one below the other, `batch` rows each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from schematic.calculus.terms import KL, Density
from schematic.compiler.branches import Branch, Given, Graph, Outer, Source, ancestral_sources, graph, sources
from schematic.compiler.estimators import How
from schematic.compiler.program import Plan, Term
from schematic.graph.model import Factor, Variable


@dataclass(frozen=True)
class Score:
    """A log density of the bracket: of a factor, or the prior of its target (`factor` None); times `scale`."""

    variable: str
    factor: Factor | None
    scale: float


@dataclass(frozen=True)
class Cell:
    """One block of rows: the y that its factors see, the origin of its outer sample (reading 3), who is drawn from
    what, what is scored, and the scale of each inference factor's -log f."""

    y: Branch
    origin: Branch
    source: dict[str, Source]
    outer: dict[str, Source]
    scores: tuple[Score, ...]
    entropies: dict[str, float]
    needed: frozenset[str]


@dataclass(frozen=True)
class Reading:
    """All cells. `weighed`: reading 3, the adversary on the inference side."""

    plan: Plan
    graph: Graph
    weighed: bool
    cells: tuple[Cell, ...]

    @property
    def y(self) -> str | None:
        return self.graph.y

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What the programs speak of, in the file's order."""
        return tuple(v for v in self.plan.models[0].variables if any(v.name in c.needed for c in self.cells))

    def where(self, variable: str, source: Source) -> tuple[int, ...]:
        """The cells in which a variable is needed and comes about so."""
        return tuple(i for i, c in enumerate(self.cells) if variable in c.needed and c.source[variable] == source)

    @cached_property
    def _origins(self) -> dict[str, tuple[Source, ...]]:
        found: dict[str, list[Source]] = {}
        for c in self.cells:
            for v in c.needed:
                ways = found.setdefault(v, [])
                if c.source[v] not in ways:
                    ways.append(c.source[v])
        return {v: tuple(ways) for v, ways in found.items()}

    def origins(self, variable: str) -> tuple[Source, ...]:
        """The ways in which a variable comes about, each once."""
        return self._origins.get(variable, ())

    @cached_property
    def _scored(self) -> dict[str, dict[Score, None]]:
        found: dict[str, dict[Score, None]] = {}
        for s in (s for c in self.cells for s in c.scores):
            found.setdefault(s.variable, {})[s] = None
        return found

    def scored(self, variable: str) -> tuple[Score, ...]:
        """The log densities of a variable, each once."""
        return tuple(self._scored.get(variable, ()))

    @cached_property
    def _cells(self) -> dict[Score, list[int]]:
        found: dict[Score, list[int]] = {}
        for i, c in enumerate(self.cells):
            for s in dict.fromkeys(c.scores):
                found.setdefault(s, []).append(i)
        return found

    def cells_of(self, score: Score) -> list[int]:
        """The cells that score it."""
        return self._cells.get(score, [])

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The summands of the groups that do not judge."""
        judges = {f.group for f in self.graph.model.factors if f.adversarial and not f.perfect and not f.fixed}
        return tuple(t for u in self.plan.updates if not judges & set(u.groups) for t in u.terms)

    @cached_property
    def elbo(self) -> str:
        """The estimator of pyro.infer that computes what `objective` does."""
        how = {d.how for b in self.plan.branches for d in b.draws}
        if "enumerate" in how:
            return "TraceEnum_ELBO"
        closed = any(t.how == "closed" for t in self.terms)
        return "TraceMeanField_ELBO" if closed and "score" not in how else "Trace_ELBO"

    @cached_property
    def held(self) -> frozenset[str | None]:
        """The factors of which another one's group trains a net: gradient passes to the values alone."""
        return frozenset(c.density.factor for t in self.terms for c in t.calls if c.frozen)

    @cached_property
    def pairs(self) -> dict[str | None, Density]:
        """What the objective's closed divergences hold against each inference factor."""
        atoms = (t.atom for t in reversed(self.terms) if t.how == "closed")
        return {a.left.factor: a.right for a in atoms if isinstance(a, KL)}

    @cached_property
    def how(self) -> dict[str | None, How]:
        """How the plan draws from each factor."""
        drawn = (d for b in reversed(self.plan.branches) for d in reversed(b.draws) if not d.outer)
        return {d.density.factor: d.how for d in drawn}

    def drawn_from(self, variable: str, ancestor: str) -> bool:
        """Some cell draws the variable from the other one, at any distance."""
        cells = (c for c in self.cells if variable in c.needed)
        return any(ancestor in _above(self.graph, c.source, {variable}) - {variable} for c in cells)

    def random_outer(self, variable: str) -> bool:
        """Reading 3: the outer value is generated in some cell."""
        return any(not _record(c.outer.get(variable)) for c in self.cells if variable in c.needed)


def read(plan: Plan, seen: frozenset[str] = frozenset()) -> Reading:
    """The cells in which something is scored, in the order of the branches; with these partial variables observed."""
    g = graph(plan.models[0])
    weighed = bool(g.blue) and g.blue[0].process == "inference"
    branches = ((b, sources(g, b, seen=seen)) for b in g.branches)
    cells = _weighed(plan, g) if weighed else tuple(_cell(plan, g, b, None, way, {}, g.compared) for b, way in branches)
    return Reading(plan, g, weighed, tuple(c for c in cells if c.needed))


def _weighed(plan: Plan, g: Graph) -> tuple[Cell, ...]:
    """Every origin with every inferred y, a perfect adversary with y = 1 - origin alone."""
    found: list[Cell] = []
    for origin in range(g.domains):
        for y in range(g.domains):
            inferred = {v for v in g.variables if g.inferring(v, y)}
            empirical = {v.name for v in g.model.variables if v.data is not None} - inferred
            carried = frozenset(g.compared | empirical)
            if not g.blue[0].perfect or y == 1 - origin:
                source = sources(g, y, carried)
                cell = _cell(plan, g, y, origin, source, ancestral_sources(g, origin), frozenset())
                if cell.scores:
                    found.append(cell)
    return tuple(found)


def _cell(
    plan: Plan,
    g: Graph,
    y: Branch,
    origin: Branch,
    source: dict[str, Source],
    outer: dict[str, Source],
    hidden: frozenset[str],
) -> Cell:
    scores: list[Score] = []
    entropies: dict[str, float] = {}
    for f in g.model.factors:
        if f.adversarial or f.implicit or not g.free(f, y):
            continue
        drawer = source.get(f.target)
        inferring = isinstance(drawer, Factor) and drawer.process == "inference" and not drawer.implicit
        variable = g.variables[f.target]
        if f.process == "generative":
            alpha = isinstance(drawer, Factor) and not variable.partial
            heat = drawer.beta * (drawer.weight if alpha else 1.0) if inferring and isinstance(drawer, Factor) else 1.0
            scores.append(Score(f.target, f, f.weight * heat))
        elif variable.partial and isinstance(drawer, Given):
            scores += [Score(f.target, None, 1.0), Score(f.target, f, f.weight)]
        elif f == drawer and f.target not in hidden:
            scale = f.beta * (1.0 if variable.partial else f.weight)
            if variable.prior is not None:
                scores.append(Score(f.target, None, scale))
            if variable.prior is not None or any(not h.implicit for h in g.generating(f.target, y)):
                entropies[f.name] = scale

    def reads(s: Score) -> set[str]:
        return {s.variable, *(g.parents(s.factor) if s.factor else ())}

    kept = tuple(s for s in scores if _at_hand(plan, g, y, origin, source, outer, reads(s)))
    judged = {p for b in g.blue for p in g.parents(b) if not b.perfect}
    return Cell(y, origin, source, outer, kept, entropies, _above(g, source, judged.union(*map(reads, kept))))


def _at_hand(
    plan: Plan, g: Graph, y: Branch, origin: Branch, source: dict[str, Source], outer: dict[str, Source], read: set[str]
) -> bool:
    """Everything that a term reads has a source, and data that the program reads: else the derivation dropped it."""

    def missing(way: Source, branch: Branch) -> bool:
        if isinstance(way, Given) and way.variable.data is not None:
            data = way.variable.data
            return data.fields[(branch or 0) if data.given else 0] not in plan.by_field
        return way is None

    above = _above(g, source, read)
    carried = {v for v in above if isinstance(source[v], Outer)}
    before = _above(g, outer, carried) if carried else frozenset()
    inner = any(missing(source[v], y if origin is None else origin) for v in above)
    return not inner and not any(missing(outer[v], origin) for v in before)


def _above(g: Graph, source: dict[str, Source], wanted: set[str]) -> frozenset[str]:
    """The wanted variables, and all that they are drawn from."""
    found, pending = set(wanted), list(wanted)
    while pending:
        match source[pending.pop()]:
            case Factor() as f:
                new = set(g.parents(f)) - found
                found |= new
                pending += new
            case _:
                pass
    return frozenset(found)


def _record(source: Source) -> bool:
    """The value is a field of the batch."""
    return isinstance(source, Given) and source.variable.data is not None

"""The words of the second reading: what is free, what is observed, who is drawn from what, with what probability.

Written apart from `compiler/` on purpose and sharing nothing with it: what a branch draws, what its bracket holds and
how the adversary weighs is said here once more, in plain loops over every configuration of finite variables. Slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from schematic.calculus.tables import Tables
from schematic.graph.model import Factor, Model, Process

Number = Any  # float, or complex under a complex step
Config = dict[str, int]
Source = Factor | Literal["given", "prior", "outer"] | None


@dataclass(frozen=True)
class SecondWords:
    """A finite model: `t` the tables as they move, `t0` those at theta_0, `sizes` the classes of each variable."""

    m: Model
    t: Tables
    t0: Tables
    sizes: Mapping[str, int]

    @property
    def y(self) -> str:
        """The indicator's name; empty without one."""
        return self.m.indicator.name if self.m.indicator else ""

    @property
    def k(self) -> int:
        return len(self.m.indicator.type.values) if self.m.indicator else 1

    @property
    def branches(self) -> list[int]:
        """The domains; without an indicator the one branch -1."""
        return list(range(self.k)) if self.y else [-1]

    @property
    def names(self) -> list[str]:
        return [v.name for v in self.m.variables if v.name != self.y]

    @property
    def blue(self) -> list[Factor]:
        return [f for f in self.m.factors if f.adversarial]

    @property
    def compared(self) -> set[str]:
        return {p for f in self.blue for p in f.parents}

    @property
    def side(self) -> Process:
        return next((f.process for f in self.blue if not f.each), "generative")

    # --- words ---------------------------------------------------------------------------------------------

    def leads_to_compared(self, name: str, seen: tuple[str, ...] = ()) -> bool:
        """The variable is compared, or an ancestor of a compared one, through variables without a distribution."""
        if self.m.variable(name).given or name in seen:
            return False
        if name in self.compared:
            return True
        children = [f.target for f in self.m.factors if name in f.parents and not f.adversarial]
        return any(self.leads_to_compared(c, (*seen, name)) for c in children)

    def free(self, f: Factor, v: int) -> bool:
        if v < 0:
            return True
        if f.when is not None and f.when != v:
            return False
        return not (self.y in f.parents and v == self.k - 1 and not self.leads_to_compared(f.target))

    def into(self, name: str, process: Process, v: int) -> list[Factor]:
        """The free factors of one side into a variable."""
        mine = [f for f in self.m.factors if f.target == name and f.process == process and not f.adversarial]
        return [f for f in mine if self.free(f, v)]

    def p(self, f: Factor, config: Config, v: int, t: Tables) -> Number:
        """The factor's probability of a configuration."""
        place = {**config, self.y: v}
        table = t.factors[f.name]
        return table.array[tuple(place[n] for n in (*table.given, *table.targets))]

    def judged(self, b: Factor, config: Config, y: int, t: Tables, heat: float) -> Number:
        """b(y | .) at a temperature."""
        table = t.factors[b.name]
        row = table.array[tuple(config[n] for n in table.given)] ** (1 / heat)
        return row[y] / row.sum()

    def told(self, b: Factor, config: Config, y: int, t: Tables) -> Number:
        """What b's own group maximizes at y."""
        if b.each:
            return sum(np.log(q) for q, _ in self.predicted(b, config, t, 1.0))
        if self.k > 2:
            return np.log(self.judged(b, config, y, t, 1.0))
        f, s = self.logit(b, config, t, 1.0), 2 * y - 1
        match b.divergence.name:
            case "least_squares":
                return -((f - y) ** 2)
            case "hinge":
                return min(s * f - 1, 0.0, key=np.real)
            case "wasserstein":
                return s * f
            case _:
                return np.log(self.judged(b, config, y, t, 1.0))

    def fooled(self, b: Factor, config: Config, y: int) -> Number:
        """What the others maximize of b at y."""
        if b.each:
            units = self.predicted(b, config, self.t, b.temperature)
            minimax = b.divergence.name == "minimax"
            return sum(-np.log(q) if minimax else np.log((1 - q) / (n - 1)) for q, n in units)
        match b.divergence.name:
            case "nonsaturating":
                return np.log(self.reversed(b, config, y, self.t))
            case "minimax":
                return -np.log(self.judged(b, config, y, self.t, b.temperature))
            case "least_squares":
                return -((self.logit(b, config, self.t, b.temperature) - (1 - y)) ** 2)
            case _:
                return -(2 * y - 1) * self.logit(b, config, self.t, b.temperature)

    def predicted(self, b: Factor, config: Config, t: Tables, heat: float) -> Iterator[tuple[Number, int]]:
        """Each unit's probability from the others, and the number of its classes."""
        rows = t.factors[b.name].array
        _, number, classes = rows.shape
        value = [config[b.target] // classes ** (number - 1 - i) % classes for i in range(number)]
        for i, own in enumerate(value):
            others = config[b.target] - own * classes ** (number - 1 - i)
            row = rows[others, i] ** (1 / heat)
            yield row[own] / row.sum(), classes

    def logit(self, b: Factor, config: Config, t: Tables, heat: float) -> Number:
        """log b(y=1 | .) - log b(y=0 | .), of two domains."""
        return np.log(self.judged(b, config, 1, t, heat)) - np.log(self.judged(b, config, 0, t, heat))

    def reversed(self, b: Factor, config: Config, y: int, t: Tables) -> Number:
        """b^r(y | .) at its temperature: the others' share of what y does not have."""
        return (1 - self.judged(b, config, y, t, b.temperature)) / (self.k - 1)

    # --- what is observed ----------------------------------------------------------------------------------
    # A configuration has beside its variables an entry "t?" for each partial t of which a record tells: 1 observed.

    def situations(
        self, source: dict[str, Source], v: int, *, outer: bool = False
    ) -> Iterator[tuple[Config, dict[str, Source]]]:
        """What is observed in a branch and the sources then, for every case; `outer`: of reading 3's outer sample, in
        which nothing that is missing is drawn."""
        partial = [w.name for w in self.m.variables if w.partial]
        told = [n for n in partial if self.tells(n, source, v)]
        for values in product((1, 0), repeat=len(told)):
            masks = {f"{n}?": value for n, value in zip(told, values, strict=True)}
            found = dict(source)
            for n in partial:
                missing = masks.get(f"{n}?") == 0 and isinstance(source[n], Factor) and not outer
                if n in told and not missing:
                    found[n] = "given"
                elif n not in told and source[n] == "given":
                    found[n] = "prior"
            yield masks, found

    def tells(self, name: str, source: Mapping[str, Source], v: int) -> bool:
        """A record of this branch says whether a partial variable is observed."""
        if v < 0:
            return True
        s = source[name]
        if s == "given" and v > 0:
            return True
        if s == "outer" or (isinstance(s, Factor) and s.process == "generative"):
            return False
        home = self.home(name, v)
        live = [f for f in self.m.factors if f.adversarial or self.free(f, v)]
        used = {n for f in live for n in (*f.parents, f.target)}
        full = [w for w in self.m.variables if w.data is not None and not w.partial and w.name in used]
        return any(source[w.name] == "given" and self.home(w.name, v) == home for w in full)

    def home(self, name: str, v: int) -> str:
        """The data set of a variable in a branch."""
        data = self.m.variable(name).data
        assert data is not None
        return data.sets[v if data.given and v >= 0 else 0]

    def lost(self, names: Iterable[str], config: Config, source: Mapping[str, Source]) -> bool:
        """Something here comes from an observation that the record lacks."""
        found, pending = set(names), list(names)
        while pending:
            s = source.get(pending.pop())
            new = set(s.parents) - found if isinstance(s, Factor) else set()
            found |= new
            pending += new
        return any(config.get(f"{n}?") == 0 and not isinstance(source.get(n), Factor) for n in found)

    # --- sampling ------------------------------------------------------------------------------------------

    def drawn_from(self, name: str, v: int, carried: frozenset[str] = frozenset()) -> Source:
        if name in carried:
            return "outer"
        if dashed := self.into(name, "inference", v):
            return dashed[0]
        if self.m.variable(name).given:
            return "given"
        hollow = [f for f in self.into(name, "generative", v) if f.implicit]
        return hollow[0] if hollow else None

    def generated_from(self, name: str, o: int) -> Source:
        """Reading 3's outer sample."""
        solid, variable = self.into(name, "generative", o), self.m.variable(name)
        here = [f for f in solid if f.when == o]
        if name in self.compared and here:
            return here[0]
        if o == self.k - 1 and (variable.data or (name in self.compared and variable.given)):
            return "given"
        if solid:
            return solid[0]
        return "given" if variable.given else None

    def usable(self, source: Mapping[str, Source]) -> list[str]:
        """The variables that can be drawn at all: their source's own parents can."""
        ok: set[str] = set()
        while True:
            new = {
                n
                for n, s in source.items()
                if n not in ok and s is not None and (isinstance(s, str) or set(s.parents) <= ok | {self.y})
            }
            if not new:
                return [n for n in source if n in ok]
            ok |= new

    def weight(
        self,
        config: Config,
        source: Mapping[str, Source],
        v: int,
        tables_of: Callable[[Factor], Tables],
        names: Iterable[str] | None = None,
    ) -> Number:
        """The probability of a configuration of a branch, or of some names given the others; the variables of a record
        jointly."""
        total: Number = 1.0
        records: dict[int, list[str]] = {}
        for n in config if names is None else names:
            s = source[n.rstrip("?")]
            if n.endswith("?") or (s == "given" and self.m.variable(n).data is not None):
                home = next(i for i, r in enumerate(self.t.records) if n in r.targets)
                records.setdefault(home, []).append(n)
            elif isinstance(s, Factor):
                total = total * self.p(s, config, v, tables_of(s))
            elif s in ("given", "prior"):
                total = total * self.t.priors[n][config[n]]
        for i, names in records.items():
            table = self.t.records[i]
            array = table.array[v] if table.given else table.array
            array = array.sum(axis=tuple(a for a, n in enumerate(table.targets) if n not in names))
            total = total * array[tuple(config[n] for n in table.targets if n in names)]
        return total

    def configs(self, names: list[str]) -> Iterator[Config]:
        for values in product(*(range(self.sizes[n]) for n in names)):
            yield dict(zip(names, values, strict=True))

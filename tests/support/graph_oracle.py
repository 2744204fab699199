"""A second reading of semantics.md, straight from a graph to a number, by enumeration: no terms, no rules.

Written apart from the compiler on purpose. Every variable of a branch is enumerated, weighed by how the branch
is sampled, and the bracket of each configuration is added up. Slow and plain.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from schematic.calculus.tables import Tables
from schematic.graph.model import Factor, Model


class Oracle:
    def __init__(self, model: Model, tables: Tables, at0: Tables, sizes: dict[str, int]) -> None:
        self.m, self.t, self.t0, self.sizes = model, tables, at0, sizes
        self.y = model.indicator.name if model.indicator else None
        self.k = len(model.indicator.type.values) if model.indicator else 1
        self.branches = list(range(self.k)) if self.y else [None]
        self.names = [v.name for v in model.variables if v.name != self.y]
        self.var = {v.name: v for v in model.variables}
        self.blue = [f for f in model.factors if f.adversarial]
        self.compared = {p for f in self.blue for p in f.parents}
        self.side = self.blue[0].process if self.blue else "generative"

    # --- words ---------------------------------------------------------------------------------------------

    def leads_to_compared(self, name: str, seen: tuple[str, ...] = ()) -> bool:
        """The variable is compared, or an ancestor of a compared one, through variables without a distribution."""
        if self.var[name].given or name in seen:
            return False
        if name in self.compared:
            return True
        children = [f.target for f in self.m.factors if name in f.parents and not f.adversarial]
        return any(self.leads_to_compared(c, (*seen, name)) for c in children)

    def free(self, f: Factor, v) -> bool:
        if v is None:
            return True
        if f.when is not None and f.when != v:
            return False
        return not (self.y in f.parents and v == self.k - 1 and not self.leads_to_compared(f.target))

    def into(self, name: str, process: str, v) -> list[Factor]:
        mine = [f for f in self.m.factors if f.target == name and f.process == process and not f.adversarial]
        return [f for f in mine if self.free(f, v)]

    def p(self, f: Factor, config: dict, v, t: Tables):
        place = {**config, self.y: v} if self.y else config
        table = t.factors[f.name]
        return table.array[tuple(place[n] for n in (*table.given, *table.targets))]

    def blue_p(self, b: Factor, config: dict, y: int, t: Tables, heat: float):
        table = t.factors[b.name]
        row = table.array[tuple(config[n] for n in table.given)]
        row = row ** (1 / heat)
        return row[y] / row.sum()

    # --- sampling ------------------------------------------------------------------------------------------

    def drawn_from(self, name: str, v, carried=frozenset()):
        if name in carried:
            return "outer"
        dashed = self.into(name, "inference", v)
        if dashed:
            return dashed[0]
        if self.var[name].given:
            return "given"
        hollow = [f for f in self.into(name, "generative", v) if f.implicit]
        return hollow[0] if hollow else None

    def generated_from(self, name: str, o: int):
        solid = self.into(name, "generative", o)
        here = [f for f in solid if f.when == o]
        if name in self.compared and here:
            return here[0]
        if o == self.k - 1 and (self.var[name].data or (name in self.compared and self.var[name].given)):
            return "given"
        if solid:
            return solid[0]
        return "given" if self.var[name].given else None

    def usable(self, source: dict) -> list[str]:
        """The variables that can be drawn at all (a source whose own parents can be drawn)."""
        ok: set[str] = set()
        while True:
            new = {
                n for n, s in source.items()
                if n not in ok and s is not None
                and (isinstance(s, str) or all(q in ok or q == self.y for q in s.parents))
            }  # fmt: skip
            if not new:
                return [n for n in source if n in ok]
            ok |= new

    def weight(self, config: dict, source: dict, v, tables_of) -> complex:
        """The probability of a configuration of a branch; the variables of a record jointly."""
        total = 1.0
        records: dict[int, list[str]] = {}
        for n in config:
            s = source[n]
            if isinstance(s, Factor):
                total = total * self.p(s, config, v, tables_of(s))
            elif s == "given" and self.var[n].data is not None:
                records.setdefault(self.record(n, v), []).append(n)
            elif s == "given":
                total = total * self.t.priors[n][config[n]]
        for i, names in records.items():
            table = self.t.records[i]
            array = table.array[v] if table.given else table.array
            keep = tuple(table.targets.index(n) for n in names)
            array = array.sum(axis=tuple(a for a in range(len(table.targets)) if a not in keep))
            order = sorted(names, key=table.targets.index)
            total = total * array[tuple(config[n] for n in order)]
        return total

    def record(self, name: str, v) -> int:
        return next(i for i, r in enumerate(self.t.records) if name in r.targets)

    def configs(self, names: list[str]):
        for values in product(*(range(self.sizes[n]) for n in names)):
            yield dict(zip(names, values, strict=True))

    # --- the bracket -----------------------------------------------------------------------------------------

    def bracket(self, config: dict, source: dict, v, weighed: bool):
        total = 0.0
        for f in self.m.factors:
            if f.adversarial or f.implicit or not self.free(f, v):
                continue
            drawer = source.get(f.target)
            dashed = isinstance(drawer, Factor) and drawer.process == "inference" and not drawer.implicit
            heat = drawer.weight * drawer.beta if dashed else 1.0
            if f.process == "generative":
                total = total + f.weight * heat * np.log(self.p(f, config, v, self.t))
            elif drawer == f and (weighed or f.target not in self.compared):
                prior = self.var[f.target].prior is not None
                scored = any(not h.implicit for h in self.into(f.target, "generative", v))
                if prior:
                    total = total + heat * np.log(self.t.priors[f.target][config[f.target]])
                if prior or scored:
                    total = total - heat * np.log(self.p(f, config, v, self.t))
        return total

    # --- the readings ----------------------------------------------------------------------------------------

    def judge(self, phi: str):
        """Reading 1, at the discriminators of one group."""
        own = [f for f in self.blue if f.group == phi and not f.perfect and not f.fixed]
        total = 0.0
        for v in self.branches:
            if self.side == "generative":
                source = {n: self.drawn_from(n, v) for n in self.names}

                def flows(f: Factor):
                    return self.t if f.implicit and f.group == phi else self.t0
            else:
                source = {n: self.generated_from(n, v) for n in self.names}

                def flows(f: Factor):
                    return self.t0

            for config in self.configs(self.usable(source)):
                inside = sum(np.log(self.blue_p(b, config, v, self.t, 1.0)) for b in own)
                for f in self.m.factors:
                    mine = f.group == phi and f.process == "generative" and not f.fixed
                    if mine and not f.adversarial and not f.implicit and self.free(f, v):
                        inside = inside + f.weight * np.log(self.p(f, config, v, self.t))
                total = total + self.weight(config, source, v, flows) * inside / self.k
        return total

    def others(self):
        """Readings 2 and 4."""
        total = 0.0
        for v in self.branches:
            source = {n: self.drawn_from(n, v) for n in self.names}
            for config in self.configs(self.usable(source)):
                inside = self.bracket(config, source, v, weighed=False)
                for b in self.blue:
                    inside = inside + b.weight * np.log(self.blue_p(b, config, 1 - v, self.t, b.temperature))
                total = total + self.weight(config, source, v, lambda f: self.t) * inside / self.k
        return total

    def weighed(self):
        """Reading 3."""
        (b,) = self.blue
        total = 0.0
        for o in self.branches:
            outer_source = {n: self.generated_from(n, o) for n in self.names}
            outer_names = self.usable(outer_source)
            for outer in self.configs(outer_names):
                w = self.weight(outer, outer_source, o, lambda f: self.t0) / self.k
                for y in self.branches:
                    mass = float(y == 1 - o) if b.perfect else self.blue_p(b, outer, 1 - y, self.t0, b.temperature)
                    total = total + w * mass * self.component(outer, y)
        return total

    def component(self, outer: dict, y: int):
        inferred = {n for n in self.names if self.into(n, "inference", y)}
        empirical = {v.name for v in self.m.variables if v.data is not None} - inferred
        carried = (self.compared | empirical) & set(outer)
        source = {n: self.drawn_from(n, y, frozenset(carried)) for n in self.names}
        total = 0.0
        for inner in self.configs([n for n in self.usable(source) if n not in carried]):
            config = {**{n: outer[n] for n in carried}, **inner}
            inside = self.bracket(config, source, y, weighed=True)
            total = total + self.weight(config, source, y, lambda f: self.t) * inside
        return total

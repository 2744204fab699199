"""A second reading of a graph, straight to a number by enumeration: no terms, no rules.

Written apart from `compiler/` on purpose and sharing nothing with it: what a branch draws, what its bracket holds and
how the adversary weighs is said here once more, in plain loops over every configuration of finite variables. Slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from schematic.calculus.tables import Tables
from schematic.graph.model import Factor, Process
from schematic.proof.second_words import Config, Number, SecondWords, Source


@dataclass(frozen=True)
class SecondReading(SecondWords):
    """What the groups of an update maximize, as a number."""

    # --- the bracket -----------------------------------------------------------------------------------------

    def bracket(self, config: Config, source: Mapping[str, Source], v: int, *, weighed: bool) -> Number:
        return sum((value for _, _, value in self.logs(config, source, v, weighed=weighed)), 0.0)

    def logs(
        self, config: Config, source: Mapping[str, Source], v: int, *, weighed: bool
    ) -> Iterator[tuple[str, frozenset[str], Number]]:
        """The terms of the bracket: what each is about, what else it reads, its value."""
        for f in self.m.factors:
            if f.adversarial or f.implicit or not self.free(f, v):
                continue
            drawer, reads = source.get(f.target), frozenset(f.parents) - {self.y}
            if self.lost({f.target}, config, source):
                continue
            dashed = isinstance(drawer, Factor) and drawer.process == "inference" and not drawer.implicit
            partial = self.m.variable(f.target).partial
            heat = drawer.beta * (1.0 if partial else drawer.weight) if dashed and isinstance(drawer, Factor) else 1.0
            if config.get(f"{f.target}?") == 1 and f in self.into(f.target, "inference", v)[:1]:
                if weighed or f.target not in self.compared:
                    yield f.target, frozenset(), np.log(self.t.priors[f.target][config[f.target]])
                if not self.lost(reads, config, source):
                    yield f.target, reads, f.weight * np.log(self.p(f, config, v, self.t))
            elif self.lost(reads, config, source):
                continue
            elif f.process == "generative":
                yield f.target, reads, f.weight * heat * np.log(self.p(f, config, v, self.t))
            elif drawer == f and (weighed or f.target not in self.compared):
                prior = self.m.variable(f.target).prior is not None
                scored = any(not h.implicit for h in self.into(f.target, "generative", v))
                if prior:
                    yield f.target, frozenset(), heat * np.log(self.t.priors[f.target][config[f.target]])
                if prior or scored:
                    yield f.target, reads, -heat * np.log(self.p(f, config, v, self.t))

    def mean_bracket(
        self, at: Config, names: list[str], source: Mapping[str, Source], v: int, *, weighed: bool
    ) -> Number:
        """E[B] over names, the others at values; importance-weighted (reading 6): what is drawn once a record stands
        outside of the log-mean, with the terms about it alone."""
        masks = [] if weighed else [n for n in at if n.endswith("?")]
        many = self.repeated(names, source) if self.m.importance else []
        once = [n for n in names if n not in many]
        total: Number = 0.0
        for first in self.configs(once):
            outer = {**at, **first}
            chance = self.weight(outer, source, v, lambda f: self.t, [*once, *masks])
            own = {n for n in once if isinstance(source[n], Factor)}
            drawn: list[tuple[Number, Number]] = []
            beside: Number = 0.0
            for second in self.configs(many):
                config = {**outer, **second}
                inside: Number = 0.0
                beside = 0.0
                for about, reads, value in self.logs(config, source, v, weighed=weighed):
                    if about in own and not reads & set(many):
                        beside = beside + value
                    else:
                        inside = inside + value
                drawn.append((self.weight(config, source, v, lambda f: self.t, many), inside))
            total = total + chance * (beside + _log_mean(drawn, self.m.importance if many else 1))
        return total

    def repeated(self, names: list[str], source: Mapping[str, Source]) -> list[str]:
        """What is drawn k times: all but records and what is enumerated from them, in ancestral order."""
        once, count, pending = set[str](), 1, list(names)
        while True:
            ready = [n for n in pending if self._once(n, source[n], set(names) - once, count)]
            if not ready:
                return [n for n in names if n not in once]
            once.add(ready[0])
            pending.remove(ready[0])
            count *= self.sizes[ready[0]] if isinstance(source[ready[0]], Factor) else 1

    def _once(self, name: str, s: Source, others: set[str], count: int) -> bool:
        if s == "given":
            return self.m.variable(name).data is not None
        if not isinstance(s, Factor) or s.implicit or s.fixed or set(s.parents) & others:
            return False
        return (s.gradient is None or s.gradient.name == "enumerate") and count * self.sizes[name] <= 64

    # --- the readings ----------------------------------------------------------------------------------------

    def objective(self, groups: tuple[str, ...]) -> Number:
        """What the groups of one update maximize, every constant kept but those of degenerate factors."""
        if self.m.wake_sleep:
            return self.wake() + self.sleep()
        judges = {f.group for f in self.blue if not f.perfect and not f.fixed}
        if groups[0] in judges:
            return self.judge(groups[0])
        return self.weighed() if self.side == "inference" else self.others()

    def judge(self, phi: str) -> Number:
        """Reading 1, at the discriminators of one group."""
        own = [f for f in self.blue if f.group == phi and not f.perfect and not f.fixed]
        generative = self.side == "generative"
        total: Number = 0.0
        for v in self.branches:
            source = {n: self.drawn_from(n, v) if generative else self.generated_from(n, v) for n in self.names}

            def flows(f: Factor) -> Tables:
                return self.t if generative and f.implicit and f.group == phi else self.t0

            for masks, found in self.situations(source, v, outer=not generative):
                for drawn in self.configs(self.usable(found)):
                    config = {**masks, **drawn}
                    kept = [b for b in own if not self.lost(b.parents, config, found)]
                    inside: Number = sum(self.told(b, config, v, self.t) for b in kept)
                    for f in self.m.factors:
                        mine = f.group == phi and f.process == "generative" and not f.fixed
                        here = not f.adversarial and not f.implicit and self.free(f, v)
                        if mine and here and not self.lost({f.target, *f.parents}, config, found):
                            inside = inside + f.weight * np.log(self.p(f, config, v, self.t))
                    total = total + self.weight(config, found, v, flows) * inside / self.k
        return total

    def others(self) -> Number:
        """Readings 2 and 4."""
        total: Number = 0.0
        for v in self.branches:
            source = {n: self.drawn_from(n, v) for n in self.names}
            for masks, found in self.situations(source, v):
                names = self.usable(found)
                total = total + self.mean_bracket(masks, names, found, v, weighed=False) / self.k
                for drawn in self.configs(names) if self.blue else ():
                    config = {**masks, **drawn}
                    kept = [b for b in self.blue if not self.lost(b.parents, config, found)]
                    inside = sum(b.weight * self.fooled(b, config, v) for b in kept)
                    total = total + self.weight(config, found, v, lambda f: self.t) * inside / self.k
        return total

    def weighed(self) -> Number:
        """Reading 3."""
        (b,) = self.blue
        total: Number = 0.0
        known: dict[tuple[object, ...], Number] = {}  # E[B_y] by what is carried: many outer samples carry the same
        for o in self.branches:
            source = {n: self.generated_from(n, o) for n in self.names}
            for masks, found in self.situations(source, o, outer=True):
                for drawn in self.configs(self.usable(found)):
                    outer = {**masks, **drawn}
                    chance = self.weight(outer, found, o, lambda f: self.t0) / self.k
                    for y in self.branches:
                        mass = float(y == 1 - o) if b.perfect else self.reversed(b, outer, y, self.t0)
                        at, carried = self.carried(outer, y)
                        key = (y, carried, *sorted(at.items()))
                        known[key] = known[key] if key in known else self.component(at, carried, y)
                        total = total + chance * mass * known[key]
        return total

    def carried(self, outer: Config, y: int) -> tuple[Config, frozenset[str]]:
        """What a component takes from the outer sample, masks included, and which variables these are."""
        seen = {n[:-1] for n, value in outer.items() if n.endswith("?") and value}
        inferred = {n for n in self.names if n not in seen and self.into(n, "inference", y)}
        empirical = {v.name for v in self.m.variables if v.data is not None} - inferred
        carried = frozenset((self.compared | empirical) & set(outer))
        return {n: value for n, value in outer.items() if n in carried or n.endswith("?")}, carried

    def component(self, at: Config, carried: frozenset[str], y: int) -> Number:
        """E[B_y] given what is carried."""
        source = {n: self.drawn_from(n, y, carried) for n in self.names}
        names = [n for n in self.usable(source) if n not in carried]
        return self.mean_bracket(at, names, source, y, weighed=True)

    def wake(self) -> Number:
        """Reading 5: what is inferred at y=0 is scored by the generative side."""
        v = self.branches[0]
        return self._phase("generative", {n: self.drawn_from(n, v) for n in self.names}, v)

    def sleep(self) -> Number:
        """Reading 5: what is generated at y=0 is scored by the inference side."""
        v = self.branches[0]
        source: dict[str, Source] = {n: "given" if self.m.variable(n).given else None for n in self.names}
        source |= {n: "prior" for n in self.names if self.m.variable(n).partial}
        source |= {n: solid[0] for n in self.names if (solid := self.into(n, "generative", v))}
        return self._phase("inference", source, v)

    def _phase(self, scored: Process, source: dict[str, Source], v: int) -> Number:
        mine = [f for f in self.m.factors if f.process == scored and not f.adversarial and not f.implicit]
        mine = [f for f in mine if not f.fixed and self.free(f, v)]
        total: Number = 0.0
        cases = self.situations(source, v) if scored == "generative" else iter([(Config(), source)])
        for masks, found in cases if mine else ():
            for drawn in self.configs(self.usable(found)):
                config = {**masks, **drawn}
                kept = [f for f in mine if not self.lost({f.target, *f.parents}, config, found)]
                inside = sum(f.weight * np.log(self.p(f, config, v, self.t)) for f in kept)
                total = total + self.weight(config, found, v, lambda f: self.t0) * inside
        return total


def _log_mean(drawn: list[tuple[Number, Number]], k: int | None) -> Number:
    """E[log 1/k sum_i exp(B_i)] over k independent draws, (probability, B) each; the mean for one."""
    if not k or k == 1:
        return sum((p * b for p, b in drawn), 0.0)
    total: Number = 0.0
    for some in product(drawn, repeat=k):
        total = total + np.prod([p for p, _ in some]) * np.log(sum(np.exp(b) for _, b in some) / k)
    return total

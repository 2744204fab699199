"""The guide: what the dashed side samples, over all rows of the stacked batch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from schematic.compiler import estimators
from schematic.compiler.branches import Given, Outer, Source
from schematic.compiler.emit_nets import rank
from schematic.compiler.emit_text import indent, number, quoted
from schematic.compiler.pyro_program import AUX, PARALLEL, PARALLEL_AUX, Program
from schematic.compiler.pyro_reading import Cell
from schematic.graph.model import Factor, Variable


@dataclass
class Guide(Program):
    """The dashed side samples. `circular`: over the branches it needs a value before it has drawn it."""

    circular: bool = False

    def method(self) -> list[str]:
        return self.frame("guide", "The dashed side samples: a Pyro guide.")

    def write(self) -> None:
        if self.r.weighed:
            self.outer()
            self.judge()
        elif self.r.y:
            self.site(self.r.y, f"dist.Delta({self.y}, validate_args=False)", f"obs={self.y}", AUX)
        for v in self.r.variables:
            self.value(v.name)

    def value(self, variable: str) -> str:
        """The local that holds a variable, written first where it is not there yet."""
        if variable not in self.done:
            v = self.r.graph.variables[variable]
            ways = self.r.origins(variable)
            if variable in self.open:  # a cycle over the branches: its data are at hand before it is
                self.circular = self.circular or not any(isinstance(w, Given) and v.data is not None for w in ways)
                return self.fields(v)
            self.open.append(variable)
            self.done[variable] = self.single(v, ways[0]) if len(ways) == 1 else self.mixed(v, ways)
            self.open.remove(variable)
        return self.done[variable]

    def single(self, v: Variable, way: Source) -> str:
        """One source in all rows that need the variable."""
        name = self.name(v.name)
        match way:
            case Given(variable) if variable.data is not None:
                self.lines.append(f"{name} = {self.fields(v)}")
                self.site(v.name, self.delta(v, name), f"obs={name}", AUX)
            case Given() if self.unreparameterized(v):
                self.site(v.name, self.pointed(v, self.delta(v, f"{self.prior(v)}.sample()")))
            case Given():
                self.site(v.name, self.prior(v), mask="False")
            case Factor() as f if f.process == "generative":
                self.lines.append(f"{name} = {self.call(f)}  # a solid arrow that computes")
            case Factor() as f if self.how(f) not in ("path", "enumerate", "score"):
                self.computed(v, f, v.name)
            case Factor() as f:
                self.inferred(v, f, v.name)
            case _:
                raise AssertionError(f"internal error, please report it: {v.name} has no source")
        return name

    def mixed(self, v: Variable, ways: tuple[Source, ...]) -> str:
        """Sources by branch: x = data where y is real, G(z) where it is fake."""
        name = self.name(v.name)
        parts = [(self.part(v, way), self.here(self.r.where(v.name, way))) for way in ways]
        value = parts[-1][0]
        for code, rows in reversed(parts[:-1]):
            ones = ", ".join((self.count, *("1" for _ in v.type.event_shape)))
            value = f"torch.where(({rows}).reshape({ones}), {code}, {value})"
        self.lines.append(f"{name} = {value}")
        self.site(v.name, self.pointed(v, self.delta(v, name)))
        return name

    def part(self, v: Variable, way: Source) -> str:
        """The value from one source, over all rows; a random one is an auxiliary site of its own."""
        cells = self.r.where(v.name, way)
        y = self.r.plan.models[0].indicator
        key = f"{v.name}.{y.type.values[self.r.cells[cells[0]].y or 0]}" if y else v.name
        match way:
            case Given(variable) if variable.data is not None:
                return self.fields(v)
            case Given():
                return self.noise(v, key)
            case Factor() as f if f.implicit or self.conditional(f).family == "Delta":
                return self.point(f)
            case Factor() as f if self.how(f) not in ("path", "enumerate", "score"):
                self.computed(v, f, key, AUX)
                return self.name(key)
            case Factor() as f:
                self.inferred(v, f, key, AUX)
                return self.name(key)
            case _:
                raise AssertionError(f"internal error, please report it: {v.name} has no source")

    def noise(self, v: Variable, key: str) -> str:
        """A draw of the prior for the rows of one branch."""
        if self.unreparameterized(v):
            return f"{self.prior(v)}.sample()"
        self.site(key, self.prior(v), AUX, mask="False")
        return self.name(key)

    def unreparameterized(self, v: Variable) -> bool:
        """TraceMeanField_ELBO takes no discrete site, and the prior's draw passes no gradient."""
        return v.type.kind in ("category", "binary") and self.r.elbo == "TraceMeanField_ELBO"

    def point(self, f: Factor) -> str:
        """The value of a hollow arrow, or of a Delta."""
        return self.call(f) if f.implicit else f"{self.call(f)}.mean"

    def computed(self, v: Variable, f: Factor, key: str, *options: str) -> None:
        """A deterministic value, a relaxed one, or one that passes no gradient, with the density that the objective
        gives it."""
        name, cells = self.name(key), self.r.where(v.name, f)
        entropy = self.entropy(f)
        how = self.how(f)
        if f.implicit or (how == "map" and entropy is None):
            fn = self.masked(self.delta(v, self.point(f)), f, cells)
            self.site(key, self.pointed(v, fn, self.r.y in f.parents), *options)
            return
        given = self.name(f"{key}.given")
        self.lines += [f"{given} = {self.call(f)}", f"{name} = {self.relaxed(f, given, how)}"]
        if self.apart(f):
            self.divergence(v, f, given)
        density = f"{given}.log_prob({name})" if entropy is not None and not self.apart(f) else ""
        fn = self.masked(self.delta(v, name, density), f, cells)
        rows = self.priced(f) if density else ""
        scale = self.scale(entropy or 1.0) if density else ""
        self.site(key, self.pointed(v, fn, self.r.y in f.parents), *options, scale=scale, mask=rows)

    def relaxed(self, f: Factor, given: str, how: str) -> str:
        logits = f"{given}.base_dist.logits" if rank(self.conditional(f)) else f"{given}.logits"
        match how:
            case "gumbel":
                kind = "RelaxedOneHotCategorical" if self.conditional(f).family == "Categorical" else "RelaxedBernoulli"
                heat = number(f.gradient.temperature if f.gradient else 1.0)
                tensor = f"torch.tensor({heat}, **like)"
                return f"torch.distributions.{kind}({tensor}, logits={logits}, validate_args=False).rsample()"
            case "straight_through":
                return f"{given}.sample() + {given}.mean - {given}.mean.detach()"
            case "sample":
                return f"{given}.sample()"
            case _:
                return f"{given}.mean"

    def inferred(self, v: Variable, f: Factor, key: str, *options: str) -> None:
        """A sample of an explicit factor, with its -log f where the bracket has it."""
        cells, entropy = self.r.where(v.name, f), self.entropy(f)
        fn = self.call(f)
        if self.how(f) == "enumerate":
            self.enumerated(v, f, fn, key, *options)
            return
        if self.apart(f):
            given = self.name(f"{key}.given")
            self.lines.append(f"{given} = {fn}")
            self.divergence(v, f, given)
            fn, entropy = given, None
        rows = self.priced(f)
        self.site(
            key, self.masked(fn, f, cells), *options,
            scale=self.scale(entropy) if entropy is not None else "", mask=rows if entropy is not None else "False",
        )  # fmt: skip

    def enumerated(self, v: Variable, f: Factor, fn: str, key: str, *options: str) -> None:
        """Every value of a discrete variable. A mask would take the probabilities along with -log f: where the bracket
        has none, a factor takes it out again."""
        cells, entropy = self.r.where(v.name, f), self.entropy(f)
        scale = self.scale(entropy) if entropy is not None else ""
        given, outcome = self.name(f"{key}.given"), f"{key}.code" if v.type.shape else key
        self.lines.append(f"{given} = {fn}")
        table = ""
        if v.type.shape:
            table, fn = self.joint(v, key, given)
            given = self.name(f"{outcome}.given")
            self.lines.append(f"{given} = {fn}")
        chosen = given if options or v.type.shape else self.masked(given, f, cells)
        self.site(outcome, chosen, PARALLEL_AUX if options or v.type.shape else PARALLEL, scale=scale)
        rows = self.here(self.having(f)) if chosen == given else self.priced(f)
        if entropy is None or rows:
            site, log_prob = f"{key}.entropy{self.suffix}", f"{chosen}.log_prob({self.name(outcome)})"
            gone = f"pyro.factor({quoted(site)}, -{log_prob}, has_rsample=True)"
            mask = [f"poutine.mask(mask=~({rows}))"] if entropy is not None else []
            around = ", ".join((*mask, *([f"poutine.scale(scale={scale})"] if scale else [])))
            self.lines += [f"with {around}:", f"    {gone}"] if around else [gone]
        if table:
            value = self.delta(v, f"{table}[{self.name(outcome)}]")
            self.site(key, value if options else self.masked(value, f, cells), *options)

    def joint(self, v: Variable, key: str, given: str) -> tuple[str, str]:
        """All joint values of an array of bits or classes as a table, and one categorical over its rows."""
        classes = 2 if v.type.kind == "binary" else v.type.size
        size, shape = estimators.values(v.type), ", ".join(map(str, v.type.shape))
        table = self.name(f"{key}.values")
        every = f'torch.cartesian_prod(*(torch.arange({classes}, device=like["device"]),) * {prod(v.type.shape)})'
        every = f"{every}.reshape({size}, -1).flip(-1).reshape({size}, {shape})"
        hot = f"{every}.to({given}.mean.dtype)" if v.type.kind == "binary" else f"torch.eye({classes}, **like)[{every}]"
        event = ", ".join(map(str, v.type.event_shape))
        logits = f"{given}.log_prob({table}.reshape({size}, *(1,) * len({given}.batch_shape), {event})).movedim(0, -1)"
        self.lines.append(f"{table} = {hot}")
        return table, f"dist.Categorical(logits={logits}, validate_args=False)"

    def having(self, f: Factor) -> list[int]:
        """The cells in which the bracket has -log f."""
        return [i for i, c in enumerate(self.r.cells) if f.name in c.entropies]

    def priced(self, f: Factor) -> str:
        """The rows in which the bracket has -log f; '' where the factor's own mask by y leaves just these."""
        having = self.having(f)
        own = self.r.y in f.parents and set(having) == set(self.r.where(f.target, f))
        return "" if own else self.here(having)

    def entropy(self, f: Factor) -> float | None:
        """The scale of -log f in the bracket, None where it brings no term."""
        return next((c.entropies[f.name] for c in self.r.cells if f.name in c.entropies), None)

    def divergence(self, v: Variable, f: Factor, given: str) -> None:
        """KL(f || g) in closed form, as a factor."""
        right = self.pair(f)
        assert right is not None
        other = self.prior(v) if right.factor is None else self.call(self.r.graph.factor(right.factor))
        code = f"pyro.factor({quoted(f'{v.name}.KL{self.suffix}')}, kl_divergence({given}, {other}), has_rsample=True)"
        rows = self.here(self.r.where(v.name, f))
        around = [f"poutine.mask(mask={rows})"] if rows else []
        scale = self.scale(self.entropy(f) or 1.0)
        around += [f"poutine.scale(scale={scale})"] if scale else []
        self.lines += [f"with {', '.join(around)}:", f"    {code}"] if around else [code]

    # --- reading 3: the outer sample and its judge ------------------------------------------------------

    def outer(self) -> None:
        """The outer sample of every origin, at theta_0, stacked over the cells."""
        wanted = [v for v in self.r.variables if any(isinstance(w, Outer) for w in self.r.origins(v.name))]
        held: list[str] = []
        for cell in self.r.cells:
            for v in wanted:
                if v.name in cell.needed:
                    self.ancestral(v.name, cell, held)
        self.lines += ["with torch.no_grad():  # the outer sample, at theta_0", *indent(held)] if held else []
        for v in wanted:
            name = self.name(v.name)
            values = [self.outer_value(v, c) if v.name in c.needed else self.blank(v) for c in self.r.cells]
            self.lines.append(f"{name} = {self.stacked(values)}")
            if self.r.random_outer(v.name):
                self.site(f"{v.name}.outer", f"{self.delta(v, name)}.mask(True)", into=None)
            self.site(v.name, self.delta(v, name), f"obs={name}", AUX)
            self.done[v.name] = name

    def outer_value(self, v: Variable, cell: Cell) -> str:
        """The local, or the field, that holds an outer value at its origin."""
        way = cell.outer.get(v.name)
        if isinstance(way, Given) and v.data is not None:
            return f"batch[{quoted(v.data.fields[(cell.origin or 0) if v.data.given else 0])}]"
        return self.name(f"{v.name}.outer{cell.origin}")

    def ancestral(self, variable: str, cell: Cell, lines: list[str]) -> None:
        """Writes the draw of an outer value after those of its parents."""
        v, way = self.r.graph.variables[variable], cell.outer.get(variable)
        name = self.outer_value(v, cell)
        if name.startswith("batch[") or any(line.startswith(f"{name} =") for line in lines):
            return
        if isinstance(way, Factor):
            parents = self.r.graph.parents(way)
            for p in parents:
                self.ancestral(p, cell, lines)
            values = ", ".join(self.outer_value(self.r.graph.variables[p], cell) for p in parents)
            called = f"self.{way.attribute}({values or 'batch=(n,)'})"
            grey = self.conditional(way).family == "Delta" or v.type.kind == "unit"
            lines.append(
                f"{name} = {called}{'' if way.implicit else '.mean' if grey and self.mean(way) else '.sample()'}"
            )
        else:
            lines.append(f"{name} = {self.prior(v, 'n')}.sample()")

    def mean(self, f: Factor) -> bool:
        """The draw is the mean: a Delta, or a Bernoulli on [0, 1]."""
        return self.conditional(f).family in ("Delta", "Bernoulli")

    def judge(self) -> None:
        """y as the adversary infers it, and the weight b^r(y | .) of every row."""
        b, y = self.r.graph.blue[0], self.y
        if b.perfect:
            self.site(self.r.y or "", f"dist.Delta({y}, validate_args=False)", f"obs={y}", AUX)
            return
        given = self.name(f"{y}.given")
        self.lines.append(f"{given} = {self.call(b)}")
        self.site(self.r.y or "", given, f"obs={y}", AUX, mask="False")
        self.lines.append(f"weight = {self.weight(f'{given}.logits')}")

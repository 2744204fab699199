"""A second opinion: a model as two Pyro programs, `model` (the solid side scores) and `guide` (the dashed one samples).

They are read off the graph apart from the objectives and share nothing with them but the factor modules.
`elbo(plan)(model, guide)`, divided by (batch x number of branches), has the gradients of `objective` for the groups
that do not judge, under the same draws, and its value up to the terms that the derivation drops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from schematic.calculus.terms import KL, Density
from schematic.compiler import estimators
from schematic.compiler.branches import Given, Outer, Source
from schematic.compiler.emit_nets import rank
from schematic.compiler.emit_text import TAKEN, indent, local, number, quoted, unique
from schematic.compiler.program import Conditional, Plan, Term
from schematic.compiler.pyro_reading import Cell, Reading, Score, read
from schematic.graph.model import Factor, Variable

OWN = frozenset(("rows", "like", "weight", "poutine", "kl_divergence"))
AUX = 'infer={"is_auxiliary": True}'


def methods(plan: Plan) -> list[str]:
    """`def model(self, batch)` and `def guide(self, batch)`; nothing where Pyro cannot be asked: a divergence other
    than the default, more than two domains, no data."""
    divergences = {f.divergence.name for f in plan.model.factors if f.adversarial}
    r = read(plan)
    if divergences - {"nonsaturating"} or r.graph.domains > 2 or not plan.fields or not r.cells:
        return []
    guide = Guide(r)
    guide.write()
    model = Model(r)
    model.write()
    return [*model.method(), "", *guide.method()]


def terms(plan: Plan) -> tuple[Term, ...]:
    """The summands of the groups that do not judge."""
    judges = {f.group for f in plan.model.factors if f.adversarial}
    return tuple(t for u in plan.updates if not judges & set(u.groups) for t in u.terms)


def elbo(plan: Plan) -> str:
    """The estimator of pyro.infer that computes what `objective` does."""
    how = {d.how for b in plan.branches for d in b.draws}
    if "enumerate" in how:
        return "TraceEnum_ELBO"
    closed = any(t.how == "closed" for t in terms(plan))
    return "TraceMeanField_ELBO" if closed and "score" not in how else "Trace_ELBO"


@dataclass
class Program:
    """What both programs write: the stacked rows, values of the data, distributions, and sites."""

    r: Reading
    lines: list[str] = field(default_factory=list)
    locals: dict[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)  # variables and the local that holds them
    open: list[str] = field(default_factory=list)

    # --- names and shapes -------------------------------------------------------------------------------

    def name(self, key: str) -> str:
        """The local variable for a key: `z`, or `z_fake` for `z.fake`."""
        if key not in self.locals:
            wanted = local(key.replace(".", "_"))
            self.locals[key] = unique(wanted, (*OWN, *TAKEN - {wanted}, *self.locals.values()))
        return self.locals[key]

    @property
    def y(self) -> str:
        return self.name(self.r.y or "y")

    @property
    def rows(self) -> str:
        count = len(self.r.cells)
        return "n" if count == 1 else f"{count} * n"

    @property
    def first(self) -> str:
        return f"batch[{quoted(self.r.plan.fields[0][0])}]"

    def conditional(self, f: Factor) -> Conditional:
        return self.r.plan.conditional(f.name)

    def here(self, cells: Sequence[int]) -> str:
        """The rows of some cells as a condition on y; '' for all rows."""
        values = {self.r.cells[i].y or 0 for i in cells}
        if values == {c.y or 0 for c in self.r.cells}:
            return ""
        return " | ".join(
            f"({self.y} == {v})" if len(values) > 1 else f"{self.y} == {v}" for v in sorted(values)
        )

    def stacked(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}))"

    def fields(self, v: Variable) -> str:
        """The data of a variable over all rows; zeros in cells that do not read it."""
        fields = [None if v.data is None else v.data.fields[(c.y or 0) if v.data.given else 0] for c in self.r.cells]
        if self.r.weighed and v.data is not None and v.data.given:
            fields = [v.data.fields[c.origin or 0] for c in self.r.cells]
        read = dict(self.r.plan.fields)
        known = next(f for f in fields if f in read)
        return self.stacked(
            [f"batch[{quoted(f)}]" if f in read else f"torch.zeros_like(batch[{quoted(known)}])" for f in fields]
        )

    # --- distributions ----------------------------------------------------------------------------------

    def prior(self, v: Variable, count: str = "rows") -> str:
        """The explicit prior over all rows."""
        p = estimators.prior_of(v.type, v.prior)
        size = ", ".join(map(str, (count, *v.type.event_shape)))
        args = [f"torch.full(({size}{',' if not v.type.event_shape else ''}), {float(p.args[0])}, **like)", *map(number, p.args[1:])] if p.args else []
        if p.family == "Categorical":
            built = f"dist.OneHotCategorical(probs=torch.ones({size}, **like), validate_args=False)"
        else:
            built = f"dist.{p.family}({', '.join(args)}, validate_args=False)"
        dims = len(v.type.shape)
        return f"{built}.to_event({dims})" if dims else built

    def idle(self, v: Variable) -> str:
        """A distribution that scores nothing: the value comes from the guide."""
        size = ", ".join(map(str, ("rows", *v.type.event_shape)))
        dims = len(v.type.event_shape)
        return f"dist.Normal(torch.zeros({size}, **like), 1.0){f'.to_event({dims})' if dims else ''}.mask(False)"

    def delta(self, v: Variable, value: str, density: str = "") -> str:
        extra = f", log_density={density}" if density else ""
        dims = len(v.type.event_shape)
        return f"dist.Delta({value}{extra}{f', event_dim={dims}' if dims else ''}, validate_args=False)"

    def call(self, f: Factor) -> str:
        """The factor's module at its parents' values."""
        parents = ", ".join(self.value(p) for p in self.r.graph.parents(f))
        called = parents or "batch=(rows,)"
        if not self.held(f):
            return f"self.{f.attribute}({called})"
        frozen = f"{{key: p.detach() for key, p in self.{f.attribute}.named_parameters()}}"
        values = f"({parents},)" if parents else '(), {"batch": (rows,)}'
        return f"torch.func.functional_call(self.{f.attribute}, {frozen}, {values})"

    def held(self, f: Factor) -> bool:
        """Another factor's group trains a net of this one: gradient passes to the values alone."""
        return any(c.frozen and c.density.factor == f.name for t in terms(self.r.plan) for c in t.calls)

    # --- divergences in closed form ---------------------------------------------------------------------

    def pair(self, f: Factor) -> Density | None:
        """What the objective's closed divergence holds against an inference factor; None where there is none."""
        atoms = (t.atom for t in terms(self.r.plan) if t.how == "closed")
        return next((a.right for a in atoms if isinstance(a, KL) and a.left.factor == f.name), None)

    def apart(self, f: Factor) -> bool:
        """The closed divergence is a factor of the guide, since the estimator would sample it."""
        ways = self.r.origins(f.target)
        discrete = self.how(f) in ("enumerate", "score", "sample")
        natural = discrete or (elbo(self.r.plan) == "TraceMeanField_ELBO" and len(ways) == 1 and self.how(f) == "path")
        return self.pair(f) is not None and not natural

    def how(self, f: Factor) -> estimators.How:
        """How the plan draws it."""
        drawn = (d for b in self.r.plan.branches for d in b.draws if d.density.factor == f.name and not d.outer)
        return next((d.how for d in drawn), "path")

    def wrap(self, fn: str, v: Variable, masked: bool, scored: bool) -> str:
        """TraceMeanField_ELBO takes a closed form wherever both distributions are masked, or neither is: one more
        mask(True) makes them alike where the objective has a closed form, and unlike where it samples."""
        ways = self.r.origins(v.name)
        way = ways[0]
        if elbo(self.r.plan) != "TraceMeanField_ELBO" or len(ways) > 1 or isinstance(way, Outer) or way is None:
            return fn
        if isinstance(way, Factor) and (way.process == "generative" or self.how(way) != "path"):
            return fn
        guide = isinstance(way, Factor) and self.r.y in way.parents
        closed = scored and isinstance(way, Factor) and self.pair(way) is not None
        return fn if (guide == masked) == closed else f"{fn}.mask(True)"

    # --- sites ------------------------------------------------------------------------------------------

    def site(self, key: str, fn: str, *options: str, scale: str = "", mask: str = "", into: str | None = "") -> None:
        """`z = pyro.sample("z", fn)`, under its scale and mask; `into` None keeps no value."""
        code = f"pyro.sample({', '.join((quoted(key), fn, *options))})"
        target = self.name(key) if into == "" else into
        line = f"{target} = {code}" if target else code
        around = [f"poutine.mask(mask={mask})"] if mask else []
        around += [f"poutine.scale(scale={scale})"] if scale else []
        self.lines += [f"with {', '.join(around)}:", f"    {line}"] if around else [line]

    def scale(self, factor: float) -> str:
        """A scale, in reading 3 times the adversary's weight."""
        weight = "weight" if self.weighs else ""
        return weight if factor == 1 else f"{number(factor)} * {weight}" if weight else number(factor)

    @property
    def weighs(self) -> bool:
        return self.r.weighed and not self.r.graph.blue[0].perfect

    def weight(self, logits: str) -> str:
        """b^r(y | .), which passes no gradient."""
        heat = self.r.graph.blue[0].temperature
        return f"torch.sigmoid((1 - 2 * {self.y}) * {logits}{'' if heat == 1 else f' / {number(heat)}'}).detach()"

    def value(self, variable: str) -> str:
        raise NotImplementedError

    def masked(self, fn: str, f: Factor, cells: Sequence[int]) -> str:
        """The factor with its rows chosen by y if y is among its parents, so that the arrow from y is there."""
        if self.r.y not in f.parents:
            return fn
        return f"{fn}.mask({self.here(cells) or f'{self.y} >= 0'})"

    def frame(self, name: str, doc: str) -> list[str]:
        """The method around the sites."""
        body = "\n".join(self.lines)
        start = [f"def {name}(self, batch: dict[str, Tensor]) -> None:", f'    """{doc}"""']
        start += [f"    n = len({self.first})", f"    rows = {self.rows}"]
        if "**like" in body or self.r.y:
            start.append(f'    like = {{"dtype": {self.first}.dtype, "device": {self.first}.device}}')
        if self.r.y:
            values = ", ".join(f"{float(c.y or 0)}" for c in self.r.cells)
            start.append(f"    {self.y} = torch.tensor([{values}], **like).repeat_interleave(n)  # {self.blocks()}")
        return [*start, '    with pyro.plate("batch", rows, dim=-1):', *indent(self.lines, 2)]

    def blocks(self) -> str:
        """What the rows are, block by block."""
        y = self.r.plan.model.indicator
        names = y.type.values if y else ()
        cells = self.r.cells
        if self.r.weighed:
            return "the rows: " + ", ".join(
                f"{self.y}={names[c.y or 0]} of {names[c.origin or 0]} samples" for c in cells
            )
        return "the rows: " + ", ".join(names[c.y or 0] for c in cells)


@dataclass
class Guide(Program):
    """The dashed side samples."""

    def method(self) -> list[str]:
        return self.frame("guide", "The dashed side samples: a Pyro guide.")

    def write(self) -> None:
        if self.r.weighed:
            self.outer()
            self.judge()
        elif self.r.y:
            self.site(self.r.y, f"dist.Delta({self.y})", f"obs={self.y}", AUX)
        for v in self.r.variables:
            self.value(v.name)

    def value(self, variable: str) -> str:
        """The local that holds a variable, written first where it is not there yet."""
        if variable not in self.done:
            v = self.r.graph.variables[variable]
            ways = self.r.origins(variable)
            if variable in self.open:  # a cycle over the branches: its data are at hand before it is
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
            case Given():
                self.site(v.name, self.prior(v), mask="False")
            case Factor() as f if f.process == "generative":
                self.lines.append(f"{name} = {self.call(f)}  # a solid arrow that computes")
            case Factor() as f if self.how(f) in ("map", "mean", "gumbel", "straight_through"):
                self.computed(v, f)
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
            event = f".reshape(rows, {', '.join('1' for _ in v.type.event_shape)})" if v.type.event_shape else ""
            value = f"torch.where(({rows}){event}, {code}, {value})"
        self.site(v.name, self.delta(v, value))
        return name

    def part(self, v: Variable, way: Source) -> str:
        """The value from one source, over all rows; a random one is an auxiliary site of its own."""
        cells = self.r.where(v.name, way)
        y = self.r.plan.model.indicator
        key = f"{v.name}.{y.type.values[self.r.cells[cells[0]].y or 0]}" if y else v.name
        match way:
            case Given(variable) if variable.data is not None:
                return self.fields(v)
            case Given():
                self.site(key, self.prior(v), AUX, mask="False")
                return self.name(key)
            case Factor() as f if f.implicit or self.conditional(f).family == "Delta":
                return self.point(f)
            case Factor() as f if self.how(f) == "mean":
                return f"{self.call(f)}.mean"
            case Factor() as f:
                self.inferred(v, f, key, AUX)
                return self.name(key)
            case _:
                raise AssertionError(f"internal error, please report it: {v.name} has no source")

    def point(self, f: Factor) -> str:
        """The value of a hollow arrow, or of a Delta."""
        return self.call(f) if f.implicit else f"{self.call(f)}.mean"

    def computed(self, v: Variable, f: Factor) -> None:
        """A deterministic value, or a relaxed one, with the density that the objective gives it."""
        name, cells = self.name(v.name), self.r.where(v.name, f)
        entropy = self.entropy(f)
        how = self.how(f)
        if f.implicit or (how == "map" and entropy is None):
            self.site(v.name, self.masked(self.delta(v, self.point(f)), f, cells))
            return
        self.lines.append(f"{name}_given = {self.call(f)}")
        self.lines.append(f"{name} = {self.relaxed(f, f'{name}_given', how)}")
        if self.apart(f):
            self.divergence(v, f, f"{name}_given")
        density = f"{name}_given.log_prob({name})" if entropy is not None and not self.apart(f) else ""
        scale = self.scale(entropy or 1.0) if density else ""
        self.site(v.name, self.masked(self.delta(v, name, density), f, cells), scale=scale)

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
            case _:
                return f"{given}.mean"

    def inferred(self, v: Variable, f: Factor, key: str, *options: str) -> None:
        """A sample of an explicit factor, with its -log f where the bracket has it."""
        cells, entropy = self.r.where(v.name, f), self.entropy(f)
        fn = self.call(f)
        enumerated = self.how(f) == "enumerate"
        if enumerated and v.type.shape:
            self.joint(v, f, fn, entropy)
            return
        if enumerated:
            options = (*options, 'infer={"enumerate": "parallel"}')
        if self.apart(f):
            given = self.name(f"{key}.given")
            self.lines.append(f"{given} = {fn}")
            self.divergence(v, f, given)
            fn, entropy = given, None
        rows = "" if self.r.y in f.parents else self.here(cells)
        self.site(
            key, self.masked(fn, f, cells), *options,
            scale=self.scale(entropy) if entropy is not None else "", mask=rows if entropy is not None else "False",
        )  # fmt: skip

    def joint(self, v: Variable, f: Factor, fn: str, entropy: float | None) -> None:
        """All joint values of an array of bits or classes, as one categorical whose outcome is looked up."""
        classes = 2 if v.type.kind == "binary" else v.type.size
        size, shape = estimators.values(v.type), ", ".join(map(str, v.type.shape))
        given, table, code = (self.name(f"{v.name}.{part}") for part in ("given", "values", "code"))
        every = f"torch.cartesian_prod(*(torch.arange({classes}, device=like['device']),) * {prod(v.type.shape)})"
        every = f"{every}.reshape({size}, {shape})".replace("'", '"')
        event = ", ".join(map(str, v.type.event_shape))
        self.lines += [
            f"{given} = {fn}",
            f"{table} = {every}.to({given}.mean.dtype)"
            if v.type.kind == "binary"
            else f"{table} = torch.eye({classes}, **like)[{every}]",
            f"{code} = {given}.log_prob({table}.reshape({size}, *(1,) * len({given}.batch_shape), {event}))",
        ]
        self.site(
            f"{v.name}.code", f"dist.Categorical(logits={code}.movedim(0, -1))",
            'infer={"enumerate": "parallel", "is_auxiliary": True}',
            scale=self.scale(entropy) if entropy is not None else "", mask="" if entropy is not None else "False",
        )  # fmt: skip
        self.site(v.name, self.masked(self.delta(v, f"{table}[{code}]"), f, self.r.where(v.name, f)))

    def entropy(self, f: Factor) -> float | None:
        """The scale of -log f in the bracket, None where it brings no term."""
        return next((c.entropies[f.name] for c in self.r.cells if f.name in c.entropies), None)

    def divergence(self, v: Variable, f: Factor, given: str) -> None:
        """KL(f || g) in closed form, as a factor."""
        right = self.pair(f)
        assert right is not None
        other = self.prior(v) if right.factor is None else self.call(self.r.graph.factor(right.factor))
        code = f"pyro.factor({quoted(f'{v.name}.KL')}, kl_divergence({given}, {other}), has_rsample=True)"
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
        for origin in dict.fromkeys(c.origin for c in self.r.cells):
            cell = next(c for c in self.r.cells if c.origin == origin)
            for v in wanted:
                self.ancestral(v.name, cell, held)
        self.lines += ["with torch.no_grad():  # the outer sample, at theta_0", *indent(held)] if held else []
        for v in wanted:
            name = self.name(v.name)
            self.lines.append(f"{name} = {self.stacked([self.outer_value(v, c) for c in self.r.cells])}")
            if self.r.random_outer(v.name):
                self.site(f"{v.name}.outer", self.delta(v, name), into=None)
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
            self.site(self.r.y or "", f"dist.Delta({y})", f"obs={y}", AUX)
            return
        given = self.name(f"{y}.given")
        self.lines.append(f"{given} = {self.call(b)}")
        self.site(self.r.y or "", given, f"obs={y}", AUX, mask="False")
        self.lines.append(f"weight = {self.weight(f'{given}.logits')}")


@dataclass
class Model(Program):
    """The solid side scores."""

    def method(self) -> list[str]:
        estimator = elbo(self.r.plan)
        branches = len(self.r.graph.branches)
        mean = "batch" if branches == 1 else f"({branches} * batch)"
        return self.frame("model", f"The solid side scores: -{estimator}(model, guide) / {mean} is the objective.")

    def write(self) -> None:
        if self.r.weighed:
            self.outer()
        for v in self.r.variables:
            self.value(v.name)
        if self.r.y and not self.r.weighed:
            self.judge()

    def value(self, variable: str) -> str:
        """The local that holds a variable, its site written first where it is not there yet."""
        if variable in self.done:
            return self.done[variable]
        v = self.r.graph.variables[variable]
        if variable in self.open:  # it scores what it is scored from: its value first
            self.done[variable] = self.known(v) or self.name(v.name)
            if not self.known(v):
                self.site(v.name, self.wrap(self.idle(v), v, True, False))
            return self.done[variable]
        self.open.append(variable)
        self.variable(v)
        self.open.remove(variable)
        return self.done.setdefault(variable, self.name(variable))

    def variable(self, v: Variable) -> None:
        """The site of a variable, and one more for each further density that scores it."""
        way = self.r.origins(v.name)[0]
        if isinstance(way, Factor) and way.process == "generative":
            dims = len(v.type.event_shape)
            self.lines.append(
                f"{self.name(v.name)} = pyro.deterministic({quoted(v.name)}, {self.call(way)}, event_dim={dims})"
            )
            return
        for s in self.r.scored(v.name):
            self.score(v, s)
        if v.name in self.done:
            return
        known = self.known(v)
        if known:
            self.site(v.name, self.delta(v, known), f"obs={known}")
        else:
            self.site(v.name, self.wrap(self.idle(v), v, True, False))

    def score(self, v: Variable, s: Score) -> None:
        """One density of a variable, in the cells that have it."""
        if s.factor is not None and self.r.y in s.factor.parents:
            self.judge()
        fn = self.prior(v) if s.factor is None else self.call(s.factor)
        cells = [i for i, c in enumerate(self.r.cells) if s in c.scores]
        rows = "" if s.factor is not None and self.r.y in s.factor.parents else self.here(cells)
        known, again = self.known(v), v.name in self.done
        if s.factor is not None:
            fn = self.masked(fn, s.factor, cells)
        key = f"{v.name}.{s.factor.attribute if s.factor else 'prior'}" if again and self.sited(v) else v.name
        obs = [f"obs={self.done[v.name] if again else known}"] if known or again else []
        mask = "False" if self.taken(v, s) else rows
        masked = s.factor is not None and self.r.y in s.factor.parents
        self.site(key, fn if obs else self.wrap(fn, v, masked, True), *obs, scale=self.scale(s.scale), mask=mask,
                  into=None if again else "")  # fmt: skip
        self.done.setdefault(v.name, self.name(v.name))

    def sited(self, v: Variable) -> bool:
        """The variable has its own site already."""
        return any(f"pyro.sample({quoted(v.name)}," in line for line in self.lines)

    def taken(self, v: Variable, s: Score) -> bool:
        """The guide holds this density in a divergence in closed form."""
        drawn = (w for w in self.r.origins(v.name) if isinstance(w, Factor) and w.process == "inference")
        pairs = (self.pair(w) for w in drawn if self.apart(w))
        return any(p is not None and p.factor == (s.factor.name if s.factor else None) for p in pairs)

    def known(self, v: Variable) -> str:
        """The data that a variable stands at in every row, '' where the guide draws it."""
        ways = self.r.origins(v.name)
        if any(isinstance(w, Outer) for w in ways):
            return self.name(f"{v.name}.outer")
        return self.fields(v) if all(isinstance(w, Given) and v.data is not None for w in ways) else ""

    def outer(self) -> None:
        """The outer sample as the guide drew it, y as the rows have it, and the weight of every row."""
        for v in self.r.variables:
            if any(isinstance(w, Outer) for w in self.r.origins(v.name)):
                if self.r.random_outer(v.name):
                    self.site(f"{v.name}.outer", self.idle(v))
                else:
                    self.lines.append(f"{self.name(f'{v.name}.outer')} = {self.outer_data(v)}")
        self.site(self.r.y or "", "dist.Bernoulli(torch.full((rows,), 0.5, **like))", f"obs={self.y}", mask="False")
        if self.weighs:
            b = self.r.graph.blue[0]
            values = ", ".join(self.name(f"{p}.outer") for p in self.r.graph.parents(b))
            self.lines.append(f"weight = {self.weight(f'self.{b.attribute}({values}).logits')}")

    def outer_data(self, v: Variable) -> str:
        assert v.data is not None
        return self.stacked(
            [f"batch[{quoted(v.data.fields[(c.origin or 0) if v.data.given else 0])}]" for c in self.r.cells]
        )

    def judge(self) -> None:
        """Every row's own y under b^r, the reverse of each discriminator."""
        if self.r.weighed or self.r.y is None or self.r.y in self.done or self.r.y in self.open:
            return
        self.open.append(self.r.y)
        for i, b in enumerate(self.r.graph.blue):
            given = self.call(b)
            heat = "" if b.temperature == 1 else f" / {number(b.temperature)}"
            fn = f"dist.Bernoulli(logits=-{given}.logits{heat})"
            key = f"{self.r.y}.{b.attribute}" if i else self.r.y
            self.site(key, fn, f"obs={self.y}", scale="" if b.weight == 1 else number(b.weight), into=None if i else "")
        if not self.r.graph.blue:
            self.site(self.r.y, "dist.Bernoulli(torch.full((rows,), 0.5, **like))", f"obs={self.y}", mask="False")
        self.done[self.r.y] = self.y
        self.open.remove(self.r.y)

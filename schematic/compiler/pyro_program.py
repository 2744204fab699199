"""What both Pyro programs write: the stacked rows, values of the data, distributions, and sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from schematic.calculus.terms import Density
from schematic.compiler import estimators
from schematic.compiler.branches import Given
from schematic.compiler.emit_text import TAKEN, WIDTH, indent, key_local, noted, number, quoted, unique
from schematic.compiler.program import Conditional
from schematic.compiler.pyro_reading import Reading
from schematic.graph.model import Factor, Variable

OWN = frozenset(("rows", "like", "weight", "poutine", "kl_divergence"))
AUX = 'infer={"is_auxiliary": True}'
PARALLEL = 'infer={"enumerate": "parallel"}'
PARALLEL_AUX = 'infer={"enumerate": "parallel", "is_auxiliary": True}'


@dataclass
class Program:
    """What both programs write: the stacked rows, values of the data, distributions, and sites."""

    r: Reading
    suffix: str = ""  # of the sites, apart from those of another block
    lines: list[str] = field(default_factory=list)
    locals: dict[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)  # variables and the local that holds them
    open: list[str] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)

    # --- names and shapes -------------------------------------------------------------------------------

    def name(self, key: str) -> str:
        """The local variable for a key: `z`, or `z_fake` for `z.fake`."""
        if key not in self.locals:
            wanted = key_local(f"{key}{self.suffix}")
            self.locals[key] = unique(wanted, (*OWN, *TAKEN - {wanted}, *self.locals.values()))
        return self.locals[key]

    @property
    def y(self) -> str:
        return self.name(self.r.y or "y")

    @property
    def count(self) -> str:
        """The number of rows, as the code names it."""
        return "n" if len(self.r.cells) == 1 else "rows"

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
        return " | ".join(f"({self.y} == {v})" if len(values) > 1 else f"{self.y} == {v}" for v in sorted(values))

    def stacked(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}))"

    def fields(self, v: Variable) -> str:
        """The data of a variable over all rows; zeros in cells that do not read it."""
        fields = [None if v.data is None else v.data.fields[(c.y or 0) if v.data.given else 0] for c in self.r.cells]
        if self.r.weighed and v.data is not None and v.data.given:
            fields = [v.data.fields[c.origin or 0] for c in self.r.cells]
        read = self.r.plan.by_field
        known = next((f for f in fields if f in read), None)
        if known is None:
            return f"torch.zeros({', '.join(map(str, (self.count, *v.type.event_shape)))}, **like)"
        return self.stacked(
            [f"batch[{quoted(f)}]" if f in read else f"torch.zeros_like(batch[{quoted(known)}])" for f in fields]
        )

    def blank(self, v: Variable) -> str:
        """Rows that nothing reads."""
        return f"torch.zeros({', '.join(map(str, ('n', *v.type.event_shape)))}, **like)"

    # --- distributions ----------------------------------------------------------------------------------

    def prior(self, v: Variable, count: str = "") -> str:
        """The explicit prior over all rows."""
        p = estimators.prior_of(v.type, v.prior)
        size = ", ".join(map(str, (count or self.count, *v.type.event_shape)))
        first = float(p.args[0]) if p.args else 1.0
        whole = f"({size}{'' if v.type.event_shape else ','})"
        known = {0.0: f"torch.zeros({size}, **like)", 1.0: f"torch.ones({size}, **like)"}
        args = ", ".join((known.get(first, f"torch.full({whole}, {first}, **like)"), *map(number, p.args[1:])))
        if p.family == "Categorical":
            return self.joined(f"dist.OneHotCategorical(probs={args}, validate_args=False)", len(v.type.shape))
        return self.joined(f"dist.{p.family}({args}, validate_args=False)", len(v.type.shape))

    def idle(self, v: Variable) -> str:
        """The distribution of a site that scores nothing: its value comes from the guide."""
        size = ", ".join(map(str, (self.count, *v.type.event_shape)))
        return self.delta(v, f"torch.zeros({size}, **like)")

    def even(self) -> str:
        """p(y), uniform."""
        return f"dist.Bernoulli(torch.full(({self.count},), 0.5, **like), validate_args=False)"

    def joined(self, built: str, dims: int) -> str:
        return f"{built}.to_event({dims})" if dims else built

    def delta(self, v: Variable, value: str, density: str = "") -> str:
        extra = f", log_density={density}" if density else ""
        dims = len(v.type.event_shape)
        return f"dist.Delta({value}{extra}{f', event_dim={dims}' if dims else ''}, validate_args=False)"

    def call(self, f: Factor) -> str:
        """The factor's module at its parents' values."""
        parents = ", ".join(self.value(p) for p in self.r.graph.parents(f))
        called = parents or f"batch=({self.count},)"
        if not self.held(f):
            return f"self.{f.attribute}({called})"
        frozen = f"{{key: p.detach() for key, p in self.{f.attribute}.named_parameters()}}"
        values = f"({parents},)" if parents else f'(), {{"batch": ({self.count},)}}'
        return f"torch.func.functional_call(self.{f.attribute}, {frozen}, {values})"

    def held(self, f: Factor) -> bool:
        """Another factor's group trains a net of this one: gradient passes to the values alone."""
        return f.name in self.r.held

    # --- divergences in closed form ---------------------------------------------------------------------

    def pair(self, f: Factor) -> Density | None:
        """What the objective's closed divergence holds against an inference factor; None where there is none."""
        return self.r.pairs.get(f.name)

    def apart(self, f: Factor) -> bool:
        """The closed divergence is a factor of the guide, since the estimator would sample it."""
        ways = self.r.origins(f.target)
        discrete = self.how(f) in ("enumerate", "score")
        natural = discrete or (self.r.elbo == "TraceMeanField_ELBO" and len(ways) == 1 and self.how(f) == "path")
        return self.pair(f) is not None and not natural

    def how(self, f: Factor) -> estimators.How:
        """How the plan draws it; a discrete variable whose value nothing reads needs no gradient."""
        discrete = self.r.graph.variables[f.target].type.kind in ("category", "binary")
        return self.r.how.get(f.name, "sample" if discrete and not f.implicit else "path")

    # TraceMeanField_ELBO takes a closed form wherever it finds one between the two distributions of a site, under the
    # guide's masks and scales alone. It strips a `.mask` from both as long as both have one; one more `.mask(True)`
    # on the right side leads to a closed form, or keeps it away.

    def wrap(self, fn: str, v: Variable, masked: bool) -> str:
        """The model's distribution of a latent variable: stripped alike where the objective has a closed form."""
        way = self.r.origins(v.name)[0]
        if self.r.elbo != "TraceMeanField_ELBO" or not self.path(v):
            return fn
        guide = isinstance(way, Factor) and self.r.y in way.parents
        closed = isinstance(way, Factor) and self.pair(way) is not None
        return fn if (guide == masked) == closed else f"{fn}.mask(True)"

    def path(self, v: Variable) -> bool:
        """The guide draws the variable in one way, from a distribution that is no Delta."""
        (way, *more) = self.r.origins(v.name)
        inferred = isinstance(way, Factor) and way.process == "inference" and self.how(way) == "path"
        return not more and (inferred or (isinstance(way, Given) and v.type.kind not in ("category", "binary")))

    def pointed(self, v: Variable, fn: str, masked: bool = False) -> str:
        """The guide's Delta: masked once more than the model's distribution, so that the model's is scored as it is."""
        if self.r.elbo != "TraceMeanField_ELBO":
            return fn
        model = any(s.factor is not None and self.r.y in s.factor.parents for s in self.r.scored(v.name)[:1])
        return fn + ".mask(True)" * (1 + model - masked)

    # --- sites ------------------------------------------------------------------------------------------

    def site(self, key: str, fn: str, *options: str, scale: str = "", mask: str = "", into: str | None = "") -> None:
        """`z = pyro.sample("z", fn)`, under its scale and mask; `into` None keeps no value."""
        code = f"pyro.sample({', '.join((quoted(f'{key}{self.suffix}'), fn, *options))})"
        target = self.name(key) if into == "" else into
        line = f"{target} = {code}" if target else code
        self.sites.append(key)
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

    def write(self) -> None:
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
        start += [f"    n = len({self.first})"]
        if "**like" in body or "like[" in body or self.r.y:
            start.append(f'    like = {{"dtype": {self.first}.dtype, "device": {self.first}.device}}')
        if self.r.y:
            values = ", ".join(f"{float(c.y or 0)}" for c in self.r.cells)
            repeated = f"torch.tensor([{values}], **like).repeat_interleave(n)"
            start += indent(noted(f"{self.y} = {repeated}", self.blocks()))
        if len(self.r.cells) > 1:
            start.append(f"    rows = {len(self.r.cells)} * n")
        sites = [piece for line in self.lines for piece in self.broken(line)]
        plate = quoted(unique("batch", (v.name for v in self.r.plan.models[0].variables)))
        return [*start, f"    with pyro.plate({plate}, {self.count}, dim=-1):", *indent(sites, 2)]

    def broken(self, line: str) -> list[str]:
        """A line over several ones where it is too long."""
        code = line.lstrip()
        if code.startswith("with ") or "  # " in code:
            return [line]
        depth = (len(line) - len(code)) // 4
        return indent(broken(code, WIDTH - 4 * depth), depth)

    def blocks(self) -> str:
        """What the rows are, block by block."""
        y = self.r.plan.models[0].indicator
        names = y.type.values if y else ()
        cells = self.r.cells
        if self.r.weighed:
            return "the rows: " + ", ".join(
                f"{names[c.origin or 0]} samples at {self.r.y}={names[c.y or 0]}" for c in cells
            )
        return "the rows: " + ", ".join(names[c.y or 0] for c in cells)


def broken(code: str, width: int) -> list[str]:
    """A statement over several lines where it is too long: the arguments of its first call, one a line."""
    group = _brackets(code)
    if len(code) <= width or group is None:
        return [code]
    start, end, cuts = group
    edges = [start, *cuts, end]
    parts = [code[a + 1 : b].strip() for a, b in pairwise(edges)]
    inner = [line for part in parts if part for line in broken(f"{part},", width - 4)]
    return [code[: start + 1], *indent(inner), code[end:]]


def _brackets(code: str) -> tuple[int, int, list[int]] | None:
    """The first bracket, its partner, and the commas between them that separate its arguments."""
    start, depth, cuts, text = -1, 0, list[int](), False
    for i, c in enumerate(code):
        text ^= c == '"'
        if text:
            continue
        if c in "([{":
            depth += 1
            start = i if start < 0 else start
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                return start, i, cuts
        elif c == "," and depth == 1:
            cuts.append(i)
    return None

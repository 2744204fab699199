"""`draw` of an emitted program: all randomness of a step, branch by branch, in ancestral order."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from schematic.calculus.terms import masked
from schematic.calculus.text import density_text
from schematic.compiler.emit_nets import rank
from schematic.compiler.emit_text import WIDTH, branch_local, indent, local, noted, number, quoted, shape
from schematic.compiler.estimators import prior_of, values
from schematic.compiler.program import Branch, Conditional, Drawn, Plan, field
from schematic.graph.model import Gradient, Type, Variable

CATEGORICAL = [
    "def categorical(probs: Tensor, generator: torch.Generator | None) -> Tensor:",
    '    """One-hot samples (*batch, k) by an exponential race, which is the Gumbel argmax."""',
    "    uniform = torch.rand(probs.shape, generator=generator, dtype=probs.dtype, device=probs.device)",
    "    race = probs.detach() / -uniform.log()",
    "    return F.one_hot(race.argmax(-1), probs.shape[-1]).to(probs.dtype)",
]

LAPLACE = [
    "def laplace(shape: tuple[int, ...], generator: torch.Generator | None, **like) -> Tensor:",
    '    """Standard Laplace noise: the difference of two exponentials."""',
    "    a, b = torch.log1p(-torch.rand(2, *shape, generator=generator, **like))",
    "    return a - b",
]

BITS = [
    "def bits(d: int, **like) -> Tensor:",
    '    """Every value of d bits: (2**d, d)."""',
    '    numbers, places = (torch.arange(m, device=like["device"]) for m in (2**d, d))',
    "    return (numbers[:, None] >> places & 1).to(like[\"dtype\"])",
]

CLASSES = [
    "def classes(k: int, d: int, **like) -> Tensor:",
    '    """Every value of d classes out of k, one-hot: (k**d, d, k)."""',
    '    numbers, places = (torch.arange(m, device=like["device"]) for m in (k**d, d))',
    "    return torch.eye(k, **like)[numbers[:, None] // k**places % k]",
]

GUMBEL = [
    "def gumbel(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:",
    '    """A relaxed one-hot sample (Jang et al., 2017; Maddison et al., 2017): biased gradients."""',
    "    noise = -torch.empty_like(logits).exponential_(generator=generator).log()",
    "    return ((logits + noise) / temperature).softmax(-1)",
]

CONCRETE = [
    "def concrete(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:",
    '    """A relaxed bit, the binary case of the Gumbel softmax (Maddison et al., 2017): biased gradients."""',
    "    a, b = logits.new_empty(2, *logits.shape).exponential_(generator=generator).log()",
    "    return torch.sigmoid((logits + a - b) / temperature)",
]

HELPERS = {
    "categorical": CATEGORICAL,
    "laplace": LAPLACE,
    "bits": BITS,
    "classes": CLASSES,
    "gumbel": GUMBEL,
    "concrete": CONCRETE,
}


def draw(plan: Plan) -> list[str]:
    """def draw(self, batch, generator=None)."""
    parts = [line for b in plan.branches for line in _branch(plan, b)]
    drawn = [d for b in plan.branches for d in b.draws]
    counted = any(d.how in ("prior", "enumerate", "mixture") or (d.density.factor and not d.parents) for d in drawn)
    placed = any(d.how in ("mask", "prior", "enumerate", "path", "mixture") for d in drawn)
    lines = signature(plan)
    lines += [f"    first = batch[{quoted(plan.fields[0][0])}]"] if counted or placed else []
    lines += ["    n = len(first)"] if counted else []
    lines += ['    like = {"dtype": first.dtype, "device": first.device}'] if placed else []
    branches = [branch_local(b.name) for b in plan.branches]
    lines += [f"    {', '.join(branches)} = {', '.join('{}' for _ in branches)}"] if branches else []
    lines += indent(parts)
    pairs = [f"{quoted(b.name)}: {branch_local(b.name)}" for b in plan.branches]
    found = f"return {{{', '.join(pairs)}}}"
    return [*lines, *indent([found] if len(found) <= WIDTH - 4 else ["return {", *(f"    {p}," for p in pairs), "}"])]


def signature(plan: Plan) -> list[str]:
    """The method's first lines; `made` where some update scores what a value was drawn from."""
    what = "The randomness of a step: draw[branch][variable]. Values carry their graph where it may flow."
    if not any(u.made for u in plan.updates):
        head = "def draw(self, batch: dict[str, Tensor], generator: torch.Generator | None = None) -> dict:"
        return [head, f'    """{what}"""']
    return [
        "def draw(",
        "    self, batch: dict[str, Tensor], generator: torch.Generator | None = None, made: dict | None = None",
        ") -> dict:",
        f'    """{what}',
        '    `made` takes what values are drawn from, for the updates that score it: one pass instead of two."""',
        "    made = {} if made is None else made",
    ]


def _branch(plan: Plan, branch: Branch) -> list[str]:
    lines: list[str] = []
    if any(d.how == "mixture" for d in branch.draws):
        lines += noted("place = torch.rand(n, generator=generator, **like)", "(batch,): a place between the domains")
    outside = False  # inside `with torch.no_grad()`
    for d in branch.draws:
        written = drawn(plan, branch, d)
        held = d.outer and d.how not in ("data", "mask")
        if held and not outside:
            lines.append("with torch.no_grad():  # theta_0: the outer sample passes no gradient")
        lines += indent(written) if held else written
        outside = held
    return lines


def place(branch: Branch, d: Drawn) -> str:
    """Where a value stands: `fake["z"]`, or a local variable where an inferred one hides it."""
    return local(f"outer_{d.variable}") if d.hidden else f"{branch_local(branch.name)}[{quoted(d.key)}]"


def drawn(plan: Plan, branch: Branch, d: Drawn) -> list[str]:
    """The lines that draw one value."""
    target = place(branch, d)
    if d.how == "mask":
        name = masked(d.variable) or ""
        mask = quoted(f"{field(branch.model, name, branch.number)}_observed")
        return noted(f'{target} = batch[{mask}].to(like["dtype"])', f"(batch,): 1 where {name} is observed")
    variable = branch.model.variable(d.variable)
    density = density_text(replace(d.density, stopped=d.outer))
    dims = shape(*d.axes, "batch", *variable.type.event_shape)
    what = f"{dims}: {d.variable} ~ {density}"
    if d.how == "mixture":
        domains = [b for b in plan.branches if b.term == branch.term and b.number in (0, 1)]
        ends = ", ".join(f"{place(b, b.drawn(d.key))}.detach()" for b in domains)
        weight = f"place.reshape(n{', 1' * len(variable.type.event_shape)})" if variable.type.event_shape else "place"
        return noted(f"{target} = torch.lerp({ends}, {weight})", f"{dims}: {d.variable} between the domains")
    if d.how == "data":
        return noted(f"{target} = batch[{quoted(field(branch.model, d.variable, branch.number))}]", what)
    if d.how == "prior":
        return noted(f"{target} = {prior(variable, d.axes)}", what)
    k = plan.conditional(d.density.factor or "")
    by_key = branch.all
    parents = ", ".join(place(branch, by_key[p]) for p in d.parents)
    called = f"self.{k.factor.attribute}({parents or 'batch=(n,)'})"
    if d.frozen and not d.outer:
        called = f"frozen(self.{k.factor.attribute}, {parents or 'batch=(n,)'})"
    if d.how == "map" and k.factor.implicit:
        return noted(f"{target} = {called}", f"{dims}: hollow, {density}")
    if d.how in ("map", "mean"):
        return noted(f"{target} = {called}.mean", f"{dims}: the mean of {density}")
    if d.how == "enumerate":
        return noted(f"{target} = {every(variable, d.axes)}", f"{dims}: every value of {d.variable}")
    more = d.axes[: len(d.axes) - max((len(by_key[p].axes) for p in d.parents), default=0)]
    gradient = branch.model.factor(k.factor.name).gradient
    scored = (branch.name, d.key) in plan.scored_again
    name = f"made[{quoted(branch.name)}, {quoted(d.key)}]"
    evaluated = f"q = {name} = {called}" if scored else f"q = {called}"
    return [evaluated, *noted(f"{target} = {sample(k, d.how, gradient, more)}", what)]


def prior(v: Variable, axes: tuple[int, ...] = ()) -> str:
    """A sample (*axes, n, *event) of an explicit prior."""
    p = prior_of(v.type, v.prior)
    event = v.type.event_shape
    size = ", ".join(map(str, (*axes, "n", *event)))
    noise = "generator=generator, **like)"
    match p.family:
        case "Normal":
            return affine(p.args, f"torch.randn({size}, {noise}")
        case "Laplace":
            return affine(p.args, f"laplace(({size}{'' if event or axes else ','}), generator, **like)")
        case "Uniform":
            low, high = p.args
            return affine((low, high - low), f"torch.rand({size}, {noise}")
        case "Bernoulli":
            return f"(torch.rand({size}, {noise} < {number(p.args[0])}).to(like[\"dtype\"])"
        case "Categorical":
            return f"categorical(torch.ones({size}, **like), generator)"
        case _:
            raise ValueError(f"internal error, please report it: no sample of a prior {p.family}")


def affine(args: tuple[float, ...], noise: str) -> str:
    """location + scale * noise, plain where they are 0 and 1."""
    location, scale = args
    stretched = noise if scale == 1 else f"{number(scale)} * {noise}"
    return stretched if location == 0 else f"{number(location)} + {stretched}"


def every(v: Variable, axes: tuple[int, ...]) -> str:
    """Every value of a discrete variable on a new first axis: (values, *axes, n, *event)."""
    t = v.type
    size = ", ".join(map(str, (*axes, "n", *t.event_shape)))
    ones = ", ".join(map(str, (values(t), *(1 for _ in axes), *t.event_shape)))
    return f"{support(t)}.reshape({ones}).expand({size})"


def support(t: Type) -> str:
    if t.kind == "binary":
        return f"bits({prod(t.shape)}, **like)"
    return f"classes({t.size}, {prod(t.shape)}, **like)" if t.shape else f"torch.eye({t.size}, **like)"


def logits(k: Conditional) -> str:
    return "q.base_dist.logits" if rank(k) else "q.logits"


def sample(k: Conditional, how: str, gradient: Gradient | None, more: tuple[int, ...] = ()) -> str:
    """A sample of `q`, or as many as its new first axes say."""
    center = "q.base.mean" if k.family == "Flow" else "q.mean"
    size = f"({', '.join(map(str, more))}, *{center}.shape)" if more else f"{center}.shape"
    spread = f".expand({size[1:-1]})" if more else ""
    hard = (
        f"categorical(q.mean{spread}, generator)"
        if k.family == "Categorical"
        else f"torch.bernoulli(q.mean.detach(){spread}, generator=generator)"
    )
    match how:
        case "path" if k.family == "Normal":
            return f"q.mean + q.stddev * torch.randn({size}, generator=generator, **like)"
        case "path" if k.family == "Flow":
            return f"q.through(q.base.mean + q.base.stddev * torch.randn({size}, generator=generator, **like))"
        case "path":
            base = "q.base_dist.scale" if rank(k) else "q.scale"
            return f"q.mean + {base} * laplace({size}, generator, **like)"
        case "gumbel":
            relaxed = "gumbel" if k.family == "Categorical" else "concrete"
            heat = number(gradient.temperature if gradient else 1.0)
            return f"{relaxed}({logits(k)}{spread}, {heat}, generator)"
        case "straight_through":
            return f"{hard} + q.mean - q.mean.detach()"
        case _:
            return hard

"""`terms` of an emitted program: the summands of each update, recomputed from the draw's values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from textwrap import wrap

from schematic.calculus.terms import Critic, Density
from schematic.calculus.terms import Term as Formula
from schematic.calculus.text import density_text
from schematic.calculus.text import lines as formula
from schematic.compiler.emit_nets import event_of, rank
from schematic.compiler.emit_priors import prior_call
from schematic.compiler.emit_text import (
    WIDTH,
    branch_local,
    comment,
    indent,
    key_local,
    local,
    noted,
    number,
    quoted,
    scaled,
    shape,
    tupled,
)
from schematic.compiler.program import Call, Plan, Term, Update

SCORE = [
    "def score(reward: Tensor, log_prob: Tensor) -> Tensor:",
    '    """Score-function surrogate (Williams, 1992): value 0, gradient (reward - baseline) grad log_prob;',
    '    the baseline is the mean reward of the other records. Shapes (*axes, batch)."""',
    "    baseline = (reward.sum(-1, keepdim=True) - reward) / max(reward.shape[-1] - 1, 1)",
    "    return (reward - baseline).detach() * (log_prob - log_prob.detach())",
]


SLOPE = [
    "def slope(critic: nn.Module, *points: Tensor) -> Tensor:",
    '    """-(|gradient of the logit| - 1)^2 at points (batch, *event) (Gulrajani et al., 2017): (batch,)."""',
    "    points = [p.detach().requires_grad_() for p in points]",
    "    gradients = torch.autograd.grad(critic(*points).logits.sum(), points, create_graph=True)",
    "    squares = torch.cat([g.reshape(len(g), -1) for g in gradients], 1).square().sum(1)",
    "    return -((squares + 1e-12).sqrt() - 1).square()  # the root of 0 has no gradient",
]


LOG_MEAN = [
    "def log_mean(values: Tensor) -> Tensor:",
    '    """log 1/k sum exp over the k importance samples, the first axis (Burda et al., 2015): (*axes, batch)."""',
    "    return values.logsumexp(0) - math.log(len(values))",
]

NORMALIZED = [
    "def normalized(log_weights: Tensor, axis: int) -> Tensor:",
    '    """Importance weights over an axis; their mean is 1 and they pass no gradient. Shapes (*axes, batch)."""',
    "    return log_weights.detach().softmax(axis) * log_weights.shape[axis]",
]


LOG_REVERSE = [
    "def log_reverse(logits: Tensor) -> Tensor:",
    '    """log (1 - q) / (k - 1) of every class: what q gives to the others, spread evenly. (*, k) -> (*, k)"""',
    "    k = logits.shape[-1]",
    "    own = torch.eye(k, dtype=torch.bool, device=logits.device)",
    "    others = logits[..., None, :].masked_fill(own, -math.inf).logsumexp(-1)",
    "    return others - logits.logsumexp(-1, keepdim=True) - math.log(k - 1)",
]


def terms(plan: Plan) -> list[str]:
    """def terms(self, draw, group)."""
    what = "The summands of the objective that the group maximizes, by name: batch means, in nats."
    lines = ["def terms(self, draw: dict, group: str) -> dict[str, Tensor]:", f'    """{what}"""']
    if any(u.made for u in plan.updates):
        lines = ["def terms(self, draw: dict, group: str, made: dict | None = None) -> dict[str, Tensor]:"]
        lines += [f'    """{what}', '    `made`: what this draw has made, if no parameter has moved since."""']
    for u in plan.updates:
        names = [quoted(g) for g in u.groups]
        lines += [f"    if group {f'in {tupled(names)}' if len(names) > 1 else f'== {names[0]}'}:"]
        lines += indent(map(comment, equation(u.objective.term)), 2)
        lines += indent(_update(plan, u), 2)
    return [*lines, "    raise KeyError(group)"]


def equation(term: Formula) -> list[str]:
    """A term on lines that fit: broken before its signs where that is enough."""
    width = WIDTH - 4
    return [part for line in formula(term, width) for part in wrap(line, width, subsequent_indent="    ")]


def _update(plan: Plan, u: Update) -> list[str]:
    writer = Writer(plan, u)
    body = [line for t in u.terms for line in writer.entry(t)]
    body += [line for s in u.scores for line in writer.surrogate(s)]
    used = [b.name for b in plan.branches if any(branch_local(b.name) + "[" in line for line in (*writer.lines, *body))]
    pairs = [(branch_local(b), f"draw[{quoted(b)}]") for b in used]
    opened = [f"{', '.join(n for n, _ in pairs)} = {', '.join(p for _, p in pairs)}"]
    if len(opened[0]) > WIDTH - 4:
        opened = [f"{name} = {place}" for name, place in pairs]
    return [*opened, *writer.lines, "return {", *indent(body), "}"]


@dataclass
class Writer:
    """Writes one update; a conditional that several summands use becomes a local variable, in `lines`."""

    plan: Plan
    update: Update
    lines: list[str] = field(default_factory=list)
    made: dict[Call | str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # the summands, by name, that a surrogate needs again
    logits: dict[Call, str] = field(default_factory=dict)  # those of one pass, by their call

    def __post_init__(self) -> None:
        calls = [c for t in self.update.terms for c in t.calls]
        kept = [_plain(c) for c in (*calls, *self.update.scores) if c.density.factor is not None]
        self.count = Counter(kept)
        for t in self.update.terms:  # a prior in closed form takes the shape of what it is compared with
            self.count[_plain(t.left)] += t.how == "closed" and t.right is not None and t.right.density.factor is None
        masses = Counter(m for t in self.update.terms for m in t.masses)
        weights = Counter(w for t in self.update.terms for w in t.weights)
        self.shared = {c for c, n in (*masses.items(), *weights.items()) if n > 1}
        for c in (*masses, *weights):  # one that is written once as a probability is called once
            if c in self.shared:
                self.count[_plain(c)] -= (masses + weights)[c] - 1
        self.drawn_from = {_plain(c): (c.branch, key) for c, key in self.update.made}
        for together in self.update.joined:
            self.join(together)

    # --- values and conditionals ---

    def value(self, branch: str, key: str) -> str:
        if (branch, key) in self.update.renewed:
            return self.renewed(branch, key)
        cut = ".detach()" if (branch, key) in self.update.detached else ""
        return f"{branch_local(branch)}[{quoted(key)}]{cut}"

    def renewed(self, branch: str, key: str) -> str:
        """A hollow value once more, of parents that pass no gradient here."""
        if f"{branch} {key}" not in self.made:
            d = self.plan.branch(branch).drawn(key)
            attribute = f"self.{self.plan.conditional(d.density.factor or '').factor.attribute}"
            parents = ", ".join(self.value(branch, k) for k in d.parents)
            name = self.named(key_local(f"{key}_{branch_local(branch)}"))
            code = f"frozen({attribute}, {parents})" if d.frozen else f"{attribute}({parents})"
            self.lines += noted(f"{name} = {code}", "once more: what it is computed from passes no gradient")
            self.made[f"{branch} {key}"] = name
        return self.made[f"{branch} {key}"]

    def call(self, c: Call, like: str = "") -> str:
        """A conditional as code; a prior takes the shape of what it is compared with."""
        if c.density.factor is None:
            return prior_call(c.density.target, like)
        plain = _plain(c)
        if plain in self.made:
            return self.made[plain]
        attribute = f"self.{self.plan.conditional(c.density.factor).factor.attribute}"
        parents = ", ".join(self.value(c.branch, k) for k in c.parents)
        code = f"frozen({attribute}, {parents})" if c.frozen else f"{attribute}({parents})"
        kept = self.drawn_from.get(plain)
        if kept:
            code = f"made[{quoted(kept[0])}, {quoted(kept[1])}] if made else {code}"
        elif self.count[plain] < 2:
            return code
        name = self.named(f"{attribute[5:]}_{branch_local(c.branch)}")
        self.lines += noted(f"{name} = {code}", density_text(c.density))
        self.made[plain] = name
        return name

    def join(self, calls: tuple[Call, ...]) -> None:
        """The logits of several branches from one pass, as local variables."""
        distinct = tuple({_plain(c): c for c in calls}.values())
        k = self.plan.conditional(distinct[0].density.factor or "")
        rows = [[self.value(c.branch, p) for p in c.parents] for c in distinct]
        parents = [f"torch.cat(({', '.join(values)}))" for values in zip(*rows, strict=True)]
        for c in distinct:
            self.logits[_plain(c)] = self.named(f"logits_{branch_local(c.branch)}")
        names = [self.logits[_plain(c)] for c in distinct]
        called = f"logits = self.{k.factor.attribute}({', '.join(parents)}).logits"
        broken = [called.partition("(")[0] + "(", *(f"    {p}," for p in parents), ").logits"]
        branches = ", ".join(dict.fromkeys(c.branch for c in distinct))
        chunks = f"logits.chunk({len(names)})"
        split = f"{', '.join(names)} = {chunks}"
        self.lines += [
            comment(f"One pass of {k.factor.name} for {branches}: no record depends on another in it."),
            *([called] if len(called) <= WIDTH - 4 else broken),
            *([split] if len(split) <= WIDTH - 4 else ["(", *(f"    {n}," for n in names), f") = {chunks}"]),
        ]

    def logits_of(self, c: Call) -> str:
        """The logits of a blue factor, before any temperature."""
        base = ".base_dist" if rank(self.plan.conditional(c.density.factor or "")) else ""
        return self.logits.get(_plain(c)) or f"{self.call(c)}{base}.logits"

    def named(self, name: str) -> str:
        """A local variable of this name, numbered if there is one already."""
        taken = {*self.made.values(), *self.values.values(), *self.logits.values()}
        count = 2
        found = name
        while found in taken:
            found, count = f"{name}_{count}", count + 1
        return local(found)

    def probability(self, c: Call, code: str, shown: str, name: str) -> str:
        """A weight, as a local variable if several summands share it."""
        key = f"{name} {c!r}"
        if c not in self.shared:
            return code
        if key not in self.made:
            variable = self.named(f"{name}_{branch_local(c.branch)}")
            self.lines += noted(f"{variable} = {code}", shown)
            self.made[key] = variable
        return self.made[key]

    def mass(self, c: Call) -> str:
        code = f"{self.blue(c)}.exp().detach()" if self.several(c) else f"torch.sigmoid({self.logit(c)}).detach()"
        return self.probability(c, code, f"(batch,): {density_text(c.density)}, passes no gradient", "weight")

    def weight(self, c: Call) -> str:
        drawn = self.plan.branch(c.branch).drawn(c.target or "")
        cut = ".detach()" if c.detached else ""
        code = f"{self.call(c)}.log_prob({self.value(c.branch, c.target or '')}).exp(){cut}"
        return self.probability(c, code, f"{shape(*drawn.axes, 'batch')}: {density_text(c.density)}", "probability")

    def logit(self, c: Call) -> str:
        """The logit of b at its value: signed, divided by its temperature."""
        d = c.density
        sign = "" if d.value(d.target) == 1 else "-"
        heat = f" / {number(d.temperature)}" if d.temperature != 1 else ""
        return f"{sign}{self.logits_of(c)}{heat}"

    def several(self, c: Call) -> bool:
        """The adversary tells more than two domains apart."""
        return len(self.plan.variable(c.density.target).type.values) > 2

    def heated(self, c: Call) -> str:
        """The logits of a blue factor, divided by its temperature."""
        heat = f" / {number(c.density.temperature)}" if c.density.temperature != 1 else ""
        return f"{self.logits_of(c)}{heat}"

    def blue(self, c: Call) -> str:
        """log b of a domain, or log b^r: with two domains that of the other one."""
        if not self.several(c):
            return f"F.logsigmoid({self.logit(c)})"
        d = c.density
        if d.reverse:
            return f"log_reverse({self.heated(c)})[..., {d.value(d.target)}]"
        logits = f"({self.heated(c)}).log_softmax(-1)" if d.temperature != 1 else self.heated(c)
        return f"{logits}[..., {d.value(d.target)}]"

    def predicted(self, c: Call) -> str:
        """log b of a value, units added up; b^r flips bits, and spreads over the other classes (rule 4)."""
        d, k = c.density, self.plan.conditional(c.density.factor or "")
        value = self.value(c.branch, c.target or "")
        if k.family == "Categorical" and d.reverse:
            axes = tupled(range(-1 - rank(k), 0)) if rank(k) else "-1"
            return f"({value} * log_reverse({self.heated(c)})).sum({axes})"
        at = f"1 - {value}" if d.reverse else value
        if d.temperature == 1:
            return f"{self.call(c)}.log_prob({at})"
        made = f"OneHot({self.heated(c)})" if k.family == "Categorical" else bernoulli(self.heated(c))
        return f"{event_of(made, rank(k))}.log_prob({at})"

    # --- summands ---

    def vector(self, t: Term) -> str:
        """The atom record by record, (*axes, batch), masks and masses included."""
        masses = "".join(f"{self.mass(m)} * " for m in t.masses)
        masks = "".join(f"{self.counted(t.branch, key, yes)} * " for key, yes in t.observed)
        return masks + masses + self.ratio(t) + (self.summed(t) if t.inside else self.atom(t))

    def counted(self, branch: str, key: str, observed: bool) -> str:
        """1 for the records that a term counts, (batch,)."""
        value = self.value(branch, key)
        return value if observed else f"(1 - {value})"

    def ratio(self, t: Term) -> str:
        """The normalized weights of importance samples, as a local variable."""
        if t.ratio is None:
            return ""
        top, _ = t.ratio
        copies = any(self.plan.branch(t.branch).drawn(k).copies for k in top.reads)
        key = f"ratio {t.ratio!r}"
        if key not in self.made:
            self.made[key] = self.named(f"weight_{branch_local(t.branch)}")
            bottom = t.ratio[1]
            odds = f"{self.blue(top)} - {self.blue(bottom)}" if self.several(top) else self.logit(top)
            code = f"{self.made[key]} = normalized({odds}, {0 if copies else -1})"
            note = f"w of {density_text(top.density)} / {density_text(bottom.density)}, its mean is 1"
            self.lines += noted(code, note)
        return f"{self.made[key]} * "

    def summed(self, t: Term) -> str:
        """What stands inside a log-mean, as a local variable, and the log-mean."""
        parts = [(p.scale, scaled(abs(Fraction(p.scale)), self.atom(p))) for p in t.inside]
        (sign, first), *rest = parts
        name = self.named("log_weight")
        shown = [f"{'-' if sign < 0 else ''}{first}", *(f"{'-' if c < 0 else '+'} {code}" for c, code in rest)]
        plain = f"{name} = {shown[0]}"
        self.lines += [plain] if not rest and len(plain) <= WIDTH - 4 else [f"{name} = (", *indent(shown), ")"]
        self.values[f"inside {t.name}"] = name
        return f"log_mean({name})" if t.how == "log_mean" else name

    def atom(self, t: Term) -> str:
        match t.how:
            case "log_mean" | "sum":
                raise AssertionError("written by `summed`")
            case "blue":
                return self.blue(t.left)
            case "predicted":
                return self.predicted(t.left)
            case "critic":
                return self.critic(t)
            case "log":
                target = self.value(t.branch, t.left.target or "")
                return f"{self.call(t.left, target)}.log_prob({target})"
            case "closed":
                left = self.call(t.left)
                assert t.right is not None
                return f"kl_divergence({left}, {self.call(t.right, f'{left}.mean')})"
            case "sampled":
                assert t.right is not None
                target = self.value(t.branch, t.left.target or "")
                left, right = self.call(t.left, target), self.call(t.right, target)
                return f"({left}.log_prob({target}) - {right}.log_prob({target}))"

    def critic(self, t: Term) -> str:
        """What a divergence makes of the logit f at y, s = 2y - 1 (semantics.md, rule 12)."""
        assert isinstance(t.atom, Critic)
        d = t.atom.density
        match t.atom.form:
            case "linear":
                return f"({self.logit(t.left)})" if d.temperature != 1 else self.logit(t.left)
            case "hinge":
                return f"({self.logit(t.left)} - 1).clamp(max=0)"
            case "square":
                heat = f" / {number(d.temperature)}" if d.temperature != 1 else ""
                return f"-({self.logits_of(t.left)}{heat} - {d.value(d.target)}).square()"
            case "slope":
                module = f"self.{self.plan.conditional(d.factor or '').factor.attribute}"
                return f"slope({', '.join((module, *(self.value(t.branch, k) for k in t.left.parents)))})"

    def entry(self, t: Term) -> list[str]:
        """One item of the dictionary."""
        vector = self.vector(t)
        if t.scores:
            name = self.named("value")
            self.lines += noted(f"{name} = {scaled(t.scale, vector)}", shape(*t.axes, "batch"))
            self.values[t.name] = name
            return item(t.name, f"{self.reduced(name, t.weights, len(t.weights))}.mean()")
        if len(vector) + len(self.reduced("", t.weights, len(t.weights))) > WIDTH - 30:
            name = self.named("value")
            self.lines += noted(f"{name} = {vector}", shape(*t.axes, "batch"))
            self.values[t.name] = vector = name
        product = bool(t.masses or t.ratio or t.observed) and not t.weights and not vector.isidentifier()
        grouped = f"({vector})" if product else vector
        return item(t.name, scaled(t.scale, f"{self.reduced(grouped, t.weights, len(t.weights))}.mean()"))

    def reduced(self, code: str, weights: tuple[Call, ...], count: int) -> str:
        """The expectation over the `count` outermost enumerated axes: probabilities times values, summed."""
        if not count:
            return code
        outermost = weights[len(weights) - count :]
        axes = "0" if count == 1 else f"({', '.join(map(str, range(count)))})"
        return f"({' * '.join((*(self.weight(w) for w in outermost), code))}).sum({axes})"

    def surrogate(self, s: Call) -> list[str]:
        """The score function of one draw: all that depends on it is its reward."""
        drawn = self.plan.branch(s.branch).drawn(s.target or "")
        depth = len(drawn.enumerated)
        parts = [
            self.reduced(self.values[t.name], t.weights, len(t.weights) - depth)
            for t in self.update.terms
            if t.branch == s.branch and s.target in t.scores
        ]
        inner = next(t.weights[:depth] for t in self.update.terms if t.branch == s.branch and s.target in t.scores)
        log_prob = f"{self.call(s)}.log_prob({self.value(s.branch, s.target or '')})"
        if drawn.copies and any(t.how == "log_mean" for t in self.update.terms if s.target in t.scores):
            log_prob += ".sum(0)"  # the log-mean is the reward of every sample in it
        code = f"score({' + '.join(parts)}, {log_prob})"
        name = f"{s.branch}: surrogate of {density_text(s.density)} at {s.target}"
        return item(name, f"{self.reduced(code, inner, depth)}.mean()")


def bernoulli(logits: str) -> str:
    return f"dist.Bernoulli(logits={logits}, validate_args=False)"


def _plain(c: Call) -> Call:
    """What decides the code of a conditional: the factor, its parents, and whether its parameters are held."""
    d = c.density
    bare = Density(kind=d.kind, letter="", group=None, targets=d.targets, factor=d.factor)
    return Call(bare, c.branch, c.parents, None, False, c.frozen)


def item(name: str, code: str) -> list[str]:
    line = f"{quoted(name)}: {code},"
    return [line] if len(line) <= WIDTH - 4 else [f"{quoted(name)}: (", f"    {code}", "),"]

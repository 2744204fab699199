"""The factors of an emitted program: a class for each conditional, and the nets that the model gives them."""

from __future__ import annotations

from dataclasses import dataclass

from schematic.compiler.emit_text import checked, class_name, doc, indent, local, number, shape, unique
from schematic.compiler.program import Conditional, Plan
from schematic.graph.model import Net
from schematic.nets import source as nets
from schematic.nets.catalogue import NETS

Shape = tuple[int, ...]


# --- shapes -----------------------------------------------------------------------------------------------


def two_outputs(k: Conditional) -> bool:
    """The net gives a location and a raw scale: a scored Normal or Laplace without a fixed scale."""
    return k.family in ("Normal", "Laplace") and not k.factor.implicit and "scale" not in dict(k.options)


def output(k: Conditional) -> Shape:
    """What the factor's net ends in: the target's event shape, its first axis twice as long for a learned scale."""
    event = k.variable.type.event_shape
    if not two_outputs(k):
        return event
    return (2 * event[0], *event[1:]) if event else (2,)


def inputs(k: Conditional) -> tuple[Shape, ...]:
    return tuple(v.type.event_shape for v in k.parents)


def kinds(k: Conditional) -> tuple[str, ...]:
    return tuple(v.type.kind for v in k.parents)


def rank(k: Conditional) -> int:
    """Event dimensions that `to_event` joins: a one-hot vector is one event already."""
    return len(k.variable.type.shape)


# --- classes ----------------------------------------------------------------------------------------------

BASE = [
    "class Conditional(nn.Module):",
    '    """One factor of the model: parents (*leading, *event) -> the distribution, or the value, of its target."""',
    "",
    "    def __init__(self, net: nn.Module) -> None:",
    "        super().__init__()",
    "        self.net = net",
]

ONE_HOT = [
    "class OneHot(dist.OneHotCategorical):",
    '    """One-hot categorical that never reads values back; log_prob is linear in the value: a soft one passes',
    '    gradient."""',
    "",
    "    def __init__(self, logits: Tensor) -> None:",
    "        self._categorical = dist.Categorical(logits=logits, validate_args=False)",
    "        shapes = logits.shape[:-1], logits.shape[-1:]",
    "        torch.distributions.Distribution.__init__(self, *shapes, validate_args=False)",
    "",
    "    def expand(self, batch_shape, _instance=None):",
    "        return OneHot(self.logits.expand(*batch_shape, -1))",
    "",
    "    def log_prob(self, value: Tensor) -> Tensor:",
    "        return (value * self.logits).sum(-1)",
]

FROZEN_NET = [
    "class Frozen(nn.Module):",
    '    """A shared net as a factor sees it that does not train it: gradient passes to the inputs alone."""',
    "",
    "    def __init__(self, net: nn.Module) -> None:",
    "        super().__init__()",
    "        self.net = (net,)  # the tuple keeps its parameters out of this factor's",
    "",
    "    @property",
    "    def features(self) -> tuple[int, ...]:",
    "        return self.net[0].features",
    "",
    "    def forward(self, *parents: Tensor, batch: tuple[int, ...] = ()) -> Tensor:",
    "        return frozen(self.net[0], *parents, batch=batch)",
]

FROZEN = [
    "def frozen(module: nn.Module, *values: Tensor, **options):",
    '    """module(*values) with its parameters held: gradient passes to the values alone."""',
    "    held = {name: p.detach() for name, p in module.named_parameters()}",
    "    return torch.func.functional_call(module, held, values, options)",
]


def names(plan: Plan) -> dict[str, str]:
    """The class of each factor, apart from each other and from everything else at the top of the file."""
    found: dict[str, str] = {}
    taken = {*nets.needed((*NETS, "Chain")), "Conditional", "OneHot", "Frozen", "Tensor", "F"}
    for k in plan.conditionals:
        found[k.factor.name] = unique(class_name(k.factor.name), (*taken, *found.values()))
    return found


def factor_class(plan: Plan, k: Conditional, name: str) -> list[str]:
    """class PTheta(Conditional): forward from the parents to the distribution, or the hollow value."""
    f = k.factor
    arrow = f"{f.name} : {', '.join((*f.parents, ''))[:-2]} {f.mark} {f.target}".replace(" :  ", " : ")
    place = f"{doc(f.span.source.path)}:{f.span.line}" if f.span.source.text else "no file"
    head = f'"""{density(k)}, {described(k)}.  {place}  `{arrow}`"""'
    arguments = [f"{argument(v.name)}: Tensor" for v in k.parents] or ["batch: tuple[int, ...] = ()"]
    called = ", ".join(argument(v.name) for v in k.parents) or "batch=batch"
    taken = ", ".join(shape("batch", *v.type.event_shape) for v in k.parents)
    result = "Tensor" if f.implicit else "dist.Distribution"
    lines = [f"class {name}(Conditional):", f"    {head}", ""]
    lines += [f"    def forward(self, {', '.join(arguments)}) -> {result}:"]
    lines += indent(body(k, f"self.net({called})", taken), 2)
    return lines


def argument(variable: str) -> str:
    return local(variable)


def density(k: Conditional) -> str:
    parents = ", ".join(v.name for v in k.parents)
    return f"{k.factor.attribute}({k.factor.target}{' | ' if parents else ''}{parents})"


def described(k: Conditional) -> str:
    if k.factor.implicit:
        return f"{k.factor.target} = the mean"
    fixed = dict(k.options).get("scale")
    return k.family + (f" of scale {fixed:g}" if fixed is not None else "")


def body(k: Conditional, call: str, taken: str) -> list[str]:
    """The lines that turn the net's output into a distribution or a hollow value."""
    event = k.variable.type.event_shape
    shapes = f"  # {taken or '()'} -> {shape('batch', *output(k))}"
    if k.factor.implicit or k.family == "Delta":
        value = hollow(k, call)
        if k.factor.implicit:
            return [f"return {value}{shapes}"]
        return [f"value = {value}{shapes}", f"return dist.Delta(value, event_dim={len(event)}, validate_args=False)"]
    match k.family:
        case "Bernoulli":
            built = "dist.Bernoulli(logits=logits, validate_args=False)"
            return [f"logits = {call}{shapes}", f"return {event_of(built, rank(k))}"]
        case "Categorical":
            return [f"logits = {call}{shapes}", f"return {event_of('OneHot(logits)', rank(k))}"]
        case _:
            built = f"dist.{k.family}(loc, scale, validate_args=False)"
            return [*location(k, call, shapes), f"return {event_of(built, rank(k))}"]


def location(k: Conditional, call: str, shapes: str) -> list[str]:
    """loc and scale: the scale positive and away from zero."""
    fixed = dict(k.options).get("scale")
    event = k.variable.type.event_shape
    if fixed is not None:
        return [f"loc = {call}{shapes}", f"scale = torch.full_like(loc, {number(fixed)})"]
    split = f".chunk(2, {-len(event)})" if event else ".unbind(-1)"
    return [f"loc, raw = {call}{split}{shapes}", "scale = F.softplus(raw) + 1e-4"]


def hollow(k: Conditional, call: str) -> str:
    """The mean of the family, for a Delta by type."""
    kind = k.variable.type.kind
    if k.family == "Bernoulli" or (k.family == "Delta" and kind in ("unit", "binary")):
        return f"torch.sigmoid({call})"
    if k.family == "Categorical" or (k.family == "Delta" and kind == "category"):
        return f"{call}.softmax(-1)"
    return call


def event_of(code: str, dimensions: int) -> str:
    return f"{code}.to_event({dimensions})" if dimensions else code


# --- construction -----------------------------------------------------------------------------------------


@dataclass
class Builder:
    """The lines of the model's __init__ that make its nets; shared bodies and heads are made once."""

    plan: Plan
    lines: list[str]
    bodies: dict[str, str]
    heads: dict[tuple[str, str, Shape], str]
    classes: list[str]
    freezes: bool = False

    def use(self, code: str) -> str:
        """Remembers the class that an expression constructs."""
        self.classes.append(code.partition("(")[0])
        return code

    def factor(self, k: Conditional) -> str:
        """The expression of a factor's net."""
        net = k.net
        if not net.declared and net.then is None:
            return self.use(nets.construct(net.kind, net.args, net.options, inputs(k), output(k), kinds(k)))
        if net.declared and net.then is None:
            shared = self.declared(net.kind, k)
            self.use("Net(")
            return self.seen(net.kind, k, f"Net({shared}, {self.head(net.kind, shared, k)})")
        return self.chained(k, net)

    def chained(self, k: Conditional, net: Net) -> str:
        """`D then mlp(128)`: the body of one, the body of the next, and the factor's own head."""
        body_name = local(f"body_{k.factor.attribute}")
        self.lines.append(f"{body_name} = {self.body(net, k)}")
        last = net
        while last.then is not None:
            last = last.then
        head = self.use(nets.construct_head(last.kind, last.args, last.options, body_name, output(k)))
        self.use("Net(")
        return f"Net({body_name}, {head})"

    def body(self, net: Net, k: Conditional) -> str:
        """The expression of a net's body, all that follows `then` included."""
        if net.declared:
            first = self.seen(net.kind, k, self.declared(net.kind, k))
        else:
            first = self.use(nets.construct_body(net.kind, net.args, net.options, inputs(k), kinds(k)))
        after = net.then
        count = 0
        while after is not None:
            name = local(f"{'stem' if not count else f'stem_{count + 1}'}_{k.factor.attribute}")
            if not first.isidentifier():
                self.lines.append(f"{name} = {first}")
                first = name
            following = self.use(nets.construct_body(after.kind, after.args, after.options, f"({first}.features,)"))
            self.use("Chain(")
            first = f"Chain({first}, {following})"
            after = after.then
            count += 1
        return first

    def declared(self, name: str, k: Conditional) -> str:
        """The local variable of a declared net's body."""
        if name not in self.bodies:
            net = self.plan.model.net(name)
            variable = checked(f"net_{name}")
            trained = dict(k.nets)[name]
            who = f"trained by {', '.join(sorted(trained))}" if trained else "fixed"
            expression = self.body(net.net, k)
            self.lines.append(f"{variable} = {expression}  # net {name}, {who}")
            self.bodies[name] = variable
        return self.bodies[name]

    def seen(self, name: str, k: Conditional, code: str) -> str:
        """A shared net as this factor sees it: frozen unless the factor trains it."""
        if k.factor.group in dict(k.nets)[name] and not k.factor.fixed:
            return code
        self.freezes = True
        return f"Frozen({code})"

    def head(self, name: str, body: str, k: Conditional) -> str:
        """The head of a declared net for a target; variables of the same data field are one target."""
        data = k.variable.data
        target = data.fields[0] if data and len(data.fields) == 1 else k.variable.name
        key = (name, target, output(k))
        if key not in self.heads:
            variable = checked(f"head_{len(self.heads)}_{name}")
            net = self.plan.model.net(name).net
            while net.then is not None:
                net = net.then
            made = self.use(nets.construct_head(net.kind, net.args, net.options, body, output(k)))
            self.lines.append(f"{variable} = {made}  # its head for {k.variable.name}")
            self.heads[key] = variable
        return self.heads[key]


def construct(plan: Plan, classes: dict[str, str]) -> Builder:
    """`self.p_theta = PTheta(MLP(...))` for every factor, after the shared nets."""
    b = Builder(plan, [], {}, {}, [])
    made = [(k.factor.attribute, classes[k.factor.name], b.factor(k)) for k in plan.conditionals]
    held = {n for k in plan.conditionals if not k.factor.fixed for n, groups in k.nets if k.factor.group in groups}
    loose = [n for n in b.bodies if n not in held]  # no factor holds it: the model does
    b.lines += [f"self.net_{checked(n)} = net_{n}" for n in loose]
    b.lines += [f"self.{checked(attribute)} = {name}({net})" for attribute, name, net in made]
    return b

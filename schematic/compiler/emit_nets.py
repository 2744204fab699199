"""The factors of an emitted program: a class for each conditional, and the nets that the model gives them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from schematic.compiler.emit_text import checked, class_name, doc, indent, local, number, shape, unique
from schematic.compiler.program import Conditional, Plan
from schematic.graph.defaults import links
from schematic.graph.model import Net, Variable
from schematic.nets import source as nets
from schematic.nets.catalogue import NETS

Shape = tuple[int, ...]


# --- shapes -----------------------------------------------------------------------------------------------


def two_outputs(k: Conditional) -> bool:
    """The net gives a location and a raw scale: a scored Normal, Laplace or Flow without a fixed scale."""
    return k.family in ("Normal", "Laplace", "Flow") and not k.factor.implicit and "scale" not in dict(k.options)


def output(k: Conditional) -> Shape:
    """What the factor's net ends in: the target's event shape, its first axis twice as long for a learned scale."""
    domains = k.variable.type.values
    event = (len(domains),) if len(domains) > 2 else k.variable.type.event_shape
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


def names(plan: Plan) -> dict[str, str]:
    """The class of each factor, apart from each other and from everything else at the top of the file."""
    found: dict[str, str] = {}
    ours = ("Conditional", "OneHot", "Frozen", "Python", "Flow", "Coupling")
    taken = {*nets.needed((*NETS, "Chain")), *ours, "Tensor", "F"}
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
    if k.family == "Flow":
        lines += indent(("def __init__(self, net: nn.Module) -> None:", "    super().__init__(net)"))
        lines += [f"        self.couplings = couplings({prod(k.variable.type.shape)})", ""]
    lines += [f"    def forward(self, {', '.join(arguments)}) -> {result}:"]
    hot = k.variable.type.kind == "category"
    call = f"each(self.net, {called}, {units(k)!r}, {hot})" if f.each else f"self.net({called})"
    lines += indent(body(k, call, taken), 2)
    return lines


def units(k: Conditional) -> Shape:
    """The axes over which a value has units: a category's classes are one."""
    t = k.variable.type
    return (*t.shape, 1) if t.kind == "category" else t.shape


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
            family = "Normal" if k.family == "Flow" else k.family
            built = event_of(f"dist.{family}(loc, scale, validate_args=False)", rank(k))
            made = f"Flow({built}, self.couplings)" if k.family == "Flow" else built
            return [*location(k, call, shapes), f"return {made}"]


def location(k: Conditional, call: str, shapes: str) -> list[str]:
    """loc, in the range of the target's type, and scale, positive and away from zero."""
    fixed = dict(k.options).get("scale")
    event = k.variable.type.event_shape
    inside = bounded(k) and k.family != "Flow"
    if fixed is not None:
        return [f"loc = {f'torch.sigmoid({call})' if inside else call}{shapes}",
                f"scale = torch.full_like(loc, {number(fixed)})"]  # fmt: skip
    split = f".chunk(2, {-len(event)})" if event else ".unbind(-1)"
    squashed = ["loc = torch.sigmoid(loc)"] if inside else []
    return [f"loc, raw = {call}{split}{shapes}", *squashed, "scale = F.softplus(raw) + 1e-4"]


def bounded(k: Conditional) -> bool:
    """The target lies in [0, 1]."""
    return k.variable.type.kind in ("unit", "binary")


def hollow(k: Conditional, call: str) -> str:
    """The mean of the family, by type."""
    if bounded(k):
        return f"torch.sigmoid({call})"
    return f"{call}.softmax(-1)" if k.variable.type.kind == "category" else call


def event_of(code: str, dimensions: int) -> str:
    return f"{code}.to_event({dimensions})" if dimensions else code


# --- construction -----------------------------------------------------------------------------------------


Inputs = tuple[Shape, ...] | str  # event shapes, or the code that gives them


@dataclass
class Builder:
    """The lines of the model's __init__ that make its nets; a declared net's body, and its head for a target, are made
    once. `held`: the shared parts that some factor trains, and so holds."""

    plan: Plan
    lines: list[str] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)
    heads: dict[tuple[str, str, Shape], str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    outside: dict[str, str] = field(default_factory=dict)  # what `python(...)` names, as what it is imported
    freezes: bool = False

    def use(self, code: str) -> str:
        """Remembers the class that an expression constructs."""
        self.classes.append(code.partition("(")[0])
        return code

    def factor(self, k: Conditional) -> str:
        """The expression of a factor's net."""
        *_, last = links(k.net)
        if last is k.net and last.kind == "python" and not last.declared:
            return self.python(last, inputs(k), output(k))
        if last is k.net and not last.declared:
            return self.use(nets.construct(last.kind, last.args, last.options, inputs(k), output(k), kinds(k)))
        if last is k.net:
            body = self.declared(last.kind, k, inputs(k), kinds(k))
            return self.seen(last.kind, k, self.use(f"Net({body}, {self.head(last.kind, k.variable, output(k))})"))
        body = checked(f"body_{k.factor.attribute}")
        self.lines.append(f"{body} = {self.body(k.net, k, inputs(k), kinds(k))}")
        if last.declared:
            head = self.seen(last.kind, k, self.head(last.kind, k.variable, output(k)))
        elif last.kind == "python":
            head = "nn.Identity()"
        else:
            head = self.use(nets.construct_head(last.kind, last.args, last.options, body, output(k)))
        return self.use(f"Net({body}, {head})")

    def body(
        self, net: Net, k: Conditional, given: Inputs, types: tuple[str, ...] | None, *, shared: bool = False
    ) -> str:
        """The expression of all that comes before a net's last head. After `then` a built-in net takes the features of
        the one before it, a declared one its output for its one target."""
        before = ""
        for link in links(net):
            if link.declared:
                code = self.seen(link.kind, k, self.declared(link.kind, k, given, types))
            elif link.kind == "python":
                code = self.python(link, given, output(k), body=link.then is not None or shared)
            else:
                code = self.use(nets.construct_body(link.kind, link.args, link.options, given, types))
            if link.then is not None and link.then.declared:
                target = self.target(link.kind)
                given = (target.type.event_shape,)
                head = self.seen(link.kind, k, self.head(link.kind, target, target.type.event_shape))
                code = self.use(f"Net({code}, {head})")
            elif link.then is not None:
                if not code.isidentifier():
                    name = checked(f"part_{len(self.lines)}")
                    self.lines.append(f"{name} = {code}")
                    code = name
                given = f"({code}.features,)"
            types = None
            before = self.use(f"Chain({before}, {code})") if before else code
        return before

    def python(self, net: Net, given: Inputs, out: Shape, *, body: bool = False) -> str:
        """A network from elsewhere, made from its input and output event shapes; as a body, what it returns is read by
        the network after it, or by a head for each target."""
        module, _, path = str(net.args[0]).partition(":")
        name, *inner = path.split(".")
        origin = f"{module}:{name}"
        if origin not in self.outside:
            self.outside[origin] = checked(unique(f"python_{name}", self.outside.values()))
        made = ".".join((self.outside[origin], *map(checked, inner)))
        return f"{'PythonBody' if body else 'Python'}({made}({given}, {out!r}), {given}, {out!r})"

    def target(self, name: str) -> Variable:
        """The one target of a declared net, where another declared one follows it."""
        return next(k.variable for k in self.plan.conditionals if ends_in(self.plan, k.net, name))

    def alone(self, name: str) -> bool:
        """A declared net has one output, whoever uses it: one from Python gives it as it stands, without a head."""
        users = [k for k in self.plan.conditionals if any(n.kind == name for n in reached(self.plan, k.net))]
        outputs = {(field_of(k.variable), output(k)) for k in users}
        return len(outputs) == 1 and all(ends_in(self.plan, k.net, name) for k in users)

    def declared(self, name: str, k: Conditional, given: Inputs, types: tuple[str, ...] | None) -> str:
        """The local variable of a declared net's body."""
        if name not in self.bodies:
            variable = checked(f"net_{name}")
            trained = dict(k.nets)[name]
            who = f"trained by {', '.join(sorted(trained))}" if trained else "fixed"
            code = self.body(self.plan.net(name).net, k, given, types, shared=not self.alone(name))
            self.lines.append(f"{variable} = {code}  # net {name}, {who}")
            self.bodies[name] = variable
        return self.bodies[name]

    def seen(self, name: str, k: Conditional, code: str) -> str:
        """A part of a declared net as a factor sees it: frozen unless the factor trains it."""
        if k.factor.group in dict(k.nets)[name] and not k.factor.fixed:
            self.held |= {v for v in (*self.bodies.values(), *self.heads.values()) if re.search(rf"\b{v}\b", code)}
            return code
        self.freezes = True
        return f"Frozen({code})"

    def head(self, name: str, target: Variable, event: Shape) -> str:
        """The head of a declared net for a target; variables of the same data field are one target."""
        key = (name, field_of(target), event)
        if key not in self.heads:
            variable = checked(unique(f"head_{name}_{target.name}", self.heads.values()))
            inner = name
            while (last := [*links(self.plan.net(inner).net)][-1]).declared:
                inner = last.kind
            made = "nn.Identity()"
            if last.kind == "python" and not self.alone(inner):
                made = self.use(nets.construct_head("linear", (), (), self.bodies[name], event))
            elif last.kind != "python":
                made = self.use(nets.construct_head(last.kind, last.args, last.options, self.bodies[name], event))
            self.lines.append(f"{variable} = {made}  # its head for {target.name}")
            self.heads[key] = variable
        return self.heads[key]


def field_of(v: Variable) -> str:
    """The data field of a variable, its name if it has none or one for each domain."""
    return v.data.fields[0] if v.data and len(v.data.fields) == 1 else v.name


def reached(plan: Plan, net: Net) -> Iterator[Net]:
    """The links of a net, and those of the declared ones in it."""
    for link in links(net):
        yield link
        if link.declared:
            yield from reached(plan, plan.net(link.kind).net)


def ends_in(plan: Plan, net: Net, name: str) -> bool:
    """The target of a factor with this net is a target of the declared net of that name."""
    *_, last = links(net)
    return last.declared and (last.kind == name or ends_in(plan, plan.net(last.kind).net, name))


def construct(plan: Plan, classes: dict[str, str]) -> Builder:
    """`self.p_theta = PTheta(MLP(...))` for every factor, after the shared nets."""
    b = Builder(plan)
    made = [(k.factor.attribute, classes[k.factor.name], b.factor(k)) for k in plan.conditionals]
    loose = [v for v in (*b.bodies.values(), *b.heads.values()) if v not in b.held]
    b.lines += [f"self.{v} = {v}  # no factor trains it: the model holds it" for v in loose]
    for k, (attribute, name, net) in zip(plan.conditionals, made, strict=True):
        b.lines.append(f"self.{checked(attribute)} = {name}({net})")
        if starts_flat(k):
            b.lines.append(f"nn.init.normal_(self.{attribute}.net.head.linear.weight, std=1e-3)  # {FLAT}")
    return b


FLAT = "starts the same for all parents"


def starts_flat(k: Conditional) -> bool:
    """A density with a learned scale that the generative side scores, of a built-in net with a linear head.

    It scores what the model generates: a random map would pull the generator from its data before it means anything
    (InfoGAN on digits: the Frechet distance of the samples triples)."""
    plain = k.net.then is None and not k.net.declared and k.net.kind in ("mlp", "linear", "conv", "dcgan", "resnet")
    scored = k.factor.process == "generative" and not k.factor.adversarial
    return plain and scored and two_outputs(k) and len(k.variable.type.event_shape) != 3

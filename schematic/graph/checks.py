"""What only shapes show: families that do not hold their target, networks that do not fit, and who trains a net."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from schematic.core.diagnostics import Diagnostic, Report, error, warning
from schematic.core.source import Span
from schematic.graph.defaults import Ends, body_features, built_in, chain_problem, default_net, ends, links
from schematic.graph.model import Factor, Model, Net, NetDeclaration, Type, Variable
from schematic.graph.words import where
from schematic.nets import catalogue
from schematic.nets.catalogue import Shape


@dataclass(frozen=True)
class Misfit:
    """A network, or a family, that does not fit the ends of its factor."""

    factor: Factor
    code: str
    span: Span
    words: str
    help: str = ""

    def told(self) -> Diagnostic:
        return error(self.code, self.span, self.words, self.help)


def check_written(model: Model, written: Collection[str], base: Model | None, report: Report) -> None:
    """The errors of a block's model, less those that concern only what the model that it restates brought along."""
    for factor in (f for f in model.factors if f.name in written):
        report.add(*(m.told() for m in (*family_misfits(model, factor), *built_in_misfits(model, factor))))
    before = {m.factor.name for m in declared_misfits(base)} - set(written) if base else set()
    report.add(*(m.told() for m in declared_misfits(model) if m.factor.name not in before))
    report.add(*owner_problems(model))


def warnings(model: Model) -> Iterator[Diagnostic]:
    """Unused variables, and an indicator whose values are the wrong way round."""
    used = {n.partition("[")[0] for f in model.factors for n in (*f.parents, f.target)}
    used |= {v.data.given for v in model.variables if v.data and v.data.given}
    for variable in model.variables:
        if variable.name.partition("[")[0] not in used:
            yield warning(
                "SG903", variable.span, f"no factor mentions `{variable.name}`", "delete it, or draw an arrow"
            )
    y = model.indicator
    if y is not None and len(y.type.values) == 2:
        first, last = (v.lower() for v in y.type.values)
        if (first in _GIVEN and last not in _GIVEN) or (last in _GENERATED and first not in _GENERATED):
            values = y.type.values
            words = "the first value is y=0, the generated one"
            yield warning("SG901", _value_span(y), words, f"`domain({values[1]}, {values[0]})`")


_GIVEN = frozenset(("real", "data", "given", "source"))
_GENERATED = frozenset(("fake", "generated", "synthetic", "target"))


def _value_span(y: Variable) -> Span:
    """The place of the first value in `domain(A, B)`."""
    span, value = y.type.span, y.type.values[0]
    start = span.source.text.find(value, span.start + len("domain("), span.end)
    return replace(span, start=start, end=start + len(value)) if start >= 0 else span


# --- families ------------------------------------------------------------------------------------------------

_HOLDS = {
    "real": ("Normal", "Laplace", "Delta", "Flow"),
    "unit": ("Normal", "Laplace", "Bernoulli", "Delta", "Flow"),
    "binary": ("Normal", "Laplace", "Bernoulli", "Delta"),
    "category": ("Categorical", "Delta"),
    "domain": ("Bernoulli", "Categorical"),
}


def family_misfits(model: Model, factor: Factor) -> Iterator[Misfit]:
    """A family whose support does not hold its target's type."""
    family = factor.how.family if factor.how else None
    target = model.variable(factor.target)
    assert factor.how is not None or family is None
    if family is None or factor.how is None:
        return
    holds = _HOLDS[target.type.kind]
    if target.type.kind == "domain":
        holds = ("Bernoulli",) if len(target.type.values) == 2 else ("Categorical",)
    if family not in holds:
        words = f"{family} does not hold {type_words(target.type)}: `{target.name}` is one"
        yield Misfit(factor, "SG203", factor.how.span, words, " or ".join(f"`{f}`" for f in holds))


def type_words(type_: Type) -> str:
    """A type as written: `real(64)`."""
    parts: tuple[object, ...] = type_.values or (
        (type_.size, *type_.shape) if type_.kind == "category" else type_.shape
    )
    return f"{type_.kind}({', '.join(map(str, parts))})" if parts else type_.kind


# --- networks ------------------------------------------------------------------------------------------------


def net_words(net: Net) -> str:
    """A network as written: `dcgan(64)`."""
    parts = [f'"{a}"' if isinstance(a, str) and net.kind == "python" else _value(a) for a in net.args]
    parts += [f"{name}: {_value(value)}" for name, value in net.options]
    own = f"{net.kind}({', '.join(parts)})" if parts else net.kind
    return f"{own} then {net_words(net.then)}" if net.then else own


def _value(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def built_in_misfits(model: Model, factor: Factor) -> Iterator[Misfit]:
    """A built-in network that does not fit its ends."""
    net = factor.how.net if factor.how else None
    if net is None or not built_in(net):
        return
    here = ends(model, factor)
    if words := chain_problem(net, here):
        told = f"{words}: {_ends_words(model, factor)}"
        yield Misfit(factor, "SG202", net.span, told, f"`{net_words(default_net(here))}`, or omit it")


def _ends_words(model: Model, factor: Factor) -> str:
    y = model.indicator
    names = [n for n in (*factor.parents, factor.target) if y is None or n != y.name]
    shown = [f"{n} {_shape(model.variable(n).type.event_shape)}" for n in dict.fromkeys(names)]
    return ", ".join(shown)


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


@dataclass(frozen=True)
class _Body:
    """The inputs of a declared net's one body, and the factor that fixed them."""

    inputs: tuple[Shape, ...]
    factor: Factor


def declared_misfits(model: Model) -> Iterator[Misfit]:
    """Declared networks that do not fit the ends of their factors, or whose one body would have several inputs."""
    if not model.nets:
        return
    bodies: dict[str, _Body] = {}
    outputs = {n.name: output_shapes(model, n.name) for n in model.nets}
    for factor in model.factors:
        net = factor.how.net if factor.how else None
        if net is not None and not built_in(net):
            words = _fits(model, net, ends(model, factor), factor, bodies, outputs)
            if words:
                yield Misfit(factor, "SG202", net.span, words)


def output_shapes(model: Model, name: str) -> dict[str, Shape]:
    """A declared network's targets, one for the variables of one data field, each with its shape."""
    found: dict[str, Shape] = {}
    for factor in model.factors:
        net = factor.how.net if factor.how else None
        while net is not None:
            last = list(links(net))[-1]
            if last.kind == name and last.declared:
                target = model.variable(factor.target)
                field = target.data.fields[0] if target.data else ""
                found.setdefault(f'"{field}"' if field else target.name, ends(model, factor).output)
            net = model.net(last.kind).net if last.declared and last.kind != name else None
    return found


def _fits(
    model: Model,
    net: Net,
    here: Ends,
    factor: Factor,
    bodies: dict[str, _Body],
    outputs: dict[str, dict[str, Shape]],
) -> str:
    """What is wrong with a network between these ends; '' if nothing can be said against it."""
    for link in links(net):
        last = link.then is None
        step: Shape | str | None
        if link.kind == "python":
            return ""
        if not link.declared:
            if last:
                return catalogue.problem(
                    link.kind, link.args, link.options, here.inputs, here.output, here.kinds, here.target
                )
            if link.then is not None and link.then.declared:
                return f"`{link.then.kind}` takes another network's output, and `{net_words(replace(link, then=None))}` has no target: declare it"
            step = body_features(link, here.inputs, here.kinds)
        else:
            step = _through(model, link, here, factor, bodies, outputs)
        if step is None or last:
            return ""
        if isinstance(step, str):
            return step
        here = replace(here, inputs=(step,), kinds=("real",))
    return ""


def _through(
    model: Model,
    link: Net,
    here: Ends,
    factor: Factor,
    bodies: dict[str, _Body],
    outputs: dict[str, dict[str, Shape]],
) -> Shape | str | None:
    """The shape that a declared network hands on (None: unknown, or nothing follows it), or what is wrong with it."""
    declared = model.net(link.kind)
    body = bodies.setdefault(link.kind, _Body(here.inputs, factor))
    place = where(declared.span, factor.span).removeprefix("on ").removeprefix("in ")
    if body.inputs != here.inputs:
        taken, new = (", ".join(map(_shape, i)) or "nothing" for i in (body.inputs, here.inputs))
        return f"`{link.kind}` ({place}) has one body, which takes {taken} in `{body.factor.name}` and would take {new} here"
    if link.then is not None and not link.then.declared:
        return _features(model, declared.net, here)
    if link.then is not None:
        targets = outputs[link.kind]
        if len(targets) != 1:
            names = ", ".join(targets) or "none"
            return f"`{link.then.kind}` takes the output of `{link.kind}` ({place}), whose one target it needs: it has {names}"
        output = next(iter(targets.values()))
        words = _fits(model, declared.net, replace(here, output=output), factor, bodies, outputs)
        return f"`{link.kind}` ({place}): {words}" if words else output
    words = _fits(model, declared.net, here, factor, bodies, outputs)
    return f"`{link.kind}` ({place}): {words}" if words else None


def _features(model: Model, net: Net, here: Ends) -> Shape | str | None:
    """The shape of a declared network's features, which a built-in one after `then` takes."""
    inputs, kinds = here.inputs, here.kinds
    for link in links(net):
        if link.kind == "python":
            return None
        features = (
            _features(model, model.net(link.kind).net, replace(here, inputs=inputs, kinds=kinds))
            if link.declared
            else body_features(link, inputs, kinds)
        )
        if features is None or isinstance(features, str):
            return features
        inputs, kinds = (features,), ("real",)
    return inputs[0] if inputs else (1,)


# --- who trains a declared network ---------------------------------------------------------------------------


def users(model: Model) -> dict[str, tuple[Factor, ...]]:
    """The factors that name each declared network, directly or through another one."""
    found: dict[str, list[Factor]] = {}
    for factor in model.factors:
        pending = list(links(factor.how.net)) if factor.how and factor.how.net else []
        seen: set[str] = set()
        while pending:
            net = pending.pop()
            if net.declared and net.kind not in seen:
                seen.add(net.kind)
                found.setdefault(net.kind, []).append(factor)
                pending += links(model.net(net.kind).net)
    return {name: tuple(factors) for name, factors in found.items()}


def owners(model: Model, net: NetDeclaration) -> tuple[str, ...]:
    """The groups that train a declared network: those that it names, else those of the factors that name it."""
    if net.fixed:
        return ()
    return net.groups or tuple(dict.fromkeys(f.group for f in users(model).get(net.name, ())))


def owner_problems(model: Model) -> Iterator[Diagnostic]:
    """A network that factors of several groups name must say who trains it."""
    named = users(model)
    for net in model.nets:
        groups = tuple(dict.fromkeys(f.group for f in named.get(net.name, ())))
        if not net.fixed and not net.groups and len(groups) > 1:
            words = f"`{net.name}` is named by factors of {', '.join(groups[:-1])} and {groups[-1]}: who trains it?"
            yield error("SG207", net.span, words, f"`net {net.name} in {groups[0]} = ...`")

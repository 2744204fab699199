"""Declared networks: one body, a head for each target, a group that trains them; and what does not fit its ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.source import Span
from schematic.graph.defaults import Ends, body_features, built_in, chain_problem, default_net, ends, links
from schematic.graph.model import Factor, Model, Net, NetDeclaration, Value
from schematic.graph.words import place
from schematic.nets.catalogue import Shape


@dataclass(frozen=True)
class Misfit:
    """What does not fit the ends of a factor: its network, or its family."""

    factor: Factor
    code: str
    span: Span
    words: str
    help: str = ""

    def told(self) -> Diagnostic:
        return error(self.code, self.span, self.words, self.help)


def net_words(net: Net) -> str:
    """A network as written: `dcgan(64)`, `D then mlp(128)`."""
    parts = [f'"{a}"' if net.kind == "python" else _value(a) for a in net.args]
    parts += [f"{name}: {_value(value)}" for name, value in net.options]
    own = f"{net.kind}({', '.join(parts)})" if parts else net.kind
    return f"{own} then {net_words(net.then)}" if net.then else own


def _value(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def ends_words(model: Model, factor: Factor) -> str:
    """The variables at a factor's ends with their event shapes: `z (16), x (1, 8, 8)`; the indicator is left out."""
    y = model.indicator
    names = dict.fromkeys(n for n in (*factor.parents, factor.target) if y is None or n != y.name)
    return ", ".join(f"{n} {_shape(model.variable(n).type.event_shape)}" for n in names)


def _shape(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"


def built_in_misfit(model: Model, factor: Factor) -> Misfit | None:
    """A built-in network that does not fit its ends."""
    net = factor.how.net if factor.how else None
    if net is None or not built_in(net):
        return None
    here = ends(model, factor)
    words = chain_problem(net, here)
    help = f"`{net_words(default_net(here))}`, or omit it"
    return Misfit(factor, "SG202", net.span, f"{words}: {ends_words(model, factor)}", help) if words else None


def declared_misfits(*terms: Model) -> tuple[Misfit, ...]:
    """Declared networks that do not fit the ends of their factors, or whose one body would have several inputs.

    Of a sum, over all its terms, which share the networks of one name.
    """
    bodies: _Bodies = {}
    return tuple(m for term in terms if term.nets for m in _Fitting(term, bodies).misfits())


_Bodies = dict[str, tuple[tuple[Shape, ...], Factor]]


class _Fitting:
    """One walk over a model's factors, which fixes the inputs of each declared network at its first use."""

    def __init__(self, model: Model, bodies: _Bodies) -> None:
        self._model = model
        self._bodies = bodies
        self._outputs = _outputs(model)

    def misfits(self) -> Iterator[Misfit]:
        for factor in self._model.factors:
            net = factor.how.net if factor.how else None
            if net is not None and not built_in(net):
                words = self._problem(net, ends(self._model, factor), factor)
                if words:
                    yield Misfit(factor, "SG202", net.span, words)

    def _problem(self, net: Net, here: Ends, factor: Factor) -> str:
        """What is wrong with a network between these ends; '' if nothing can be said against it."""
        for link in links(net):
            step = self._step(link, here, factor)
            if isinstance(step, str):
                return step
            if step is None:
                return ""
            here = replace(here, inputs=(step,), kinds=("real",))
        return ""

    def _step(self, link: Net, here: Ends, factor: Factor) -> Shape | str | None:
        """The shape that a link hands on (None: unknown, or nothing follows it), or what is wrong with it."""
        if link.kind == "python" and not (link.then and link.then.declared):
            return None
        if link.declared:
            return self._declared(link, here, factor)
        if link.then is None:
            return chain_problem(link, here) or None
        if link.then.declared:
            alone = net_words(replace(link, then=None))
            return f"`{link.then.kind}` takes another network's output, and `{alone}` has no target: declare it"
        return body_features(link, here.inputs, here.kinds)

    def _declared(self, link: Net, here: Ends, factor: Factor) -> Shape | str | None:
        declared = self._model.net(link.kind)
        told = f"`{link.kind}` ({place(declared.span, factor.span)})"
        inputs, first = self._bodies.setdefault(link.kind, (here.inputs, factor))
        if inputs != here.inputs:
            taken, new = (", ".join(map(_shape, i)) or "nothing" for i in (inputs, here.inputs))
            return f"{told} has one body, which takes {taken} in `{first.name}` and would take {new} here"
        if link.then is not None and not link.then.declared:
            return self._features(declared.net, here)
        output = here.output
        if link.then is not None:
            targets = self._outputs.get(link.kind, {})
            if len(targets) != 1:
                names = ", ".join(targets) or "none"
                return f"`{link.then.kind}` takes the output of {told}, whose one target it needs: it has {names}"
            (output,) = targets.values()
        words = self._problem(declared.net, replace(here, output=output), factor)
        if words:
            return f"{told}: {words}"
        return output if link.then is not None else None

    def _features(self, net: Net, here: Ends) -> Shape | str | None:
        """The shape of a declared network's features, which a built-in one after `then` takes."""
        inputs, kinds = here.inputs, here.kinds
        features: Shape | str | None = None
        for link in links(net):
            if link.kind == "python":
                return None
            if link.declared:
                features = self._features(self._model.net(link.kind).net, replace(here, inputs=inputs, kinds=kinds))
            else:
                features = body_features(link, inputs, kinds)
            if features is None or isinstance(features, str):
                return features
            inputs, kinds = (features,), ("real",)
        return features


def _outputs(model: Model) -> dict[str, dict[str, Shape]]:
    """Each declared network's targets with their shapes; the variables of one data field are one target."""
    found: dict[str, dict[str, Shape]] = {}
    for factor in model.factors:
        net = factor.how.net if factor.how else None
        while net is not None:
            *_, last = links(net)
            if not last.declared:
                break
            target = model.variable(factor.target)
            name = f'"{target.data.fields[0]}"' if target.data else target.name
            found.setdefault(last.kind, {}).setdefault(name, ends(model, factor).output)
            net = model.net(last.kind).net
    return found


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


def owner_problems(*terms: Model) -> Iterator[Diagnostic]:
    """A network that factors of several groups name must say who trains it; of a sum, of all its terms."""
    named: dict[str, list[str]] = {}
    for name, factors in (item for term in terms if term.nets for item in users(term).items()):
        named.setdefault(name, []).extend(f.group for f in factors)
    for net in {n.name: n for term in terms for n in term.nets}.values():
        groups = tuple(dict.fromkeys(named.get(net.name, ())))
        if not net.fixed and not net.groups and len(groups) > 1:
            words = f"`{net.name}` is named by factors of {', '.join(groups[:-1])} and {groups[-1]}: who trains it?"
            yield error("SG207", net.span, words, f"`net {net.name} in {groups[0]} = ...`")

"""The family and the network in force where a file leaves them out, or where a move made a built-in network unfit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schematic.graph.model import Factor, FamilyName, Model, Net, Type
from schematic.nets import catalogue
from schematic.nets.catalogue import Shape


@dataclass(frozen=True)
class Ends:
    """What a network of a factor stands between, the indicator left out; a category is one-hot, its classes last."""

    inputs: tuple[Shape, ...]
    output: Shape
    kinds: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Resolved:
    """The family and network in force. `gave_way`: the built-in network as written, if it does not fit these ends."""

    family: FamilyName
    options: tuple[tuple[str, float], ...]
    net: Net
    gave_way: Net | None = None


def resolve(model: Model, factor: Factor) -> Resolved:
    """The factor's family by its target's type and its network by its ends, unless HOW says them (and still fits).

    A declared or `python` network stays as written: whether it fits is for the checks to say.
    """
    here, how = ends(model, factor), factor.how
    family = (how.family if how else None) or default_family(model.variable(factor.target).type)
    options = how.options if how else ()
    written = how.net if how else None
    if written is None:
        return Resolved(family, options, default_net(here))
    if built_in(written) and chain_problem(written, here):
        return Resolved(family, options, default_net(here), written)
    return Resolved(family, options, written)


def default_family(type_: Type) -> FamilyName:
    match type_.kind:
        case "real":
            return "Normal"
        case "unit" | "binary":
            return "Bernoulli"
        case "category":
            return "Categorical"
        case "domain":
            return "Bernoulli" if len(type_.values) == 2 else "Categorical"


def default_net(here: Ends) -> Net:
    kind, args = catalogue.default(here.inputs, here.output, here.kinds, here.target)
    return Net(kind, args)


def ends(model: Model, factor: Factor) -> Ends:
    """The shapes and types between which the factor's network stands."""
    y = model.indicator
    shifts = factor.shifts or (None,) * (len(factor.parents) + 1)
    *sources, (target, output) = (
        (model.variable(name).type.kind, _value_shape(model, name, shift))
        for name, shift in zip((*factor.parents, factor.target), shifts, strict=True)
        if y is None or name != y.name or name == factor.target
    )
    return Ends(tuple(shape for _, shape in sources), output, tuple(kind for kind, _ in sources), target)


def _value_shape(model: Model, name: str, shift: int | None) -> Shape:
    """The event shape of a value: a whole chain has its variables first, an indicator of K > 2 domains its K logits."""
    variable = model.variable(name)
    type_, index = variable.type, variable.index
    own = (len(type_.values),) if type_.kind == "domain" and len(type_.values) > 2 else type_.event_shape
    whole = index is not None and shift is None and "[" not in name
    return (index[1] - index[0] + 1, *own) if whole and index is not None else own


def links(net: Net) -> Iterator[Net]:
    """A network and those that `then` puts after it."""
    here: Net | None = net
    while here is not None:
        yield here
        here = here.then


def built_in(net: Net) -> bool:
    """Neither declared nor `python`, nor a chain that has such a one in it."""
    return not any(n.declared or n.kind == "python" for n in links(net))


def chain_problem(net: Net, here: Ends) -> str:
    """What is wrong with a chain of built-in networks between these ends; '' if it fits."""
    inputs, kinds = here.inputs, here.kinds
    for link in links(net):
        if link.then is None:
            return catalogue.problem(link.kind, link.args, link.options, inputs, here.output, kinds, here.target)
        features = body_features(link, inputs, kinds)
        if isinstance(features, str):
            return features
        inputs, kinds = (features,), ("real",)
    return ""


def body_features(link: Net, inputs: tuple[Shape, ...], kinds: tuple[str, ...]) -> Shape | str:
    """The shape that a built-in network's body hands on, or what is wrong with it."""
    # The head is another network's: a body of images needs one among its inputs, whatever the target.
    image = next((s for s in inputs if catalogue.is_image(s)), (1,))
    if words := catalogue.problem(link.kind, link.args, link.options, inputs, image, kinds):
        return words
    return catalogue.features(link.kind, link.args, link.options, inputs, kinds)


def gave_way(model: Model) -> dict[str, tuple[Net, Net]]:
    """The factors whose built-in network does not fit their ends: the network as written, and the one in force."""
    found = {}
    for factor in model.factors:
        if factor.how is not None and factor.how.net is not None and built_in(factor.how.net):
            resolved = resolve(model, factor)
            if resolved.gave_way is not None:
                found[factor.name] = (resolved.gave_way, resolved.net)
    return found

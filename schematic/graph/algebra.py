"""The algebra of models: the paper's moves, each logging what it assumes without drawing it.

A move on a sum is the sum of the moved terms; one that names a thing touches the terms that have it, at least one.
Every move raises SchematicError if it does not apply; `at` are the places that its diagnostics mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from schematic.core.diagnostics import Report, SchematicError, error
from schematic.core.source import NOWHERE, Source
from schematic.graph.applying import HERE, At, gave_way_lines, has, logged, missing, on_terms, refuse, replaced
from schematic.graph.blocks import NOTHING, with_nets
from schematic.graph.defaults import resolve
from schematic.graph.hows import read_how
from schematic.graph.model import AnyModel, Assumption, Factor, How, Model, NetDeclaration, Sum
from schematic.graph.renaming import rename, without
from schematic.graph.restating import restate
from schematic.graph.sums import add_terms
from schematic.graph.training import merged
from schematic.syntax.parser import parse_net

__all__ = [
    "HERE",
    "At",
    "activate",
    "add",
    "importance",
    "perfect",
    "rename",
    "restate",
    "scale",
    "swap",
    "swap_arrows",
    "wake_sleep",
    "without",
]

# --- exchanging variables, exchanging processes ------------------------------------------------------------------


def swap(model: AnyModel, a: str, b: str, *, at: At = HERE) -> AnyModel:
    """Exchanges two variables at every arrow end; Figure 3(c): InfoGAN becomes the adversarial autoencoder.

    Types and given distributions stay with the names. A factor takes the name and the HOW of the factor that produced
    its new target; the arrow's marks and options stay on the arrow. An involution, which commutes with `swap_arrows`.
    """
    return on_terms(model, at, lambda m: _swap(m, a, b, at), lambda m: has(m, a, b))


def _swap(model: Model, a: str, b: str, at: At) -> Model:
    named = ((a, at.arg(0)), (b, at.arg(1)))
    variables = {v.name: v for v in model.variables}
    refuse(*(missing(model, "variable", n, s) for n, s in named if n not in variables))
    for name, span in named:
        if variables[name].type.kind == "domain":
            refuse(
                error("SG306", span, f"`{name}` is the domain indicator, which labels the branches", "swap two others")
            )
    if variables[a].index != variables[b].index:
        refuse(error("SG306", at.arg(1), f"`{a}` and `{b}` are not chains of one length", "swap two others"))
    if a == b:
        refuse(error("SG306", at.arg(1), f"`{a}` is named twice; `swap` exchanges two variables"))
    other = _exchange(a, b)
    takes = _takes(model, a, b)
    factors = tuple(
        replace(
            f,
            name=takes[f.name][0],
            how=takes[f.name][1],
            parents=tuple(other(p) for p in f.parents),
            target=other(f.target),
        )
        for f in model.factors
    )
    swapped = replace(model, factors=factors)
    return logged(swapped, at, *gave_way_lines(model, swapped))


def _exchange(a: str, b: str) -> Callable[[str], str]:
    """The renaming of a and b into each other; an instance of a chain keeps its number."""
    pair = {a: b, b: a}

    def other(name: str) -> str:
        stem, bracket, index = name.partition("[")
        return pair.get(name) or pair.get(stem, stem) + bracket + index

    return other


def _takes(model: Model, a: str, b: str) -> dict[str, tuple[str, How | None]]:
    """The name and the HOW that each factor has after `a` and `b` are exchanged."""
    keeps = {f.name: (f.name, f.how) for f in model.factors}
    into_a, into_b = ([f for f in model.factors if f.target == v and not f.adversarial] for v in (a, b))
    match into_a, into_b:
        case [f], [g]:
            keeps[f.name], keeps[g.name] = (g.name, g.how), (f.name, f.how)
        case ([f], []) | ([], [f]):
            name = {"p_theta": "q_eta", "q_eta": "p_theta"}.get(f.name, f.name)
            if name not in keeps:
                keeps[f.name] = (name, f.how)
        case _:  # several producers: every factor keeps its own
            pass
    return keeps


def swap_arrows(model: AnyModel, *, at: At = HERE) -> AnyModel:
    """Exchanges the generative and the inference process; Figure 3(b), Eqs. 19 and 48, the adversary being active.

    The factor into a compared variable is hollow on the inference side and explicit on the generative side, so
    `==>` and `->` change places, and `-->` and `=>`. An involution, which commutes with `swap`.
    """
    return on_terms(model, at, lambda m: _swap_arrows(m, at))


def _swap_arrows(model: Model, at: At) -> Model:
    compared = set(model.compared)
    swapped = replace(model, factors=tuple(_turned(f, compared) for f in model.factors))
    return logged(swapped, at, *_arrow_lines(model, swapped))


def _turned(factor: Factor, compared: set[str]) -> Factor:
    changes = not factor.adversarial and factor.target.partition("[")[0] in compared
    return replace(
        factor,
        process="inference" if factor.process == "generative" else "generative",
        implicit=factor.implicit != changes,
    )


def _arrow_lines(before: Model, after: Model) -> Iterable[tuple[str, str]]:
    variables = {v.name: v for v in after.variables}
    for old, new in zip(before.factors, after.factors, strict=True):
        target = variables.get(new.target)
        if old.implicit and not new.implicit:
            family = resolve(after, new).family
            yield f"`{new.name}` gets an explicit density, {family}, that its hollow arrow does not have", "Eq. 18"
        dashed = new.process == "inference" and not new.adversarial and not new.implicit
        if dashed and target is not None and target.prior is not None:
            yield (
                f"a KL of `{new.name}` against the prior of {new.target} is added, which the arrows swapped lack",
                "Eqs. 19, 48",
            )
        if new.adversarial and new.process == "inference" and not new.perfect:
            yield _classifier_line(new.name)


def _classifier_line(name: str) -> tuple[str, str]:
    words = "is trained to tell generated from given, not on the other groups' objective"
    return f"`{name}` {words}: the groups do not play one objective", "Eq. 50 for Eq. 49"


# --- the discriminator -----------------------------------------------------------------------------------------


def perfect(model: AnyModel, name: str, *, at: At = HERE) -> AnyModel:
    """Makes a discriminator the perfect one, q_*, of Lemma 2; it keeps its name and HOW."""
    return on_terms(model, at, lambda m: _perfect(m, name, at), lambda m: has(m, name))


def _perfect(model: Model, name: str, at: At) -> Model:
    factor = next((f for f in model.factors if f.name == name), None)
    if factor is None:
        raise SchematicError((missing(model, "factor", name, at.arg(0)),))
    if not factor.adversarial:
        blue = ", ".join(f"`{f.name}`" for f in model.factors if f.adversarial)
        words = f"`{name}` is no discriminator: its arrow is `{factor.mark}`, not blue"
        refuse(error("SG306", at.arg(0), words, f"blue: {blue}" if blue else ""))
    if factor.perfect:
        return model
    stale = Assumption(*_classifier_line(name))
    untrained = replace(model, log=tuple(line for line in model.log if line != stale))
    return logged(
        replaced(untrained, name, replace(factor, perfect=True)),
        at,
        (
            f"`{name}` is perfect: it reads the origin of a sample, and tells given from generated without error",
            "Lemma 2",
        ),
        ("the constant E log p_data on generated samples, formally minus infinity, is dropped first", "Eq. 19"),
    )


def activate(
    model: AnyModel,
    name: str,
    how: How | str | None = None,
    *,
    nets: Mapping[str, NetDeclaration] = NOTHING.nets,
    at: At = HERE,
) -> AnyModel:
    """Undoes `perfect`, Eq. 23: `q_star` names the one perfect factor; without HOW the one that was kept comes back.

    HOW may be text, "dcgan(64)"; `nets` are declared networks that it may name besides the model's own.
    """

    def move(m: Model) -> Model:
        read = _read_how(how, m, nets) if isinstance(how, str) else how
        return with_nets(_activate(m, name, read, at), nets)

    return on_terms(model, at, move, lambda m: _perfect_one(m, name) is not None)


def _read_how(text: str, model: Model, nets: Mapping[str, NetDeclaration]) -> How | None:
    report = Report()
    call = parse_net(Source("<network>", text), report)
    how = read_how(call, {*nets, *(n.name for n in model.nets)}, report) if call else None
    report.check()
    return how


def _perfect_one(model: Model, name: str) -> Factor | None:
    perfects = [f for f in model.factors if f.perfect]
    named = [f for f in perfects if f.name == name]
    if not named and name == "q_star" and len(perfects) == 1:
        return perfects[0]
    return named[0] if named else None


def _activate(model: Model, name: str, how: How | None, at: At) -> Model:
    factor = _perfect_one(model, name)
    if factor is None:
        if name != "q_star" and not has(model, name):
            refuse(missing(model, "factor", name, at.arg(0)))
        perfects = [f.name for f in model.factors if f.perfect]
        several = f"several factors are perfect in {model.name}: {', '.join(perfects)}"
        words = several if name == "q_star" and perfects else f"`{name}` is not perfect in {model.name or 'this model'}"
        raise SchematicError((error("SG305", at.model if at.model is not NOWHERE else at.move, words),))
    new = replace(factor, perfect=False, how=factor.how if how is None else how)
    lines = (_classifier_line(new.name),) if factor.process == "inference" else ()
    return logged(replaced(model, factor.name, new), at, *lines)


# --- other readings --------------------------------------------------------------------------------------------


def importance(model: AnyModel, k: int | None = None, *, at: At = HERE) -> AnyModel:
    """Importance weighting with k draws, the batch if None; Eqs. 22 and 44, Burda et al. for the VAE."""
    if k is not None and k < 1:
        refuse(error("SG306", at.arg(0), "the number of draws is a positive whole number", "`importance(M, 16)`"))
    return on_terms(model, at, lambda m: _importance(m, k or 0, at))


def _importance(model: Model, k: int, at: At) -> Model:
    lines = [("the importance weights use the ratio of the optimal discriminator, b^r / b", "Eq. 44")]
    lines.append(("the second term is dropped: at k=1 it is the gradient of the JSD, at k>1 it is not", "Eq. 45"))
    if k == 0:
        lines.append(("the k samples are the batch: labels differ within an importance group", "Eq. 22"))
    lines.append(("its value is a surrogate: its gradient is the estimate", "Eq. 47"))
    weighs = any(f.adversarial and f.process == "generative" for f in model.factors)
    return logged(replace(model, importance=k, reading=at.move), at, *(lines if weighs else ()))


def wake_sleep(model: AnyModel, *, at: At = HERE) -> AnyModel:
    """The wake and sleep phases, Eq. 20: each side is fitted to samples of the other."""
    line = ("each side is fitted to samples of the other, which pass no gradient; there are no KLs", "Eq. 20")
    blue = ("blue factors are left out", "Eq. 20")
    return on_terms(
        model,
        at,
        lambda m: logged(
            replace(m, wake_sleep=True, reading=at.move),
            at,
            line,
            *((blue,) if any(f.adversarial for f in m.factors) else ()),
        ),
    )


# --- sums ------------------------------------------------------------------------------------------------------


def add(left: AnyModel, right: AnyModel, *, at: At = HERE) -> Sum:
    """`M + N`: objectives add; factors that are one conditional share parameters and a name."""
    terms = (*_terms(left), *_terms(right))
    train = merged(right.train, left.train)  # the first that sets a thing wins
    return Sum(left.name + right.name, add_terms(terms, at.arg(0)), train, reading=at.move)


def scale(c: float, model: AnyModel, *, at: At = HERE) -> Sum:
    """`c * M`, c positive."""
    if not c > 0:
        refuse(error("SG308", at.arg(0), "a model is multiplied by a positive number", "`0.1 * M`"))
    terms = tuple((c * weight, m) for weight, m in _terms(model))
    return Sum(model.name, terms, model.train, reading=at.move)


def _terms(model: AnyModel) -> tuple[tuple[float, Model], ...]:
    return model.terms if isinstance(model, Sum) else ((1.0, model),)

"""What the moves of an expression made unfit: told at the end, unless a later block mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from schematic.core.diagnostics import Diagnostic, Report, error, note
from schematic.core.source import Span
from schematic.graph.checks import family_misfit, type_words
from schematic.graph.defaults import Ends, built_in, default_net, ends, gave_way, links
from schematic.graph.model import AnyModel, Factor, Model, Sum
from schematic.graph.networks import declared_misfits, ends_words, net_words, owner_problems
from schematic.graph.words import place


@dataclass(frozen=True)
class Value:
    """A model on its way through an expression. `plain`: it is a model's name, or a multiple of one.

    `notes` and `misfits` go by the place of a factor's right side, which a move carries along. A misfit is a declared
    or `python` network that a swap put on other ends, with the ends that it had.
    """

    model: AnyModel
    plain: bool = False
    notes: Mapping[Span, Diagnostic] = field(default_factory=dict)
    misfits: Mapping[Span, tuple[Ends, Diagnostic]] = field(default_factory=dict)


def terms(model: AnyModel) -> tuple[Model, ...]:
    return tuple(m for _, m in model.terms) if isinstance(model, Sum) else (model,)


def watched(value: Value, before: AnyModel, at: Span, *, swaps: bool = False) -> Value:
    """The value with what this move made unfit added."""
    notes, misfits = dict(value.notes), dict(value.misfits)
    for old, new in zip(terms(before), terms(value.model), strict=True):
        if old is new:
            continue
        for name, (written, used) in gave_way(new).items():
            how = new.factor(name).how
            assert how is not None, "only what is written gives way"
            words = f"{name}'s `{net_words(written)}` does not fit {ends_words(new, new.factor(name))}"
            notes.setdefault(how.span, note("SG904", at, f"{words}: `{net_words(used)}` is used"))
        if swaps:
            for span, misfit in _moved_nets(old, new, at):
                misfits.setdefault(span, misfit)
    return replace(value, notes=notes, misfits=misfits)


def finished(name: str, value: Value, at: Span, report: Report, span: Span) -> AnyModel | None:
    """The model under its name; None, with its errors in the report, if the moves left something unfit."""
    mine = Report()
    for model in terms(value.model):
        mine.add(*_unfit(model, value, at))
    report.add(*mine)
    return None if mine.failed else replace(value.model, name=name, span=span)


def _moved_nets(old: Model, new: Model, at: Span) -> Iterator[tuple[Span, tuple[Ends, Diagnostic]]]:
    """Declared and `python` networks that a swap put between other shapes: each is one network, with its own ends."""
    before = {f.how.span: f for f in old.factors if f.how is not None}
    for factor in new.factors:
        how = factor.how
        if how is None or how.net is None or built_in(how.net) or how.span not in before:
            continue
        was = before[how.span]
        there = ends(old, was)
        if not _same_shapes(there, ends(new, factor)):
            yield how.span, (there, _moved_words(old, new, was, factor, at))


def _same_shapes(a: Ends, b: Ends) -> bool:
    return (a.inputs, a.output) == (b.inputs, b.output)


def _moved_words(old: Model, new: Model, was: Factor, factor: Factor, at: Span) -> Diagnostic:
    assert factor.how is not None and factor.how.net is not None
    net = next(n for n in links(factor.how.net) if n.declared or n.kind == "python")
    known = f"{net.kind} ({place(new.net(net.kind).span, at)})" if net.declared else net_words(net)
    here = ends(new, factor)
    if ends(old, was).output != here.output:
        reason = f"ends in {type_words(old.variable(was.target).type)}"
    else:
        y = old.indicator
        sources = [type_words(old.variable(p).type) for p in was.parents if y is None or p != y.name]
        reason = f"takes {', '.join(sources) or 'nothing'}"
    arrow = f"{factor.name} : {', '.join(factor.parents)} {factor.mark} {factor.target}"
    words = f"after the swap, `{arrow} = {net_words(factor.how.net)}` does not fit: {known} {reason}"
    return error("SG302", at, words, f"restate it: `{{ {factor.name} = {net_words(default_net(here))} }}`")


def _unfit(model: Model, value: Value, at: Span) -> Iterator[Diagnostic]:
    gone = gave_way(model)
    moved = False
    for factor in model.factors:
        if factor.how is not None and factor.name in gone and factor.how.span in value.notes:
            yield value.notes[factor.how.span]
        if factor.how is not None and factor.how.span in value.misfits:
            there, problem = value.misfits[factor.how.span]
            if not _same_shapes(there, ends(model, factor)):
                moved = True
                yield problem
        if misfit := family_misfit(model, factor):
            words = f"after the moves, {misfit.words}: `{factor.name} : ... {factor.mark} {factor.target}` does not fit"
            yield error("SG302", at, words, f"restate it: `{{ {factor.name} = mlp(400) }}`")
        if factor.each and model.variable(factor.target).type.kind == "real":
            words = f"`{factor.name}` now predicts the units of `{factor.target}`, a real: its reverse has no bound"
            yield error("SG302", at, words, f"`without {factor.name}`")
        if factor.implicit and factor.process == "inference" and factor.weight != 1:
            words = f"`{factor.name}` is now `{factor.mark}`, which has no term of its own for its `weight`"
            yield error("SG302", at, words, "restate it without `weight`")
    if not moved:  # else what follows is but a consequence
        for found in declared_misfits(model):
            yield error("SG302", at, found.words, f"restate it: `{{ {found.factor.name} = mlp(400) }}`")
        yield from owner_problems(model)

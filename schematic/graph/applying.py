"""How a move applies to a model or to the terms of a sum, what it logs, and how it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from schematic.core.diagnostics import Diagnostic, SchematicError, error
from schematic.core.source import NOWHERE, Span
from schematic.graph.defaults import gave_way
from schematic.graph.model import AnyModel, Assumption, Factor, Model, Sum
from schematic.graph.networks import net_words
from schematic.graph.sums import add_terms
from schematic.graph.words import unknown_at


@dataclass(frozen=True)
class At:
    """Where a move stands: all of it, the model that it moves, what follows the model."""

    move: Span = NOWHERE
    model: Span = NOWHERE
    args: tuple[Span, ...] = ()

    def arg(self, number: int) -> Span:
        return self.args[number] if number < len(self.args) else self.move


HERE = At()


# --- on terms --------------------------------------------------------------------------------------------------


def on_terms(
    model: AnyModel, at: At, move: Callable[[Model], Model], touches: Callable[[Model], bool] = lambda m: True
) -> AnyModel:
    """The moved model; of a sum, the sum of its terms, those moved that the move touches."""
    if isinstance(model, Model):
        return move(model)
    if not any(touches(m) for _, m in model.terms):
        move(_union(model))  # says what is not there at all
        raise SchematicError((error("SG301", at.move, "no term of the sum has all that this move names"),))
    terms = tuple((c, move(m) if touches(m) else m) for c, m in model.terms)
    return replace(model, terms=add_terms(terms, at.move))


def _union(total: Sum) -> Model:
    """All that the terms of a sum declare, for a diagnostic that lists what there is."""
    variables = {v.name: v for _, m in total.terms for v in m.variables}
    factors = {f.name: f for _, m in total.terms for f in m.factors}
    return Model(total.name or "the sum", tuple(variables.values()), tuple(factors.values()), train=total.train)


def logged(model: Model, at: At, *lines: tuple[str, str]) -> Model:
    return replace(model, log=(*model.log, *(Assumption(t, s, span=at.move) for t, s in lines)))


def refuse(*problems: Diagnostic) -> None:
    if problems:
        raise SchematicError(problems)


def missing(model: Model, kind: str, name: str, span: Span) -> Diagnostic:
    known = [v.name for v in model.variables] if kind == "variable" else [f.name for f in model.factors]
    words = f"{model.name or 'the model'} has no {kind} `{name}`"
    return unknown_at("SG301", span, name, words, known, listed=f"{kind}s")


def has(model: Model, *names: str) -> bool:
    known = {v.name for v in model.variables} | {f.name for f in model.factors}
    return all(n in known for n in names)


def replaced(model: Model, name: str, factor: Factor) -> Model:
    """The model with this factor in the place of the one of that name."""
    return replace(model, factors=tuple(factor if f.name == name else f for f in model.factors))


def gave_way_lines(before: Model, after: Model) -> Iterable[tuple[str, str]]:
    """For the log: the networks that this move made give way to the default ones."""
    old = gave_way(before)
    for name, (written, used) in gave_way(after).items():
        if name not in old:
            yield f"`{name}`: {net_words(written)} does not fit the new ends; {net_words(used)} is used", ""

"""`M { ... }`: statements on top of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from schematic.core.diagnostics import Report
from schematic.core.source import Source
from schematic.graph.applying import HERE, At, gave_way_lines, logged
from schematic.graph.blocks import NOTHING, Outside, build, full_name
from schematic.graph.model import AnyModel, Model, Sum
from schematic.graph.sums import add_terms
from schematic.graph.training import merged, read_train, trained
from schematic.graph.words import unknown_at
from schematic.syntax import ast
from schematic.syntax.parser import parse_statements


def restate(
    model: AnyModel,
    statements: str | Sequence[ast.Statement],
    *,
    outside: Outside = NOTHING,
    report: Report | None = None,
    at: At = HERE,
) -> AnyModel:
    """`M { ... }`: each statement replaces, in its place, the one of the same full name; any other is added.

    `statements` may be text. Warnings and notes go to `report`; errors are raised, all of them together.
    """
    mine = Report()
    if isinstance(statements, str):
        statements = parse_statements(Source("<statements>", statements), mine)
    if isinstance(model, Model):
        new: AnyModel | None = _restated(model, statements, outside, mine, at)
    else:
        new = _restated_sum(model, statements, outside, mine, at)
    mine.check()
    assert new is not None
    if report is not None:
        report.add(*mine)
    return new


def _restated(
    model: Model, statements: Sequence[ast.Statement], outside: Outside, report: Report, at: At
) -> Model | None:
    new = build(model.name, statements, model, outside, report, model.span, at.move)
    return logged(new, at, *gave_way_lines(model, new)) if new else None


def _names(*models: Model) -> set[str]:
    """Everything that a block on these models could restate."""
    found = {v.name for m in models for v in m.variables} | {f.name for m in models for f in m.factors}
    return found | {n.name for m in models for n in m.nets}


def _restated_sum(
    model: Sum, statements: Sequence[ast.Statement], outside: Outside, report: Report, at: At
) -> AnyModel | None:
    """A statement restates in the terms that have what it names; `train` is the sum's."""
    terms = []
    left = {i for i, s in enumerate(statements) if not isinstance(s, ast.Train)}
    for weight, term in model.terms:
        known = _names(term)
        mine = [i for i, s in enumerate(statements) if full_name(s) in known]
        left -= set(mine)
        new = _restated(term, [statements[i] for i in mine], outside, report, at) if mine else term
        terms.append((weight, new))
    for i in sorted(left):
        statement = statements[i]
        assert not isinstance(statement, ast.Train)
        name = statement.name
        known = _names(*(m for _, m in model.terms))
        report.add(
            unknown_at(
                "SG301", name.span, name.text, f"no term of the sum has `{name.text}`", known, listed="there are"
            )
        )
    built = tuple((weight, term) for weight, term in terms if term is not None)
    trains = [s for s in statements if isinstance(s, ast.Train)]
    if report.failed:
        read_train(trains, None, None, report)
        return None
    total = replace(model, terms=add_terms(built, at.move))
    return replace(total, train=merged(model.train, read_train(trains, *trained(total), report)))

"""Factors from the syntax tree: the name, the ends of the arrow, and what the arrow cannot do, whatever the shapes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from schematic.core.diagnostics import Diagnostic, Report, error
from schematic.core.names import RESERVED
from schematic.core.source import Span
from schematic.graph.checks import type_words
from schematic.graph.hows import call_names, read_how
from schematic.graph.model import Factor, Variable
from schematic.graph.options import option_problems, read_options
from schematic.graph.words import SETTINGS, unknown
from schematic.syntax import ast

_NAME = re.compile(r"[pq]_([A-Za-z]\w*)(\.\w+)?", re.ASCII)


@dataclass(frozen=True)
class Names:
    """What a model's factors may name. `broken` were declared with an error that is told already."""

    model: str
    variables: Mapping[str, Variable]
    nets: Collection[str]
    broken: Collection[str]

    @cached_property
    def indicator(self) -> Variable | None:
        return next((v for v in self.variables.values() if v.type.kind == "domain"), None)


def name_problem(name: str, span: Span, code: str = "SG104") -> Diagnostic | None:
    """A factor is named p_GROUP or q_GROUP, with a suffix or without; GROUP is no word of the language."""
    match = _NAME.fullmatch(name)
    if match is None or "__" in name:
        stem = re.sub("^[pqPQ]_", "", name)
        help = f"`p_{stem}` or `q_{stem}`" if re.match("[A-Za-z]", stem) else "`p_theta`"
        return error(code, span, "a factor is named p_GROUP or q_GROUP", help)
    if match[1] in SETTINGS or match[1] in RESERVED:
        what = "a setting of `train`" if match[1] in SETTINGS else "a word of the language"
        return error(
            code, span, f"a group cannot be called `{match[1]}`, which is {what}", "the paper has theta, phi, eta"
        )
    return None


def read_factor(decl: ast.FactorDecl, names: Names, report: Report) -> Factor | None:
    """The factor; None, with its errors in the report, if any part of it is wrong."""
    mine = Report()
    if problem := name_problem(decl.name.text, decl.name.span):
        mine.add(problem)
    broken = [e for e in (*decl.parents, decl.target) if not _known(e, names, mine)]
    mark = decl.arrow.mark
    factor = Factor(
        decl.name.text,
        tuple(_end_name(e) for e in decl.parents),
        _end_name(decl.target),
        "inference" if len(mark) == 3 else "generative",
        implicit="=" in mark,
        adversarial="~" in mark,
        each=decl.target.part is not None,
        span=decl.name.span,
        arrow=decl.arrow.span,
        target_span=decl.target.span,
    )
    factor = _with_how(factor, decl.how, decl.options, names, mine)
    shape = Report()
    _check_repeats(factor, decl, shape)
    if not broken:
        _check_parts(decl, names, shape)
        factor = _read_indices(factor, decl, names, shape)
        if not shape.failed:
            _check_ends(factor, decl, names, shape)
    mine.add(*shape)
    report.add(*mine)
    return None if mine.failed or broken else factor


def restated(factor: Factor, decl: ast.FactorHow, names: Names, report: Report) -> Factor | None:
    """`NAME = HOW OPTIONS`: another right side and other options on the same arrow."""
    mine = Report()
    new = _with_how(factor, decl.how, decl.options, names, mine)
    report.add(*mine)
    return None if mine.failed else new


def _with_how(
    factor: Factor, how: ast.Call | None, options: tuple[ast.Option, ...], names: Names, report: Report
) -> Factor:
    broken = how is not None and any(n.text in names.broken and n.text not in names.nets for n in call_names(how))
    read = read_how(how, names.nets, report) if how is not None and not broken else None
    new = read_options(replace(factor, how=read), options, names.indicator, report)
    target = names.variables.get(factor.target.partition("[")[0])
    report.add(*option_problems(new, target.type.kind if target else None, {o.name.text: o.span for o in options}))
    return new


# --- ends ------------------------------------------------------------------------------------------------------


def _end_name(end: ast.End) -> str:
    """`z[5]` keeps its number: one variable of the chain."""
    index = end.index
    plain = index is not None and index.letter is None
    return f"{end.name.text}[{index.first}]" if plain and index is not None else end.name.text


def _known(end: ast.End, names: Names, report: Report) -> bool:
    name = end.name.text
    if name in names.variables:
        return True
    if name not in names.broken:
        report.add(
            unknown("SG101", end.name, f"no variable `{name}` in {names.model}", names.variables, listed="variables")
        )
    return False


def _read_indices(factor: Factor, decl: ast.FactorDecl, names: Names, report: Report) -> Factor:
    ends = (*decl.parents, decl.target)
    letters: dict[str, Span] = {}
    for end in ends:
        index = end.index
        if index is None:
            continue
        chain = names.variables[end.name.text].index
        if chain is None:
            report.add(error("SG216", index.span, f"`{end.name.text}` is one variable, not a chain"))
        elif index.last is not None:
            report.add(error("SG216", index.span, f"`{end.name.text}` without an index is all of the chain"))
        elif index.letter is None and not chain[0] <= index.first <= chain[1]:
            words = f"`{end.name.text}` goes from {chain[0]} to {chain[1]}"
            report.add(error("SG216", index.span, words))
        elif index.letter is not None:
            letters.setdefault(index.letter, index.span)
    if len(letters) > 1:
        second = list(letters.items())[1]
        report.add(error("SG216", second[1], f"one letter a statement, and `{second[0]}` is the second"))
    if not letters:
        return factor
    shifts = tuple(e.index.first if e.index and e.index.letter else None for e in ends)
    if not report.failed and not _instances(ends, shifts, names):
        report.add(error("SG216", decl.target.span, "no instance of this factor has both ends within its chain"))
    return replace(factor, shifts=shifts)


def _instances(ends: tuple[ast.End, ...], shifts: tuple[int | None, ...], names: Names) -> bool:
    """Is there a t for which every shifted end lies in its chain?"""
    low, high = float("-inf"), float("inf")
    for end, shift in zip(ends, shifts, strict=True):
        chain = names.variables[end.name.text].index
        if shift is not None and chain is not None:
            low, high = max(low, chain[0] - shift), min(high, chain[1] - shift)
    return low <= high


def _check_repeats(factor: Factor, decl: ast.FactorDecl, report: Report) -> None:
    seen: set[tuple[str, ast.Index | None]] = set()
    for end, name in zip(decl.parents, factor.parents, strict=True):
        if (name, end.index) in seen:
            report.add(error("SG209", end.span, f"`{name}` is a parent twice"))
        elif (name, end.index) == (factor.target, decl.target.index) and not (end.part or decl.target.part):
            words = f"`{name}` is its own parent"
            report.add(error("SG209", end.span, words, "a variable does not depend on itself"))
        seen.add((name, end.index))


def _check_ends(factor: Factor, decl: ast.FactorDecl, names: Names, report: Report) -> None:
    y = names.indicator
    is_y = y is not None and factor.target == y.name
    if is_y and not factor.adversarial and (factor.implicit or factor.process == "inference"):
        words = f"`{factor.target}` is the domain indicator: it labels the branches and is never drawn"
        report.add(error("SG206", decl.arrow.span, words, "a blue arrow, `~>` or `~~>`, compares its parents"))
    if factor.adversarial and not is_y and decl.target.part is None:
        type_ = type_words(names.variables[decl.target.name.text].type)
        words = f"a blue arrow ends in a domain indicator or in `z.each`; `{factor.target}` is {type_}"
        report.add(error("SG206", decl.arrow.span, words, f"`->` scores `{factor.target}`"))
    if factor.adversarial and not any(y is None or p != y.name for p in factor.parents):
        words = "a blue arrow compares its parents, and this one has none"
        report.add(error("SG206", decl.arrow.span, words, f"`{factor.name} : x {factor.mark} {factor.target}`"))


def _check_parts(decl: ast.FactorDecl, names: Names, report: Report) -> None:
    """`z.rest ~> z.each`, and no other use of the parts."""
    for end, allowed in (*((p, "rest") for p in decl.parents), (decl.target, "each")):
        if end.part is not None and end.part.text != allowed:
            words = f"`.{end.part.text}` does not stand here; the form is `z.rest ~> z.each`"
            report.add(unknown("SG214", end.part, words, (allowed,)))
    rest = [p for p in decl.parents if p.part is not None]
    each = decl.target.part is not None
    if report.failed or not (rest or each):
        return
    if len(rest) != 1 or not each or rest[0].name.text != decl.target.name.text or "~" not in decl.arrow.mark:
        words = "`.rest` and `.each` stand together, of one variable, on a blue arrow"
        report.add(error("SG214", rest[0].span if rest else decl.target.span, words, "`z.rest ~> z.each`"))
        return
    kind = names.variables[decl.target.name.text].type.kind
    if kind in ("real", "domain"):
        reason = "its reverse has no bound" if kind == "real" else "it labels the branches"
        words = f"`{decl.target.name.text}` is {kind}: {reason}"
        help = "the units of a binary, unit or category variable are predicted"
        report.add(error("SG214", decl.target.span, words, help))

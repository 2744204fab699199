"""Variables from the syntax tree: types, data, priors, and whether they go together."""

from __future__ import annotations

import re
from dataclasses import replace
from math import isfinite

from schematic.core.diagnostics import Report, error
from schematic.core.source import Span
from schematic.graph.model import Data, Kind, Prior, Type, Variable
from schematic.graph.words import PRIORS, TYPES, redefined, unknown
from schematic.syntax import ast

_FIELD = re.compile(r"[^/]+(/[^/]+)?")
_MEANINGS = {
    "Normal": ("mean", "standard deviation"),
    "Laplace": ("mean", "scale"),
    "Uniform": ("low", "high"),
    "Bernoulli": ("probability",),
    "Categorical": (),
}


def read_variable(decl: ast.VariableDecl, report: Report) -> Variable | None:
    """The declared variable; None, with its errors in the report, if any part of it is wrong."""
    mine = Report()
    if clash := redefined(decl.name):
        mine.add(clash)
    type_ = read_type(decl.type, mine)
    index = _read_index(decl, type_, mine)
    data = _read_data(decl, mine)
    prior = _read_prior(decl.prior, type_, mine) if decl.prior else None
    if type_ is not None and type_.kind == "domain":
        _check_indicator(decl, mine)
    elif decl.partial is not None:
        prior = _check_partial(decl, type_, prior, mine)
    elif decl.data is not None and decl.prior is not None:
        words = f"`{decl.name.text}` has two given distributions, its data and its prior"
        mine.add(
            error("SG217", _from_tilde(decl.prior), words, "add `partial` if only some records have it, or delete one")
        )
    report.add(*mine)
    if mine.failed or type_ is None:
        return None
    name = decl.name.text if index is None or index[0] != index[1] else f"{decl.name.text}[{index[0]}]"
    return Variable(name, type_, data, prior, decl.partial is not None, index, span=decl.name.span)


def check_given(variable: Variable, decl: ast.VariableDecl, indicator: Variable | None, report: Report) -> None:
    """`= data("A", "B") given y`: y is the indicator and there is a field for each of its domains."""
    data = decl.data
    if data is None or data.given is None:
        return
    given, fields = data.given, data.fields
    if indicator is None or given.text != indicator.name:
        words = f"`{given.text}` is not the domain indicator"
        help = f"`given {indicator.name}`" if indicator else "declare one: `y : domain(fake, real)`"
        report.add(error("SG205", given.span, words, help))
    elif len(fields) != len(indicator.type.values):
        values = indicator.type.values
        words = f"{_count(len(fields), 'field')} for {len(values)} domains ({', '.join(values)})"
        report.add(error("SG205", _of(fields, data.span), words, "one field for each domain, in the domain's order"))


def read_type(call: ast.Call, report: Report) -> Type | None:
    name = call.name.text
    if name not in TYPES:
        report.add(unknown("SG102", call.name, f"no type `{name}`", TYPES, listed="types"))
        return None
    if call.options or call.then is not None:
        extra = call.options[0][0].span if call.options else call.span
        report.add(error("SG201", extra, f"a type has no options; {_form(name)}"))
        return None
    if name == "domain":
        return _read_domain(call, report)
    sizes = _read_sizes(call, report)
    if sizes is None:
        return None
    match name:
        case "category":
            if not sizes:
                report.add(
                    error("SG201", call.span, "how many classes?", "`category(10)`, or an array, `category(10, 4)`")
                )
                return None
            return Type("category", sizes[1:], sizes[0], span=call.span)
        case _:
            kind: Kind = name  # type: ignore[assignment]
            return Type(kind, sizes, span=call.span)


def _form(name: str) -> str:
    return "`domain(fake, real)`" if name == "domain" else f"`{name}(3)` or `{name}(1, 28, 28)`"


def _read_sizes(call: ast.Call, report: Report) -> tuple[int, ...] | None:
    bad = [a for a in call.args if not (isinstance(a, ast.Number) and a.text.isdigit() and int(a.text) > 0)]
    for argument in bad:
        report.add(error("SG201", argument.span, "a dimension is a positive whole number"))
    if call.parens and not call.args:
        report.add(
            error("SG201", call.span, "a dimension is missing", f"`{call.name.text}(3)`; `real` alone is a scalar")
        )
        return None
    return None if bad else tuple(int(a.text) for a in call.args if isinstance(a, ast.Number))


def _read_domain(call: ast.Call, report: Report) -> Type | None:
    words = [a for a in call.args if isinstance(a, ast.Call) and not a.parens and a.then is None]
    for argument in call.args:
        if argument not in words:
            report.add(error("SG201", argument.span, "a domain's value is a name", "`domain(fake, real)`"))
    if len(words) < len(call.args):
        return None
    values = tuple(w.name.text for w in words)
    for word in (w for i, w in enumerate(words) if w.name.text in values[:i]):
        report.add(error("SG201", word.span, f"`{word.name.text}` is said twice"))
    if len(values) < 2:
        report.add(
            error("SG201", call.span, "a domain has at least two values, the given one last", "`domain(fake, real)`")
        )
    return Type("domain", (), len(values), values, span=call.span) if len(set(values)) == len(values) > 1 else None


def _read_index(decl: ast.VariableDecl, type_: Type | None, report: Report) -> tuple[int, int] | None:
    index = decl.index
    if index is None:
        return None
    if index.letter is not None:
        words = "a declaration has the chain's range, `z[1..1000]`, or one instance of it, `z[1000]`"
        report.add(error("SG216", index.span, words))
        return None
    if type_ is not None and type_.kind == "domain":
        report.add(error("SG216", index.span, "the domain indicator is one variable, not a chain"))
    last = index.first if index.last is None else index.last
    if last < index.first:
        report.add(error("SG216", index.span, f"the range {index.first}..{last} is empty"))
    elif last == index.first and index.last is not None:
        report.add(error("SG216", index.span, "a chain has at least two variables"))
    return index.first, last


# --- given distributions -------------------------------------------------------------------------------------


def _read_data(decl: ast.VariableDecl, report: Report) -> Data | None:
    data = decl.data
    if data is None:
        return None
    for text in data.fields:
        if not _FIELD.fullmatch(text.text.strip()) or text.text != text.text.strip():
            report.add(error("SG112", text.span, 'a field is "field" or "set/field"', '`data("image")`'))
    if len(data.fields) > 1 and data.given is None:
        words = f"{_count(len(data.fields), 'field')} but no domain"
        report.add(error("SG205", _of(data.fields, data.span), words, "add `given y`, y the domain indicator"))
    fields = tuple(f.text for f in data.fields) or (decl.name.text,)
    return Data(fields, data.given.text if data.given else None, span=data.span)


def _read_prior(call: ast.Call, type_: Type | None, report: Report) -> Prior | None:
    name, span = call.name.text, _from_tilde(call)
    if name not in PRIORS:
        if name in ("Delta", "Flow"):
            report.add(error("SG110", call.name.span, f"`{name}` is not a prior", f"priors: {', '.join(PRIORS)}"))
        else:
            report.add(unknown("SG110", call.name, f"no prior `{name}`", PRIORS, listed="priors"))
        return None
    wanted = _MEANINGS[name]
    for option, _ in call.options:
        report.add(error("SG203", option.span, f"`{name}` has no option `{option.text}`"))
    numbers = [a.value for a in call.args if isinstance(a, ast.Number)]
    example = {"Bernoulli": "Bernoulli(0.5)", "Categorical": "Categorical", "Uniform": "Uniform(-1, 1)"}
    if len(numbers) != len(call.args) or len(numbers) != len(wanted):
        words = f"`{name}` takes {' and '.join(wanted)}" if wanted else f"`{name}` is uniform and takes nothing"
        report.add(error("SG203", call.span, words, f"`~ {example.get(name, name + '(0, 1)')}`"))
        return None
    if call.options or call.then is not None or not _check_numbers(name, numbers, call, report):
        return None
    if type_ is not None and type_.kind != "domain":
        _check_support(name, numbers, type_, span, report)
    return Prior(name, tuple(numbers), span=span)  # type: ignore[arg-type]


def _check_numbers(name: str, numbers: list[float], call: ast.Call, report: Report) -> bool:
    problem, at = "", call.span
    match name, numbers:
        case _, _ if not all(isfinite(n) for n in numbers):
            problem = "a number here is too large"
        case (("Normal" | "Laplace"), [_, scale]) if scale <= 0:
            problem, at = f"the {_MEANINGS[name][1]} is positive", call.args[1].span
        case "Uniform", [low, high] if low >= high:
            problem = f"`Uniform(low, high)` is empty from {low:g} to {high:g}"
        case "Bernoulli", [p] if not 0 < p < 1:
            problem, at = "a probability lies between 0 and 1", call.args[0].span
    if problem:
        report.add(error("SG203", at, problem))
    return not problem


def _check_support(name: str, numbers: list[float], type_: Type, span: Span, report: Report) -> None:
    """The prior's support lies in the type."""
    inside = type_.event_shape and f"({', '.join(map(str, type_.shape))})" if type_.shape else ""
    real = f"`real{inside}`"
    match type_.kind, name:
        case ("real", "Categorical") | ("binary" | "unit", "Categorical"):
            report.add(error("SG203", span, f"Categorical is a prior of a category, not of {_noun(type_)}"))
        case "unit", ("Normal" | "Laplace"):
            report.add(error("SG203", span, f"{name} is not on [0, 1]", f"{real}, or `~ Uniform(0, 1)`"))
        case "unit", "Uniform" if numbers[0] < 0 or numbers[1] > 1:
            words = f"Uniform({numbers[0]:g}, {numbers[1]:g}) is not within [0, 1]"
            report.add(error("SG203", span, words, f"{real}, or `~ Uniform(0, 1)`"))
        case "binary", ("Normal" | "Laplace" | "Uniform"):
            report.add(error("SG203", span, f"{name} is not on {{0, 1}}", f"{real}, or `~ Bernoulli(0.5)`"))
        case "category", ("Normal" | "Laplace" | "Uniform" | "Bernoulli"):
            report.add(error("SG203", span, f"{name} is not on {type_.size} classes", "`~ Categorical`"))
        case _:
            pass


def _check_indicator(decl: ast.VariableDecl, report: Report) -> None:
    for clause, words in ((decl.data, "data"), (decl.prior, "a prior"), (decl.partial, "`partial`")):
        if clause is not None:
            told = f"`{decl.name.text}` is the domain indicator, which is uniform: it has no {words.removeprefix('a ')}"
            span = _from_tilde(clause) if isinstance(clause, ast.Call) else clause.span
            report.add(error("SG217", span, told, "delete this"))


def _check_partial(decl: ast.VariableDecl, type_: Type | None, prior: Prior | None, report: Report) -> Prior | None:
    assert decl.partial is not None
    if decl.data is None:
        words = f"`partial` is for data, and `{decl.name.text}` has none"
        report.add(error("SG217", decl.partial.span, words, f'add `= data("{decl.name.text}")`, or delete `partial`'))
    elif decl.prior is None and type_ is not None:
        match type_.kind:
            case "binary":
                return Prior("Bernoulli", (0.5,), span=decl.partial.span)
            case "category":
                return Prior("Categorical", span=decl.partial.span)
            case _:
                words = f"`partial` without a prior takes the uniform one, and {_noun(type_)} has none"
                report.add(error("SG217", decl.partial.span, words, "add one: `~ Normal(0, 1)`"))
    return prior


def _noun(type_: Type) -> str:
    return {"real": "a real", "unit": "a unit", "binary": "a binary", "category": "a category"}[
        type_.kind
    ] + " variable"


def _count(n: int, noun: str) -> str:
    numbers = ("no", "one", "two", "three", "four", "five")
    return f"{numbers[n] if n < len(numbers) else n} {noun}{'' if n == 1 else 's'}"


def _of(fields: tuple[ast.Text, ...], otherwise: Span) -> Span:
    return fields[0].span.to(fields[-1].span) if fields else otherwise


def _from_tilde(call: ast.Call) -> Span:
    """The prior with the `~` before it."""
    start = call.span.source.text.rfind("~", 0, call.span.start)
    return replace(call.span, start=start) if start >= 0 else call.span

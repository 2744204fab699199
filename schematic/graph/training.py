"""`train { ... }` from the syntax tree."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, cast

from schematic.core.diagnostics import Report, error
from schematic.graph.model import AnyModel, Optimizer, Sum, Train
from schematic.graph.words import OPTIMIZERS, SCHEDULES, SETTINGS, unknown
from schematic.syntax import ast

_FORMS = {"adam": "adam(1e-3, 0.9, 0.999)", "sgd": "sgd(0.1)", "rmsprop": "rmsprop(1e-3)"}


Known = Collection[str] | None


def read_train(decls: Collection[ast.Train], groups: Known, sets: Known, report: Report) -> Train:
    """The settings of these blocks together; those that are wrong are in the report and left out.

    `groups` and `sets` are what the model has: its parameter groups and the named data sets of its fields; None if
    the model is at fault, so that they are not known.
    """
    train = Train()
    first: dict[str, ast.Name] = {}
    for setting in (s for d in decls for s in d.settings):
        for name in setting.names:
            if name.text in first:
                line = first[name.text].span.line
                report.add(error("SG113", name.span, f"`{name.text}` is set twice; first on line {line}"))
                continue
            first[name.text] = name
            train = _set(train, name, setting.value, groups, sets, report)
    return train


def merged(old: Train, new: Train) -> Train:
    """Settings replace one by one."""
    return Train(
        old.data if new.data is None else new.data,
        old.batch if new.batch is None else new.batch,
        old.epochs if new.epochs is None else new.epochs,
        tuple({**dict(old.optimizers), **dict(new.optimizers)}.items()),
    )


def _set(train: Train, name: ast.Name, value: ast.Arg, groups: Known, sets: Known, report: Report) -> Train:
    match name.text:
        case "data":
            data = _read_data(value, sets, report)
            return replace(train, data=data)
        case "batch" | "epochs" as word:
            if isinstance(value, ast.Number) and value.text.isdigit() and int(value.text) > 0:
                return replace(train, **cast(dict[str, Any], {word: int(value.text)}))
            example = {"batch": 64, "epochs": 20}[word]
            report.add(error("SG118", value.span, f"`{word}` is a positive whole number", f"`{word} = {example}`"))
            return train
    if name.text not in groups if groups is not None else not isinstance(value, ast.Call):
        words = f"`train` has no setting and the model no group `{name.text}`"
        report.add(unknown("SG117", name, words, (*(groups or ()), *SETTINGS), listed="groups and settings"))
        return train
    optimizer = _read_optimizer(value, report)
    return replace(train, optimizers=(*train.optimizers, (name.text, optimizer))) if optimizer else train


def _read_data(value: ast.Arg, sets: Known, report: Report) -> str | tuple[tuple[str, str], ...] | None:
    match value:
        case ast.Text(text) if text:
            return text
        case ast.Call(ast.Name("sets"), (), options, None) if options:
            return _read_sets(options, sets, report)
    report.add(
        error(
            "SG118", value.span, "`data` is a source, or one for each set", '`data = "mnist"`, `sets(a: "x", b: "y")`'
        )
    )
    return None


def _read_sets(
    options: tuple[tuple[ast.Name, ast.Arg], ...], sets: Known, report: Report
) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for name, value in options:
        if name.text in found:
            report.add(error("SG113", name.span, f"`{name.text}` is set twice"))
        elif sets is not None and name.text not in sets:
            words = f"no variable's data is of a set `{name.text}`"
            report.add(unknown("SG117", name, words, sets, listed="sets"))
        elif not isinstance(value, ast.Text) or not value.text:
            report.add(error("SG118", value.span, "a source is a string", f'`{name.text}: "mnist"`'))
        else:
            found[name.text] = value.text
    return tuple(found.items())


def _read_optimizer(value: ast.Arg, report: Report) -> Optimizer | None:
    forms = ", ".join(f"`{f}`" for f in _FORMS.values())
    if not isinstance(value, ast.Call):
        report.add(error("SG118", value.span, "a group is set to an optimizer", forms))
        return None
    name = value.name.text
    if name not in OPTIMIZERS or value.then is not None:
        report.add(unknown("SG117", value.name, f"no optimizer `{name}`", OPTIMIZERS, listed="optimizers"))
        return None
    mine = Report()
    most = 3 if name == "adam" else 1
    numbers = [a.value for a in value.args if isinstance(a, ast.Number)]
    if len(numbers) != len(value.args) or not 1 <= len(numbers) <= most:
        takes = "its rate and two betas" if name == "adam" else "its rate"
        mine.add(error("SG118", value.span, f"`{name}` takes {takes}", f"`{_FORMS[name]}`"))
    elif numbers[0] <= 0:
        mine.add(error("SG118", value.args[0].span, "a rate is positive", f"`{_FORMS[name]}`"))
    for argument in value.args[1:most]:
        if isinstance(argument, ast.Number) and not 0 <= argument.value < 1:
            mine.add(error("SG118", argument.span, "a beta lies in [0, 1)", f"`{_FORMS[name]}`"))
    options = _read_options(value, mine)
    report.add(*mine)
    if mine.failed:
        return None
    betas = (*numbers[1:], *(0.9, 0.999)[len(numbers) - 1 :])
    return Optimizer(cast(Any, name), numbers[0], cast(tuple[float, float], betas), **options, span=value.span)


_OPTIONS = {
    "steps": ("a positive whole number", "5"),
    "clip": ("a positive number", "1"),
    "average": ("a decay between 0 and 1", "0.999"),
    "schedule": (f"one of {', '.join(SCHEDULES)}", "cosine"),
    "warmup": ("a positive whole number of steps", "500"),
}
"""What each named option of an optimizer takes, and an example."""


def _read_options(call: ast.Call, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in call.options:
        match name.text, value:
            case text, _ if text not in _OPTIONS:
                words = f"`{call.name.text}` has no option `{text}`"
                report.add(unknown("SG117", name, words, _OPTIONS, listed="options"))
            case ("steps" | "warmup") as text, ast.Number(digits) if digits.isdigit() and int(digits) > 0:
                found[text] = int(digits)
            case "clip", ast.Number() if value.value > 0:
                found["clip"] = value.value
            case "average", ast.Number() if 0 < value.value < 1:
                found["average"] = value.value
            case "schedule", ast.Call(word, (), (), None) if word.text in SCHEDULES:
                found["schedule"] = word.text
            case "schedule", ast.Call(word, (), (), None):
                report.add(unknown("SG117", word, f"no schedule `{word.text}`", SCHEDULES, listed="schedules"))
            case text, _:
                takes, example = _OPTIONS[text]
                report.add(error("SG118", value.span, f"`{text}` is {takes}", f"`{text}: {example}`"))
    return found


def trained(model: AnyModel | None) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """A model's groups and the named data sets of its fields, as `read_train` asks for them."""
    if model is None:
        return None, None
    terms = [m for _, m in model.terms] if isinstance(model, Sum) else [model]
    fields = [f for m in terms for v in m.variables if v.data for f in v.data.fields]
    return model.groups, tuple(dict.fromkeys(f.rpartition("/")[0] for f in fields if "/" in f))

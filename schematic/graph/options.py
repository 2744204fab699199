"""The options of an arrow from the syntax tree, and those that say nothing on the arrow on which they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from schematic.core.diagnostics import Diagnostic, Report, error
from schematic.core.source import Span
from schematic.graph.model import Divergence, Factor, Gradient, Kind, Variable
from schematic.graph.words import DIVERGENCES, GRADIENTS, unknown
from schematic.syntax import ast


def read_options(factor: Factor, options: tuple[ast.Option, ...], y: Variable | None, report: Report) -> Factor:
    """The factor with these options and no others; those that are wrong are in the report and left out."""
    plain = Factor(factor.name, factor.parents, factor.target, factor.process)
    kept = {
        k: getattr(plain, k)
        for k in ("perfect", "fixed", "temperature", "weight", "beta", "when", "gradient", "divergence")
    }
    seen: set[str] = set()
    for option in options:
        name = option.name.text
        if name in seen:
            report.add(error("SG113", option.span, f"`{name}` is said twice"))
            continue
        seen.add(name)
        value = _READERS[name](option, y, report)
        if value is not None:
            kept[name] = value
    return replace(factor, **kept)


def _flag(option: ast.Option, y: Variable | None, report: Report) -> bool:
    return True


def _number(option: ast.Option, y: Variable | None, report: Report) -> float | None:
    name = option.name.text
    value = option.args[0].value if isinstance(option.args[0], ast.Number) else -1.0
    if value < 0 or (value == 0 and name == "temperature"):
        words = "positive" if name == "temperature" else "zero or positive"
        report.add(error("SG114", option.args[0].span, f"a {name} is {words}"))
        return None
    return value


def _when(option: ast.Option, y: Variable | None, report: Report) -> int | None:
    name, value = option.args
    assert isinstance(name, ast.Call)
    if y is None or name.name.text != y.name:
        words = f"`{name.name.text}` is not the domain indicator"
        help = f"`when {y.name} = ...`" if y else "declare one: `y : domain(fake, real)`"
        report.add(error("SG107", name.span, words, help))
        return None
    values = y.type.values
    if isinstance(value, ast.Call) and not value.parens and value.name.text in values:
        return values.index(value.name.text)
    text = value.name.text if isinstance(value, ast.Call) else ""
    listing = f"{', '.join(values[:-1])} or {values[-1]}"
    found = unknown("SG107", ast.Name(text, span=value.span), f"`{y.name}` is {listing}", values)
    report.add(found)
    return None


def _gradient(option: ast.Option, y: Variable | None, report: Report) -> Gradient | None:
    call = option.args[0]
    assert isinstance(call, ast.Call)
    name = call.name.text
    if name not in GRADIENTS:
        report.add(unknown("SG116", call.name, f"no gradient estimator `{name}`", GRADIENTS, listed="estimators"))
        return None
    match name, call.args, call.options:
        case "gumbel", (ast.Number() as temperature,), () if temperature.value > 0:
            return Gradient("gumbel", temperature.value, span=option.span)
        case "gumbel", _, _:
            report.add(error("SG114", call.span, "`gumbel` takes its temperature, a positive number", "`gumbel(0.5)`"))
        case _, (), ():
            return Gradient(cast(Any, name), span=option.span)
        case _:
            report.add(error("SG114", call.span, f"`{name}` takes nothing", f"`gradient {name}`"))
    return None


def _divergence(option: ast.Option, y: Variable | None, report: Report) -> Divergence | None:
    call = option.args[0]
    assert isinstance(call, ast.Call)
    name = call.name.text
    if name not in DIVERGENCES:
        report.add(unknown("SG116", call.name, f"no divergence `{name}`", DIVERGENCES, listed="divergences"))
        return None
    match name, call.args, call.options:
        case "wasserstein", (), ((key, ast.Number() as penalty),) if key.text == "penalty" and penalty.value >= 0:
            return Divergence("wasserstein", penalty.value, span=option.span)
        case "wasserstein", (), ():
            return Divergence("wasserstein", 10.0, span=option.span)
        case "wasserstein", _, _:
            report.add(error("SG114", call.span, "`wasserstein` takes its penalty", "`wasserstein(penalty: 10)`"))
        case _, (), ():
            return Divergence(cast(Any, name), span=option.span)
        case _:
            report.add(error("SG114", call.span, f"`{name}` takes nothing", f"`divergence {name}`"))
    return None


_READERS: dict[str, Callable[[ast.Option, Variable | None, Report], Any]] = {
    "perfect": _flag,
    "fixed": _flag,
    "temperature": _number,
    "weight": _number,
    "beta": _number,
    "when": _when,
    "gradient": _gradient,
    "divergence": _divergence,
}


# --- options that say nothing on their arrow -------------------------------------------------------------------


def option_problems(factor: Factor, kind: Kind | None, spans: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """SG115 for the options written at `spans`; `kind` is the target's type, None if it is not known."""
    for option, (words, help) in senseless(factor, kind).items():
        if option in spans:
            yield error("SG115", spans[option], words, help)


def senseless(factor: Factor, kind: Kind | None) -> dict[str, tuple[str, str]]:
    """The options that would say nothing on this arrow: why, and what to do. A move may leave one there, asleep."""
    blue, hollow, dashed = factor.adversarial, factor.implicit, factor.process == "inference"
    draws = dashed and not hollow and not blue
    found: dict[str, tuple[str, str]] = {}
    if blue:
        found["when"] = ("a blue arrow tells the domains apart: it cannot live in one of them", "delete `when`")
    else:
        for option in ("perfect", "divergence", "temperature"):
            words = f"`{option}` belongs to a blue arrow, and `{factor.name}` is `{factor.mark}`"
            found[option] = (words, "delete it, or write `~>`")
    if hollow and dashed:
        words = "a hollow dashed factor has no term of its own to weigh"
        found["weight"] = (words, "`weight` belongs to what scores its target")
    if not draws:
        words = f"`beta` weighs what a dashed factor infers, and `{factor.name}` is `{factor.mark}`"
        found["beta"] = (words, "`weight` scales a factor's own term")
        words = f"`gradient` is for a factor that draws, `-->`, and `{factor.name}` is `{factor.mark}`"
        found["gradient"] = (words, "delete it")
    elif kind in ("real", "unit"):
        words = f"`gradient` is for a discrete variable, and `{factor.target}` is {kind}"
        found["gradient"] = (words, "its draws are reparameterized: delete it")
    return found

"""A factor's right side from the syntax tree: networks and families."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import cast

from schematic.core.diagnostics import Report, error
from schematic.graph.model import FamilyName, How, Net, NetDeclaration, Value
from schematic.graph.words import BUILT_IN, FAMILIES, NETS, redefined, unknown
from schematic.nets.catalogue import argument_problem
from schematic.syntax import ast

_PYTHON = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_SCALED = ("Normal", "Laplace")


def read_how(call: ast.Call, nets: Collection[str], report: Report) -> How | None:
    """`NET` or `FAMILY(NET, ...)`; None, with its errors in the report, if any part is wrong."""
    name = call.name.text
    if name not in FAMILIES:
        net = read_net(call, nets, report)
        return How(net, span=call.span) if net else None
    if call.then is not None:
        words = f"`{name}` is a family; `then` stands between networks"
        report.add(error("SG110", call.name.span, words, f"`{name}(D then mlp(128))`"))
        return None
    mine = Report()
    net = None
    match call.args:
        case ():
            pass
        case (ast.Call() as inner,):
            net = read_net(inner, nets, mine)
        case (ast.Call() as inner, *others):
            net = read_net(inner, nets, mine)
            help = f"`{name}({inner.name.text}, scale: 0.1)`" if name in _SCALED else ""
            mine.add(error("SG110", others[0].span, f"`{name}` takes one network, then named options", help))
        case (first, *_):
            mine.add(error("SG110", first.span, f"`{name}` takes a network here", f"`{name}(mlp(400))`"))
    options = _read_family_options(call, mine)
    report.add(*mine)
    return None if mine.failed else How(net, cast(FamilyName, name), options, span=call.span)


def _read_family_options(call: ast.Call, report: Report) -> tuple[tuple[str, float], ...]:
    name = call.name.text
    known = ("scale",) if name in _SCALED else ()
    found: dict[str, float] = {}
    for option, value in call.options:
        if option.text not in known:
            there_are = "its option is `scale`" if known else "it has none"
            report.add(error("SG110", option.span, f"`{name}` has no option `{option.text}`", there_are))
        elif option.text in found:
            report.add(error("SG113", option.span, f"`{option.text}` is said twice"))
        elif not isinstance(value, ast.Number) or value.value <= 0:
            report.add(error("SG114", value.span, "a scale is a positive number", "`scale: 0.1`"))
        else:
            found[option.text] = value.value
    return tuple(found.items())


# --- networks ------------------------------------------------------------------------------------------------


def read_net(call: ast.Call, nets: Collection[str], report: Report) -> Net | None:
    """A chain of networks; built-in ones have their arguments checked, others must be declared in `nets`."""
    links = [call]
    while links[-1].then is not None:
        links.append(links[-1].then)
    read = [_read_link(link, nets, report) for link in links]
    if any(net is None for net in read):
        return None
    result: Net | None = None
    for net, link in zip(reversed(read), reversed(links), strict=True):
        assert net is not None
        result = replace(net, then=result, span=link.span)
    return result


def _read_link(call: ast.Call, nets: Collection[str], report: Report) -> Net | None:
    name = call.name.text
    if name in nets:
        if call.parens:
            report.add(error("SG110", call.span, f"`{name}` is a declared network and takes nothing", f"`{name}`"))
            return None
        return Net(name, declared=True)
    if name == "python":
        return _read_python(call, report)
    if name not in NETS:
        what = BUILT_IN.get(name)
        words = f"`{name}` is {what}, not a network" if what else f"no network `{name}`"
        report.add(unknown("SG110", call.name, words, (*NETS, *nets), listed="networks"))
        return None
    args = [_read_value(a, report) for a in call.args]
    options = [(o.text, _read_value(v, report)) for o, v in call.options]
    if any(a is None for a in args) or any(v is None for _, v in options):
        return None
    net = Net(name, tuple(cast(list[Value], args)), tuple(cast(list[tuple[str, Value]], options)))
    if words := argument_problem(net.kind, net.args, net.options):
        own = call.span if call.then is None else replace(call.span, end=_end(call))
        report.add(error("SG202", own, words))
        return None
    return net


def _end(call: ast.Call) -> int:
    """Where a call ends that `then` follows: at its closing bracket, else with its name."""
    if not call.parens:
        return call.name.span.end
    last = max((a.span.end for a in (*call.args, *(v for _, v in call.options))), default=call.name.span.end)
    closing = call.span.source.text.find(")", last)
    return closing + 1 if closing >= 0 else call.span.end


def _read_value(argument: ast.Arg, report: Report) -> Value | None:
    match argument:
        case ast.Number(text):
            return int(text) if text.lstrip("-").isdigit() else argument.value
        case ast.Text(text):
            return text
        case ast.Call(name, (), (), None, False):
            return name.text
    report.add(error("SG202", argument.span, "a network takes numbers here", "`mlp(400, 400)`"))
    return None


def _read_python(call: ast.Call, report: Report) -> Net | None:
    match call.args:
        case (ast.Text(text),) if _is_path(text) and not call.options:
            return Net("python", (text,))
    at = call.args[0].span if call.args else call.span
    report.add(error("SG110", at, "`python` takes a module and a name in it", '`python("package.module:Name")`'))
    return None


def _is_path(text: str) -> bool:
    return bool(_PYTHON.fullmatch(text)) and not any(map(keyword.iskeyword, re.split("[.:]", text)))


def call_names(call: ast.Call) -> Iterator[ast.Name]:
    """Every name in a right side: families, networks, words."""
    pending: list[ast.Arg] = [call]
    while pending:
        here = pending.pop()
        if isinstance(here, ast.Call):
            yield here.name
            pending += [*here.args, *([here.then] if here.then else [])]


def read_declaration(decl: ast.NetDecl, nets: Collection[str], report: Report) -> NetDeclaration | None:
    """`net F in GROUPS = NET OPTIONS`; `nets` are those declared above."""
    mine = Report()
    if clash := redefined(decl.name):
        mine.add(clash)
    if decl.net.name.text in FAMILIES:
        words = f"`{decl.net.name.text}` is a family, not a network: a factor gives its family"
        mine.add(error("SG110", decl.net.name.span, words, f"`net {decl.name.text} = mlp(400)`"))
        net = None
    else:
        net = read_net(decl.net, nets, mine)
    seen: set[str] = set()
    for group in decl.groups:
        if group.text in seen:
            mine.add(error("SG113", group.span, f"`{group.text}` is said twice"))
        seen.add(group.text)
    for option in decl.options:
        if option.name.text != "fixed":
            words = f"`{option.name.text}` belongs to a factor; the option of a net is `fixed`"
            mine.add(error("SG115", option.span, words, "say it on the factors that use the net"))
    report.add(*mine)
    if mine.failed or net is None:
        return None
    fixed = any(o.name.text == "fixed" for o in decl.options)
    return NetDeclaration(decl.name.text, net, tuple(g.text for g in decl.groups), fixed, span=decl.name.span)

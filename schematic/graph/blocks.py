"""A block of statements, alone or on top of a model that it restates, as a model with every name looked up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from schematic.core.diagnostics import Diagnostic, Report, error
from schematic.core.source import NOWHERE, Span
from schematic.graph.checks import check_written, whole_problems
from schematic.graph.factors import Names, read_factor, restated
from schematic.graph.hows import call_names, read_declaration
from schematic.graph.model import Factor, Model, Net, NetDeclaration, Variable
from schematic.graph.training import merged, read_train, trained
from schematic.graph.variables import check_given, read_variable
from schematic.graph.words import place, twice, unknown, where
from schematic.syntax import ast


@dataclass(frozen=True)
class Outside:
    """What a block sees of its file: the nets declared above, and names whose declaration failed."""

    nets: Mapping[str, NetDeclaration] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()


NOTHING = Outside()
ANY = "*"  # among the broken names: a file that could not be read, so that any name may be one of its models


def build(
    name: str,
    statements: Sequence[ast.Statement],
    base: Model | None,
    outside: Outside,
    report: Report,
    span: Span = NOWHERE,
    at: Span = NOWHERE,
) -> Model | None:
    """The model of a block; None, with its errors in the report, if any statement is wrong.

    With a `base` a statement replaces, in its place, the one of the same full name; any other is added, and all
    names are looked up after the replacement. `span` is the model's place, `at` the block's.
    """
    mine = Report()
    fresh = _without_repeats(statements, mine)
    broken = set(outside.broken)
    variables = _variables(fresh, base, broken, mine)
    nets = _nets(fresh, base, outside, broken, mine)
    names = Names(name, variables, {**outside.nets, **nets}, broken)
    factors = _factors(fresh, base, names, mine)
    parts = tuple(variables.values()), tuple(factors.values()), tuple(nets.values())
    drawn = Model(name, *parts) if base is None else replace(base, variables=parts[0], factors=parts[1], nets=parts[2])
    model = with_nets(replace(drawn, span=span), outside.nets)
    whole = not mine.failed and not outside.broken
    new = read_train([s for s in fresh if isinstance(s, ast.Train)], *trained(model if whole else None), mine)
    mine.add(*_name_clashes(model), *attribute_clashes(model.factors, model.nets), *_field_clashes(model.variables))
    mine.add(*(_group_problems(model, fresh) if whole else ()))
    check_written(model, {s.name.text for s in fresh if isinstance(s, ast.FactorDecl | ast.FactorHow)}, mine)
    if not mine.failed:
        mine.add(*whole_problems(model, base, at))
    report.add(*mine)
    return None if mine.failed else replace(model, train=merged(base.train, new) if base else new)


def full_name(statement: ast.Statement) -> str:
    """What a statement declares: the name by which a block replaces it; a training block has none."""
    match statement:
        case ast.VariableDecl(name, index):
            instance = index is not None and index.last is None and index.letter is None
            return f"{name.text}[{index.first}]" if instance and index is not None else name.text
        case ast.Train():
            return ""
        case _:
            return statement.name.text


def _without_repeats(statements: Sequence[ast.Statement], report: Report) -> tuple[ast.Statement, ...]:
    """The statements that declare something for the first time in this block; the others are errors."""
    first: dict[tuple[str, str], ast.Name] = {}
    kept: list[ast.Statement] = []
    for statement in statements:
        if isinstance(statement, ast.Train):
            kept.append(statement)
            continue
        kind = {ast.VariableDecl: "variable", ast.NetDecl: "net"}.get(type(statement), "factor")
        key = (kind, full_name(statement))
        if key not in first:
            first[key] = statement.name
            kept.append(statement)
        elif kind == "factor":
            report.add(_factor_twice(statement, first[key]))
        else:
            report.add(twice(ast.Name(key[1], span=statement.name.span), first[key].span))
    return tuple(kept)


def _factor_twice(statement: ast.Statement, first: ast.Name) -> Diagnostic:
    assert isinstance(statement, ast.FactorDecl | ast.FactorHow)
    name = statement.name
    target = statement.target.name.text if isinstance(statement, ast.FactorDecl) else "1"
    words = f"`{name.text}` is {where(first.span, name.span)} already"
    stem = name.text.partition(".")[0]
    return error("SG105", name.span, words, f"`{stem}.{target}` shares its group")


# --- the parts -------------------------------------------------------------------------------------------------


def _variables(
    statements: Sequence[ast.Statement], base: Model | None, broken: set[str], report: Report
) -> dict[str, Variable]:
    found = {v.name: v for v in base.variables} if base else {}
    decls = {full_name(s): s for s in statements if isinstance(s, ast.VariableDecl)}
    for name, decl in decls.items():
        variable = read_variable(decl, report)
        if variable is None:
            broken.add(decl.name.text)
            found.pop(name, None)
        else:
            found[name] = variable
    indicators = [v for v in found.values() if v.type.kind == "domain"]
    for second in indicators[1:]:
        first = indicators[0]
        words = f"a model has one domain indicator, `{first.name}` {where(first.span, second.span)}"
        report.add(error("SG218", second.span, words, f"`{second.name} : category({len(second.type.values)})`"))
    known = indicators[0] if indicators else None
    for name, decl in decls.items():
        if name in found and not (decl.data and decl.data.given and decl.data.given.text in broken):
            check_given(found[name], decl, known, report)
    report.add(*_chain_problems(found, broken))
    return found


def _chain_problems(variables: Mapping[str, Variable], broken: Collection[str]) -> Iterable[Diagnostic]:
    for name, variable in variables.items():
        if "[" not in name or variable.index is None:
            continue
        chain = variables.get(name.partition("[")[0])
        if chain is None and name.partition("[")[0] not in broken:
            yield error(
                "SG216",
                variable.span,
                f"no chain `{name.partition('[')[0]}` has an instance `{name}`",
                "`z[1..1000] : real`",
            )
        elif chain and (chain.index is None or not chain.index[0] <= variable.index[0] <= chain.index[1]):
            yield error("SG216", variable.span, f"`{name}` is not in the chain {where(chain.span, variable.span)}")


def _nets(
    statements: Sequence[ast.Statement], base: Model | None, outside: Outside, broken: set[str], report: Report
) -> dict[str, NetDeclaration]:
    found = {n.name: n for n in base.nets} if base else {}
    decls = [s for s in statements if isinstance(s, ast.NetDecl)]
    # On top of a model all names are looked up after the replacement; in a block of its own, those above.
    later = {d.name.text for d in decls} if base else set()
    for decl in decls:
        clash = outside.nets.get(decl.name.text)
        if clash is not None and base is None:
            report.add(twice(decl.name, clash.span))
        net = read_declaration(decl, {**outside.nets, **found}.keys() | later, report)
        if net is None:
            broken.add(decl.name.text)
            found.pop(decl.name.text, None)
        else:
            found[decl.name.text] = net
    report.add(*_net_cycles(found))
    return found


def _net_cycles(nets: Mapping[str, NetDeclaration]) -> Iterable[Diagnostic]:
    done: set[str] = set()
    for name in nets:
        path: list[str] = []
        stack = [(name, False)]
        while stack:
            here, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
            elif here in path:
                ring = " -> ".join((*path[path.index(here) :], here))
                yield error("SG208", nets[name].span, f"`{name}` is made of itself: {ring}")
                return
            elif here not in done and here in nets:
                path.append(here)
                stack.append((here, True))
                stack += [(n, False) for n in mentioned(nets[here].net)]


def mentioned(net: Net | None) -> tuple[str, ...]:
    """The declared networks that a network names itself."""
    found = []
    while net is not None:
        if net.declared:
            found.append(net.kind)
        net = net.then
    return tuple(found)


def with_nets(model: Model, nets: Mapping[str, NetDeclaration]) -> Model:
    """The model with those of the file's networks that its factors come to name."""
    own = {n.name: n for n in model.nets}
    used = _reachable(model.factors, {**nets, **own})
    added = tuple(n for name, n in nets.items() if name in used and name not in own)
    return replace(model, nets=(*added, *model.nets)) if added else model


def _reachable(factors: Iterable[Factor], nets: Mapping[str, NetDeclaration]) -> set[str]:
    pending = [n for f in factors for n in mentioned(f.how.net if f.how else None)]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found and name in nets:
            found.add(name)
            pending += mentioned(nets[name].net)
    return found


def _factors(
    statements: Sequence[ast.Statement], base: Model | None, names: Names, report: Report
) -> dict[str, Factor]:
    found = {f.name: f for f in base.factors} if base else {}
    below = set() if base else {s.name.text for s in statements if isinstance(s, ast.NetDecl)}
    for statement in statements:
        match statement:
            case ast.NetDecl(name):
                below.discard(name.text)
            case ast.FactorDecl(name):
                _check_above(statement.how, below, report)
                factor = read_factor(statement, names, report)
                if factor is not None:
                    found[name.text] = factor
                else:
                    found.pop(name.text, None)
            case ast.FactorHow(name):
                old = found.get(name.text)
                if old is None and name.text.partition(".")[0] in names.broken:
                    continue
                if old is None:
                    told = unknown("SG301", name, f"{names.model} has no factor `{name.text}`", found, listed="factors")
                    report.add(
                        told
                        if base
                        else error("SG105", name.span, "a factor needs its arrow", f"`{name.text} : x -> z`")
                    )
                    continue
                new = restated(old, statement, names, report)
                if new is not None:
                    found[name.text] = new
            case _:
                pass
    return found


def _check_above(how: ast.Call | None, below: Collection[str], report: Report) -> None:
    """A network that the same block declares further down."""
    for name in call_names(how) if how and below else ():
        if name.text in below:
            report.add(
                error("SG109", name.span, f"`{name.text}` is declared further down", "declare it above its first use")
            )


# --- what only the whole shows -----------------------------------------------------------------------------------


def _group_problems(model: Model, statements: Sequence[ast.Statement]) -> Iterable[Diagnostic]:
    for group in (g for s in statements if isinstance(s, ast.NetDecl) for g in s.groups):
        if group.text not in model.groups:
            words = f"{model.name} has no group `{group.text}`"
            yield unknown("SG117", group, words, model.groups, listed="groups")


def _name_clashes(model: Model) -> Iterable[Diagnostic]:
    """A variable with the name of a factor or a net: a statement replaces what has its name, whatever that is."""
    variables = {v.name: v for v in model.variables}
    others = [(f.name, f.span) for f in model.factors] + [(n.name, n.span) for n in model.nets]
    for name, span in others:
        if name in variables:
            yield twice(ast.Name(name, span=span), variables[name].span)


def attribute_clashes(factors: Iterable[Factor], nets: Iterable[NetDeclaration] = ()) -> Iterable[Diagnostic]:
    """`p_theta.t` and `p_theta_t`: two names that the emitted program could not tell apart."""
    first: dict[str, tuple[str, Span]] = {}
    named = [(f.attribute, f.name, f.span) for f in factors] + [(n.name, n.name, n.span) for n in nets]
    for attribute, name, span in named:
        if attribute in first:
            other, there = first[attribute]
            words = f"`{other}` ({place(there, span)}) and `{name}` would be one name in the program"
            yield error("SG106", span, words, "rename one")
        first.setdefault(attribute, (name, span))


def _field_clashes(variables: Iterable[Variable]) -> Iterable[Diagnostic]:
    first: dict[str, Variable] = {}
    for variable in variables:
        for name in variable.data.fields if variable.data else ():
            other = first.setdefault(name, variable)
            if other.type.event_shape != variable.type.event_shape:
                assert variable.data is not None
                shapes = f"{other.type.event_shape} in `{other.name}`, {variable.type.event_shape} here"
                yield error("SG213", variable.data.span, f'the field "{name}" has one shape: {shapes}')

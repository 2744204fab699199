"""The algebra of models: the paper's moves, each logging what it assumes without drawing it.

A move on a sum is the sum of the moved terms; one that names a thing touches the terms that have it, at least one.
Every move raises SchematicError if it does not apply; `at` are the places that its diagnostics mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from schematic.core.diagnostics import Diagnostic, Report, SchematicError, error
from schematic.core.names import RESERVED
from schematic.core.source import NOWHERE, Source, Span
from schematic.graph.blocks import NOTHING, Outside, attribute_clashes, build, full_name
from schematic.graph.checks import net_words
from schematic.graph.defaults import gave_way, resolve
from schematic.graph.model import AnyModel, Assumption, Factor, How, Model, Optimizer, Sum
from schematic.graph.sums import add_terms
from schematic.graph.training import data_sets, merged, read_train
from schematic.graph.words import BUILT_IN, SETTINGS, unknown_at
from schematic.syntax import ast
from schematic.syntax.parser import parse_statements


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
    model: AnyModel, move: Callable[[Model], Model], touches: Callable[[Model], bool] = lambda m: True
) -> AnyModel:
    """The moved model; of a sum, the sum of its terms, those moved that the move touches."""
    if isinstance(model, Model):
        return move(model)
    if not any(touches(m) for _, m in model.terms):
        return move(_union(model))  # raises: no term has the thing
    terms = tuple((c, move(m) if touches(m) else m) for c, m in model.terms)
    return replace(model, terms=add_terms(terms))


def _union(total: Sum) -> Model:
    """All that the terms of a sum declare, for a diagnostic that lists what there is."""
    variables = {v.name: v for _, m in total.terms for v in m.variables}
    factors = {f.name: f for _, m in total.terms for f in m.factors}
    return Model(total.name or "the sum", tuple(variables.values()), tuple(factors.values()), train=total.train)


def _logged(model: Model, at: At, *lines: tuple[str, str]) -> Model:
    return replace(model, log=(*model.log, *(Assumption(t, s, span=at.move) for t, s in lines)))


def _refuse(*problems: Diagnostic) -> None:
    if problems:
        raise SchematicError(problems)


def _missing(model: Model, kind: str, name: str, span: Span) -> Diagnostic:
    known = [x.name for x in (model.variables if kind == "variable" else model.factors)]
    words = f"{model.name or 'the model'} has no {kind} `{name}`"
    return unknown_at("SG301", span, name, words, known, listed=f"{kind}s")


def _has(model: Model, *names: str) -> bool:
    known = {v.name for v in model.variables} | {f.name for f in model.factors}
    return all(n in known for n in names)


# --- exchanging variables, exchanging processes ------------------------------------------------------------------


def swap(model: AnyModel, a: str, b: str, *, at: At = HERE) -> AnyModel:
    """Exchanges two variables at every arrow end; Figure 3(c): InfoGAN becomes the adversarial autoencoder.

    Types and given distributions stay with the names. A factor takes the name and the HOW of the factor that produced
    its new target; the arrow's marks and options stay on the arrow. An involution, which commutes with `swap_arrows`.
    """
    return on_terms(model, lambda m: _swap(m, a, b, at), lambda m: _has(m, a, b))


def _swap(model: Model, a: str, b: str, at: At) -> Model:
    named = ((a, at.arg(0)), (b, at.arg(1)))
    variables = {v.name: v for v in model.variables}
    _refuse(*(_missing(model, "variable", n, s) for n, s in named if n not in variables))
    for name, span in named:
        if variables[name].type.kind == "domain":
            _refuse(
                error("SG306", span, f"`{name}` is the domain indicator, which labels the branches", "swap two others")
            )
    if a == b:
        _refuse(error("SG306", at.arg(1), f"`{a}` is named twice; `swap` exchanges two variables"))
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
    return _logged(swapped, at, *_gave_way_lines(model, swapped))


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
    return on_terms(model, lambda m: _swap_arrows(m, at))


def _swap_arrows(model: Model, at: At) -> Model:
    compared = set(model.compared)
    swapped = replace(model, factors=tuple(_turned(f, compared) for f in model.factors))
    return _logged(swapped, at, *_arrow_lines(model, swapped))


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
            yield (
                f"`{new.name}` is trained to tell generated from given, not on the other groups' objective: "
                "the groups do not play one objective",
                "Eq. 50 for Eq. 49",
            )


def _gave_way_lines(before: Model, after: Model) -> Iterable[tuple[str, str]]:
    old = gave_way(before)
    for name, (written, used) in gave_way(after).items():
        if name not in old:
            yield f"`{name}`: {net_words(written)} does not fit the new ends; {net_words(used)} is used", ""


# --- the discriminator -----------------------------------------------------------------------------------------


def perfect(model: AnyModel, name: str, *, at: At = HERE) -> AnyModel:
    """Makes a discriminator the perfect one, q_*, of Lemma 2; it keeps its name and HOW."""
    return on_terms(model, lambda m: _perfect(m, name, at), lambda m: _has(m, name))


def _perfect(model: Model, name: str, at: At) -> Model:
    factor = next((f for f in model.factors if f.name == name), None)
    if factor is None:
        raise SchematicError((_missing(model, "factor", name, at.arg(0)),))
    if not factor.adversarial:
        blue = ", ".join(f"`{f.name}`" for f in model.factors if f.adversarial)
        words = f"`{name}` is no discriminator: its arrow is `{factor.mark}`, not blue"
        _refuse(error("SG306", at.arg(0), words, f"blue: {blue}" if blue else ""))
    if factor.perfect:
        return model
    return _logged(
        _replaced(model, name, replace(factor, perfect=True)),
        at,
        (
            f"`{name}` is perfect: it reads the origin of a sample, and tells given from generated without error",
            "Lemma 2",
        ),
        ("the constant E log p_data on generated samples, formally minus infinity, is dropped first", "Eq. 19"),
    )


def activate(model: AnyModel, name: str, how: How | None = None, *, at: At = HERE) -> AnyModel:
    """Undoes `perfect`, Eq. 23: `q_star` names the one perfect factor; without HOW the one that was kept comes back."""
    return on_terms(model, lambda m: _activate(m, name, how, at), lambda m: _perfect_one(m, name) is not None)


def _perfect_one(model: Model, name: str) -> Factor | None:
    found = [f for f in model.factors if f.perfect and (f.name == name or name == "q_star")]
    return found[0] if len(found) == 1 else None


def _activate(model: Model, name: str, how: How | None, at: At) -> Model:
    factor = _perfect_one(model, name)
    if factor is None:
        if name != "q_star" and not _has(model, name):
            _refuse(_missing(model, "factor", name, at.arg(0)))
        perfects = [f.name for f in model.factors if f.perfect]
        several = f"several factors are perfect in {model.name}: {', '.join(perfects)}"
        words = several if name == "q_star" and perfects else f"`{name}` is not perfect in {model.name or 'this model'}"
        raise SchematicError((error("SG305", at.model if at.model is not NOWHERE else at.move, words),))
    new = replace(factor, perfect=False, how=factor.how if how is None else how)
    line = (
        f"`{new.name}` is trained to tell generated from given, not on the other groups' objective: "
        "the groups do not play one objective"
    )
    lines = ((line, "Eq. 50 for Eq. 49"),) if factor.process == "inference" else ()
    return _logged(_replaced(model, factor.name, new), at, *lines)


def _replaced(model: Model, name: str, factor: Factor) -> Model:
    return replace(model, factors=tuple(factor if f.name == name else f for f in model.factors))


# --- names and parts -------------------------------------------------------------------------------------------


def without(model: AnyModel, name: str, *, at: At = HERE) -> AnyModel:
    """Removes a factor, or a variable that no factor mentions."""
    return on_terms(model, lambda m: _without(m, name, at), lambda m: _has(m, name))


def _without(model: Model, name: str, at: At) -> Model:
    if any(f.name == name for f in model.factors):
        return replace(model, factors=tuple(f for f in model.factors if f.name != name))
    variable = next((v for v in model.variables if v.name == name), None)
    if variable is None:
        known = [*(f.name for f in model.factors), *(v.name for v in model.variables)]
        words = f"{model.name or 'the model'} has no factor or variable `{name}`"
        raise SchematicError((unknown_at("SG301", at.arg(0), name, words, known, listed="there are"),))
    users = [f.name for f in model.factors if name in _mentions(f, model)]
    users += [v.name for v in model.variables if v.data and v.data.given == name]
    if users:
        words = f"`{name}` is used by {', '.join(f'`{u}`' for u in users)}"
        _refuse(error("SG307", at.arg(0), words, f"`without {users[0]}` first"))
    return replace(model, variables=tuple(v for v in model.variables if v.name != name))


def _mentions(factor: Factor, model: Model) -> set[str]:
    y = model.indicator
    used = {n.partition("[")[0] for n in (*factor.parents, factor.target)} | {*factor.parents, factor.target}
    return used | ({y.name} if y is not None and factor.when is not None else set())


def rename(model: AnyModel, a: str, b: str, *, at: At = HERE) -> AnyModel:
    """Renames a variable, a factor or a group; the new name must be new."""

    def touches(m: Model) -> bool:
        return _has(m, a) or a in m.groups

    renamed = on_terms(model, lambda m: _rename(m, a, b, at), touches)
    if isinstance(renamed, Sum) and any(a == g for g, _ in renamed.train.optimizers):
        renamed = replace(
            renamed, train=replace(renamed.train, optimizers=_moved_settings(renamed.train.optimizers, a, b))
        )
    return renamed


def _rename(model: Model, a: str, b: str, at: At) -> Model:
    variables = {v.name for v in model.variables}
    if a in variables:
        _refuse(*_new_name_problems(b, variables, at))
        return _rename_variable(model, a, b)
    if any(f.name == a for f in model.factors):
        return _rename_factor(model, a, b, at)
    if a in model.groups:
        return _rename_group(model, a, b, at)
    known = [*variables, *(f.name for f in model.factors), *model.groups]
    words = f"{model.name or 'the model'} has no variable, factor or group `{a}`"
    raise SchematicError((unknown_at("SG301", at.arg(0), a, words, known, listed="there are"),))


def _new_name_problems(name: str, taken: Iterable[str], at: At) -> Iterable[Diagnostic]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "__" in name or name in RESERVED or name in BUILT_IN:
        yield error(
            "SG306", at.arg(1), f"`{name}` cannot be a name here", "letters, digits and `_`, no word of the language"
        )
    elif name in taken:
        yield error("SG306", at.arg(1), f"`{name}` is in the model already; the new name must be new")


def _rename_variable(model: Model, a: str, b: str) -> Model:
    def new(name: str) -> str:
        stem, bracket, index = name.partition("[")
        return (b if stem == a else stem) + bracket + index

    variables = tuple(
        replace(
            v,
            name=new(v.name),
            data=replace(v.data, given=new(v.data.given)) if v.data is not None and v.data.given else v.data,
        )
        for v in model.variables
    )
    factors = tuple(replace(f, parents=tuple(map(new, f.parents)), target=new(f.target)) for f in model.factors)
    return replace(model, variables=variables, factors=factors)


def _rename_factor(model: Model, a: str, b: str, at: At) -> Model:
    named = re.fullmatch(r"[pq]_([A-Za-z]\w*)(\.\w+)?", b, re.ASCII)
    if named is None or named[1] in SETTINGS or "__" in b:
        _refuse(
            error(
                "SG306", at.arg(1), f"`{b}` is not the name of a factor", "p_GROUP or q_GROUP, with a suffix or without"
            )
        )
    if any(f.name == b for f in model.factors):
        _refuse(error("SG306", at.arg(1), f"`{b}` is in the model already; the new name must be new"))
    renamed = _replaced(model, a, replace(model.factor(a), name=b))
    _refuse(*(replace(d, span=at.arg(1)) for d in attribute_clashes(renamed.factors, renamed.nets)))
    old, new = model.factor(a).group, renamed.factor(b).group
    gone, added = old not in renamed.groups, new not in model.groups
    return _regrouped(renamed, old, new) if old != new and gone and added else renamed


def _rename_group(model: Model, a: str, b: str, at: At) -> Model:
    taken = (*model.groups, *SETTINGS)
    _refuse(*_new_name_problems(b, taken, at))
    factors = tuple(
        replace(f, name=f"{f.letter}_{b}{f.name[2 + len(a) :]}") if f.group == a else f for f in model.factors
    )
    renamed = replace(model, factors=factors)
    _refuse(*(replace(d, span=at.arg(1)) for d in attribute_clashes(renamed.factors, renamed.nets)))
    return _regrouped(renamed, a, b)


def _regrouped(model: Model, a: str, b: str) -> Model:
    """The nets and training settings of group a as those of group b."""
    nets = tuple(replace(n, groups=tuple(b if g == a else g for g in n.groups)) for n in model.nets)
    optimizers = _moved_settings(model.train.optimizers, a, b)
    return replace(model, nets=nets, train=replace(model.train, optimizers=optimizers))


def _moved_settings(settings: tuple[tuple[str, Optimizer], ...], a: str, b: str) -> tuple[tuple[str, Optimizer], ...]:
    return tuple((b if g == a else g, value) for g, value in settings)


# --- other readings --------------------------------------------------------------------------------------------


def importance(model: AnyModel, k: int | None = None, *, at: At = HERE) -> AnyModel:
    """Importance weighting with k draws, the batch if None; Eqs. 22 and 44, Burda et al. for the VAE."""
    if k is not None and k < 1:
        _refuse(error("SG306", at.arg(0), "the number of draws is a positive whole number", "`importance(M, 16)`"))
    return on_terms(model, lambda m: _importance(m, k or 0, at))


def _importance(model: Model, k: int, at: At) -> Model:
    lines = [("the importance weights use the ratio of the optimal discriminator, b^r / b", "Eq. 44")]
    lines.append(("the second term is dropped: at k=1 it is the gradient of the JSD, at k>1 it is not", "Eq. 45"))
    if k == 0:
        lines.append(("the k samples are the batch: labels differ within an importance group", "Eq. 22"))
    lines.append(("its value is a surrogate: its gradient is the estimate", "Eq. 47"))
    weighs = any(f.adversarial and f.process == "generative" for f in model.factors)
    return _logged(replace(model, importance=k), at, *(lines if weighs else ()))


def wake_sleep(model: AnyModel, *, at: At = HERE) -> AnyModel:
    """The wake and sleep phases, Eq. 20: each side is fitted to samples of the other."""
    line = ("each side is fitted to samples of the other, which pass no gradient; there are no KLs", "Eq. 20")
    blue = ("blue factors are left out", "Eq. 20")
    return on_terms(
        model,
        lambda m: _logged(
            replace(m, wake_sleep=True), at, line, *((blue,) if any(f.adversarial for f in m.factors) else ())
        ),
    )


# --- sums ------------------------------------------------------------------------------------------------------


def add(left: AnyModel, right: AnyModel, *, at: At = HERE) -> Sum:
    """`M + N`: objectives add; factors that are one conditional share parameters and a name."""
    terms = (*_terms(left), *_terms(right))
    train = merged(right.train, left.train)  # the first that sets a thing wins
    return Sum(left.name, add_terms(terms, at.arg(0)), train, span=at.move)


def scale(c: float, model: AnyModel, *, at: At = HERE) -> Sum:
    """`c * M`, c positive."""
    if not c > 0:
        _refuse(error("SG308", at.arg(0), "a model is multiplied by a positive number", "`0.1 * M`"))
    terms = tuple((c * weight, m) for weight, m in _terms(model))
    return Sum(model.name, terms, model.train, span=at.move)


def _terms(model: AnyModel) -> tuple[tuple[float, Model], ...]:
    return model.terms if isinstance(model, Sum) else ((1.0, model),)


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
    new = build(model.name, statements, model, outside, report, model.span)
    return _logged(new, at, *_gave_way_lines(model, new)) if new else None


def _restated_sum(
    model: Sum, statements: Sequence[ast.Statement], outside: Outside, report: Report, at: At
) -> AnyModel | None:
    """A statement restates in the terms that have what it names; `train` is the sum's."""
    terms = []
    left = {i for i, s in enumerate(statements) if not isinstance(s, ast.Train)}
    for weight, term in model.terms:
        known = {n.name for n in (*term.variables, *term.factors, *term.nets)}
        mine = [i for i, s in enumerate(statements) if full_name(s) in known]
        left -= set(mine)
        new = _restated(term, [statements[i] for i in mine], outside, report, at) if mine else term
        terms.append((weight, new))
    for i in sorted(left):
        statement = statements[i]
        assert not isinstance(statement, ast.Train)
        name = statement.name
        known = {n.name for _, m in model.terms for n in (*m.variables, *m.factors, *m.nets)}
        report.add(
            unknown_at(
                "SG301", name.span, name.text, f"no term of the sum has `{name.text}`", known, listed="there are"
            )
        )
    built = tuple((weight, term) for weight, term in terms if term is not None)
    fields = [f for _, m in built for v in m.variables if v.data for f in v.data.fields]
    trains = [s for s in statements if isinstance(s, ast.Train)]
    train = merged(model.train, read_train(trains, model.groups, data_sets(fields), report))
    return None if report.failed else replace(model, terms=add_terms(built, at.move), train=train)

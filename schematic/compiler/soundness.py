"""What a graph asks for and mathematics cannot give: every semantic diagnostic of the readings, naming the arrow."""

from __future__ import annotations

from collections.abc import Iterable

from schematic.calculus.structure import Context, after, reaching
from schematic.calculus.terms import Density, Log, Objective, Summand
from schematic.compiler.branches import Branch, Given, Graph, Source, Unsourced, sources
from schematic.core.diagnostics import Diagnostic, Report, error, warning
from schematic.graph.defaults import resolve
from schematic.graph.model import Factor

# --- before any term: what the blue arrows say ----------------------------------------------------------------


def check_reading(g: Graph, report: Report) -> None:
    """Diagnostics of the adversary: which side it is on, and what that side cannot have."""
    sides = {f.process for f in g.blue}
    for f in g.blue:
        if f.perfect and f.process == "generative":
            report.add(
                error(
                    "SG404", f.arrow,
                    f"a perfect discriminator on the solid side leaves {_others(g, f)} nothing to learn",
                    "drop `perfect`, or swap the arrows first: `perfect(swap_arrows(M), ...)`",
                )
            )  # fmt: skip
    if len(sides) > 1:
        f = g.blue[1]
        report.add(
            error(
                "SG405", f.arrow, f"`{g.blue[0].name}` is solid and `{f.name}` dashed, or the reverse: the adversaries "
                "of one indicator stand on one side", "draw both `~>` or both `~~>`",
            )
        )  # fmt: skip
    elif sides == {"inference"}:
        _check_inference_side(g, report)


def _others(g: Graph, blue: Factor) -> str:
    groups = [x for x in g.model.groups if x != blue.group]
    return ", ".join(groups) or "the other groups"


def _check_inference_side(g: Graph, report: Report) -> None:
    for f in g.blue[1:]:
        report.add(
            error(
                "SG407", f.arrow,
                f"on the inference side one adversary weighs the samples, and `{g.blue[0].name}` does",
                f"one factor with all the sources: `{g.blue[0].name} : "
                f"{', '.join(dict.fromkeys((*g.blue[0].parents, *f.parents)))} ~~> {f.target}`",
            )
        )  # fmt: skip
    for f in g.blue:
        if f.weight != 1.0:
            report.add(
                error(
                    "SG407", f.span, "`weight` scales the adversary's log, and on the inference side it has none: "
                    "it weighs", "`temperature` smooths how it weighs",
                )
            )  # fmt: skip
    for f in g.model.factors:
        if f.process == "inference" and not f.adversarial and f.target in g.compared:
            report.add(
                error(
                    "SG411", f.target_span,
                    f"`{f.target}` is compared by a dashed blue arrow, so it is generated: `{f.name}` cannot infer it",
                    "a solid arrow into it, or a solid blue one",
                )
            )  # fmt: skip


def check_own_draws(g: Graph, phi: str, report: Report) -> None:
    for f in g.model.factors:
        if f.group == phi and f.process == "inference" and not f.adversarial and not f.implicit:
            report.add(
                error(
                    "SG410", f.span,
                    f"`{f.name}` draws what the discriminator of its own group `{phi}` is trained on, and only a "
                    "hollow factor may pass gradient there",
                    f"another group for it, or a hollow arrow (`{f.name} : ... ==> {f.target}`)",
                )
            )  # fmt: skip


# --- while a branch is read -----------------------------------------------------------------------------------


def check_bracket(g: Graph, branch: Branch, source: dict[str, Source], report: Report) -> None:
    """What can be drawn but not scored: each arrow of the branch that asks for a density there is none of."""
    where = domain_name(g, branch)
    for f in g.model.factors:
        if f.adversarial or not g.free(f, branch):
            continue
        if f.process == "generative" and f.implicit and source.get(f.target) != f:
            report.add(hollow_scored(f))
        inferring = g.inferring(f.target, branch)
        if f.process == "inference" and f in inferring[1:]:
            first = inferring[0]
            report.add(
                error(
                    "SG210", f.target_span,
                    f"`{f.target}` is drawn twice{where}: by `{first.name}` (line {first.span.line}) and here",
                    _one_factor(first, f),
                )
            )  # fmt: skip
        if not f.implicit:
            _check_scored(g, f, branch, source, report)


def _one_factor(first: Factor, second: Factor) -> str:
    parents = ", ".join(dict.fromkeys((*first.parents, *second.parents)))
    return f"one factor, `{first.name} : {parents} {first.mark} {first.target}`, or `when` on each"


def hollow_scored(f: Factor) -> Diagnostic:
    message = f"`{f.target}` is scored by `{f.name}`, but its arrow is hollow: an implicit distribution has no density"
    parents = ", ".join(f.parents)
    return error(
        "SG204", f.arrow, message,
        f"write `->`, a density: `{f.name} : {parents} -> {f.target}`,\nor let a blue arrow compare {f.target} "
        f"instead: `{f.name} : {parents} ==> {f.target}`",
    )  # fmt: skip


def _check_scored(g: Graph, f: Factor, branch: Branch, source: dict[str, Source], report: Report) -> None:
    variable = g.variables[f.target]
    family = resolve(g.model, f).family
    inferred = f.process == "inference" and source.get(f.target) == f and f.target not in g.compared
    scored = any(not h.implicit for h in g.generating(f.target, branch))
    if inferred and variable.data is not None and variable.prior is None and not scored:
        report.add(
            error(
                "SG401", f.arrow,
                f"KL of `{f.name}` against the data: `{f.target}` has a data distribution, which cannot be scored",
                f"`==>`, and a blue arrow from {f.target}",
            )
        )  # fmt: skip
    priced = f.process == "generative" or (inferred and (variable.prior is not None or scored))
    if family == "Delta" and priced:
        report.add(
            error(
                "SG409", f.arrow,
                f"`{f.name}` is a Delta, which has no density, and its log is part of an objective",
                "another family (Normal), or a hollow arrow and a blue one",
            )
        )  # fmt: skip
    bounded = variable.prior is not None and variable.prior.family == "Uniform"
    if inferred and bounded and family in ("Normal", "Laplace"):
        report.add(
            error(
                "SG408", f.arrow,
                f"`{f.name}` draws `{f.target}` from a {family}, which leaves the range of its prior: "
                "the KL is infinite",
                f"`{f.target} : ... ~ Normal(0, 1)`, or a hollow arrow and a blue one",
            )
        )  # fmt: skip


def unsourced(g: Graph, branch: Branch, problem: Unsourced, report: Report) -> None:
    """The diagnostic of a variable that a branch needs and cannot draw."""
    where = domain_name(g, branch)
    name = problem.variable
    if problem.cycle:
        other = problem.cycle[1] if len(problem.cycle) > 1 else name
        closing = [f for f in g.model.factors if f.target in problem.cycle and f.process == "inference"]
        last = closing[-1] if closing else g.model.factors[0]
        cure = "`when y = real` on one of them" if g.y else "turn one of the arrows round"
        if g.y:
            cure = f"`when {g.y} = {g.variables[g.y].type.values[-1]}` on one of them"
        report.add(error("SG403", last.target_span, f"{name} needs {other} and {other} needs {name}{where}", cure))
        return
    scoring = [f for f in g.generating(name, branch) if not f.implicit]
    if scoring:
        f = scoring[0]
        report.add(
            error(
                "SG402", f.target_span,
                f"group {f.group} has no objective: `{name}` is neither data nor drawn by a dashed arrow{where}",
                f"give `{name}` a distribution (`= data`, `~ Normal(0, 1)`), or draw it by a dashed arrow",
            )
        )  # fmt: skip
        return
    user = next((f for f in g.model.factors if name in f.parents), None)
    span = user.span if user else g.variables[name].span
    report.add(
        error(
            "SG406", span,
            f"`{name}` is needed{where}, and nothing gives it a value: it has no distribution of its own and no arrow "
            "into it draws it there",
            f"`= data` or a prior for `{name}`, a dashed arrow into it, or `when` on the factor that needs it",
        )
    )  # fmt: skip


def generated_twice(g: Graph, name: str, origin: int, report: Report) -> None:
    """Reading 3 samples the generative side, where two factors into one variable are no distribution."""
    generating = g.generating(name, origin)
    for f in generating[1:]:
        report.add(
            error(
                "SG412", f.target_span,
                f"to generate `{name}`{domain_name(g, origin)} one factor is needed, and there are two: "
                f"`{generating[0].name}` and `{f.name}`",
                f"one factor with all the parents: `{f.name} : "
                f"{', '.join(dict.fromkeys((*generating[0].parents, *f.parents)))} -> {name}`",
            )
        )  # fmt: skip


# --- after the derivation ---------------------------------------------------------------------------------------


def check_objectives(g: Graph, found: tuple[Objective, ...], report: Report) -> None:
    """A group that no summand reaches has no objective."""
    fixed = frozenset(f.name for f in g.model.factors if not g.trains(f))
    for o in found:
        context = Context(g.y, frozenset(o.groups), fixed)
        hit = {m for s in o.summands for m in reaching(s.atom, after((*s.outer, *s.draws), {}, context), context)}
        for group in (x for x in o.groups if x not in hit):
            first = next(f for f in g.model.factors if f.group == group and g.trains(f))
            report.add(
                error(
                    "SG402", first.span,
                    f"group {group} has no objective: nothing that `{first.name}` draws or scores is compared, "
                    "scored or regularized in any domain where it is free",
                    f"`fixed` says that it trains nothing; else draw an arrow from, or into, `{first.target}`",
                )
            )  # fmt: skip


def check_warnings(g: Graph, found: tuple[Objective, ...], report: Report) -> None:
    model = g.model
    if not any(f.process == "inference" for f in model.factors):
        report.add(warning("SG902", model.span, "no dashed arrow: nothing is inferred", _meant_dashed(g)))
    for f in _independent(g, (s for o in found for s in o.summands)):
        report.add(
            warning(
                "SG909", f.span,
                f"`{f.name}` scores variables that were drawn independently of each other in some domain",
                f"add `{g.y}` to its parents, or `when {g.y} = ...`" if g.y else "draw one of them from the other",
            )
        )  # fmt: skip
    if g.blue and g.blue[0].process == "inference":
        _warn_inference_side(g, found, report)
    for f in g.blue:
        if f.target == g.y and f.process == "generative" and _drawn_alike(g, f):
            report.add(
                warning(
                    "SG907", f.span, f"`{f.name}` compares what is drawn alike in every domain: nothing to tell apart",
                    f"add `{g.y}` to the parents of the factor that draws {', '.join(g.parents(f))}",
                )
            )  # fmt: skip


def _meant_dashed(g: Graph) -> str:
    for f in g.model.factors:
        if f.process == "generative" and not f.adversarial:
            dashed = f.mark.replace("->", "-->").replace("=>", "==>")
            ends = " ".join(filter(None, (", ".join(f.parents), f.mark, f.target)))
            return f"is `{f.name} : {ends}` meant to be `{dashed}`?"
    return ""


def _independent(g: Graph, found: Iterable[Summand]) -> tuple[Factor, ...]:
    """Factors that score a variable and parents that share no common root in the sample."""
    hit: dict[Factor, None] = {}
    for s in found:
        if not isinstance(s.atom, Log) or s.atom.density.kind != "explicit":
            continue
        d = s.atom.density
        given = [p for p in d.given if p != g.y]
        roots = _roots((*s.outer, *s.draws))
        mine = roots.get(d.target, frozenset())
        if given and all(not (mine & roots.get(p, frozenset())) for p in given):
            hit[g.factor(str(d.factor))] = None
    return tuple(hit)


def _roots(drawn: tuple[Density, ...]) -> dict[str, frozenset[tuple[str, ...]]]:
    """From which records and priors each variable of a sample descends; every random draw is a root of its own too."""
    found: dict[str, frozenset[tuple[str, ...]]] = {}
    for d in drawn:
        above = frozenset(r for p in d.given for r in found.get(p, frozenset()))
        own = frozenset() if d.kind == "implicit" else frozenset({d.targets})
        for t in d.targets:
            found[t] = above | own
    return found


def _warn_inference_side(g: Graph, found: tuple[Objective, ...], report: Report) -> None:
    for f in g.model.factors:
        touches = f.target in g.compared or any(p in g.compared for p in f.parents)
        if not f.adversarial and touches and g.y not in f.parents and f.when is None:
            report.add(
                warning(
                    "SG906", f.span,
                    f"`{f.name}` does not depend on {g.y}, so the adversary on the inference side cannot choose "
                    "where it is trained",
                    f"`{f.name} : {', '.join((*f.parents, g.y or ''))} {f.mark} {f.target}`",
                )
            )  # fmt: skip
    for o in found:
        for s in o.summands:
            if _says_nothing(s):
                f = g.factor(s.scored.factor)
                report.add(
                    warning(
                        "SG908", f.span,
                        f"`{f.name}` is trained on its own samples with equal weights: at the optimum and anywhere "
                        "else the expected gradient is zero",
                        "data for its target, or a discriminator that is trained",
                    )
                )  # fmt: skip


def _says_nothing(s: Summand) -> bool:
    """log f of a sample that f itself drew from the same parents, unweighted: the mean score is zero."""
    match s.atom:
        case Log(d) if not s.masses:
            inner = {t for e in s.draws for t in e.targets}
            own = any(e.factor == d.factor and e.kind == "explicit" for e in s.outer)
            return own and not inner & {d.target, *d.given}
        case _:
            return False


def _drawn_alike(g: Graph, blue: Factor) -> bool:
    """The ancestors of the blue factor's sources have the same sources in every domain, `given y` fields aside."""
    by_branch = [_ancestors(g, sources(g, b), g.parents(blue)) for b in g.branches]
    same = all(a == by_branch[0] for a in by_branch)
    by_domain = any(
        isinstance(x, Given) and x.variable.data is not None and x.variable.data.given for _, x in by_branch[0]
    )
    reads_y = any(isinstance(x, Factor) and g.y in x.parents for _, x in by_branch[0])
    return same and not by_domain and not reads_y


def _ancestors(g: Graph, source: dict[str, Source], names: tuple[str, ...]) -> tuple[tuple[str, Source], ...]:
    found: dict[str, Source] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = source[name]
            drawer = source[name]
            if isinstance(drawer, Factor):
                pending += g.parents(drawer)
    return tuple(sorted(found.items()))


def domain_name(g: Graph, branch: Branch) -> str:
    """` in domain fake`, or nothing where there is no indicator."""
    if g.y is None or branch is None:
        return ""
    return f" in domain {g.variables[g.y].type.values[branch]}"

"""Wrong rules, wrong plans and wrong programs, made from the right ones, and the checks that have to notice each.

A mutant is counted only where it changes something: a rule's outcome, or the program's text. One that nothing notices
survives, and so does one that nothing reaches.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from schematic.calculus import rules
from schematic.calculus.rules import RULES, Rewrite, Rule
from schematic.calculus.structure import Context, tidy
from schematic.calculus.terms import ZERO, Add, Density, Derivation, Expect, Log, Mass, Scale, Term, children, rebuild
from schematic.compiler import objectives as reading
from schematic.compiler.emit import Header, emit
from schematic.compiler.emit_text import local
from schematic.compiler.estimators import PATHWISE
from schematic.compiler.plan import plan
from schematic.compiler.program import Call, Drawn, Plan, Update
from schematic.compiler.program import Term as Planned
from schematic.core.diagnostics import Report
from schematic.graph.algebra import importance, perfect, swap, swap_arrows
from schematic.graph.build import load
from schematic.graph.model import Divergence, Model
from schematic.nets.source import needed
from schematic.proof import programs
from schematic.proof.claims import (
    Case,
    second_reading_agrees,
    steps_keep_their_value,
    unreached_terms_pass_no_gradient,
)
from schematic.proof.points import points
from schematic.proof.verify import program_case

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTICED = 1e-9


@dataclass(frozen=True)
class Mutant:
    """`noticed`: whether a check notices it; None where it changes nothing of what the checks look at."""

    name: str
    noticed: Callable[[], bool | None]


# --- what mutants are tried on ------------------------------------------------------------------------------------


def example(name: str) -> Model:
    report = Report()
    model = load(EXAMPLES / f"{name}.sg", report)
    assert isinstance(model, Model) and not report.failed
    return model


RULES_ALONE, PROGRAM_ALONE = "one weighed draw", "two weighed draws"


@cache
def corpus() -> dict[str, Model]:
    """Every reading, every kind of draw: the smallest models that have them."""
    infogan = example("infogan")
    active = swap_arrows(infogan)
    hot = tuple(replace(f, temperature=1.5) if f.adversarial else f for f in active.factors)
    vae = example("vae_direct")
    weighed = tuple(replace(f, weight=0.5, beta=4.0 if f.process == "inference" else 1.0) for f in vae.factors)
    return {
        "infogan": infogan,
        "aae": swap(infogan, "x", "z"),
        "aavae": replace(active, factors=hot),
        "vae": perfect(active, "q_phi"),
        "weighed vae": replace(vae, factors=weighed),
        "bigan": example("bigan"),
        "ada": example("ada"),
        "cgan": example("cgan"),
        "two levels": example("two_level_vae"),
        "discrete": example("discrete_vae"),
        "aavae of numbers": active,
        RULES_ALONE: importance(infogan, 1),  # its weights are 1: nothing of its program could be noticed
        PROGRAM_ALONE: importance(infogan, 2),  # a surrogate: its value has no meaning before it is a program
        "bound of two draws": importance(example("vae_direct"), 2),
        "asleep": example("helmholtz"),
        "hinge": _diverging(infogan, "hinge"),
        "least squares": _diverging(infogan, "least_squares"),
        "bits": example("binary_vae"),
    }


def _diverging(model: Model, name: Any) -> Model:
    factors = (replace(f, divergence=Divergence(name)) if f.adversarial else f for f in model.factors)
    return replace(model, factors=tuple(factors))


KINDS = ("aavae of numbers", "bits")  # the models whose variables stay in [0, 1], or bits


@cache
def case(name: str) -> Case:
    """Two values a variable, three for x; one random model each."""
    model = corpus()[name]
    sizes = {v.name: len(v.type.values) or (3 if v.name == "x" else 2) for v in model.variables}
    held = program_case(model, sizes, np.random.default_rng(1), name in KINDS)
    return replace(held, objectives=reading.objectives(held.model, Report()))


# --- rules ----------------------------------------------------------------------------------------------------------


def rule_mutants() -> Iterator[Mutant]:
    for rule in RULES:
        for name, turn in TURNS.items():
            yield Mutant(f"rule {rule.name}: {name}", lambda rule=rule, turn=turn: _rule_noticed(rule, turn))


Turn = Callable[[Rewrite], Rewrite]


def _flipped(term: Term) -> Term:
    """The first density that stands at a value of a domain stands at the other one."""
    done = False

    def flip(d: Density) -> Density:
        nonlocal done
        if done or not d.values:
            return d
        done = True
        (name, value), *rest = d.values
        return replace(d, values=((name, 1 - value), *rest))

    def visit(t: Term) -> Term:
        match t:
            case Log(d):
                return Log(flip(d))
            case Mass(d, body):
                return Mass(flip(d), visit(body))
            case Expect(draws, body):
                return replace(t, draws=tuple(map(flip, draws)), body=visit(body))
            case _:
                return rebuild(t, tuple(map(visit, children(t))))

    return visit(term)


def _less(term: Term) -> Term:
    """Without the first summand of its first sum; nothing, where there is no sum."""
    match term:
        case Add((_, *rest)) if rest:
            return Add(tuple(rest))
        case _ if children(term):
            first, *others = children(term)
            return rebuild(term, (_less(first), *others))
        case _:
            return ZERO


TURNS: dict[str, Turn] = {
    "sign": lambda r: replace(r, term=Scale(Fraction(-1), r.term)),
    "factor 2": lambda r: replace(r, term=Scale(Fraction(2), r.term)),
    "a summand dropped": lambda r: replace(r, term=_less(r.term)),
    "y flipped": lambda r: replace(r, term=_flipped(r.term)),
    "dropped, and not told": lambda r: replace(r, dropped=()),
    "told twice": lambda r: replace(r, dropped=(*r.dropped, *r.dropped)),
}


def _rule_noticed(rule: Rule, turn: Turn) -> bool | None:
    """The row is wrong the first time that it matters in a derivation."""
    reached = False
    for name in (n for n in corpus() if n != PROGRAM_ALONE):
        wrong, turned = _derived_wrongly(name, rule, turn)
        reached |= turned
        if turned and (wrong is None or any(_fails(claim, wrong) for claim in MATHEMATICS)):
            return True
    return False if reached else None


MATHEMATICS = (steps_keep_their_value, unreached_terms_pass_no_gradient, second_reading_agrees)


def _derived_wrongly(name: str, rule: Rule, turn: Turn) -> tuple[Case | None, bool]:
    """A case with the objectives that the wrong rule gives, None where it breaks; and whether it was wrong at all."""
    turned = False

    def derive(start: Term, context: Context) -> Derivation:
        spent = False

        def apply(term: Term, context: Context) -> Rewrite | None:
            nonlocal turned, spent
            found = rule.apply(term, context)
            if found is None or spent:
                return found
            other = turn(found)
            spent = tidy(other.term) != tidy(found.term) or other.dropped != found.dropped
            turned |= spent
            return other

        return rules.derive(start, context, tuple(replace(r, apply=apply) if r is rule else r for r in RULES))

    right = case(name)
    with patch.object(reading, "derive", derive):
        try:
            found = reading.objectives(right.model, Report())
        except Exception:
            return None, turned
    return replace(right, objectives=found), turned


def _fails(claim: Callable[[Any], float | None], subject: Any) -> bool:
    """The claim's error is large, or it cannot even be computed."""
    try:
        error = claim(subject)
    except Exception:
        return True
    return error is not None and not error <= NOTICED


# --- plans ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alive:
    """Where gradient could flow. values: those of a draw that carry a graph, by the text's names of branch and value;
    outer: outer samples would carry one, were they not at theta_0."""

    values: frozenset[tuple[str, str]]
    outer: bool


@dataclass(frozen=True)
class Right:
    """A right program beside what it is made from."""

    case: Case
    plan: Plan
    text: str
    score: bool

    @property
    def alive(self) -> Alive:
        run = self.program(self.text).run()
        assert run is not None
        graphs = ((local(b), k) for b, drawn in run.values.items() for k, v in drawn.items() if v.requires_grad)
        outer = any(d.outer and d.how in PATHWISE for b in self.plan.branches for d in b.draws)
        return Alive(frozenset(graphs), outer)

    def program(self, text: str) -> programs.Program:
        return programs.Program(text, points(self.case.model, self.case.tables), self.case.objectives)


@cache
def right(name: str, score: bool = False) -> Right:
    held = case(name)
    model = programs.tabled(held.model, score=score)
    planned = plan(model, reading.objectives(model, Report()), Report())
    return Right(replace(held, model=model), planned, _text(planned), score)


def _text(planned: Plan) -> str:
    return emit(planned, Header("mutant.sg", "", "", ""))


def program_noticed(r: Right, text: str) -> bool | None:
    """Whether the checks of programs notice that the text is wrong; None where it is the right one."""
    if text == r.text:
        return None
    wrong = r.program(text)
    compiled = programs.Compiled(wrong, wrong if r.score else None)
    return any(_fails(claim.check, compiled) for claim in programs.PROGRAM_CLAIMS)


def programs_of() -> Iterator[tuple[str, bool]]:
    """Every model, and those with discrete draws that are trained once more with the score function."""
    for name in (n for n in corpus() if n != RULES_ALONE):
        yield name, False
        if right(name, True).text != right(name).text:
            yield name, True


def plan_mutants() -> Iterator[Mutant]:
    for name, score in programs_of():
        title = f"plan of {name}{', score' if score else ''}"
        for what, wrong in _wrong_plans(right(name, score).plan):
            yield Mutant(f"{title}: {what}", lambda n=name, s=score, w=wrong: _plan_noticed(right(n, s), w))


def _plan_noticed(r: Right, wrong: Plan) -> bool | None:
    try:
        text = _text(wrong)
    except Exception:
        return True
    return program_noticed(r, text)


def _wrong_plans(p: Plan) -> Iterator[tuple[str, Plan]]:
    for i, u in enumerate(p.updates):
        for what, wrong in _wrong_updates(p, u):
            yield f"{', '.join(u.groups)}: {what}", replace(p, updates=(*p.updates[:i], wrong, *p.updates[i + 1 :]))
    for i, b in enumerate(p.branches):
        for j, d in enumerate(b.draws):
            for what, drawn in _wrong_draws(d):
                draws = (*b.draws[:j], drawn, *b.draws[j + 1 :])
                branch = replace(b, draws=draws)
                yield f"{b.name}: {what}", replace(p, branches=(*p.branches[:i], branch, *p.branches[i + 1 :]))
    for i, (groups, fresh) in enumerate(p.steps):
        if fresh and i:
            yield f"no fresh draw for {groups}", replace(p, steps=(*p.steps[:i], (groups, False), *p.steps[i + 1 :]))


def _wrong_updates(p: Plan, u: Update) -> Iterator[tuple[str, Update]]:
    for i, t in enumerate(u.terms):
        yield f"{t.name} dropped", replace(u, terms=(*u.terms[:i], *u.terms[i + 1 :]))
        for what, wrong in _wrong_terms(t):
            yield f"{t.name}: {what}", replace(u, terms=(*u.terms[:i], wrong, *u.terms[i + 1 :]))
    for i, cut in enumerate(u.detached):
        yield f"{cut} not detached", replace(u, detached=(*u.detached[:i], *u.detached[i + 1 :]))
    for cut in _passing(p, u):
        yield f"{cut} detached", replace(u, detached=(*u.detached, cut))
    for i, s in enumerate(u.scores):
        yield f"no score function of {s.target}", replace(u, scores=(*u.scores[:i], *u.scores[i + 1 :]))


def _passing(p: Plan, u: Update) -> tuple[tuple[str, str], ...]:
    """The values through which a gradient of this update passes."""
    drawn = {(b.name, d.key): d for b in p.branches for d in b.draws}
    read = dict.fromkeys((c.branch, k) for t in u.terms for c in t.calls for k in c.reads)
    return tuple(k for k in read if k not in u.detached and drawn[k].reach & set(u.groups))


def _wrong_terms(t: Planned) -> Iterator[tuple[str, Planned]]:
    yield "sign", replace(t, scale=-t.scale)
    yield "factor 2", replace(t, scale=t.scale * 2)
    for i, m in enumerate(t.masses):
        yield "a weight forgotten", replace(t, masses=(*t.masses[:i], *t.masses[i + 1 :]))
        yield "y flipped in a weight", replace(t, masses=(*t.masses[:i], _other(m), *t.masses[i + 1 :]))
    for i, w in enumerate(t.weights):
        turned = replace(w, detached=not w.detached)
        yield "the gradient of a probability", replace(t, weights=(*t.weights[:i], turned, *t.weights[i + 1 :]))
    if t.how == "blue":
        yield "y flipped", replace(t, left=_other(t.left))
        yield "the temperature forgotten", replace(t, left=_cold(t.left))
    if t.right is not None:
        yield "a divergence turned round", replace(t, left=t.right, right=t.left)
        yield "the prior forgotten", replace(t, right=t.left)


def _other(c: Call) -> Call:
    (name, value), *rest = c.density.values
    return replace(c, density=replace(c.density, values=((name, 1 - value), *rest)))


def _cold(c: Call) -> Call:
    return replace(c, density=replace(c.density, temperature=1.0))


def _wrong_draws(d: Drawn) -> Iterator[tuple[str, Drawn]]:
    if d.how in ("sample", "score"):
        yield f"the mean for a draw of {d.key}", replace(d, how="mean")
    if d.how == "enumerate":
        yield f"{d.key} drawn, not enumerated", replace(d, how="sample")


# --- programs -----------------------------------------------------------------------------------------------------


def text_mutants() -> Iterator[Mutant]:
    """Each edit of the syntax tree of `draw`, `terms`, the conditionals and the helpers."""
    for name, score in programs_of():
        text = right(name, score).text
        title = f"program of {name}{', score' if score else ''}"
        alive = right(name, score).alive
        for i, (what, line) in enumerate(_edits(text, alive)):
            yield Mutant(
                f"{title}, line {line}: {what}",
                lambda n=name, s=score, i=i, a=alive: program_noticed(right(n, s), _edited(right(n, s).text, i, a)),
            )


METHODS = ("draw", "terms", "score", "log_prob", "forward")
LEFT_OUT = ("categorical", "bits", "classes", *needed(("table", "linear")))  # stood in for, or networks


def _edits(text: str, alive: Alive) -> list[tuple[str, int]]:
    walker = Editor(-1, alive)
    walker.visit(ast.parse(text))
    return walker.found


def _edited(text: str, place: int, alive: Alive) -> str:
    tree = Editor(place, alive).visit(ast.parse(text))
    return ast.unparse(ast.fix_missing_locations(tree))


class Editor(ast.NodeTransformer):
    """Lists every edit, and makes the one at `place`."""

    def __init__(self, place: int, alive: Alive) -> None:
        self.place, self.alive, self.passing = place, alive.values, alive.outer
        self.found: list[tuple[str, int]] = []
        self.inside = 0

    def edit(self, node: ast.AST, what: str) -> bool:
        """Whether this edit is the one to make."""
        if self.inside:
            self.found.append((what, getattr(node, "lineno", 0)))
        return bool(self.inside) and len(self.found) - 1 == self.place

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node if node.name in LEFT_OUT else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name in LEFT_OUT or not (node.name in METHODS or node.name.startswith("p_")):
            return node
        self.inside += 1
        node.body = [self.visit(statement) for statement in node.body]
        self.inside -= 1
        return node

    def visit_With(self, node: ast.With) -> Any:
        if self.passing and self.edit(node, "theta_0 passes gradient"):
            return node.body
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float) and self.edit(node, f"{node.value} twice"):
            return ast.Constant(2 * node.value)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant) and self.edit(node, "sign"):
            return node.operand
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        shown = ast.unparse(node)
        if not isinstance(node.op, ast.MatMult) and not shown.startswith("torch.eye("):
            nothing = isinstance(node.op, ast.Sub) and ast.unparse(node.right) == "0"
            for side in ("right",) if nothing else ("left", "right"):
                if self.edit(node, f"only the {side} of {shown[:50]}"):
                    found: ast.AST = getattr(node, side)
                    return found
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        for i, key in enumerate(node.keys):
            term = len(node.keys) > 1 and isinstance(key, ast.Constant) and ":" in str(key.value)
            if term and self.edit(node, f"dropped {ast.unparse(key)}"):
                del node.keys[i], node.values[i]
                return node
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key), ctx=ast.Load()):
                shown = ast.unparse(node)
                if (name, key) in self.alive and self.edit(node, f"{shown} detached"):
                    return ast.Call(ast.Attribute(node, "detach", ast.Load()), [], [])
            case _:
                pass
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node.func:
            case ast.Attribute(value=inner, attr="detach" | "exp" | "log" as name) if self.edit(node, f"no {name}"):
                return inner
            case ast.Attribute(value=ast.Subscript(), attr="detach"):
                return node  # detached already
            case ast.Attribute(attr="sum") if self.edit(node, "the mean for a sum"):
                node.func.attr = "mean"
                return node
            case ast.Name(id="categorical") | ast.Attribute(attr="bernoulli"):
                return node.args[0] if self.edit(node, "the mean for a draw") else node
            case ast.Name(id="kl_divergence") if self.edit(node, "a divergence turned round"):
                node.args.reverse()
                return node
            case ast.Name(id="kl_divergence") if self.edit(node, "the prior forgotten"):
                node.args[1] = node.args[0]
                return node
            case ast.Attribute(value=ast.Name(id="self")) if len(node.args) > 1 and self.edit(node, "parents turned"):
                node.args.reverse()
                return node
            case _:
                pass
        return self.generic_visit(node)


# --- all ------------------------------------------------------------------------------------------------------------


def mutants() -> Iterator[Mutant]:
    yield from rule_mutants()
    yield from plan_mutants()
    yield from text_mutants()

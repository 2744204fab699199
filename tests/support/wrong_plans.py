"""Each value of a plan, made wrong in turn, and the checks of programs that have to notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from mutant_models import RULES_ALONE, Mutant, case, corpus, fails

from schematic.compiler import objectives as reading
from schematic.compiler.emit import Header, emit
from schematic.compiler.emit_text import local
from schematic.compiler.estimators import PATHWISE
from schematic.compiler.plan import plan
from schematic.compiler.program import Call, Drawn, Plan, Update
from schematic.compiler.program import Term as Planned
from schematic.core.diagnostics import Report
from schematic.proof import programs
from schematic.proof.claims import Case
from schematic.proof.points import points


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
    compiled = programs.Compiled(wrong, wrong if r.text.count("score(") > 1 else None)
    return any(fails(claim.check, compiled) for claim in programs.PROGRAM_CLAIMS)


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
    return replace(c, density=replace(c.density, values=((name, (value + 1) % c.density.domains), *rest)))


def _cold(c: Call) -> Call:
    return replace(c, density=replace(c.density, temperature=1.0))


def _wrong_draws(d: Drawn) -> Iterator[tuple[str, Drawn]]:
    if d.how in ("sample", "score"):
        yield f"the mean for a draw of {d.key}", replace(d, how="mean")
    if d.how == "enumerate":
        yield f"{d.key} drawn, not enumerated", replace(d, how="sample")

"""Reading 5, wake-sleep (Eq. 20): generative groups learn from inferred samples, inference groups from generated."""

from __future__ import annotations

from schematic.calculus.terms import Add, Density, Expect, Log, Scale, Term
from schematic.compiler.brackets import number
from schematic.compiler.branches import Branch, Given, Graph, Source, density, draws, sources
from schematic.compiler.forms import read
from schematic.compiler.soundness import check_bracket, generated_twice, unsourced
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor


def phases(g: Graph) -> tuple[tuple[str, ...], ...]:
    """The groups of each update: those that learn awake, those that learn asleep, those that do both."""
    wake = {f.group for f in _scored(g, "generative")}
    sleep = {f.group for f in _scored(g, "inference")}
    parts = (wake - sleep, sleep - wake, wake & sleep)
    order = [f.group for f in g.model.factors]
    return tuple(tuple(dict.fromkeys(x for x in order if x in part)) for part in parts if part)


def phase_term(g: Graph, groups: tuple[str, ...], report: Report) -> Term:
    """E_{data, q}[sum log generative] and E_{priors, p}[sum log inference], those that the groups have part in."""
    parts = []
    if any(f.group in groups for f in _scored(g, "generative")):
        parts.append(_phase(g, "generative", _awake(g, report), None, report))
    if any(f.group in groups for f in _scored(g, "inference")):
        parts.append(_phase(g, "inference", _dreaming(g), "model", report))
    return Add(tuple(parts))


def _branch(g: Graph) -> Branch:
    """Nothing is toggled: y = 0 where there is an indicator."""
    return None if g.y is None else 0


def _scored(g: Graph, process: str) -> list[Factor]:
    here = [f for f in g.model.factors if f.process == process and g.free(f, _branch(g)) and g.trains(f)]
    return [f for f in here if not f.adversarial and not f.implicit]


def _awake(g: Graph, report: Report) -> dict[str, Source]:
    source = sources(g, _branch(g))
    check_bracket(g, _branch(g), source, report)
    return source


def _dreaming(g: Graph) -> dict[str, Source]:
    """The same with solid for dashed factors: a variable is generated, else given."""
    found: dict[str, Source] = {}
    for name, variable in g.variables.items():
        if name != g.y:
            generating = g.generating(name, _branch(g))
            given = Given(variable) if variable.given else None
            found[name] = generating[0] if generating else given
    return found


def _phase(g: Graph, scored: str, source: dict[str, Source], name: str | None, report: Report) -> Term:
    body: list[Term] = []
    atoms: list[Density] = []
    for f in _scored(g, scored):
        d = density(g, f, _branch(g))
        atoms.append(d)
        body.append(Scale(number(f.weight), Log(d)))
    drawn, problems = draws(g, source, read(g, atoms), _branch(g), lambda _: True)
    for p in problems:
        unsourced(g, _branch(g), p, report)
    if name == "model":
        for variable in {t for d in drawn for t in d.targets}:
            generated_twice(g, variable, _branch(g) or 0, report)
    return Expect(drawn, Add(tuple(body)), name)

"""Reading 5, wake-sleep (Eq. 20): generative groups learn from inferred samples, inference groups from generated."""

from __future__ import annotations

from dataclasses import replace

from schematic.calculus.terms import Add, Expect, Log, Scale, Term, densities
from schematic.compiler.brackets import number
from schematic.compiler.branches import Branch, Given, Graph, Source, density, draws, sources
from schematic.compiler.forms import Draws, read
from schematic.compiler.observed import Reading, Seen, by_observation, guarded, readings, records, told
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
        parts.append(_awake(g, report))
    if any(f.group in groups for f in _scored(g, "inference")):
        parts.append(_asleep(g, report))
    return Add(tuple(parts))


def _branch(g: Graph) -> Branch:
    """Nothing is toggled: y = 0 where there is an indicator."""
    return None if g.y is None else 0


def _scored(g: Graph, process: str) -> list[Factor]:
    here = [f for f in g.model.factors if f.process == process and g.free(f, _branch(g)) and g.trains(f)]
    return [f for f in here if not f.adversarial and not f.implicit]


def _awake(g: Graph, report: Report) -> Term:
    """The generative side scores what the inference side draws, and the observations."""
    body = _body(g, "generative")

    def reading(seen: Seen) -> Reading:
        source = sources(g, _branch(g), seen=seen)
        check_bracket(g, _branch(g), source, report)
        return Reading((_branch(g),), (_drawn(g, source, body, report),), tuple(body), (told(g, source),))

    found = readings(g, reading)
    parts = guarded(g, found)
    if not any(guard for guard, _ in parts):
        return Expect(found[frozenset()].drawn[0], Add(tuple(body)))
    return by_observation(
        replace(g, y=None),
        found,
        parts,
        lambda drawn, terms: Expect(drawn[0], Add(tuple(terms))),
        lambda names: [records(g, names, _branch(g))],
    )


def _asleep(g: Graph, report: Report) -> Term:
    """The same with solid for dashed factors: a variable is generated, else given."""
    found: dict[str, Source] = {}
    for name, variable in g.variables.items():
        if name != g.y:
            generating = g.generating(name, _branch(g))
            known = replace(variable, data=None, partial=False) if variable.partial else variable
            found[name] = generating[0] if generating else Given(known) if variable.given else None
    body = _body(g, "inference")
    drawn = _drawn(g, found, body, report)
    for target in {t for d in drawn for t in d.targets}:
        generated_twice(g, target, _branch(g) or 0, report)
    return Expect(drawn, Add(tuple(body)), "model")


def _body(g: Graph, process: str) -> list[Term]:
    return [Scale(number(f.weight), Log(density(g, f, _branch(g)))) for f in _scored(g, process)]


def _drawn(g: Graph, source: dict[str, Source], body: list[Term], report: Report) -> Draws:
    drawn, problems = draws(g, source, read(g, densities(Add(tuple(body)))), _branch(g), lambda _: True)
    for p in problems:
        unsourced(g, _branch(g), p, report)
    return drawn

"""Translation validation: an emitted program, run on every root that its `draw` can take, against the exact objective.

This module imports torch; `verify` imports it only when it comes to the programs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schematic.calculus.terms import Objective
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.model import Factor, Gradient, How, Model, Net
from schematic.proof.claims import Case, Claim
from schematic.proof.points import Points, points
from schematic.runtime.program import load_class

ROWS = 4000  # configurations of a program's roots that a check is willing to run
DOUBLE = torch.float64


@dataclass
class Roots:
    """Stands where a program draws a category: run r takes the values that its number says. `sizes` are the choices
    that were met, `weight` (runs,) the probability of each run; `records` to a run."""

    runs: int
    records: int
    sizes: list[int] = field(default_factory=list)
    weight: Tensor = field(default_factory=lambda: torch.ones((), dtype=DOUBLE))

    def choose(self, size: int) -> Tensor:
        """The place (runs,) of the next choice among `size`."""
        stride = prod(self.sizes)
        self.sizes.append(size)
        return torch.arange(self.runs) // stride % size

    def categorical(self, probs: Tensor, generator: object) -> Tensor:
        """One-hot values in the shape of probs: (*axes, runs * records, classes)."""
        *axes, _, size = probs.shape
        rows = probs.detach().reshape(*axes, self.runs, self.records, size).movedim(len(axes), 0)
        flat = (rows / rows.sum(-1, keepdim=True)).reshape(self.runs, -1, size)
        places = torch.stack([self.choose(size) for _ in range(flat.shape[1])], 1)
        self.weight = self.weight * flat.gather(-1, places[..., None])[..., 0].prod(1)
        chosen = torch.eye(size, dtype=DOUBLE)[places].reshape(rows.shape)
        return chosen.movedim(0, len(axes)).reshape(probs.shape)

    def batch(self, p: Points) -> dict[str, Tensor]:
        """Every record of the data: (runs * records, classes) by field."""
        found = {}
        for s in p.data:
            joint = torch.from_numpy(np.ascontiguousarray(s.array.real)).reshape(-1)
            places = torch.stack([self.choose(len(joint)) for _ in range(self.records)], 1)
            self.weight = self.weight * joint[places].prod(1)
            for name, size, at in zip(s.names, s.array.shape, np.unravel_index(places, s.array.shape), strict=True):
                found[name] = torch.eye(size, dtype=DOUBLE)[torch.as_tensor(at).reshape(-1)]
        return found


@dataclass(frozen=True)
class Run:
    """What a program draws, one run a configuration: `values` as one batch, `weight` (runs,) their probabilities."""

    values: dict[str, dict[str, Tensor]]
    weight: Tensor
    records: int


@dataclass(frozen=True)
class Program:
    """A finite model's program, in float64, with the model's numbers in its tables."""

    text: str
    points: Points
    objectives: tuple[Objective, ...]

    @cached_property
    def module(self) -> Any:
        """Raises RunError where the text does not run."""
        program = load_class(self.text, "emitted")().double()
        for name, logits in self.points.logits.items():
            if not self.points.model.factor(name).perfect:
                (table,) = self.factor(program, name).parameters()
                table.data = torch.tensor(logits[0].real, dtype=DOUBLE).reshape(table.shape)
        return program

    def factor(self, program: Any, name: str) -> Any:
        return getattr(program, self.points.model.factor(name).attribute)

    def parameters(self) -> dict[str, Tensor]:
        """The one table of each factor."""
        names = (f.name for f in self.points.model.factors if not f.perfect)
        return {n: next(self.factor(self.module, n).parameters()) for n in names}

    def run(self, records: int = 1) -> Run | None:
        """Every configuration of the roots of a batch; None where there are more than ROWS."""
        first = Roots(1, records)
        self._drawn(first)
        runs = prod(first.sizes)
        if runs > ROWS:
            return None
        roots = Roots(runs, records)
        values = self._drawn(roots)
        return Run(values, roots.weight, records)

    def _drawn(self, roots: Roots) -> dict[str, dict[str, Tensor]]:
        emitted = vars(sys.modules[type(self.module).__module__])
        emitted |= {"categorical": roots.categorical, "kl_divergence": divergence}
        found: dict[str, dict[str, Tensor]] = self.module.draw(roots.batch(self.points))
        return found

    def expected(self, run: Run, group: str) -> Tensor:
        """The expectation of the group's objective, with its graph."""
        return self.by_name(run, group, whole=True)["objective"]

    def by_name(self, run: Run, group: str, *, whole: bool) -> dict[str, Tensor]:
        """The expectation of the objective, or of each of its terms."""
        runs = len(run.weight)

        def split(v: Tensor) -> Tensor:
            return v.reshape(*v.shape[:-2], runs, run.records, v.shape[-1])

        values = {b: {k: split(v) for k, v in drawn.items()} for b, drawn in run.values.items()}
        places = {b: {k: v.dim() - 3 for k, v in drawn.items()} for b, drawn in values.items()}

        def one(draw: Any) -> dict[str, Tensor]:
            return {"objective": self.module.objective(draw, group)} if whole else self.module.terms(draw, group)

        found = torch.vmap(one, in_dims=(places,))(values)
        return {name: (run.weight * v).sum() for name, v in found.items()}

    def updates(self) -> Iterator[tuple[Objective, str]]:
        """Each objective that moves something, with one of its groups."""
        for o in self.objectives:
            group = next((g for g in o.groups if g in self.module.GROUPS), None)
            if group is not None:
                yield o, group


def divergence(p: Any, q: Any) -> Tensor:
    """KL(p || q) of categoricals; torch's own writes through a mask, which `vmap` refuses."""
    f: Tensor = p.logits.log_softmax(-1)
    g: Tensor = q.logits.log_softmax(-1)
    return (f.exp() * (f - g)).sum(-1)


@dataclass(frozen=True)
class Compiled:
    """A case's programs: as compiled, and with the score function for every discrete draw that is trained, where
    there are any."""

    program: Program
    scored: Program | None

    @cached_property
    def run(self) -> Run | None:
        return self.program.run()


def compiled(case: Case) -> Compiled | None:
    """None where the case cannot be compiled: it reads no data."""
    plain = program(case)
    scored = program(case, score=True) if plain is not None else None
    if plain is None or scored is None:
        return None
    return Compiled(plain, scored if scored.text.count("score(") > 1 else None)


def program(case: Case, *, score: bool = False) -> Program | None:
    """The case with tables for networks and uniform priors, compiled."""
    tabled = (replace(f, how=How(Net("table")), gradient=_gradient(f, score)) for f in case.model.factors)
    model: Model = replace(case.model, name="Finite", factors=tuple(tabled))
    report = Report()
    found = pipeline.derive(model, report)
    if report.failed or not any(v.data is not None for v in model.variables):
        return None
    text = pipeline.text(model, report)
    return Program(text, points(model, case.tables), found)


def _gradient(f: Factor, score: bool) -> Gradient | None:
    scored = score and f.process == "inference" and not f.implicit and not f.adversarial
    return Gradient("reinforce") if scored else None


# --- claims -------------------------------------------------------------------------------------------------------


def computes_its_objective(c: Compiled) -> float | None:
    """The program's objective, averaged over the roots of `draw`, has the exact value and gradients."""
    return _objective_error(c.program, c.run) if c.run is not None else None


def score_functions_are_unbiased(c: Compiled) -> float | None:
    """With the score function: the same, the baseline, which is the other record's reward, included."""
    run = c.scored.run(2) or c.scored.run() if c.scored is not None else None
    return _objective_error(c.scored, run) if c.scored is not None and run is not None else None


def stops_what_must_be_stopped(c: Compiled) -> float | None:
    """No parameter that is ever moved gets a gradient from an objective in which it has none."""
    if c.run is None:
        return None
    p, worst = c.program, 0.0
    for o, group in p.updates():
        found = gradients(p, p.expected(c.run, group))
        for name in (n for n in found if not _trained(p, n, o) and not p.points.model.factor(n).fixed):
            exact = p.points.gradient(o.term, name)
            if not exact.any():
                worst = max(worst, _error(found[name], exact))
    return worst


def terms_add_up(c: Compiled) -> float | None:
    """The summands that `terms` names are the objective's."""
    if c.run is None:
        return None
    p, worst = c.program, 0.0
    for _, group in p.updates():
        parts = p.by_name(c.run, group, whole=False)
        worst = max(worst, abs(sum(v.item() for v in parts.values()) - p.expected(c.run, group).item()))
    return worst


def kept_draws_are_fresh(c: Compiled) -> float | None:
    """Where an update reads the draw of the one before, a fresh draw would give it the same values and gradients."""
    p = replace(c.program)  # its parameters move
    kept, worst, rng = c.run, 0.0, np.random.default_rng(0)
    if kept is None:
        return None
    for groups, fresh in zip(p.module.UPDATES, p.module.REDRAW, strict=True):
        now = p.run()
        assert now is not None, "as many runs as before"
        kept = now if fresh else kept
        a, b = (p.expected(run, groups[0]) for run in (kept, now))
        mine = [n for n in p.parameters() if p.points.model.factor(n).group in groups]
        ours, theirs = gradients(p, a), gradients(p, b)
        zero = np.zeros(())
        pairs = ((ours[n], zero if (t := theirs[n]) is None else t.numpy()) for n in mine)
        worst = max([worst, abs(a.item() - b.item()), *(_error(x, y) for x, y in pairs)])
        with torch.no_grad():
            for name in mine:
                table = p.parameters()[name]
                table += torch.from_numpy(rng.normal(size=table.shape))
    return worst


PROGRAM_CLAIMS: tuple[Claim[Compiled], ...] = (
    Claim("the program computes its objective: value and gradients", "emitted code", computes_its_objective),
    Claim("score functions are unbiased, their baselines too", "Williams 1992", score_functions_are_unbiased),
    Claim("no gradient passes where none may", "theta_0", stops_what_must_be_stopped),
    Claim("the terms that a program names add up to its objective", "emitted code", terms_add_up),
    Claim("a draw that is used again is as good as a fresh one", "emitted code", kept_draws_are_fresh),
)


def gradients(p: Program, value: Tensor) -> dict[str, Tensor | None]:
    """By factor; None where there is no path. The draw's graph is kept: a run serves several claims."""
    tables = p.parameters()
    if not value.requires_grad:
        return dict.fromkeys(tables)
    found = torch.autograd.grad(value, list(tables.values()), retain_graph=True, allow_unused=True)
    return dict(zip(tables, found, strict=True))


def _objective_error(p: Program, run: Run) -> float:
    """The worst error of the values and of the gradients of the groups, over all updates."""
    worst = 0.0
    for o, group in p.updates():
        ours = p.expected(run, group)
        found = gradients(p, ours)
        errors = (_error(found[n], p.points.gradient(o.term, n)) for n in found if _trained(p, n, o))
        worst = max([worst, abs(ours.item() - float(p.points.value(o.term, {})[0])), *errors])
    return worst


def _trained(p: Program, name: str, o: Objective) -> bool:
    f = p.points.model.factor(name)
    return f.group in o.groups and not f.fixed


def _error(ours: Tensor | None, theirs: np.ndarray[Any, Any]) -> float:
    """NaN counts as infinite."""
    found = np.zeros(()) if ours is None else ours.numpy()
    apart = np.abs(found.reshape(-1) - theirs.reshape(-1))
    return float(np.nan_to_num(apart, nan=np.inf).max())

"""Translation validation: an emitted program, run on every root that its `draw` can take, against the exact objective.

This module imports torch; `verify` imports it only when it comes to the programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from schematic.calculus.terms import Objective, masked
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.model import AnyModel, Factor, Gradient, How, Net, Sum
from schematic.proof.claims import Array, Case, Claim
from schematic.proof.finite import union
from schematic.proof.points import Points, data_value, points
from schematic.runtime.program import load_class

ROWS = 4000  # configurations of a program's roots that a check is willing to run
DOUBLE = torch.float64
Models = TypeVar("Models", bound=AnyModel)


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
        stride = min(prod(self.sizes), self.runs)  # of more choices than there are runs the rest is at its first value
        self.sizes.append(size)
        return torch.arange(self.runs) // stride % size

    def categorical(self, probs: Tensor, generator: object) -> Tensor:
        """One-hot values in the shape of probs: (*axes, runs * records, [units,] classes)."""
        *axes, size = probs.shape
        place = len(axes) - (1 if axes[-1] == self.runs * self.records else 2)
        split = (*axes[:place], self.runs, self.records, *axes[place + 1 :], size)
        rows = probs.detach().reshape(split).movedim(place, 0)
        flat = (rows / rows.sum(-1, keepdim=True)).reshape(self.runs, -1, size)
        places = torch.stack([self.choose(size) for _ in range(flat.shape[1])], 1)
        self.weight = self.weight * flat.gather(-1, places[..., None])[..., 0].prod(1)
        chosen = torch.eye(size, dtype=DOUBLE)[places].reshape(rows.shape)
        return chosen.movedim(0, place).reshape(probs.shape)

    def bits(self, probs: Tensor) -> Tensor:
        """Bits in the shape of probs: (*axes, runs * records, [units])."""
        return self.categorical(torch.stack((1 - probs, probs), -1), None)[..., 1]

    def batch(self, p: Points) -> dict[str, Tensor]:
        """Every record of the data: (runs * records, classes) by field."""
        found = {}
        for s in p.data:
            joint = torch.from_numpy(np.ascontiguousarray(s.array.real)).reshape(-1)
            places = torch.stack([self.choose(len(joint)) for _ in range(self.records)], 1)
            self.weight = self.weight * joint[places].prod(1)
            fields = np.unravel_index(places.numpy(), s.array.shape)
            for name, size, at in zip(s.names, s.array.shape, fields, strict=True):
                values = np.concatenate([data_value(p.variable_of(name), i) for i in range(size)])
                chosen = torch.from_numpy(values)[torch.from_numpy(at).reshape(-1)]
                found[name] = chosen if p.variable_of(name).type.kind == "category" else chosen[..., 1]
        return found


@dataclass(frozen=True)
class Torch:
    """Torch for a program whose bits are roots."""

    roots: Roots

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def bernoulli(self, probs: Tensor, generator: object = None) -> Tensor:
        return self.roots.bits(probs)

    def rand(self, *shape: int, **options: object) -> Uniform:
        return Uniform(self.roots, shape)


@dataclass(frozen=True)
class Uniform:
    """Uniform noise that is only ever compared with a probability."""

    roots: Roots
    shape: tuple[int, ...]

    def __lt__(self, chance: float) -> Tensor:
        return self.roots.bits(torch.full(self.shape, chance, dtype=DOUBLE)) > 0


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
                flat, place = torch.from_numpy(self.flat(logits[0])), 0
                for tensor in self.factor(program, name).parameters():
                    tensor.data = flat[place : place + tensor.numel()].reshape(tensor.shape)
                    place += tensor.numel()
        return program

    def flat(self, numbers: Array) -> Array:
        """The numbers of a network in the order of its parameters: a table's, or weights before biases."""
        if not self.points.linear:
            return numbers.real.reshape(-1)
        return np.concatenate((numbers.real[:, :-1].reshape(-1), numbers.real[:, -1]))

    def factor(self, program: Any, name: str) -> Any:
        return getattr(program, self.points.model.factor(name).attribute)

    def parameters(self) -> dict[str, tuple[Tensor, ...]]:
        """The tensors of each factor."""
        names = (f.name for f in self.points.model.factors if not f.perfect)
        return {n: tuple(self.factor(self.module, n).parameters()) for n in names}

    def run(self, records: int = 1) -> Run | None:
        """Every configuration of the roots of a batch; None where there are more than ROWS."""
        first = Roots(1, records)
        self._drawn(first)
        runs = prod(first.sizes)
        if runs > ROWS:
            return None
        copies = 4 if runs < 4 else 1  # more runs than any variable has units: axes are told apart by their lengths
        roots = Roots(copies * runs, records)
        values = self._drawn(roots)
        return Run(values, roots.weight / copies, records)

    def _drawn(self, roots: Roots) -> dict[str, dict[str, Tensor]]:
        emitted = type(self.module).draw.__globals__
        emitted |= {"categorical": roots.categorical, "kl_divergence": divergence, "torch": Torch(roots)}
        found: dict[str, dict[str, Tensor]] = self.module.draw(roots.batch(self.points))
        return found

    def expected(self, run: Run, group: str) -> Tensor:
        """The expectation of the group's objective, with its graph."""
        return self.by_name(run, group, whole=True)["objective"]

    def by_name(self, run: Run, group: str, *, whole: bool) -> dict[str, Tensor]:
        """The expectation of the objective, or of each of its terms."""
        runs = len(run.weight)

        def rank(key: str) -> int:
            name = key.replace(" ", ".").split(".")[0]
            return 0 if masked(name) else len(self.points.model.variable(name).type.event_shape)

        def split(key: str, v: Tensor) -> Tensor:
            place = v.dim() - 1 - rank(key)
            return v.reshape(*v.shape[:place], runs, run.records, *v.shape[place + 1 :])

        values = {b: {k: split(k, v) for k, v in drawn.items()} for b, drawn in run.values.items()}
        places = {b: {k: v.dim() - 2 - rank(k) for k, v in drawn.items()} for b, drawn in values.items()}

        def one(draw: Any) -> dict[str, Tensor]:
            return {"objective": self.module.objective(draw, group)} if whole else self.module.terms(draw, group)

        found = torch.vmap(one, in_dims=(places,))(values)
        return {name: (run.weight * v).sum() for name, v in found.items()}

    def exact(self, o: Objective, name: str) -> Array:
        """The exact gradient of an objective in a factor's parameters, flat."""
        return self.flat(self.points.gradient(o.term, name))

    def updates(self) -> Iterator[tuple[Objective, str]]:
        """Each objective that moves something, with one of its groups."""
        for o in self.objectives:
            group = next((g for g in o.groups if g in self.module.GROUPS), None)
            if group is not None:
                yield o, group


def divergence(p: Any, q: Any) -> Tensor:
    """KL(p || q) of categoricals or bits; torch's own writes through a mask, which `vmap` refuses."""
    f, g = _log_probabilities(p), _log_probabilities(q)
    found = (f.exp() * (f - g)).sum(-1)
    return found.sum(-1) if isinstance(p, torch.distributions.Independent) else found


def _log_probabilities(d: Any) -> Tensor:
    one = d.base_dist if isinstance(d, torch.distributions.Independent) else d
    logits: Tensor = one.logits
    rows = logits if one.event_shape else torch.stack((torch.zeros_like(logits), logits), -1)
    return rows.log_softmax(-1)


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
    model = tabled(case.total or case.model, score=score)
    report = Report()
    found = pipeline.derive(model, report)
    whole = union(model)
    if report.failed or not any(v.data is not None for v in whole.variables):
        return None
    return Program(pipeline.text(model, report), points(whole, case.tables), found)


def tabled(model: Models, *, score: bool = False) -> Models:
    """A finite model with a table for each network, a linear map where not everything is a category. `score`: every
    discrete draw that is trained takes the score function."""
    if isinstance(model, Sum):
        terms = tuple((c, replace(tabled(m, score=score), name=m.name)) for c, m in model.terms)
        return replace(model, name="Finite", terms=terms)
    net = Net("table" if all(v.type.kind in ("category", "domain") for v in model.variables) else "linear")
    return replace(model, name="Finite", factors=tuple(_tabled(f, net, score) for f in model.factors))


def _tabled(f: Factor, net: Net, score: bool) -> Factor:
    scored = score and f.process == "inference" and not f.implicit and not f.adversarial
    return replace(f, how=How(net), gradient=Gradient("reinforce") if scored else f.gradient)


# --- claims -------------------------------------------------------------------------------------------------------


def computes_its_objective(c: Compiled) -> float | None:
    """The program's objective, averaged over the roots of `draw`, has the exact value and gradients; of two records at
    once where the batch is an importance group."""
    if c.program.points.model.importance == 0:
        pair = replace(c.program, points=replace(c.program.points, batch=2))
        if (run := pair.run(2)) is not None:
            return _objective_error(pair, run)
    return _objective_error(c.program, c.run) if c.run is not None else None


def score_functions_are_unbiased(c: Compiled) -> float | None:
    """With the score function: the same, two records at once, and the baseline is the others' mean reward."""
    run = c.scored.run(2) or c.scored.run() if c.scored is not None else None
    if c.scored is None or run is None:
        return None
    return max(_objective_error(c.scored, run), *(_baseline_error(c.scored, n) for n in (1, 3)))


def _baseline_error(p: Program, n: int) -> float:
    """Of the surrogate's value, 0, and of its gradient, reward - baseline; infinite if it passes on to the reward."""
    score = type(p.module).draw.__globals__["score"]
    rng = torch.Generator().manual_seed(n)
    reward, chance = (torch.randn(n, generator=rng, dtype=DOUBLE, requires_grad=True) for _ in range(2))
    value = score(reward, chance)
    to_reward, slope = torch.autograd.grad(value.sum(), (reward, chance), allow_unused=True)
    others = [reward[[j for j in range(n) if j != i]].mean() if n > 1 else torch.zeros(()) for i in range(n)]
    exact = (reward - torch.stack(others)).detach()
    error = max(float(value.detach().abs().max()), _error(slope, exact.numpy()))
    return error if to_reward is None else float("inf")


def stops_what_must_be_stopped(c: Compiled) -> float | None:
    """No parameter that is ever moved gets a gradient from an objective in which it has none."""
    if c.run is None:
        return None
    p, worst = c.program, 0.0
    for o, group in p.updates():
        found = gradients(p, p.expected(c.run, group))
        for name in (n for n in found if not _trained(p, n, o) and not p.points.model.factor(n).fixed):
            exact = p.exact(o, name)
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
            for tensor in (t for name in mine for t in p.parameters()[name]):
                tensor += torch.from_numpy(np.asarray(rng.normal(size=tensor.shape)))
    return worst


PROGRAM_CLAIMS: tuple[Claim[Compiled], ...] = (
    Claim("the program computes its objective: value and gradients", "emitted code", computes_its_objective),
    Claim("score functions are unbiased, their baselines too", "Williams 1992", score_functions_are_unbiased),
    Claim("no gradient passes where none may", "theta_0", stops_what_must_be_stopped),
    Claim("the terms that a program names add up to its objective", "emitted code", terms_add_up),
    Claim("a draw that is used again is as good as a fresh one", "emitted code", kept_draws_are_fresh),
)


def gradients(p: Program, value: Tensor) -> dict[str, Tensor | None]:
    """By factor, flat; None where there is no path. The draw's graph is kept: a run serves several claims."""
    found: dict[str, Tensor | None] = {}
    for name, tensors in p.parameters().items():
        paths = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True) if value.requires_grad else ()
        parts = [t.reshape(-1) for t in paths if t is not None]
        found[name] = torch.cat(parts) if parts else None
    return found


def _objective_error(p: Program, run: Run) -> float:
    """The worst error of the values and of the gradients of the groups, over all updates."""
    worst = 0.0
    for o, group in p.updates():
        ours = p.expected(run, group)
        found = gradients(p, ours)
        errors = (_error(found[n], p.exact(o, n)) for n in found if _trained(p, n, o))
        worst = max([worst, abs(ours.item() - float(p.points.value(o.term, {})[0])), *errors])
    return worst


def _trained(p: Program, name: str, o: Objective) -> bool:
    f = p.points.model.factor(name)
    return f.group in o.groups and not f.fixed


def _error(ours: Tensor | None, theirs: Array) -> float:
    """NaN counts as infinite."""
    found = np.zeros(()) if ours is None else ours.numpy()
    apart = np.abs(found.reshape(-1) - theirs.reshape(-1))
    return float(np.nan_to_num(apart, nan=np.inf).max())

"""Bounds on held-out records: the evidence lower bound and the importance-weighted one with any number of draws.

The calculus stays the one source of objectives: what is judged is the model without what its training changes (an
adversary made perfect, weights, betas, wake-sleep), compiled, with the run's parameters in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log, prod
from typing import cast

import torch
from torch import Tensor, nn

from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.defaults import resolve
from schematic.graph.model import AnyModel, Divergence, Factor, Gradient, Model, Train, Variable
from schematic.runtime.data import Batch
from schematic.runtime.program import Program, load_class
from schematic.runtime.routes import terms
from schematic.runtime.samples import seeded

DRAWS = 4000  # of the latent variables at a time


@dataclass(frozen=True)
class Evidence:
    """A model whose objective bounds log p of the records' `scored` variables, times `share`.

    `latent`: some variable is inferred, else the objective is log p itself. Dimensions count a category as one.
    """

    model: Model
    scored: tuple[Variable, ...]
    latent: bool
    share: float

    @property
    def dimensions(self) -> int:
        return sum(prod(v.type.shape) for v in self.scored)


# --- which models have a bound ------------------------------------------------------------------------------


def evidence(model: AnyModel) -> Evidence | None:
    """The first term that bounds log p of its data. None without an explicit density, or where inference is hollow."""
    return next((e for m in terms(model) if (e := _evidence(m)) is not None), None)


def _evidence(model: Model) -> Evidence | None:
    blue = [f for f in model.factors if f.adversarial]
    if any(f.process == "generative" for f in blue) or bool(blue) != bool(model.indicator):
        return None
    plain = _plain(model)
    here = [f for f in plain.factors if not f.adversarial and f.when in (None, 0)]
    empirical = {v.name for v in plain.variables if v.data is not None}
    scored = [f for f in here if f.process == "generative" and not f.implicit and f.target in empirical]
    if not scored or len({f.target for f in scored}) < len(scored):
        return None
    above = _ancestors(scored, here, empirical)
    if any(not _bounded(plain.variable(name), here) for name in above):
        return None
    latent = bool(above - empirical)
    share = 1 / len(plain.indicator.type.values) if plain.indicator else 1.0
    return Evidence(plain, tuple(plain.variable(f.target) for f in scored), latent, share)


def _plain(model: Model) -> Model:
    """The model as a density: partial variables unobserved, adversaries perfect, nothing weighed or held."""
    variables = tuple(replace(v, data=None, partial=False) if v.partial else v for v in model.variables)
    factors = tuple(
        replace(
            f, weight=1.0, beta=1.0, temperature=1.0, fixed=False, gradient=None, perfect=f.adversarial,
            divergence=Divergence(),
        )
        for f in model.factors
    )  # fmt: skip
    nets = tuple(replace(n, fixed=False) for n in model.nets)
    return replace(
        model, variables=variables, factors=factors, nets=nets, train=Train(), importance=None, wake_sleep=False
    )


def _ancestors(scored: list[Factor], here: list[Factor], empirical: set[str]) -> set[str]:
    """The variables that the scored ones are generated from, the given ones last."""
    found: set[str] = set()
    pending = [p for f in scored for p in f.parents]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if name not in empirical:
                pending += [p for f in here if f.target == name and f.process == "generative" for p in f.parents]
    return found


def _bounded(v: Variable, here: list[Factor]) -> bool:
    """A variable that is inferred needs one density, and an explicit inference; one that is not, a value."""
    if v.type.kind == "domain":
        return True
    inferred = [f for f in here if f.target == v.name and f.process == "inference"]
    generated = [f for f in here if f.target == v.name and f.process == "generative"]
    if inferred:
        densities = len(generated) + (v.prior is not None)
        return densities == 1 and not any(f.implicit for f in (*inferred, *generated))
    if generated:
        return v.data is None and v.prior is None and all(f.implicit for f in generated)
    return v.given


# --- their values -------------------------------------------------------------------------------------------


def compiled(found: Evidence, k: int | None) -> type[nn.Module] | None:
    """The emitted class of the bound with k draws, of the plain one if None; None where it does not compile.

    In an importance-weighted bound discrete variables are drawn like all others, so that it grows to log p.
    """
    from schematic.compiler import pipeline

    model = found.model
    if k is not None:
        model = replace(model, importance=k, factors=tuple(_drawn(model, f) for f in model.factors))
    try:
        return load_class(pipeline.text(model, Report()), f"the bound of {model.name}")
    except SchematicError:
        return None


def _drawn(model: Model, f: Factor) -> Factor:
    discrete = resolve(model, f).family in ("Bernoulli", "Categorical")
    infers = f.process == "inference" and not f.adversarial and not f.implicit
    return replace(f, gradient=Gradient("reinforce")) if infers and discrete else f


def with_parameters(cls: type[nn.Module], program: Program) -> Program:
    """The bound's program with the parameters of the run's, on its device. KeyError where these have other names."""
    bound, state = cls(), program.state_dict()
    bound.load_state_dict({name: state[name] for name in bound.state_dict()})
    return cast(Program, bound.to(next(program.parameters()).device))


@torch.no_grad()
def estimate(found: Evidence, program: Program, records: Batch, k: int | None, seed: int) -> float | None:
    """The bound's mean over the records, in nats per example. k draws a record; None is the plain bound of one draw.

    More draws than DRAWS of one record are made in parts, whose weights are averaged.
    """
    size = len(next(iter(records.values())))
    parts = [DRAWS] * ((k or 1) // DRAWS) + [(k or 1) % DRAWS] * bool((k or 1) % DRAWS)
    classes = {part: compiled(found, None if k is None else part) for part in set(parts)}
    programs = {part: with_parameters(cls, program) for part, cls in classes.items() if cls is not None}
    if len(programs) < len(classes):
        return None
    chunk = max(1, DRAWS // (k or 1)) if len(parts) == 1 else 1
    device = next(program.parameters()).device
    total = torch.zeros((), dtype=torch.float64)
    with seeded(seed, device):
        for start in range(0, size, chunk):
            batch = {f: t[start : start + chunk].to(device) for f, t in records.items()}
            values = torch.stack([_objective(programs[part], batch) / found.share + log(part) for part in parts])
            mean = values.logsumexp(0) - log(k or 1)
            total += mean * len(next(iter(batch.values())))
    return float(total) / size


def _objective(program: Program, batch: Mapping[str, Tensor]) -> Tensor:
    return program.objective(program.draw(batch), program.UPDATES[-1][0]).double().cpu()

"""The optimizer of each group where the file sets none, by what stands in the model."""

from __future__ import annotations

from dataclasses import replace

from schematic.graph.model import AnyModel, Factor, Model, Optimizer, Train

DENSITY = Optimizer("adam", 1e-3, (0.9, 0.999), schedule="linear")
"""No discriminator is trained (Kingma and Ba, 2015, section 2).

The falling rate averages out the noise of the batches: about 0.3 nats of the digits' bound."""
ADVERSARIAL = Optimizer("adam", 2e-4, (0.5, 0.999), schedule="linear")
"""One is (Radford et al., 2015, section 4)."""
CODE = Optimizer("adam", 1e-5, (0.5, 0.999), schedule="linear")
"""The density of a real code given what an implicit generator made of it, beside a discriminator, as InfoGAN's q_eta.

It has no upper bound: at the generator's own rate it soon outweighs the discriminator, and the samples leave the data
(InfoGAN on digits, 1,000 steps: Frechet distance 0.27 of step 0's and rising, against 0.05)."""


def optimizer(model: AnyModel, group: str) -> Optimizer:
    """What trains a group: the file's setting, else the default of its kind."""
    models = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    for name, chosen in model.train.optimizers:
        if name == group:
            return chosen
    if not any(f.adversarial and not f.perfect and not f.fixed for m in models for f in m.factors):
        return DENSITY
    factors = [(m, f) for m in models for f in m.factors if f.group == group]
    return CODE if factors and all(_scores_a_code(m, f) for m, f in factors) else ADVERSARIAL


def _scores_a_code(model: Model, factor: Factor) -> bool:
    target = model.variable(factor.target)
    scored = factor.process == "generative" and not factor.implicit and not factor.adversarial
    return scored and target.type.kind == "real" and target.prior is not None and target.data is None


def settings(model: AnyModel) -> Train:
    """The model's training settings with an optimizer for every group."""
    models = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    groups = dict.fromkeys(g for m in models for g in m.groups)
    return replace(model.train, optimizers=tuple((g, optimizer(model, g)) for g in groups))

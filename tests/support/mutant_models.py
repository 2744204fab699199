"""The models on which wrong rules, plans and programs are tried, and what a mutant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from schematic.compiler import objectives as reading
from schematic.core.diagnostics import Report
from schematic.graph.algebra import importance, perfect, swap, swap_arrows
from schematic.graph.build import load
from schematic.graph.model import Divergence, Model, Type
from schematic.proof.claims import Case
from schematic.proof.finite import with_units
from schematic.proof.verify import program_case

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTICED = 1e-9


@dataclass(frozen=True)
class Mutant:
    """`noticed`: whether a check notices it; None where it changes nothing of what the checks look at."""

    name: str
    noticed: Callable[[], bool | None]


def fails(claim: Callable[[Any], float | None], subject: Any) -> bool:
    """The claim's error is large, or it cannot even be computed."""
    try:
        error = claim(subject)
    except Exception:
        return True
    return error is not None and not error <= NOTICED


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
    vae = example("vae_direct")
    weighed = tuple(replace(f, weight=0.5, beta=4.0 if f.process == "inference" else 1.0) for f in vae.factors)
    return {
        "infogan": infogan,
        "aae": swap(infogan, "x", "z"),
        "aavae": _hot(active),
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
        "partly observed": example("svae"),
        "units": _hot(example("pm")),
        "three domains": _hot(_three(infogan)),
    }


def _hot(model: Model) -> Model:
    return replace(model, factors=tuple(replace(f, temperature=1.5) if f.adversarial else f for f in model.factors))


def _three(model: Model) -> Model:
    """The indicator of three domains."""
    y = Type("domain", values=("first", "second", "real"))
    return replace(model, variables=tuple(replace(v, type=y) if v.type.values else v for v in model.variables))


def _diverging(model: Model, name: Any) -> Model:
    factors = (replace(f, divergence=Divergence(name)) if f.adversarial else f for f in model.factors)
    return replace(model, factors=tuple(factors))


KINDS = ("aavae of numbers", "bits")  # the models whose variables stay in [0, 1], or bits


@cache
def case(name: str) -> Case:
    """Two values a variable, three for x, two units of three for what has units; one random model each."""
    model = corpus()[name]
    sizes = {v.name: len(v.type.values) or (3 if v.name == "x" else 2) for v in model.variables}
    sizes |= dict.fromkeys(with_units(model), 9)
    held = program_case(model, sizes, np.random.default_rng(1), name in KINDS)
    return replace(held, objectives=reading.objectives(held.model, Report()))

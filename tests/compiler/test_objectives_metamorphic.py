"""No textbook shapes: changed drawings change each objective exactly as the second reading says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from against_oracle import check_against_oracle
from random_models import sizes

from schematic.calculus.exact import evaluate
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report
from schematic.graph.algebra import perfect, rename, swap, swap_arrows
from schematic.graph.build import load
from schematic.graph.model import Data, Factor, Model, Prior, Type, Variable
from schematic.proof.finite import finite, random_tables

EXAMPLES = Path(__file__).parents[2] / "examples"
TWO = Type("category", size=2)


def example(name: str) -> Model:
    report = Report()
    model = load(EXAMPLES / f"{name}.sg", report)
    assert isinstance(model, Model) and not report.failed
    return finite(model, {v.name: 2 for v in model.variables})


def bases() -> dict[str, Model]:
    found = {name: example(name) for name in ("gan", "infogan", "vae_direct", "bigan", "ada", "two_level_vae")}
    infogan = found["infogan"]
    active = swap_arrows(infogan)
    return {**found, "aae": swap(infogan, "x", "z"), "aavae": active, "vae": perfect(active, "q_phi")}


BASES = bases()


def add(model: Model, *new: Variable | Factor) -> Model:
    variables = tuple(n for n in new if isinstance(n, Variable))
    factors = tuple(n for n in new if isinstance(n, Factor))
    return replace(model, variables=(*model.variables, *variables), factors=(*model.factors, *factors))


def conditioned(model: Model) -> Model:
    """Every conditional, the adversary's too, is given one more observed variable."""
    c = Variable("cc", TWO, Data(("cc",)))
    factors = tuple(replace(f, parents=("cc", *f.parents)) for f in model.factors)
    return add(replace(model, factors=factors), c)


def second_code(model: Model) -> Model:
    """A second prior feeds what z feeds, and is read back by a second factor beside each that reads z back."""
    fed = tuple(replace(f, parents=("zz", *f.parents)) if "z" in f.parents else f for f in model.factors)
    twins = tuple(replace(f, name=f"{f.name.split('.')[0]}.zz", target="zz") for f in model.factors if f.target == "z")
    drawn = {f.process for f in twins if f.implicit}
    return add(replace(model, factors=fed), Variable("zz", TWO, prior=Prior("Categorical")), *(() if drawn else twins))


def middle(model: Model) -> Model:
    """A deterministic variable in the middle of the first arrow: p -> m => what was there."""
    first = next(f for f in model.factors if not f.adversarial)
    parents = tuple(p for p in first.parents if p != "y")
    inner = Factor(f"{first.name.split('.')[0]}.mm", first.parents, "mm", first.process, implicit=True, when=first.when)
    outer = replace(first, parents=("mm", *(p for p in first.parents if p not in parents)))
    factors = tuple(outer if f is first else f for f in model.factors)
    return add(replace(model, factors=factors), Variable("mm", TWO), inner)


def deeper(model: Model) -> Model:
    """A second latent level above z, which loses its prior to it."""
    variables = tuple(replace(v, prior=None) if v.name == "z" and v.prior else v for v in model.variables)
    up = Factor("p_theta.up", ("zz",), "z", "generative")
    down = Factor("q_eta.up", ("z",), "zz", "inference")
    return add(replace(model, variables=variables), Variable("zz", TWO, prior=Prior("Categorical")), up, down)


CHANGES: dict[str, Callable[[Model], Model]] = {
    "as drawn": lambda m: m,
    "conditioned": conditioned,
    "second code": second_code,
    "middle": middle,
    "conditioned twice over": lambda m: second_code(conditioned(m)),
    "conditioned middle": lambda m: conditioned(middle(m)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("base", BASES)
def test_changed_drawings_follow_the_second_reading(base: str, change: str) -> None:
    model = CHANGES[change](BASES[base])
    assert check_against_oracle(model, random_tables(model, sizes(model), np.random.default_rng(7)))


def test_a_second_latent_level_follows_the_second_reading() -> None:
    model = deeper(BASES["vae_direct"])
    assert check_against_oracle(model, random_tables(model, sizes(model), np.random.default_rng(8)))


@pytest.mark.parametrize("base", BASES)
def test_names_and_order_mean_nothing(base: str) -> None:
    """Renamed variables and groups, and any order of the statements: the same numbers."""
    model = BASES[base]
    t = random_tables(model, sizes(model), np.random.default_rng(9))
    value = {frozenset(o.groups): evaluate(o.term, t) for o in objectives(model, Report())}
    for order in list(permutations(model.factors))[:6]:
        shuffled = replace(model, factors=order, variables=tuple(reversed(model.variables)))
        again = {frozenset(o.groups): evaluate(o.term, t) for o in objectives(shuffled, Report())}
        assert again == pytest.approx(value, abs=1e-12)
    code = next(v.name for v in model.variables if v.name.startswith("z"))
    named = rename(rename(rename(model, "x", "w"), "theta", "rho"), code, "alpha")
    t2 = random_tables(named, sizes(named), np.random.default_rng(9))
    renamed = [evaluate(o.term, t2) for o in objectives(named, Report())]
    assert renamed == pytest.approx(list(value.values()), abs=1e-12)

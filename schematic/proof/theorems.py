"""The paper's theorems beyond Lemma 1, on a user's own graph: Eq. 16, Lemma 2, the active adversary, IWAE's order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from schematic.calculus.exact import distribution, gradient, gradient_of
from schematic.calculus.measures import jsd, kl, mixture, mutual_information, optimal_discriminator, reverse
from schematic.calculus.tables import Table, Tables
from schematic.calculus.terms import Density, Expect
from schematic.compiler.objectives import objectives
from schematic.core.diagnostics import Report, SchematicError
from schematic.graph.algebra import swap, swap_arrows
from schematic.graph.model import AnyModel, Factor, Model
from schematic.proof.claims import Array, Case, Game, apart, by_loops, game
from schematic.proof.second_reading import SecondReading
from schematic.proof.second_words import Config, Source

# --- Eq. 16 ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Augmented:
    """An adversarial game whose objective also scores one visible variable z given the compared x: InfoGAN's form."""

    game: Game
    joint: Density
    scorer: Factor


def augmented(case: Case) -> Augmented | None:
    """One explicit generative factor into a visible variable from compared ones, and p(x | y=1) without parameters."""
    g = game(case)
    if g is None or g.drawn.domains != 2 or case.blue[0].weight != 1.0:
        return None
    if any(d.group and d.kind in ("explicit", "implicit") for d in g.drawn.cases[1]):
        return None
    y = case.model.indicator
    solid = [f for f in case.model.factors if f.process == "generative" and not f.adversarial]
    inferred = {f.target for f in case.model.factors if f.process == "inference" and not f.adversarial}
    if y is None or len(solid) != 1 or solid[0].implicit or solid[0].weight != 1.0 or solid[0].when is not None:
        return None
    f, x = solid[0], set(g.drawn.targets)
    if y.name not in f.parents or not set(f.parents) - {y.name} <= x or f.target in x | inferred:
        return None
    if any(d.kind == "explicit" and d.group for d in g.drawn.cases[0]) or f.target not in _drawn(g.drawn.cases[0]):
        return None
    return Augmented(g, replace(g.drawn, targets=(*g.drawn.targets, f.target)), f)


def _drawn(draws: tuple[Density, ...]) -> set[str]:
    return {t for d in draws for t in d.targets}


def _joint(a: Augmented, case: Case, moved: Tables) -> Array:
    """p_theta(x, z | y=0), axes (batch, x, z)."""
    found = distribution(replace(a.joint, values=((a.joint.given[-1], 0),)), moved, case.tables)
    size = case.sizes[a.scorer.target]
    lead = found.shape[: found.ndim - len(a.joint.targets)]
    return np.asarray(found.reshape(*lead, -1, size))


def _scores(a: Augmented, case: Case) -> Array:
    """q_eta0(z | x, y=0) with x flattened: (x, z)."""
    table, x = case.tables.factors[a.scorer.name], a.game.drawn.targets
    array = np.take(table.array, 0, axis=table.given.index(a.joint.given[-1]))
    given = [p for p in table.given if p in x]
    shape = [case.sizes[v] for v in x]
    order = sorted(range(len(given)), key=lambda i: x.index(given[i]))
    array = np.transpose(array, (*order, len(given)))
    view = [case.sizes[v] if v in given else 1 for v in x]
    full = np.broadcast_to(array.reshape(*view, array.shape[-1]), (*shape, array.shape[-1]))
    return np.asarray(full.reshape(-1, array.shape[-1]))


def _sixteen(case: Case, *, corrected: bool) -> float | None:
    a = augmented(case)
    if a is None or case.others is None:
        return None
    drawers = tuple(f for f in case.moved(case.others) if f != a.scorer.name)
    here = a.game.parts(case.tables, case.tables)
    judge = reverse(a.game.judge(case.tables))[:, 0]
    unnormalized = _scores(a, case) * (judge * mixture(here))[:, None]
    target = (unnormalized / unnormalized.sum(axis=0)).T  # q^r(x | z, y=0), axes (z, x)

    def right(moved: Tables) -> Any:
        parts, joint = a.game.parts(moved, case.tables), _joint(a, case, moved)
        prior = joint.sum(axis=-2)
        if not corrected:
            return jsd(parts) - (prior * kl(parts[..., 0, None, :], target)).sum(axis=-1) / 2
        given_z = np.swapaxes(joint / joint.sum(axis=-2, keepdims=True), -1, -2)
        return jsd(parts) - ((prior * kl(given_z, target)).sum(axis=-1) - mutual_information(joint)) / 2

    left = gradient(case.others.term, case.tables, drawers)
    return apart(left, gradient_of(right, case.tables, drawers))


def equation_16_printed(case: Case) -> float | None:
    """Eq. 16 as printed: grad -E log q_eta q^r = grad E KL(p_theta(x|y) || q^r(x|z,y)) - JSD."""
    return _sixteen(case, corrected=False)


def equation_16_corrected(case: Case) -> float | None:
    """The same with the KL for each z, less E_p(y) I_theta(x; z | y)."""
    return _sixteen(case, corrected=True)


# --- Lemma 2 and the active adversary -------------------------------------------------------------------------


def lemma_2(case: Case) -> float | None:
    """With the perfect discriminator the objective is half the evidence lower bound of the graph at y=0 on data."""
    o, blue = case.others, case.blue
    if o is None or len(blue) != 1 or not blue[0].perfect or not _compared_is_data(case) or not _fixed_at_one(case):
        return None
    plain, slices = _at_zero(case)

    def half(moved: Tables) -> Any:
        cut = slices(moved)
        return SecondReading(plain, cut, slices(case.tables), case.sizes).others() / 2

    worst = 0.0
    for name in case.moved(o):
        hand = by_loops(half, case.tables, name)
        worst = max(worst, apart(gradient(o.term, case.tables, (name,)), {name: hand}))
    return worst


def _compared_is_data(case: Case) -> bool:
    """At the given origin the compared variables come from their data, all of them."""
    reads = case.blue[0].parents
    given = all(case.model.variable(p).data is not None for p in reads)
    return given and not any(f.target in reads and f.when == 1 for f in case.model.factors)


def _fixed_at_one(case: Case) -> bool:
    """Nothing is free at y=1: what is inferred to be real has only constants."""
    reading = SecondReading(case.model, case.tables, case.tables, case.sizes)
    return not any(reading.free(f, 1) for f in case.model.factors if not f.adversarial)


def _at_zero(case: Case) -> tuple[Model, Any]:
    """The graph without its indicator: the factors that are free at y=0; and how its tables are cut out."""
    reading = SecondReading(case.model, case.tables, case.tables, case.sizes)
    y = reading.y
    free = tuple(f for f in case.model.factors if not f.adversarial and reading.free(f, 0))
    factors = tuple(replace(f, parents=tuple(p for p in f.parents if p != y), when=None) for f in free)
    variables = tuple(
        replace(v, data=replace(v.data, fields=v.data.fields[-1:], given=None) if v.data and v.data.given else v.data)
        for v in case.model.variables
        if v.name != y
    )

    def cut(t: Table, at: int) -> Table:
        if y not in t.given:
            return t
        return Table(tuple(g for g in t.given if g != y), t.targets, np.take(t.array, at, axis=t.given.index(y)))

    def slices(moved: Tables) -> Tables:
        return Tables({f.name: cut(moved.factors[f.name], 0) for f in free}, moved.priors,
                      tuple(cut(r, 1) for r in moved.records))  # fmt: skip

    return replace(case.model, variables=variables, factors=factors), slices


def active_adversary(case: Case) -> float | None:
    """At the optimal discriminator the weighed objective is the one of the perfect discriminator, for any theta."""
    o, blue = case.others, case.blue
    if o is None or len(blue) != 1 or blue[0].process != "inference" or blue[0].perfect or blue[0].temperature != 1.0:
        return None
    match o.derivation.start:
        case Expect((_, Density(kind="cases") as outer), _) if outer.domains == 2:
            carried = {t for d in (d for c in outer.cases for d in c) if d.kind == "data" for t in d.targets}
        case _:
            return None
    table = case.tables.factors[blue[0].name]
    if not carried <= set(table.given) or set(outer.targets) != set(table.given):
        return None
    parts = distribution(outer, case.tables)
    best = optimal_discriminator(parts.reshape(2, -1)).reshape(*(case.sizes[v] for v in outer.targets), 2)
    order = [outer.targets.index(v) for v in table.given]
    tables = case.tables.updated(blue[0].name, np.transpose(best, (*order, len(order))))
    perfect = replace(case.model, factors=tuple(replace(f, perfect=f.adversarial) for f in case.model.factors))
    other = Case(perfect, case.sizes, tables, objectives(perfect, Report())).others
    if other is None:
        return None
    factors = case.moved(o)
    return apart(gradient(o.term, tables, factors), gradient(other.term, tables, factors))


# --- importance weighting and the moves --------------------------------------------------------------------------


def importance_order(case: Case) -> float | None:
    """L_k = E log 1/k sum_i exp(B_i) grows with k and stays under E log E exp(B) (log p(x), where B is a bound's)."""
    if case.model.indicator is not None or case.model.wake_sleep:
        return None
    worst = 0.0
    for chance, inside in _brackets(case):
        weight = np.exp(inside)
        bounds = [_bound(chance, weight, k) for k in (1, 2, 3)] + [float(np.log((chance * weight).sum()))]
        worst = max(worst, *(a - b for a, b in pairwise(bounds)))
    return max(0.0, worst)


def _brackets(case: Case) -> list[tuple[Array, Array]]:
    """For each record, the probabilities of what is inferred and the bracket of each configuration."""
    r = SecondReading(case.model, case.tables, case.tables, case.sizes)
    source: dict[str, Source] = {n: r.drawn_from(n, -1) for n in r.names}
    usable = r.usable(source)
    seen = [n for n in usable if source[n] == "given" and case.model.variable(n).data is not None]
    hidden = [n for n in usable if n not in seen]
    found = []
    for record in r.configs(seen):
        held: dict[str, Source] = {**source, **dict.fromkeys(seen, "outer")}
        rows = [(_chance(r, c, record, held), r.bracket({**record, **c}, source, -1, weighed=False))
                for c in r.configs(hidden)]  # fmt: skip
        found.append((np.array([a for a, _ in rows]), np.array([b for _, b in rows])))
    return found


def _chance(r: SecondReading, inner: Config, record: Config, source: dict[str, Source]) -> float:
    return float(r.weight({**record, **inner}, source, -1, lambda f: r.t))


def _bound(chance: Array, weight: Array, k: int) -> float:
    """E log of the mean of k weights, by every k-tuple."""
    total = 0.0
    for places in product(range(len(chance)), repeat=k):
        at = list(places)
        total += float(np.prod(chance[at]) * np.log(weight[at].mean()))
    return total


def moves_keep_their_laws(case: Case) -> float | None:
    """swap_arrows and every swap of two variables are involutions, and commute. 0 where they do, 1 where not."""
    names = [v.name for v in case.model.variables if v.type.kind != "domain"]

    def plain(m: AnyModel) -> AnyModel:
        return replace(m, log=(), name="") if isinstance(m, Model) else m

    def same(a: AnyModel, b: AnyModel) -> bool:
        return plain(a) == plain(b)

    try:
        turned = swap_arrows(case.model)
        laws = [same(swap_arrows(turned), case.model)]
        for a, b in combinations(names, 2):
            swapped = swap(case.model, a, b)
            laws += [same(swap(swapped, a, b), case.model), same(swap_arrows(swapped), swap(turned, a, b))]
    except SchematicError:
        return None
    return 0.0 if all(laws) else 1.0

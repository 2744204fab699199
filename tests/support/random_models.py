"""Random finite graphs for hypothesis: any arrows, codes, labels, levels, domains, guards and shared groups.

Most graphs are drawn so that a reading exists (each variable has one source, what is scored is drawn); one factor in
some is drawn wildly, so that diagnostics occur too.
"""

from __future__ import annotations

from hypothesis import strategies as st

from schematic.graph.model import Data, Factor, Model, Prior, Type, Variable

NAMES = ("x", "z", "t", "h", "c")
GROUPS = ("theta", "eta", "lambda")
INDICATOR = Variable("y", Type("domain", values=("fake", "real")))


def chance(draw: st.DrawFn, percent: int) -> bool:
    return draw(st.integers(0, 99)) < percent


@st.composite
def variables(draw: st.DrawFn, with_y: bool) -> tuple[Variable, ...]:
    """x is data and z has a prior as a rule; the others have data, a prior or nothing."""
    found = []
    for name in NAMES[: draw(st.integers(2, 4))]:
        kinds = {"x": ("data",), "z": ("prior", "prior", "data")}.get(name, ("data", "prior", "none", "none"))
        kind = draw(st.sampled_from(kinds))
        by_domain = with_y and kind == "data" and chance(draw, 15)
        data = Data((f"{name}0/v", f"{name}1/v") if by_domain else (name,), "y" if by_domain else None)
        prior = Prior("Categorical") if kind == "prior" else None
        size = draw(st.sampled_from((2, 2, 3)))
        found.append(Variable(name, Type("category", size=size), data if kind == "data" else None, prior))
    return (*found, INDICATOR) if with_y else tuple(found)


@st.composite
def sources(draw: st.DrawFn, names: list[str], most: int = 2) -> tuple[str, ...]:
    return tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=min(most, len(names)), unique=True)))


@st.composite
def options(draw: st.DrawFn, process: str, implicit: bool, with_y: bool) -> tuple[bool, dict[str, object]]:
    """Does the factor read y, and its options."""
    reads_y = with_y and chance(draw, 60)
    found: dict[str, object] = {"process": process, "implicit": implicit, "fixed": chance(draw, 6)}
    if with_y and not reads_y and chance(draw, 35):
        found["when"] = draw(st.sampled_from((0, 1)))
    if not implicit and chance(draw, 20):
        found["weight"] = 0.5
    if process == "inference" and not implicit and chance(draw, 20):
        found["beta"] = 4.0
    return reads_y, found


@st.composite
def sensible(draw: st.DrawFn, found: tuple[Variable, ...], with_y: bool, compared: tuple[str, ...], blue: str | None):
    """(parents, target, options): inference along a random order, generation against it."""
    byname = {v.name: v for v in found}
    order = draw(st.permutations([v.name for v in found if v.name != "y"]))
    inferred: list[str] = []
    result = []
    for i, name in enumerate(order[1:], start=1):
        judged = name in compared and blue == "generative"
        weighed = name in compared and blue == "inference"
        if (byname[name].data is None or judged) and not weighed and chance(draw, 75):
            free_code = byname[name].prior is not None or judged or not byname[name].given
            implicit = chance(draw, 80 if name in compared else 30) or not free_code
            reads_y, more = draw(options("inference", implicit, with_y))
            result.append((draw(sources(list(order[:i]))), reads_y, name, more))
            inferred.append(name)
    for i, name in enumerate(order):
        later = list(order[i + 1 :])
        known = name in inferred or byname[name].given
        if later and chance(draw, 70 if known else 95):
            reads_y, more = draw(options("generative", not known and chance(draw, 90), with_y))
            result.append((draw(sources(later)), reads_y, name, more))
    return result


@st.composite
def wild(draw: st.DrawFn, found: tuple[Variable, ...], with_y: bool):
    names = [v.name for v in found if v.name != "y"]
    target = draw(st.sampled_from(names))
    process = draw(st.sampled_from(("generative", "inference")))
    reads_y, more = draw(options(process, chance(draw, 40), with_y))
    return draw(sources([n for n in names if n != target])), reads_y, target, more


@st.composite
def models(draw: st.DrawFn) -> Model:
    with_y = chance(draw, 80)
    found = draw(variables(with_y))
    names = [v.name for v in found if v.name != "y"]
    blue = draw(st.sampled_from(("generative", "generative", "inference", None))) if with_y else None
    compared = draw(sources(names)) if blue else ()
    drawn = draw(sensible(found, with_y, compared, blue))
    if chance(draw, 15) or not drawn:
        drawn.append(draw(wild(found, with_y)))
    groups = (*GROUPS, "phi") if chance(draw, 20) else GROUPS
    factors = [
        Factor(f"p_{draw(st.sampled_from(groups))}.{i}", (*parents, "y") if reads_y else parents, target, **more)
        for i, (parents, reads_y, target, more) in enumerate(drawn)
    ]
    if blue:
        more = {"perfect": True} if blue == "inference" and chance(draw, 40) else {}
        more |= {"temperature": 1.5} if chance(draw, 20) else {}
        more |= {"weight": 0.3} if blue == "generative" and chance(draw, 20) else {}
        factors.append(Factor("q_phi", compared, "y", blue, adversarial=True, **more))
    return Model("Random", found, tuple(factors))


def sizes(model: Model) -> dict[str, int]:
    return {v.name: len(v.type.values) or v.type.size for v in model.variables}

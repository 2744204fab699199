"""Random finite graphs for hypothesis: two or three classes a variable, any arrows, domains, guards, shared groups."""

from __future__ import annotations

from hypothesis import strategies as st

from schematic.graph.model import Data, Factor, Model, Prior, Type, Variable

NAMES = ("x", "z", "t", "h", "c")
GROUPS = ("theta", "eta", "lambda")
INDICATOR = Variable("y", Type("domain", values=("fake", "real")))


@st.composite
def variables(draw: st.DrawFn, with_y: bool) -> tuple[Variable, ...]:
    found = []
    for name in NAMES[: draw(st.integers(2, 4))]:
        size = draw(st.sampled_from((2, 2, 3)))
        first = {"x": ("data",), "z": ("prior", "prior", "data")}.get(name, ("data", "prior", "none", "none"))
        kind = draw(st.sampled_from(first))
        by_domain = with_y and kind == "data" and draw(st.integers(0, 5)) == 0
        data = Data((f"{name}0/v", f"{name}1/v") if by_domain else (name,), "y" if by_domain else None)
        prior = Prior("Categorical") if kind == "prior" else None
        found.append(Variable(name, Type("category", size=size), data if kind == "data" else None, prior))
    return (*found, INDICATOR) if with_y else tuple(found)


@st.composite
def factors(draw: st.DrawFn, found: tuple[Variable, ...], with_y: bool, blue: str | None) -> tuple[Factor, ...]:
    names = [v.name for v in found if v.name != "y"]
    result: list[Factor] = []
    for i in range(draw(st.integers(1, 4))):
        target = draw(st.sampled_from(names))
        others = [n for n in names if n != target]
        sources = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True))
        process = draw(st.sampled_from(("generative", "inference")))
        implicit = draw(st.integers(0, 2)) == 0
        reads_y = with_y and draw(st.integers(0, 2)) > 0
        when = draw(st.sampled_from((0, 1))) if with_y and not reads_y and draw(st.integers(0, 2)) == 0 else None
        plain = process == "generative" or not implicit
        weight = draw(st.sampled_from((1.0, 1.0, 1.0, 0.5))) if plain else 1.0
        beta = draw(st.sampled_from((1.0, 1.0, 4.0))) if process == "inference" and not implicit else 1.0
        fixed = draw(st.integers(0, 9)) == 0
        group = draw(st.sampled_from((*GROUPS, "phi") if draw(st.integers(0, 5)) == 0 else GROUPS))
        parents = (*sources, "y") if reads_y else tuple(sources)
        options = {"fixed": fixed, "weight": weight, "beta": beta, "when": when}
        result.append(Factor(f"p_{group}.{i}", parents, target, process, implicit, **options))
    if blue:
        sources = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)))
        perfect = blue == "inference" and draw(st.booleans())
        heat = draw(st.sampled_from((1.0, 1.0, 1.5)))
        weight = draw(st.sampled_from((1.0, 1.0, 0.3))) if blue == "generative" else 1.0
        result.append(
            Factor("q_phi", sources, "y", blue, adversarial=True, perfect=perfect, temperature=heat, weight=weight)
        )  # fmt: skip
    return tuple(result)


@st.composite
def models(draw: st.DrawFn) -> Model:
    with_y = draw(st.integers(0, 4)) > 0
    found = draw(variables(with_y))
    blue = draw(st.sampled_from(("generative", "inference", None))) if with_y else None
    return Model("Random", found, draw(factors(found, with_y, blue)))


def sizes(model: Model) -> dict[str, int]:
    return {v.name: len(v.type.values) or v.type.size for v in model.variables}

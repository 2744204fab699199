"""What a drawing says, before any geometry: shaded nodes, marked arrows, factors named in mathematics (Figures 1, 3).

An arrow statement is one conditional: it has an arrow from each parent, all of one mark, and one label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schematic.calculus.latex import name_latex
from schematic.core.names import greek
from schematic.graph.model import Factor, Model, Variable

Shade = Literal["latent", "visible", "partial"]


@dataclass(frozen=True)
class Node:
    """A variable. `tex` is its name in mathematics, `title` what a screen reader says."""

    name: str
    tex: str
    shade: Shade
    title: str


@dataclass(frozen=True)
class Label:
    """A factor's name in mathematics: LaTeX, and the same as plain text."""

    tex: str
    text: str


@dataclass(frozen=True)
class Arrow:
    """From a parent (None: a factor without parents) to a target, as numbers of nodes; `factor` numbers the labels."""

    source: int | None
    target: int
    factor: int
    dashed: bool
    hollow: bool
    blue: bool


@dataclass(frozen=True)
class Picture:
    """A model as it is drawn. `pairs` are the nodes that arrows join; `anchor` is the indicator's node."""

    name: str
    nodes: tuple[Node, ...]
    labels: tuple[Label, ...]
    arrows: tuple[Arrow, ...]
    pairs: frozenset[tuple[int, int]]
    anchor: int | None


def picture(model: Model) -> Picture:
    """Reads a model's drawing off its variables and factors."""
    number = numbers(model)
    labels: dict[tuple[Label, Factor], int] = {}
    arrows: dict[Arrow, None] = {}
    for factor in model.factors:
        name = label(model, factor)
        # The same conditional under the same mark, stated twice, is one arrow.
        key = next((k for k in labels if k[0] == name and _drawn_alike(k[1], factor)), (name, factor))
        index = labels.setdefault(key, len(labels))
        for parent in factor.parents or (None,):
            source = None if parent is None else number[parent]
            mark = factor.process == "inference", factor.implicit, factor.adversarial
            arrows[Arrow(source, number[factor.target], index, *mark)] = None
    indicator = model.indicator
    return Picture(
        model.name,
        tuple(Node(v.name, symbol(v), shade(model, v), _title(model, v)) for v in model.variables),
        tuple(name for name, _ in labels),
        tuple(arrows),
        skeleton(model),
        None if indicator is None else number[indicator.name],
    )


def numbers(model: Model) -> dict[str, int]:
    """The node of each name; an instance of a chain that nothing restates, `z[5]`, stands in its chain's."""
    own = {v.name: i for i, v in enumerate(model.variables)}
    named = (n for f in model.factors for n in (*f.parents, f.target))
    return {n: own[n.partition("[")[0]] for n in named if n not in own} | own


def skeleton(model: Model) -> frozenset[tuple[int, int]]:
    """The pairs of nodes, as ordered numbers, that arrows join, whatever their marks and directions.

    For a model that moves made, these are the pairs of the one they began with: so both have the same places. What a
    block added since is joined as it is now.
    """
    number = numbers(model)
    before = {name for pair in model.joined for name in pair}
    now = {(p, f.target) for f in model.factors for p in f.parents if not {p, f.target} <= before}
    ends = {(number[a], number[b]) for a, b in model.joined | now if a in number and b in number}
    return frozenset((min(a, b), max(a, b)) for a, b in ends if a != b)


def shade(model: Model, variable: Variable) -> Shade:
    """Visible (shaded) or latent (white), as the paper reads them: inference infers the latent from the visible.

    A variable is latent if a dashed arrow ends in it (x of a GAN, z of an adversarial autoencoder, z and y of a VAE
    by moves), or if it has no distribution of its own. A prior without data is of a visible variable only where the
    generative side is adversarial, for there the code is given as data are (z of a GAN, Figure 1(c)); in a plain
    generative model it is what the paper calls latent. `partial` is observed for some records: half shaded.
    """
    if variable.partial:
        return "partial"
    if any(f.target == variable.name and f.process == "inference" for f in model.factors):
        return "latent"
    if variable.data is not None or variable.type.kind == "domain":
        return "visible"
    adversarial = any(f.adversarial and f.process == "generative" for f in model.factors)
    return "visible" if variable.prior is not None and adversarial else "latent"


def _drawn_alike(a: Factor, b: Factor) -> bool:
    return a.process == b.process and a.implicit == b.implicit and set(a.parents) == set(b.parents)


# --- names in mathematics ---------------------------------------------------------------------------------


def symbol(variable: Variable) -> str:
    """A variable's name as LaTeX: bold with an event shape, as the paper's x and z, else italic, as its y."""
    name = name_latex(variable.name, bold=bool(variable.type.shape))
    return name if variable.index is None else _indexed(name, rf"{variable.index[0]}\ldots {variable.index[1]}")


def label(model: Model, factor: Factor) -> Label:
    """A factor's name: q_eta(z | x, y), q_phi^(r)(y | x) of a blue arrow (both q and its reverse), q_* if perfect."""
    group = ("*", "*") if factor.perfect else (name_latex(factor.group), greek(factor.group))
    power = ("^{(r)}", "^(r)") if factor.adversarial else ("", "")
    slots = factor.shifts or (None,) * (len(factor.parents) + 1)
    ends = [_end(model, n, s) for n, s in zip((*factor.parents, factor.target), slots, strict=True)]
    if factor.each:
        target = ends[-1]
        ends = [(_indexed(target[0], "-i"), f"{target[1]}_-i"), (_indexed(target[0], "i"), f"{target[1]}_i")]
    *given, (target_tex, target_text) = ends
    bar = (r" \mid ", "|") if given else ("", "")
    where = _where(model, factor)
    return Label(
        rf"{factor.letter}_{{{group[0]}}}{power[0]}({target_tex}{bar[0]}{', '.join(g[0] for g in given)}){where[0]}",
        f"{factor.letter}_{group[1]}{power[1]}({target_text}{bar[1]}{', '.join(g[1] for g in given)}){where[1]}",
    )


def _where(model: Model, factor: Factor) -> tuple[str, str]:
    """The domain that a factor lives in, if it is not all of them."""
    y = model.indicator
    if factor.when is None or y is None:
        return "", ""
    return rf",\; {name_latex(y.name)}{{=}}{factor.when}", f", {y.name}={factor.when}"


def _end(model: Model, name: str, shift: int | None) -> tuple[str, str]:
    tex = name_latex(name, bold=bool(model.variable(name).type.shape))
    if shift is None:
        return tex, name
    index = "t" if shift == 0 else f"t{shift:+d}"
    return _indexed(tex, index), f"{name}_{index}"


def _indexed(tex: str, index: str) -> str:
    """With a subscript, joined to one that is there."""
    if "}_{" in tex or ("_{" in tex and not tex.startswith("\\")):
        return f"{tex[:-1]},{index}}}"
    return f"{tex}_{{{index}}}"


def _title(model: Model, variable: Variable) -> str:
    kind = variable.type
    shape = f"({', '.join(map(str, kind.shape))})" if kind.shape else ""
    values = f"({', '.join(kind.values)})" if kind.values else f"({kind.size})" if kind.size else shape
    said = {"latent": "latent", "visible": "visible", "partial": "partly visible"}[shade(model, variable)]
    return f"{greek(variable.name)}: {kind.kind}{values}, {said}"

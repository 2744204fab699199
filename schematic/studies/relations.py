"""`schematic relations`: how the known models are related, computed from their files (the paper's Figure 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from schematic.graph.model import Sum
from schematic.studies.identify import equal_objectives, nearest
from schematic.studies.known import Known
from schematic.studies.matching import arrows
from schematic.studies.moves import Goal, Move, Reached, goal, stepped
from schematic.studies.screens import number, wrapped
from schematic.studies.skeleton import form, terms

MOST = 1000


@dataclass(frozen=True)
class Relation:
    """An edge between two known models, told by their files.

    move   a move makes the right model of the left one, M; `both` ways where it undoes itself
    term   the left model is a term of the right one, a sum, with the weight in `words`
    equal  equal objectives by another drawing; in `words` the left one's in terms of the right one's
    near   nothing else relates the right model to the left one and its like; in `words` what differs
    """

    kind: Literal["move", "term", "equal", "near"]
    left: str
    right: str
    words: str
    both: bool = False


def relations(known: Sequence[Known]) -> tuple[Relation, ...]:
    """The edges: moves first, then terms, equal objectives, and what is nearest to models that these leave apart."""
    found = (*_moves(known), *_terms(known), *_equal(known))
    return (*found, *_near(known, found))


def _moves(known: Sequence[Known]) -> Iterator[Relation]:
    forms = {form(k.model).form: k.file for k in known}
    goals = [goal(k.model) for k in known]
    towards = Goal(0, 0, frozenset(n for g in goals for n in g.draws), any(g.wake_sleep for g in goals))
    age = {k.file: (_computed(k), sum(len(m.log) for _, m in terms(k.model)), k.file) for k in known}
    edges: dict[tuple[str, str], Move] = {}
    for k in known:
        shape = form(k.model).form
        for state in stepped([Reached((), k.model)], towards, {shape}, MOST):
            if (other := forms.get(form(state.model).form)) is not None:
                edges[k.file, other] = state.moves[0]
    for (a, b), move in sorted(edges.items(), key=lambda e: e[0]):
        back = edges.get((b, a))
        if back is None or (move.name != "activate" and (back.name == "activate" or age[a] < age[b])):
            yield Relation("move", a, b, move.text("M"), both=back is not None and back.name == move.name)


def _computed(known: Known) -> bool:
    """The model is made of one that another file draws."""
    return any(Path(a.factor.span.source.path).name != known.file for a in arrows(known.model))


def _terms(known: Sequence[Known]) -> Iterator[Relation]:
    forms = {form(k.model).form: k.file for k in known}
    for k in known:
        if isinstance(k.model, Sum):
            for weight, model in k.model.terms:
                if (other := forms.get(form(model).form)) is not None:
                    yield Relation("term", other, k.file, f"{weight:g} * M")


def _equal(known: Sequence[Known]) -> Iterator[Relation]:
    for a, b in combinations(known, 2):
        for equal in equal_objectives(a.model, a.objectives, [b]):
            by = ", ".join(map(number, dict.fromkeys(equal.ratios)))
            yield Relation("equal", a.file, b.file, f"times {by}", both=True)


def _near(known: Sequence[Known], found: Iterable[Relation]) -> Iterator[Relation]:
    """For every family of related models but the largest the least difference to a model outside."""
    families = sorted(_families(known, found), key=lambda f: (-len(f), f[0].file))
    pairs: set[tuple[str, str]] = set()
    for family in families[1:]:
        outside = [k for k in known if k not in family]
        nearby = [(near, k.file) for k in family if (near := nearest(k.model, outside, depth=0)) is not None]
        near, file = min(nearby, key=lambda n: (n[0].distance, n[0].match.cost))
        if (file, near.known.file) not in pairs:
            pairs.add((near.known.file, file))
            words = "; ".join(f"{c.name}: {', '.join(c.words)}" for c in near.changes)
            yield Relation("near", near.known.file, file, words)


def _families(known: Sequence[Known], found: Iterable[Relation]) -> list[list[Known]]:
    """The models that edges join."""
    home = {k.file: [k] for k in known}
    for r in found:
        a, b = home[r.left], home[r.right]
        if a is not b:
            a += b
            home.update({k.file: a for k in b})
    return list({id(family): family for family in home.values()}.values())


# --- as text and as a graph -------------------------------------------------------------------------------------

ARROWS = {"move": ("->", "<->"), "term": ("+>", "+>"), "equal": ("=", "="), "near": ("..>", "..>")}


def relations_text(known: Sequence[Known], found: Sequence[Relation]) -> str:
    """The edges by the model that they start from, M."""
    names = model_names(known)
    width = max((len(names[r.right]) for r in found), default=0)
    out: list[str] = []
    for k in known:
        own = [r for r in found if r.left == k.file]
        if own:
            out += ["", names[k.file]]
            for r in own:
                lead = f"  {ARROWS[r.kind][r.both]:<4}{names[r.right]:<{width}}  "
                out += wrapped(r.words, lead, "")
    return "\n".join([*LEGEND, *out, ""])


LEGEND = (
    "->  a move of M gives it    <->  and back    +>  M is a term of it",
    "=   equal objectives        ..>  it is nearest to M, by these differences",
)


def model_names(known: Sequence[Known]) -> dict[str, str]:
    """What each file's model is called: by its file, too, if two have its name."""
    names = [k.name for k in known]
    return {k.file: k.name if names.count(k.name) == 1 else f"{k.name} ({k.file})" for k in known}


def relations_dot(known: Sequence[Known], found: Sequence[Relation]) -> str:
    """The relations in Graphviz's language."""
    import graphviz

    graph = graphviz.Digraph("relations", node_attr={"shape": "box", "style": "rounded"})
    for file, name in model_names(known).items():
        graph.node(file, graphviz.escape(name))
    styles = {"move": "solid", "term": "bold", "equal": "dashed", "near": "dotted"}
    for r in found:
        ends = {"equal": "none", "move": "both" if r.both else "forward"}.get(r.kind, "forward")
        graph.edge(r.left, r.right, graphviz.escape(r.words), style=styles[r.kind], dir=ends)
    return str(graph.source)

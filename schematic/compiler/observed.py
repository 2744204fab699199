"""`partial` variables (semantics.md, rule 8; Kingma et al. 2014): what is read where they are observed, what where not.

A branch is read once for every set of inferred variables that may be observed together. A term that depends on one
of them counts the records of its reading; one that depends on a variable that is not inferred, the observed records.
The records and their masks are drawn first, everything else inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

from schematic.calculus.structure import trim
from schematic.calculus.terms import Term, Where, densities, mask
from schematic.compiler.branches import Branch, Fixed, Given, Graph, Source, draws, sources
from schematic.compiler.forms import Draws, mentioned_in, open_domain
from schematic.core.diagnostics import Report, error

MOST = 4  # inferred variables that are partial: a model is read for each subset of them

Seen = frozenset[str]
Guard = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Reading:
    """A model read with some partial variables observed: the draws of each branch, and the terms, y open. `open`: the
    partial variables of which a record of the branch says whether they are observed."""

    drawn: tuple[Draws, ...]
    body: tuple[Term, ...]
    open: tuple[Seen, ...]


def check_partial(g: Graph, report: Report) -> None:
    """What would be read too many times over, or weighed where some records have no weight."""
    for name in g.inferred[MOST:]:
        report.add(
            error("SG422", g.variables[name].span,
                  f"at most {MOST} `partial` variables can be inferred in one model, and `{name}` is one more",
                  f"delete `partial`, or the dashed arrow into `{name}`")
        )  # fmt: skip
    for v in g.partial:
        for f in (f for f in g.judges if f.divergence.penalty and v.name in f.parents):
            report.add(
                error("SG422", f.span, f"a gradient penalty needs `{v.name}` in every record, and it is `partial`",
                      "another divergence, or other sources for the blue arrow")
            )  # fmt: skip


def readings(g: Graph, read: Callable[[Seen], Reading]) -> dict[Seen, Reading]:
    """The model read with each set of inferred partial variables observed, the largest first."""
    names = g.inferred
    sets = (frozenset(c) for n in range(len(names), -1, -1) for c in combinations(names, n))
    return {seen: read(seen) for seen in sets}


def by_observation(
    g: Graph,
    found: dict[Seen, Reading],
    parts: list[tuple[Guard, Reading]],
    inside: Callable[[tuple[Draws, ...], list[Term]], Term],
    outer: Callable[[Iterable[str]], list[Draws]],
    *,
    y: str | None = None,
    constant: tuple[Term, ...] = (),
    stopped: bool = False,
) -> Term:
    """E of the records, and in it the terms of every reading beside their own draws.

    `parts`: the readings as `guarded` tells them; `inside`: what terms become beside draws, by branch; `outer`: the
    draws of these records and masks, by branch.
    """
    names = tuple(t for r in found.values() for case in r.drawn for d in case if d.kind == "data" for t in d.targets)
    masks = tuple(mask(v) for guard, _ in parts for v, _ in guard)
    body = [_guarded(g, guard, inside(part.drawn, list(part.body))) for guard, part in parts]
    shown = tuple(v for v in g.variables if v in names) if y is None else ()
    return open_domain(g, outer((*names, *masks)), [*body, *constant], y=y, shown=shown, stopped=stopped)


def guarded(g: Graph, found: dict[Seen, Reading]) -> list[tuple[Guard, Reading]]:
    """The terms by what has to be observed or missing for them, with the draws that they need beside the records."""
    parts: dict[Guard, tuple[list[Term], Reading]] = {}
    for seen, r in found.items():
        for term in r.body:
            guard = tuple((v, int(v in seen or v not in g.inferred)) for v in _depends(g, term, r))
            terms, _ = parts.setdefault(guard, ([], r))
            terms += [term] if term not in terms else []
    return [
        (guard, replace(r, drawn=_inner(g, r.drawn, terms), body=tuple(_inferred(g, guard, t) for t in terms)))
        for guard, (terms, r) in parts.items()
    ]


def _depends(g: Graph, term: Term, r: Reading) -> tuple[str, ...]:
    """The partial variables that a term reads, itself or by the draws of what it reads, where a record tells."""
    found: set[str] = set()
    for branch, case, told in zip(g.branches, r.drawn, r.open, strict=True):
        here = set(mentioned_in(g, [term], branch))
        found |= told & (here | {v for d in trim(case, here) for v in (*d.targets, *d.given)})
    return tuple(v.name for v in g.partial if v.name in found)


def told(g: Graph, source: dict[str, Source]) -> Seen:
    """The partial variables whose masks come with a record here, or with the outer sample."""
    return frozenset(v.name for v in g.partial if not isinstance(source[mask(v.name)], Fixed))


def _inner(g: Graph, drawn: tuple[Draws, ...], terms: list[Term]) -> tuple[Draws, ...]:
    """The draws that the terms need beside the records."""
    found = []
    for branch, case in zip(g.branches, drawn, strict=True):
        needed = trim(case, mentioned_in(g, terms, branch))
        found.append(tuple(d for d in needed if d.kind != "data"))
    return tuple(found)


def _guarded(g: Graph, guard: Guard, body: Term) -> Term:
    for v, value in reversed(guard):
        body = Where(mask(v), (value,), f"{v} is {'observed' if value else 'missing'}", body)
    return body


def _inferred(g: Graph, guard: Guard, term: Term) -> Term:
    """The term in the branches that infer what is missing: another one would read it from the record."""
    for v, _ in (one for one in guard if one[1] == 0):
        lost = [b for b in g.branches if isinstance(sources(g, b)[v], Given) and not _degenerate(term, b)]
        live = tuple(b for b in g.branches if b is not None and b not in lost)
        if g.y is not None and lost and v in mentioned_in(g, [term], lost[0]):
            term = Where(g.y, live, f"{v} is inferred there", term)
    return term


def _degenerate(term: Term, branch: Branch) -> bool:
    return all(d.fixed_at == branch for d in densities(term))


def records(g: Graph, names: Iterable[str], branch: Branch) -> Draws:
    """The records and masks of a branch, as far as they are sampled there."""
    source = sources(g, branch, seen=frozenset(g.inferred))
    wanted = [n for n in (*g.variables, *(mask(v.name) for v in g.partial)) if n in set(names)]
    found, _ = draws(g, source, wanted, branch, lambda _: True)
    return tuple(d for d in found if d.kind in ("data", "indicator"))


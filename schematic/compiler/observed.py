"""`partial` variables (semantics.md, rule 8; Kingma et al. 2014): what is read where they are observed, what where not.

A branch is read once for every set of inferred variables that may be observed together. A term that depends on one
of them counts the records of its reading; one that depends on a variable that is not inferred, the observed records.
The records and their masks are drawn first, everything else inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from schematic.calculus.structure import trim
from schematic.calculus.terms import ZERO, Term, Where, densities, mask
from schematic.compiler.branches import Branch, Fixed, Given, Graph, Source, draws, sources
from schematic.compiler.forms import Draws, mentioned_in, open_domain
from schematic.core.diagnostics import Report, error
from schematic.graph.model import Factor

MOST = 4  # inferred variables that are partial: a model is read for each subset of them

Seen = frozenset[str]
Guard = tuple[tuple[str, tuple[int, ...]], ...]  # partial variables, with the values of their masks

OBSERVED, MISSING, GENERATED = (1,), (0, 2), (2,)


@dataclass(frozen=True)
class Reading:
    """A model read with some partial variables observed: the draws of each branch, and the terms, y open. `open`: the
    partial variables of which a record of the branch says whether they are observed."""

    branches: tuple[Branch, ...]
    drawn: tuple[Draws, ...]
    body: tuple[Term, ...]
    open: tuple[Seen, ...]


def check_partial(g: Graph, report: Report) -> None:
    """What would be read too many times over."""
    for name in g.inferred[MOST:]:
        report.add(
            error("SG422", g.variables[name].span,
                  f"at most {MOST} `partial` variables can be inferred in one model, and `{name}` is one more",
                  f"delete `partial`, or the dashed arrow into `{name}`")
        )  # fmt: skip


def check_penalties(g: Graph, own: Iterable[Factor], r: Reading, report: Report) -> None:
    """A gradient penalty stands on a point a record: its sources depend on nothing that a record may lack."""
    for f in (f for f in own if f.divergence.penalty):
        for case, told in zip(r.drawn, r.open, strict=True):
            read = {v for d in trim(case, f.parents) for v in (*d.targets, *d.given)}
            for name in (v.name for v in g.partial if v.name in told & read):
                report.add(
                    error("SG422", f.span, f"a gradient penalty needs `{name}` in every record, and it is `partial`",
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


def guarded(g: Graph, found: dict[Seen, Reading], *, weighed: bool = False) -> list[tuple[Guard, Reading]]:
    """The terms by what has to be observed or missing for them, with the draws that they need beside the records."""
    parts: dict[Guard, tuple[dict[Term, None], Reading]] = {}
    for seen, r in found.items():
        for read, term in (pair for whole in r.body for pair in _by_branch(g, whole, r)):
            guard = tuple((v, OBSERVED if v in seen or v not in g.inferred else MISSING) for v in read)
            for one, part in ((guard, term), *(_generated(g, guard, term, r) if weighed else ())):
                parts.setdefault(one, ({}, r))[0][part] = None
    kept = {guard: ([t for t in (_inferred(g, guard, t, r) for t in terms) if t != ZERO], r)
            for guard, (terms, r) in parts.items()}  # fmt: skip
    return [
        (guard, replace(r, drawn=_inner(g, r, terms), body=tuple(terms)))
        for guard, (terms, r) in kept.items()
        if terms
    ]


def _by_branch(g: Graph, term: Term, r: Reading) -> Iterator[tuple[tuple[str, ...], Term]]:
    """The partial variables that a term reads, and the term; by branches, where they differ."""
    if not g.partial:
        yield (), term
        return
    read: dict[tuple[str, ...], list[int]] = {}
    for branch, case, told in zip(r.branches, r.drawn, r.open, strict=True):
        if (here := _reads(g, term, branch, case)) and not _degenerate(term, branch):
            read.setdefault(tuple(v.name for v in g.partial if v.name in told & here), []).append(branch or 0)
    if len(read) < 2 or g.y is None:
        yield next(iter(read), ()), term
        return
    for names, branches in read.items():
        listed = ", ".join(names) or "nothing partial"
        yield names, Where(g.y, tuple(branches), f"it reads {listed} there", term)


def _reads(g: Graph, term: Term, branch: Branch, case: Draws) -> frozenset[str]:
    """What a term reads in a branch, itself or by the draws of what it reads."""
    here = mentioned_in(g, [term], branch)
    return frozenset((*here, *(v for d in trim(case, here) for v in (*d.targets, *d.given))))


def told(g: Graph, source: dict[str, Source]) -> Seen:
    """The partial variables whose masks come with a record here, or with the outer sample."""
    return frozenset(v.name for v in g.partial if not isinstance(source[mask(v.name)], Fixed))


def _inner(g: Graph, r: Reading, terms: list[Term]) -> tuple[Draws, ...]:
    """The draws that the terms need beside the records."""
    found = []
    for branch, case in zip(r.branches, r.drawn, strict=True):
        needed = trim(case, mentioned_in(g, terms, branch))
        found.append(tuple(d for d in needed if d.kind != "data"))
    return tuple(found)


def _guarded(g: Graph, guard: Guard, body: Term) -> Term:
    for v, value in reversed(guard):
        body = Where(mask(v), value, f"{v} is {'observed' if value == OBSERVED else 'missing'}", body)
    return body


def _inferred(g: Graph, guard: Guard, term: Term, r: Reading) -> Term:
    """The term in the branches that infer what is missing: another one would read it from the record."""
    for v, _ in (one for one in guard if one[1] == MISSING):
        here = [b for b in r.branches if b is not None and mentioned_in(g, [term], b) and not _degenerate(term, b)]
        live = tuple(b for b in here if not isinstance(sources(g, b)[v], Given))
        if len(live) < len(here):
            term = Where(g.y or "", live, f"{v} is inferred there", term) if live else ZERO
    return term


def _generated(g: Graph, guard: Guard, term: Term, r: Reading) -> tuple[tuple[Guard, Term], ...]:
    """Reading 3: the term in the components that infer nothing of what it reads, at a generated origin: they have what
    the sample was generated from."""
    found: list[tuple[Guard, Term]] = []
    for v, value in guard:
        components = [(b, _reads(g, term, b, case)) for b, case in zip(r.branches, r.drawn, strict=True)]
        carry = tuple(b for b, read in components if b is not None and v in read and not g.inferring(v, b)
                      and not _degenerate(term, b))  # fmt: skip
        if value == OBSERVED and v in g.inferred and carry:
            assert g.y is not None
            here = tuple((w, GENERATED if w == v else x) for w, x in guard)
            found.append((here, Where(g.y, carry, f"{v} is not inferred there", term)))
    return tuple(found)


def _degenerate(term: Term, branch: Branch) -> bool:
    return branch is not None and all(d.fixed_at == branch for d in densities(term))


def records(g: Graph, names: Iterable[str], branch: Branch) -> Draws:
    """The records and masks of a branch, as far as they are sampled there."""
    source = sources(g, branch, seen=frozenset(g.inferred))
    wanted = [n for n in (*g.variables, *(mask(v.name) for v in g.partial)) if n in set(names)]
    found, _ = draws(g, source, wanted, branch, lambda _: True)
    return tuple(d for d in found if d.kind in ("data", "indicator"))


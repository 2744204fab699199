"""Which variable, arrow and group of one model is which of another: the renaming under which they agree best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

from schematic.graph.model import AnyModel, Data, Factor, Model, Variable
from schematic.studies.labelled import Node
from schematic.studies.skeleton import awake, form, terms

ALONE = 2.5  # what it costs that a variable or an arrow has no counterpart
BEAM = 16

Pairs = tuple[tuple["Arrow | None", "Arrow | None"], ...]


@dataclass(frozen=True)
class Arrow:
    """A factor where it stands: in a term, counted from 0."""

    term: int
    factor: Factor


@dataclass(frozen=True)
class Match:
    """What of a left model is what of a right one, by name; `arrows` has each arrow of both once, alone with None.

    `cost`: how much differs, and, where that is equal, how many names do.
    """

    variables: Mapping[str, str]
    groups: Mapping[str, str]
    terms: Mapping[int, int]
    arrows: Pairs
    cost: tuple[float, int]

    @property
    def renamed(self) -> tuple[tuple[str, str], ...]:
        """Variables and groups that have another name on the right."""
        return tuple((a, b) for names in (self.variables, self.groups) for a, b in names.items() if a != b)


def match(left: AnyModel, right: AnyModel) -> Match:
    """The best match that was found: of one graph under two namings an isomorphism, else the best of a beam search,
    improved by exchanges."""
    pair = _Pair(left, right)
    best = pair.improved(min((pair.under(names) for names in pair.namings()), key=lambda m: m.cost))
    for exact in (False, True):
        a, b = form(left, exact=exact), form(right, exact=exact)
        if a.form == b.form and (found := pair.told(tuple(zip(a.order, b.order, strict=True)))).cost < best.cost:
            best = found
    return best


def arrows(model: AnyModel) -> tuple[Arrow, ...]:
    """The arrows of all terms, without options that are asleep."""
    return tuple(Arrow(n, awake(f, m)) for n, (_, m) in enumerate(terms(model)) for f in m.factors)


def variables(model: AnyModel) -> dict[str, Variable]:
    """The variables of all terms by name; of one in several, the first that has a given distribution."""
    found: dict[str, Variable] = {}
    for _, term in terms(model):
        for v in term.variables:
            if v.name not in found or (v.given and not found[v.name].given):
                found[v.name] = v
    return found


class _Pair:
    """Two models, and what it costs to call their parts one."""

    def __init__(self, left: AnyModel, right: AnyModel) -> None:
        self.left, self.right = variables(left), variables(right)
        self.here, self.there = arrows(left), arrows(right)
        self.heads = [(w, _reading(m)) for w, m in terms(left)], [(w, _reading(m)) for w, m in terms(right)]

    def namings(self) -> Iterator[dict[str, str]]:
        """Ways to name left variables by right ones, those that look alike first."""
        roles = _roles(self.here), _roles(self.there)
        beam: list[tuple[float, dict[str, str]]] = [(0.0, {})]
        for name in sorted(self.left, key=lambda n: (-sum(roles[0][n].values()), n)):
            grown = [(cost + 2 * ALONE, names) for cost, names in beam]
            for other in self.right:
                a, b = roles[0][name], roles[1][other]
                price = _variable_cost(self.left[name], self.right[other]) + 0.3 * (name != other)
                price += 0.2 * (sum((a - b).values()) + sum((b - a).values()))
                if price < 4 * ALONE:
                    grown += [(c + price, {**names, name: other}) for c, names in beam if other not in names.values()]
            beam = sorted(grown, key=lambda g: (g[0], sorted(g[1].items())))[:BEAM]
        yield from (names for _, names in beam)

    def improved(self, best: Match) -> Match:
        """The match with variables exchanged, named otherwise or left alone, as long as that helps."""
        while True:
            near = min(map(self.under, self._near(dict(best.variables))), key=lambda m: m.cost, default=best)
            if near.cost >= best.cost:
                return best
            best = near

    def _near(self, names: dict[str, str]) -> Iterator[dict[str, str]]:
        for a, b in combinations(names, 2):
            yield {**names, a: names[b], b: names[a]}
        for a in self.left:
            yield {n: m for n, m in names.items() if n != a}
            yield from ({**names, a: m} for m in self.right.keys() - set(names.values()))

    def under(self, names: Mapping[str, str]) -> Match:
        """The match under a naming of variables: terms and arrows are paired one by one, the cheapest first."""
        sides = [_by_term(self.here, len(self.heads[0])), _by_term(self.there, len(self.heads[1]))]
        paired: dict[int, int] = {}
        found: list[tuple[Arrow | None, Arrow | None]] = []
        options = [(self._paired(a, b, names), i, j) for i, a in enumerate(sides[0]) for j, b in enumerate(sides[1])]
        for (_, arrows), i, j in sorted(options, key=lambda o: (o[0][0] + self._head_cost(o[1], o[2]), o[1], o[2])):
            if i not in paired and j not in paired.values():
                paired[i] = j
                found += arrows
        found += [(a, None) for i, part in enumerate(sides[0]) if i not in paired for a in part]
        found += [(None, b) for j, part in enumerate(sides[1]) if j not in paired.values() for b in part]
        return self._priced(dict(names), paired, tuple(found))

    def _head_cost(self, i: int, j: int) -> float:
        (w, reading), (v, other) = self.heads[0][i], self.heads[1][j]
        return 0.3 * (w != v) + 1.0 * (reading != other)

    def _paired(self, left: list[Arrow], right: list[Arrow], names: Mapping[str, str]) -> tuple[float, Pairs]:
        priced = sorted(
            (_factor_cost(a.factor, b.factor, names), a.factor.name != b.factor.name, i, j)
            for i, a in enumerate(left)
            for j, b in enumerate(right)
        )
        chosen: dict[int, int] = {}
        total = 0.0
        for cost, _, i, j in priced:
            if cost < 2 * ALONE and i not in chosen and j not in chosen.values():
                chosen[i] = j
                total += cost
        pairs: list[tuple[Arrow | None, Arrow | None]] = [
            (a, right[chosen[i]] if i in chosen else None) for i, a in enumerate(left)
        ]
        pairs += [(None, b) for j, b in enumerate(right) if j not in chosen.values()]
        return total + ALONE * sum(a is None or b is None for a, b in pairs), tuple(pairs)

    def told(self, same: tuple[tuple[Node, Node], ...]) -> Match:
        """The match that an isomorphism of skeletons tells."""
        names = {a[2]: b[2] for a, b in same if len(a) == 3 and a[0] == "variable"}
        ways = {a: b for a, b in same if a[0] == "factor"}
        there: dict[Node, Arrow] = {("factor", str(b.term), b.factor.name): b for b in self.there}
        pairs = tuple((a, there[ways["factor", str(a.term), a.factor.name]]) for a in self.here)
        return self._priced(names, {a.term: b.term for a, b in pairs}, pairs)

    def _priced(self, names: Mapping[str, str], paired: Mapping[int, int], pairs: Pairs) -> Match:
        groups = _groups(pairs)
        cost = ALONE * (len(self.left) + len(self.right) - 2 * len(names))
        cost += sum(_variable_cost(self.left[a], self.right[b]) for a, b in names.items())
        cost += sum(self._head_cost(i, j) for i, j in paired.items()) + self._record_cost(names)
        for a, b in pairs:
            if a is None or b is None:
                cost += ALONE
            else:
                cost += _factor_cost(a.factor, b.factor, names) + (groups.get(a.factor.group) != b.factor.group)
        others = [*names.items(), *((a.factor.name, b.factor.name) for a, b in pairs if a and b)]
        return Match(names, groups, paired, pairs, (round(cost, 6), sum(a != b for a, b in others)))

    def _record_cost(self, names: Mapping[str, str]) -> float:
        data = [(self.left[a].data, self.right[b].data) for a, b in names.items()]
        known = [(a, b) for a, b in data if a is not None and b is not None]
        return 0.5 * sum(together(a, c) != together(b, d) for (a, b), (c, d) in combinations_with_replacement(known, 2))


def together(a: Data, b: Data) -> str:
    """How the fields of two variables belong together; of those that differ by domain, in which domains."""
    pairs = [(i, j) for i in range(len(a.fields)) for j in range(len(b.fields))]
    fields = [(i, j) for i, j in pairs if a.fields[i] == b.fields[j]]
    records = [(i, j) for i, j in pairs if a.sets[i] == b.sets[j]]
    words = "one field" if len(fields) == len(pairs) else "of one record" if records else "drawn independently"
    if not records or len(pairs) == 1:
        return words
    return f"{words} in domains {', '.join('=' * ((i, j) in fields) + f'{i}/{j}' for i, j in records)}"


def _reading(model: Model) -> tuple[bool, int | None]:
    return model.wake_sleep, model.importance


def _by_term(all_arrows: Iterable[Arrow], count: int) -> list[list[Arrow]]:
    found: list[list[Arrow]] = [[] for _ in range(count)]
    for arrow in all_arrows:
        found[arrow.term].append(arrow)
    return found


def _roles(all_arrows: Iterable[Arrow]) -> dict[str, Counter[str]]:
    """For each variable the ends of arrows that it is."""
    found: dict[str, Counter[str]] = {}
    for arrow in all_arrows:
        f = arrow.factor
        for name, end in (*((p, "from") for p in f.parents), (f.target, "into")):
            found.setdefault(name.partition("[")[0], Counter())[f"{end} {f.mark}"] += 1
    return _Roles(found)


class _Roles(dict[str, "Counter[str]"]):
    def __missing__(self, name: str) -> Counter[str]:
        return Counter()


def _groups(pairs: Pairs) -> dict[str, str]:
    """The groups that arrows agree on, those of most arrows first."""
    votes = Counter((a.factor.group, b.factor.group) for a, b in pairs if a is not None and b is not None)
    found: dict[str, str] = {}
    for (a, b), _ in sorted(votes.items(), key=lambda v: (-v[1], v[0][0] != v[0][1])):
        if a not in found and b not in found.values():
            found[a] = b
    return found


def _variable_cost(a: Variable, b: Variable) -> float:
    if (a.type.kind == "domain") != (b.type.kind == "domain"):
        return 100.0
    cost = 2.0 * (len(a.type.values) != len(b.type.values))
    cost += 1.5 * (a.type.kind != b.type.kind) + 1.0 * ((a.index is None) != (b.index is None))
    cost += 2.0 * ((a.data is None) != (b.data is None)) + 2.0 * ((a.prior is None) != (b.prior is None))
    cost += 0.5 * (a.prior != b.prior) + 0.5 * (a.partial != b.partial)
    return cost + 0.5 * (a.data is not None and b.data is not None and bool(a.data.given) != bool(b.data.given))


def _factor_cost(a: Factor, b: Factor, names: Mapping[str, str]) -> float:
    cost = 1.0 * (a.process != b.process) + 1.0 * (a.implicit != b.implicit) + 4.0 * (a.adversarial != b.adversarial)
    cost += 1.0 * (a.perfect != b.perfect) + 2.0 * (_named(a.target, names) != b.target)
    cost += 1.0 * len({_named(p, names) for p in a.parents} ^ set(b.parents)) + 0.5 * (a.when != b.when)
    same = (a.fixed, a.temperature, a.weight, a.beta, a.divergence, a.each, a.shifts)
    other = (b.fixed, b.temperature, b.weight, b.beta, b.divergence, b.each, b.shifts)
    return cost + 0.3 * sum(x != y for x, y in zip(same, other, strict=True))


def _named(name: str, names: Mapping[str, str]) -> str | None:
    stem, bracket, index = name.partition("[")
    found = names.get(name) or names.get(stem)
    return None if found is None else found if name in names else found + bracket + index

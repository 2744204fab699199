"""Explanations in words: what the user's code moves each group by, beside what the model derives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

import numpy as np

from schematic.audit.atoms import Key
from schematic.audit.judging import Explanation, Trial, constant, explained
from schematic.audit.naming import Sizes, constant_name, named, near, said
from schematic.audit.running import Theirs
from schematic.audit.slots import Slot, slots
from schematic.audit.stage import Line
from schematic.audit.wording import replaced, scaled

Data = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as derived. `kind` is stable; `theirs`, `place`: their line, the file's."""

    kind: str
    term: str
    words: str
    change: str = ""
    theirs: Line | None = None
    place: str = ""


@dataclass
class Finding:
    """What is said of one update. `verdict`: "equal", "differs", "unexplained", "not audited"."""

    groups: Sequence[str]
    verdict: str
    factor: float = 1.0
    factor_words: str = ""
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


def findings(asked: Data, theirs: Theirs, trials: Sequence[Trial]) -> Data:
    """The answer: a finding for each update, and the order of the optimizers' steps."""
    found = [update(asked, theirs, trials, i) for i in range(len(asked["updates"]))]
    exchanged(found)
    return {"findings": [asdict(f) for f in found], "order": order(theirs, trials[0])}


def update(asked: Data, theirs: Theirs, trials: Sequence[Trial], u: int) -> Finding:
    """What is said of one update."""
    groups = asked["updates"][u]["groups"]
    seen = trials[0].moved[u]
    if seen is None:
        return Finding(groups, "not audited", notes=["no loss is named for it"])
    if not seen.moved:
        return Finding(groups, "differs", differences=[
            Difference("not moved", "", f"no optimizer moves {_list(groups)}", "step an optimizer that holds its parameters")
        ])  # fmt: skip
    mask = np.zeros(len(seen.target))
    mask[theirs.parameters.places(frozenset[int]().union(*(theirs.groups[g] for g in seen.moved)))] = 1.0
    finding = Finding(groups, "equal", notes=[f"{g} is not audited: no loss is named for it" for g in groups if g not in seen.moved])
    if not any(np.any(t.moved[u].target) for t in trials):  # type: ignore[union-attr]
        finding.verdict = "differs"
        finding.differences = [Difference("no gradient", "", f"no gradient reaches {_list(groups)}",
                               "something between the loss and its nets is detached", seen.line)]  # fmt: skip
        return finding
    found = explained(trials, u, mask)
    if found is None:
        return unexplained(finding, seen.line)
    told(asked, trials, u, found, finding, mask, seen.line)
    leaks(asked, theirs, trials, u, finding)
    return finding


def _list(groups: Sequence[str]) -> str:
    return " and ".join(groups)


def unexplained(finding: Finding, line: Line | None) -> Finding:
    finding.verdict = "unexplained"
    finding.differences = [Difference("unexplained", "", "its gradient is no combination of the derived terms, nor of "
                           "their known variants", "compare the loss with the derived objective term by term", line)]  # fmt: skip
    return finding


def told(asked: Data, trials: Sequence[Trial], u: int, found: Explanation, finding: Finding, mask: Any,
         line: Line | None) -> None:  # fmt: skip
    """Fills a finding in from an explanation."""
    own = trials[0].own(u, found.way)
    reached = [k for k, v in own.items() if k.update == u and np.any(v.gradient[mask > 0])]
    made, loose = slots(asked, u, found, reached)
    reference = chosen(made, asked["variables"])
    finding.factor = next(iter(reference.values()))
    finding.notes += [n for s in made for n in s.notes]
    for s in made:
        for d in differences_of(s, reference, asked, found, line):
            finding.differences.append(d)
    for key, c in loose:
        finding.differences.append(stray(asked, u, key, c, found, line))
    finding.verdict = "differs" if finding.differences else "equal"
    if not near(finding.factor, 1.0):
        finding.factor_words = said(named(reference, asked["variables"]), asked["variables"])
    if finding.verdict == "equal":
        finding.notes += constants(asked, trials, u, found)


def chosen(made: Sequence[Slot], variables: Data) -> Sizes:
    """The factor by which the whole differs: that of most terms; of several the plainest, and it is positive."""
    found: list[Sizes] = [s.plain for s in made if s.there] or [c for s in made for _, c in s.others]
    if not found:
        return {n: 1.0 for n in (made[0].plain if made else {1: 1.0})}
    sizes = [{n: abs(c) for n, c in f.items()} for f in found]

    def rank(f: Sizes) -> tuple[int, int, float]:
        reading = named(f, variables)
        plain = 0 if near(reading.value, 1.0) else 1 if near(reading.value, 2.0) else 2 + len(reading.parts)
        return -sum(all(near(g[n], f[n]) for n in f) for g in sizes), plain, -reading.value

    if len(found) == len([s for s in made if s.there]) == 1 and len(made) == 1:
        return sizes[0]
    return min(sizes, key=rank)


def differences_of(s: Slot, reference: Sizes, asked: Data, found: Explanation, line: Line | None) -> list[Difference]:
    """What is wrong with one derived term."""
    if not s.reached and not s.others:
        return []
    if not s.others:
        w = scaled(s, reference, asked)
        told = [(w, found.lines.get(s.key))] if w else []
    else:
        told = [(replaced(s, k, c, reference, asked), found.lines.get(k)) for k, c in s.others]
    return [Difference(w.kind, s.facts["name"], w.words, w.change, at or line, s.facts["place"]) for w, at in told]


def stray(asked: Data, u: int, key: Key, c: Sizes, found: Explanation, line: Line | None) -> Difference:
    """A term that the update's objective has no place for."""
    other = asked["updates"][key.update]["groups"]
    words = f"it is also moved by {key.term}, which is {_list(other)}'s"
    return Difference("wrong loss", key.term, words, f"keep the gradients apart: zero them before, or detach",
                      found.lines.get(key, line))  # fmt: skip


def constants(asked: Data, trials: Sequence[Trial], u: int, found: Explanation) -> list[str]:
    """A note on what the value has beside the derived terms."""
    left = constant(trials, u, found, any(k.changes for k in found.keys))
    if left is None or abs(left) < 1e-8:
        return []
    dims = {n: prod(v["event"]) for n, v in asked["variables"].items()}
    return [f"the value differs by a constant, {constant_name(left, None, dims)}; gradients do not see it"]


def leaks(asked: Data, theirs: Theirs, trials: Sequence[Trial], u: int, finding: Finding) -> None:
    """Gradient that the loss passes to groups which the derived objective does not reach."""
    seen = trials[0].moved[u]
    assert seen is not None
    own = trials[0].own(u, 0)
    for g, size in seen.leaks.items():
        places = theirs.parameters.places(theirs.groups[g])
        derived = max((float(np.abs(v.gradient[places]).max(initial=0.0)) for k, v in own.items() if k.update == u), default=0.0)
        if size > 1e-9 and derived == 0.0 and g not in asked["updates"][u]["groups"]:
            words = f"the loss passes gradient into {g}, where the derived one is detached"
            finding.differences.append(Difference("attached", "", words, "detach what it is given", seen.line))
            finding.verdict = "differs"


def exchanged(found: Sequence[Finding]) -> None:
    """Two updates that are each moved by the other's objective."""


def order(theirs: Theirs, trial: Trial) -> list[list[str]]:
    """The groups that each of the optimizers' steps moves."""
    held = [theirs.parameters.indices(s.parameters) for s in trial.steps]
    return [[g for g, i in theirs.groups.items() if i & h] for h in held]

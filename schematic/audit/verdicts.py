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
from schematic.audit.parameters import Vector
from schematic.audit.running import Moved, Theirs
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


def findings(asked: Data, theirs: Theirs, trials: Sequence[Trial], deep: bool = True) -> Data:
    """The answer: a finding for each update, and the order of the optimizers' steps; unless `deep`, what is no
    combination of the derived terms is not explained further."""
    count = len(asked["updates"])
    silent = [without_gradient(theirs, trials, u) for u in range(count)]
    masks = [mask_of(theirs, trials[0].moved[u], silent[u]) for u in range(count)]
    known = [explained(trials, u, m, deep) if m is not None and np.any(m) else None for u, m in enumerate(masks)]
    found = [update(asked, theirs, trials, u, masks[u], known, silent[u]) for u in range(count)]
    return {"findings": [asdict(f) for f in found], "order": order(theirs, trials[0])}


def without_gradient(theirs: Theirs, trials: Sequence[Trial], u: int) -> list[str]:
    """The groups of an update that are moved, but by nothing, though the derived objective reaches them."""
    seen = [m for t in trials if (m := t.moved[u]) is not None]
    found = []
    for g in sorted(seen[0].moved) if seen else ():
        places = theirs.parameters.places(theirs.groups[g])
        reached = any(np.any(v.gradient[places]) for k, v in trials[0].own(u, 0).items() if k.update == u)
        if reached and not any(np.any(m.target[places]) for m in seen):
            found.append(g)
    return found


def mask_of(theirs: Theirs, moved: Moved | None, silent: Sequence[str]) -> Vector | None:
    """The entries of the parameters that an update moves by something."""
    if moved is None:
        return None
    mask = np.zeros(len(moved.target))
    mask[
        theirs.parameters.places(frozenset[int]().union(*(theirs.groups[g] for g in moved.moved if g not in silent)))
    ] = 1.0
    return mask


def update(asked: Data, theirs: Theirs, trials: Sequence[Trial], u: int, mask: Vector | None,
           known: Sequence[Explanation | None], silent: Sequence[str]) -> Finding:  # fmt: skip
    """What is said of one update."""
    groups = asked["updates"][u]["groups"]
    seen = trials[0].moved[u]
    if seen is None or mask is None:
        return Finding(groups, "not audited", notes=["no loss is named for it"])
    if not seen.moved:
        return Finding(groups, "differs", differences=[unmoved(groups)])
    finding = Finding(groups, "equal")
    still = [g for g in groups if g not in seen.moved and theirs.groups[g]]
    if theirs.step is None:
        finding.notes = [f"{g} is not audited: no loss is named for it" for g in still]
    else:
        finding.differences = [unmoved([g]) for g in still]
    finding.differences += [
        Difference("no gradient", "", f"no gradient reaches {g}", "something between the loss and its nets is detached",
                   seen.line) for g in silent
    ]  # fmt: skip
    if not np.any(mask):
        finding.verdict = "differs"
        return finding
    found = known[u]
    if found is None:
        return unexplained(finding, seen.line)
    elsewhere = {(v, line) for v, e in enumerate(known) if e is not None and v != u for line in e.lines.values()}
    told(asked, trials, u, found, finding, mask, seen.line, elsewhere)
    if seen.left_over:
        finding.differences.insert(0, accumulated(seen.line))
    leaks(asked, theirs, trials, u, finding)
    finding.verdict = "differs" if finding.differences else "equal"
    return finding


def unmoved(groups: Sequence[str]) -> Difference:
    words = f"no optimizer moves {_list(groups)}"
    return Difference("not moved", "", words, "call `step` on an optimizer that holds its parameters")


def accumulated(line: Line | None) -> Difference:
    words = "its gradient still holds what an earlier step of an optimizer has used"
    return Difference("accumulated", "", words, "call `zero_grad` on its optimizer before `backward`", line)


def _list(groups: Sequence[str]) -> str:
    return " and ".join(groups)


def unexplained(finding: Finding, line: Line | None) -> Finding:
    words = "its gradient is no combination of the derived terms, nor of their known variants"
    change = "compare it with `schematic derive`, term by term"
    finding.verdict = "unexplained"
    finding.differences.append(Difference("unexplained", "", words, change, line))
    return finding


def told(asked: Data, trials: Sequence[Trial], u: int, found: Explanation, finding: Finding, mask: Vector,
         line: Line | None, elsewhere: set[tuple[int, Line]]) -> None:  # fmt: skip
    """Fills a finding in from an explanation; `elsewhere`: the lines by which other updates are moved."""
    own = trials[0].own(u, found.way)
    reached = [k for k, v in own.items() if k.update == u and np.any(v.gradient[mask > 0])]
    stray_ = {k for k in found.keys if k.update != u and not k.changes and (k.update, found.lines.get(k)) in elsewhere}
    for v in {k.update for k in found.keys if k.update != u}:  # all that is there is the objective of another update
        derived = {k for k, x in own.items() if k.update == v and np.any(x.gradient[mask > 0])}
        stray_ |= derived if derived == set(found.keys) else set()
    made, loose = slots(asked, u, found, reached, stray_)
    reference = chosen(made, asked["variables"])
    finding.factor = next(iter(reference.values()))
    finding.notes += [n for s in made for n in s.notes]
    for s in made:
        for d in differences_of(s, reference, asked, found, line):
            finding.differences.append(d)
    if loose and all(d.kind == "missing" for d in finding.differences) and len(finding.differences) == len(reached):
        finding.differences = []  # nothing of its own is there: it is moved by the other loss instead
    finding.differences += [stray(asked, key, found, line) for key, _ in loose]
    finding.differences += [extra(at or line) for at in found.extra]
    if not near(finding.factor, 1.0):
        finding.factor_words = said(named(reference, asked["variables"]), asked["variables"])
    if not finding.differences:
        finding.notes += constants(asked, trials, u, found)


def chosen(made: Sequence[Slot], variables: Data) -> Sizes:
    """The factor by which the whole differs: that of most terms; of several the plainest, and it is positive."""
    found: list[Sizes] = [s.plain for s in made if s.there] or [c for s in made for _, c in s.others]
    if not found:
        return dict.fromkeys(made[0].plain, 1.0)
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


def extra(line: Line | None) -> Difference:
    words = "it holds a term that the derived objective does not have"
    return Difference("extra", "", words, "leave it out, or draw what it stands for", line)


def stray(asked: Data, key: Key, found: Explanation, line: Line | None) -> Difference:
    """A term that the update's objective has no place for."""
    other = asked["updates"][key.update]["groups"]
    words = f"it is also moved by {key.term}, which is {_list(other)}'s"
    return Difference("wrong loss", key.term, words, "keep the gradients apart: zero them before, or detach",
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
        derived = max(
            (float(np.abs(v.gradient[places]).max(initial=0.0)) for k, v in own.items() if k.update == u), default=0.0
        )
        if size > 1e-9 and derived == 0.0 and g not in asked["updates"][u]["groups"]:
            words = f"the loss passes gradient into {g}, where the derived one is detached"
            finding.differences.append(Difference("attached", "", words, "detach what it is given", seen.line))


def order(theirs: Theirs, trial: Trial) -> list[list[str]]:
    """The groups that each of the optimizers' steps moves."""
    held = [theirs.parameters.indices(s.parameters) for s in trial.steps]
    return [[g for g, i in theirs.groups.items() if i & h] for h in held]

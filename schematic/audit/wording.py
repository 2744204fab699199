"""What is not as derived, in words: the kind, what stands there, what to change."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from schematic.audit.atoms import Change, Key
from schematic.audit.naming import Sizes, named, near, said
from schematic.audit.slots import Slot, bare, facts_of

Data = dict[str, Any]


@dataclass(frozen=True)
class Words:
    """A kind, what is wrong, and what to change."""

    kind: str
    words: str
    change: str = ""


def ratio(a: Sizes, b: Sizes) -> Sizes:
    return {n: a[n] / b[n] for n in a}


def scaled(s: Slot, reference: Sizes, asked: Data) -> Words | None:
    """A term that is there as derived, with another coefficient than the rest; None if it is the same."""
    name, factor = bare(s.facts["name"]), asked["factors"].get(s.facts["factor"] or "", {})
    r = ratio(s.plain, reference)
    first = next(iter(r.values()))
    if not s.there:
        return Words("missing", f"{name} is missing", f"add it: {_line(s)}")
    if first < 0:
        size = named({n: -c for n, c in r.items()}, asked["variables"])
        more = "" if near(size.value, 1.0) else f", and is there {said(size, asked['variables'])}"
        return Words("sign", f"{name} has the wrong sign{more}", f"the loss must hold {_line(s)}")
    size = named(r, asked["variables"])
    if near(size.value, 1.0) and not size.parts:
        return None
    option = "beta" if s.facts["kind"] == "kl" else "weight"
    kind = ("batch" if size.parts[-1][1] == "batch" else size.parts[-1][0]) if size.parts else "scale"
    mend = f"divide it by {size}" if size.value > 1 else f"multiply it by {1 / size.value:.4g}"
    meant = f"; if it is meant, write `{option} {size}` at {factor.get('name', 'its arrow')}"
    return Words(kind, f"{name} is there {said(size, asked['variables'])}", mend + meant)


def _line(s: Slot) -> str:
    """A term as it stands in a loss."""
    sign = "+" if s.facts["scale"] < 0 else "-"
    size = abs(s.facts["scale"])
    return f"{sign} {'' if near(size, 1.0) else f'{size:.4g} '}{bare(s.facts['name'])}"


def replaced(s: Slot, key: Key, coefficient: Sizes, reference: Sizes, asked: Data) -> Words:
    """What stands in the place of a derived term, or beside it."""
    name = bare(s.facts["name"])
    r = ratio(coefficient, reference)
    value = next(iter(r.values()))
    changes = {c.what: c for c in key.changes}
    if "restated" in changes and changes["restated"].to == "unweighted":
        words = f"the logs of the importance weights are averaged, where {name} is the log of their mean"
        return Words("weights", words, "take logsumexp over the samples, minus log k, then the mean over the batch")
    if "restated" in changes:
        return _divergence(name, changes, value, facts_of(asked, key)["form"])
    if "squash" in changes:
        judged = asked["factors"][changes["squash"].of]["adversarial"]
        whose = "the discriminator's" if judged else "the net's"
        return Words("squashed", f"a sigmoid is applied twice in {name}: {whose} output is a probability already",
                     "use BCELoss on probabilities, or BCEWithLogitsLoss on logits")  # fmt: skip
    if "cut" in changes:
        return _done(s, name, changes["cut"], value, asked)
    if "flip" in changes or (not key.changes and key.update != s.key.update):
        return _flipped(s, value, r, coefficient)
    return _done(s, name, key.changes[-1], value, asked)


def _divergence(name: str, changes: dict[str, Change], value: float, form: str | None) -> Words:
    to = "wasserstein" if form == "linear" else changes["restated"].to
    on = " of the probability" if "squash" in changes else ""
    label = ", with the other domain's label" if "flip" in changes else ""
    if to == "least_squares":
        return Words("squared", f"a squared loss{on} stands where {name} does{label}",
                     "use the log loss (BCELoss); if squares are meant, write `divergence least_squares`")  # fmt: skip
    plain = {"hinge": "a hinge", "wasserstein": "the plain output, without a log,", "minimax": "the saturating form",
             "nonsaturating": "a log loss"}[to]  # fmt: skip
    kind = {"minimax": "saturating", "nonsaturating": "log"}.get(to, to)
    sign = "" if value > 0 else " with the wrong sign"
    return Words(kind if value > 0 else "sign", f"{plain}{on} stands{sign} where {name} does{label}",
                 f"if it is meant, write `divergence {to}` at the blue arrow")  # fmt: skip


def _flipped(s: Slot, value: float, r: Sizes, coefficient: Sizes) -> Words:
    name = bare(s.facts["name"])
    plain = next(iter(s.plain.values()))
    if s.there and plain * next(iter(coefficient.values())) > 0:
        label = plain / (plain + next(iter(coefficient.values())))
        words = f"{name} is trained with the smoothed label {label:.3g} in place of 1"
        return Words("smoothed", words, "use the label 1: the derived objective has no smoothed ones")
    if value < 0:
        return Words("saturating", f"the saturating form stands where {name} does: the log of the other domain's "
                     "probability is minimized", "train it with the label of the data; if it is meant, write "
                     "`divergence minimax`")  # fmt: skip
    return Words("label", f"the label of the other domain stands in {name}", "exchange the labels (ones and zeros)")


def _done(s: Slot, name: str, c: Change, value: float, asked: Data) -> Words:
    """The changes to densities, divergences and gradients."""
    match c.what:
        case "family":
            return _family(s, name, c, asked)
        case "reversed":
            sign = "" if value > 0 else ", with the wrong sign"
            return Words("reversed", f"{name} is taken the other way round{sign}", "exchange its two distributions")
        case "halves" | "part":
            return _part(s, name, c, value)
        case "output":
            net, kind = asked["factors"][c.of]["name"], c.to.split(", ")[1]
            words = f"{name} reads the second output of {net} as a {kind}, and it is drawn from otherwise"
            return Words("output", words, "use one reading in the draw and in the divergence")
        case "cut":
            return Words("detached", f"{c.of.rpartition('/')[2]} passes no gradient in {name}, and it must",
                         "remove `.detach()`, `no_grad` or `.data` there")  # fmt: skip
        case "held":
            net = asked["factors"][c.of]["name"]
            return Words("detached", f"{net} passes no gradient in {name}, and it must", "remove `.detach()` there")
        case "still":
            value_ = c.of.rpartition("/")[2]
            return Words("noiseless", f"{value_} is the mean of its distribution in {name}, not a draw from it",
                         "draw it: mean + std * randn_like(std)")  # fmt: skip
        case "attached":
            return Words("attached", f"{name} passes gradient through what must stand still", "add `.detach()`")
        case "points":
            return Words("points", f"the slope is taken at the samples of the {c.of} branch, not between the two",
                         "take it at u * real + (1 - u) * fake, u uniform, one a record")  # fmt: skip
        case "slope":
            return Words("penalty", f"the penalty is another one ({c.to}): {name} is derived",
                         "(norm of the gradient over all of x's values, one a record, - 1)^2, averaged")  # fmt: skip
        case "weights" if c.to == "attached":
            return Words("weights", f"the importance weights carry gradient in {name}", "detach the normalized weights")
        case "weights":
            return Words("weights", f"{name} is not the log of the mean of the weights ({c.to})",
                         "take logsumexp over the samples, minus log k")  # fmt: skip
        case _:
            return Words("other", f"{name} is changed: {c}")


def _part(s: Slot, name: str, c: Change, value: float) -> Words:
    """One part of a divergence by itself, or beside the whole."""
    what = {"f": "entropy of q", "g": "log-density of the prior"}.get(c.to, f"part of the {c.to}")
    cure = "-0.5 * sum(1 + logvar - mu^2 - exp(logvar)), or log q - log p at the sample"
    if not s.there:
        return Words("parts", f"of {name} only the {what} is there", cure)
    if near(value, -1.0):
        return Words("parts", f"of {name} the {what} is missing", cure)
    return Words("parts", f"in {name} the {what} is there {1 + value:.4g} times", cure)


def _family(s: Slot, name: str, c: Change, asked: Data) -> Words:
    derived = asked["factors"][c.of]
    error = {"Normal": "a squared error", "Laplace": "an absolute error"}[c.to]
    d = prod(derived["event"])
    return Words("squared" if c.to == "Normal" else "family",
                 f"{error} over the {d} values of {derived['target']} stands where the log-density of a "
                 f"{derived['family']} does: {name}",
                 f"use the log loss, or write `= {c.to}(..., scale: 1)` at {derived['name']}")  # fmt: skip

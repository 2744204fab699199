"""The user's nets as the factors of an emitted program: their values in, the family's distribution out.

A net is called with the values of the factor's parents, in the file's order, in the form that it takes (`Form`), rows
first, and what it returns is read as `output` says (`OUTPUTS`). The program sees what it expects of a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
import torch.distributions as td
import torch.nn.functional as F
from torch import Tensor, nn

Data = dict[str, Any]
Form = str | tuple[int, ...]  # "as is", "index" of a category, or the event shape that the net takes

SPREADS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean, logvar": lambda b: (b / 2).exp(),
    "mean, std": lambda b: b,
    "mean, logstd": lambda b: b.exp(),
    "mean, variance": lambda b: b.clamp_min(1e-12).sqrt(),
    "mean, softplus": F.softplus,
}
"""What a net's second output may be, as the standard deviation."""

OUTPUTS: dict[str, tuple[str, ...]] = {
    "Bernoulli": ("logits", "probability"),
    "Categorical": ("logits", "probability"),
    "Normal": (*SPREADS, "mean"),
    "Laplace": (*SPREADS, "mean"),
}


class Misfit(Exception):
    """A net does not do what its factor needs: whose, and why."""


@dataclass(frozen=True)
class Read:
    """How a factor's net is read. `squash`: the probability stands where the logit should; `flip`: domains exchanged,
    f -> -f ("negate") or 1 - f ("complement", for squares); `family`: another one with the same mean;
    `held`: it passes no gradient."""

    output: str
    flip: str = ""
    squash: bool = False
    family: str | None = None
    held: bool = False


class Wrapped(nn.Module):
    """A factor of the program around the user's net. `owners` are the modules that hold its parameters."""

    def __init__(self, facts: Data, variables: Data, net: Callable[..., Any], forms: Sequence[Form], joined: bool,
                 read: Read, owners: Sequence[nn.Module]) -> None:  # fmt: skip
        super().__init__()
        self.facts, self.variables = facts, variables
        self.net, self.forms, self.joined, self.read = _Held(net), tuple(forms), joined, read
        self.owners = nn.ModuleList(owners)

    def forward(self, *parents: Tensor, batch: tuple[int, ...] = ()) -> Any:
        events = [tuple(self.variables[p]["event"]) for p in self.facts["parents"]]
        leads = [p.shape[: p.dim() - len(e)] for p, e in zip(parents, events, strict=True)]
        lead = np.broadcast_shapes(batch, *leads)
        rows = [p.expand(*lead, *e).reshape(-1, *e) for p, e in zip(parents, events, strict=True)]
        kinds = [self.variables[p]["kind"] for p in self.facts["parents"]]
        shaped = [formed(r, kind, f) for r, kind, f in zip(rows, kinds, self.forms, strict=True)]
        value = self.net.call(torch.cat([s.flatten(1) for s in shaped], 1)) if self.joined else self.net.call(*shaped)
        return self.distribution(still(value) if self.read.held else value, lead)

    def distribution(self, value: Any, lead: tuple[int, ...]) -> Any:
        """What the net returned, as a factor: batch shape `lead`, patches of a judged image before it."""
        if isinstance(value, td.Distribution):
            return value
        if self.facts["domains"]:
            return td.Bernoulli(logits=self.judged(value, lead), validate_args=False)
        event = tuple(self.facts["event"])
        parts = split(value, event, self.read.output.count(",") + 1)
        shaped = [p.reshape(*lead, *event) for p in parts]
        return shaped[0] if self.facts["hollow"] else self.explicit(shaped, len(event))

    def judged(self, value: Tensor, lead: tuple[int, ...]) -> Tensor:
        """Logits of the second domain: (*lead,), or (patches, *lead)."""
        rows = prod(lead)
        flat = value.reshape(rows, -1)
        logits = flat if self.read.output == "logits" else torch.logit(flat)
        logits = torch.sigmoid(logits) if self.read.squash else logits
        logits = {"": logits, "negate": -logits, "complement": 1 - logits}[self.read.flip]
        return logits.reshape(lead) if flat.shape[1] == 1 else logits.T.reshape(-1, *lead)

    def explicit(self, parts: list[Tensor], rank: int) -> Any:
        """The family's distribution."""
        family, first = self.facts["family"], parts[0]
        if family in ("Bernoulli", "Categorical"):
            given = first if self.read.output == "logits" else _logit(first, family)
            if self.read.squash:
                given = given.sigmoid() if family == "Bernoulli" else given.softmax(-1)
            mean = given.sigmoid() if family == "Bernoulli" else given.softmax(-1)
            if self.read.family is None:
                return _discrete(given, family, rank)
            return _around(mean, torch.ones_like(mean), self.read.family, rank)
        spread = SPREADS[self.read.output](parts[1]) if len(parts) > 1 else torch.ones_like(first)
        scale = self.facts["options"].get("scale")
        spread = torch.full_like(first, scale) if scale is not None else spread
        if self.read.family is not None:
            return _around(first, torch.ones_like(first), self.read.family, rank)
        return _around(first, spread, family, rank)


def still(value: Any) -> Any:
    """What a net returned, passing no gradient."""
    if isinstance(value, tuple | list):
        return tuple(map(still, value))
    return value.detach() if isinstance(value, Tensor) else value


class _Held:
    """A callable that is no submodule: its parameters are its owners'."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _logit(p: Tensor, family: str) -> Tensor:
    return torch.logit(p) if family == "Bernoulli" else p.clamp_min(1e-300).log()


def _discrete(logits: Tensor, family: str, rank: int) -> Any:
    if family == "Bernoulli":
        bits = td.Bernoulli(logits=logits, validate_args=False)
        return td.Independent(bits, rank, validate_args=False) if rank else bits
    classes = OneHot(logits)
    return td.Independent(classes, rank - 1, validate_args=False) if rank > 1 else classes


def _around(mean: Tensor, spread: Tensor, family: str, rank: int) -> Any:
    kind = {"Normal": td.Normal, "Laplace": td.Laplace}[family]
    return td.Independent(kind(mean, spread, validate_args=False), rank, validate_args=False)


class OneHot(td.OneHotCategorical):
    """One-hot categorical whose log-density is linear in the value, as in emitted programs."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits=logits, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.logits).sum(-1)


def formed(rows: Tensor, kind: str, form: Form) -> Tensor:
    """Rows (n, *event) in the form that the user's code takes."""
    if form == "index":
        return rows.argmax(-1)
    return rows if form == "as is" else rows.reshape(len(rows), *form)


def forms_of(facts: Data) -> Iterator[Form]:
    """The forms in which people hold a variable, the likeliest first."""
    event = tuple(facts["event"])
    yield "as is"
    if facts["kind"] == "category":
        yield "index"
    if len(event) > 1:
        yield (prod(event),)
    if len(event) == 0:
        yield (1,)
    if len(event) == 1:
        yield (*event, 1, 1)


def split(value: Any, event: tuple[int, ...], parts: int) -> list[Tensor]:
    """The tensors that a net returned: a tuple's, or the halves of one."""
    if isinstance(value, tuple | list):
        found = [v for v in value if isinstance(v, Tensor) and v[0].numel() == prod(event)]
        if len(found) < parts:
            raise Misfit(f"it returns {len(found)} tensors of {shape_text(event)}, not {parts}")
        return found[:parts]
    size = value[0].numel()
    if size == parts * prod(event) and parts > 1:
        return list(value.reshape(len(value), -1).chunk(parts, 1))
    if size != prod(event):
        raise Misfit(f"it returns {shape_text(value.shape[1:])} a record, not {shape_text(event)}")
    return [value]


def shape_text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def fits(facts: Data, variables: Data, net: Callable[..., Any], rows: dict[str, Tensor]) -> list[tuple[Any, ...]]:
    """Every (forms, joined, value) with which a net takes the factor's parents; the likeliest first."""
    parents = facts["parents"]
    ways = list(product(*(tuple(forms_of(variables[p])) for p in parents)))
    found = []
    for forms, joined in [(w, False) for w in ways] + [(w, True) for w in ways if len(parents) > 1]:
        shaped = [formed(rows[p], variables[p]["kind"], f) for p, f in zip(parents, forms, strict=True)]
        try:
            value = net(torch.cat([s.flatten(1) for s in shaped], 1)) if joined else net(*shaped)
        except Exception:
            continue
        found.append((forms, joined, value))
    return found


@contextmanager
def reading(wrapped: Wrapped, read: Read) -> Iterator[None]:
    """The net read in another way for a while."""
    kept, wrapped.read = wrapped.read, read
    try:
        yield
    finally:
        wrapped.read = kept

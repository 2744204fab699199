"""Random numbers, recorded while the user's code draws them and given to the program as its own draws.

A program asks for standard noise (`randn`, `rand`, an exponential race, bits); what the user drew is kept as that: a
Normal without its mean and scale, classes as what they are. `shares` lists the ways to give one to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, permutations, product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

MOST = 24  # ways to share the draws that are tried


@dataclass(frozen=True)
class Drawn:
    """One draw, standardized. kind: "normal", "uniform", "exponential", "bits", "class" (integers)."""

    kind: str
    value: Tensor


@dataclass(frozen=True)
class Asked:
    """One draw that the program makes."""

    kind: str
    shape: tuple[int, ...]


Share = tuple[Tensor | None, ...]  # for each draw of the program what it is given; None: nothing fits


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Every random number that torch draws in this thread, into the pool of the time."""

    def __init__(self, pool: Callable[[], list[Drawn]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pool = pool

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        kind = KINDS.get(func.overloadpacket.__name__)
        if kind is not None and isinstance(value, Tensor):
            self.pool().append(Drawn(kind, standard(func, args, kwargs or {}, value.detach())))
        return value


KINDS = {
    "randn": "normal", "randn_like": "normal", "normal": "normal", "normal_": "normal",
    "rand": "uniform", "rand_like": "uniform", "uniform_": "uniform", "exponential_": "exponential",
    "bernoulli": "bits", "bernoulli_": "bits", "multinomial": "class", "randint": "class", "randint_like": "class",
}  # fmt: skip


def standard(func: Any, args: Any, kwargs: Any, value: Tensor) -> Tensor:
    """A draw without the place and the scale that it was given."""
    name = func.overloadpacket.__name__
    plain = value
    if name in ("normal_", "uniform_"):
        a, b = (*args[1:], *((0.0, 1.0)[len(args) - 1 :]))[:2]
        a, b = kwargs.get("mean", kwargs.get("from", a)), kwargs.get("std", kwargs.get("to", b))
        plain = (value - a) / (b if name == "normal_" else b - a)
    elif name == "normal" and args and (isinstance(args[0], Tensor) or len(args) > 1):
        std = args[1] if len(args) > 1 else 1.0
        plain = (value - args[0]) / (std if isinstance(std, Tensor | float | int) else 1.0)
    return plain.clone()


class Replay(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The program's draws, taken from `given` one by one; without it, only noted in `asked`."""

    def __init__(self, given: Sequence[Tensor | None] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.given, self.asked = iter(given), list[Asked]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        kind = KINDS.get(func.overloadpacket.__name__)
        if kind is None:
            return value
        self.asked.append(Asked(kind, tuple(value.shape)))
        shared = next(self.given, None)
        return value if shared is None else value.copy_(shared)


def shares(asked: Sequence[Asked], pool: Sequence[Drawn], parts: Sequence[Tensor] = ()) -> list[Share]:
    """The ways to give the program's draws what the user drew, the plain order first; one draw goes to one.

    `parts`: masks of the records, (batch,), for some of which alone the user may draw.
    """
    pool = [*pool, *joined(asked, pool)]
    nothing: list[tuple[int | None, Tensor | None]] = [(None, None)]
    options = [[(i, v) for i, d in enumerate(pool) for v in views(d, a, parts)] or nothing for a in asked]
    ways = (w for w in product(*options) if distinct([i for i, _ in w]))
    found: list[Share] = [tuple(v for _, v in w) for w in islice(ways, MOST)]
    return found or [tuple(None for _ in asked)]


def distinct(places: Sequence[int | None]) -> bool:
    taken = [p for p in places if p is not None]
    return len(taken) == len(set(taken))


def joined(asked: Sequence[Asked], pool: Sequence[Drawn]) -> Iterator[Drawn]:
    """Draws of one shape in a row, one on the other, as many as a draw of the program has on its first axis."""
    for count in {a.shape[0] for a in asked if len(a.shape) > 2}:
        for i in range(len(pool) - count + 1):
            row = pool[i : i + count]
            if len({(d.kind, d.value.shape) for d in row}) == 1:
                yield Drawn(row[0].kind, torch.stack([d.value for d in row]))


def scattered(d: Drawn, a: Asked, part: Tensor) -> Iterator[Tensor]:
    """A draw for a part of the records as one for all of them, zero for the others."""
    for axis, n in enumerate(a.shape[:-1]):
        if n == len(part):
            inner = (*a.shape[:axis], int(part.sum()), *a.shape[axis + 1 :])
            for value in views(d, Asked(a.kind, inner)):
                whole = torch.zeros(a.shape, dtype=value.dtype)
                yield whole.index_copy_(axis, part.nonzero()[:, 0], value)


def views(d: Drawn, a: Asked, parts: Sequence[Tensor] = ()) -> Iterator[Tensor]:
    """A draw as what the program asks for: in its shape, its axes exchanged, the other end of a uniform; for some of
    the records."""
    for part in parts:
        yield from scattered(d, a, part)
    if d.kind == "class" and a.kind == "exponential":
        if d.value.numel() == prod(a.shape[:-1]) and d.value.numel() and int(d.value.max()) < a.shape[-1]:
            chosen = torch.nn.functional.one_hot(d.value.reshape(a.shape[:-1]).long(), a.shape[-1])
            yield 1 - (1 - 1e-12) * chosen.to(torch.get_default_dtype())
        return
    if d.kind != a.kind or d.value.numel() != prod(a.shape):
        return
    for value in arranged(d.value, a.shape):
        yield value
        if d.kind == "uniform":
            yield 1 - value


def arranged(value: Tensor, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """The values in this shape: as they lie, or with leading axes exchanged (samples and records)."""
    yield value.reshape(shape)
    lead = [n for n in value.shape if n != 1]
    wanted = [n for n in shape if n != 1]
    if lead != wanted and sorted(lead) == sorted(wanted) and len(lead) <= 4:
        for order in permutations(range(len(lead))):
            if [lead[i] for i in order] == wanted:
                yield value.reshape(lead).permute(order).reshape(shape)
    if len(shape) > 2 and len(value.shape) < len(shape) and shape[0] != shape[1]:
        yield value.reshape(shape[1], shape[0], *shape[2:]).transpose(0, 1)


@contextmanager
def recording(pool: list[Drawn]) -> Iterator[None]:
    """Keeps what torch and numpy draw in the pool."""
    kept = {name: getattr(np.random, name) for name in NUMPY}
    for name, kind in NUMPY.items():
        setattr(np.random, name, _noted(kept[name], name, kind, pool))
    try:
        with Recorder(lambda: pool):
            yield
    finally:
        for name, make in kept.items():
            setattr(np.random, name, make)


NUMPY = {
    "normal": "normal", "randn": "normal", "standard_normal": "normal", "rand": "uniform", "random": "uniform",
    "uniform": "uniform", "random_sample": "uniform", "randint": "class", "choice": "class",
}  # fmt: skip


def _noted(make: Callable[..., Any], name: str, kind: str, pool: list[Drawn]) -> Callable[..., Any]:
    def made(*args: Any, **kwargs: Any) -> Any:
        value = make(*args, **kwargs)
        array = np.asarray(value)
        if array.dtype.kind in "fi" and array.size > 1:
            place, scale = (kwargs.get("loc", args[0] if args else 0.0), kwargs.get("scale", (*args, 1.0, 1.0)[1])) \
                if name == "normal" else (0.0, 1.0)  # fmt: skip
            if name == "uniform":
                place = kwargs.get("low", args[0] if args else 0.0)
                scale = kwargs.get("high", args[1] if len(args) > 1 else 1.0) - place
            plain = (array - place) / scale if kind != "class" else array
            pool.append(Drawn(kind, torch.as_tensor(np.array(plain))))
        return value

    return made

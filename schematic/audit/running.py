"""One run of the user's losses, or of their training step, at random weights and data: what each update would move."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, permutations, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schematic.audit.adapter import Adapter, Wrong
from schematic.audit.factors import formed, forms_of
from schematic.audit.parameters import Parameters, Vector, flat_tensors
from schematic.audit.pieces import Piece, pieces
from schematic.audit.randomness import Drawn, recording
from schematic.audit.stage import Backward, Event, Line, Stage, Step, on

Data = dict[str, Any]

TRIES = 400  # ways to call a function that are tried
APART = 6  # of these, those that are tried after one that ran on other rows than the batch's
MOST = 5  # arguments of a function whose meaning is found out by trying


@dataclass
class Moved:
    """What the user's code does to the parameters of one update. `target`: the gradient of what is maximized there,
    over all optimizers and `times` of a step; `last`: at the last time alone; `left_over`: gradients that an earlier
    step has used were still there, and are taken out; `leaks`: groups that the losses reach and
    that the update does not move; `moved`: the groups that do move."""

    target: Vector
    pieces: list[Piece]
    last: Moved | None = None
    left_over: bool = False
    value: float | None = None
    leaks: dict[str, float] = field(default_factory=dict)
    line: Line | None = None
    pool: list[Drawn] = field(default_factory=list)
    times: int = 1
    moved: frozenset[str] = frozenset()


@dataclass
class Records:
    """The data of a run: values of the variables, and the batch that the program takes."""

    size: int
    values: dict[str, Tensor]
    batch: dict[str, Tensor]
    drawn: list[Drawn]


def records(question: Data, size: int, seed: int) -> Records:
    """Random data of the variables' types, and draws from the priors."""
    draw = torch.Generator().manual_seed(seed)
    values, drawn, batch = {}, [], {}
    for name, v in question["variables"].items():
        values[name] = _random(v, size, draw)
        if v["prior"]:
            drawn.append(_standard(v, values[name]))
    for field_, name in question["fields"].items():
        v = question["variables"][name]
        first = v["data"][0] == field_
        batch[field_] = values[name] if first else _random({**v, "prior": None}, size, draw)
    return Records(size, values, batch, drawn)


def _random(v: Data, size: int, draw: torch.Generator) -> Tensor:
    shape = (size, *v["event"])

    def uniform() -> Tensor:
        return torch.rand(shape, generator=draw, dtype=torch.float64)

    match v["prior"], v["kind"]:
        case _, "mask":
            return torch.arange(size) % 2 == 0
        case _, "category":
            count = int(v["event"][-1])
            return torch.eye(count, dtype=torch.float64)[torch.randint(count, shape[:-1], generator=draw)]
        case _, "binary":
            return (uniform() < 0.5).double()
        case "Uniform", _:
            low, high = map(float, v["args"])
            return low + (high - low) * uniform()
        case None, "unit":
            return 0.05 + 0.9 * uniform()
        case _:
            mean, scale = map(float, v["args"]) if v["prior"] == "Normal" else (0.0, 1.0)
            return mean + scale * torch.randn(shape, generator=draw, dtype=torch.float64)


def _standard(v: Data, value: Tensor) -> Drawn:
    match v["prior"]:
        case "Normal" | "Laplace":
            return Drawn("normal", (value - v["args"][0]) / v["args"][1])
        case "Uniform":
            return Drawn("uniform", (value - v["args"][0]) / (v["args"][1] - v["args"][0]))
        case "Categorical":
            return Drawn("class", value.argmax(-1))
        case _:
            return Drawn("bits", value)


# --- calling what the user wrote ------------------------------------------------------------------------------------


def arguments(call: Callable[..., Any], given: Records, question: Data, adapter: Adapter) -> Iterator[tuple[Any, ...]]:
    """Ways to call a function with the data: by the variables' names, else whatever it takes, the likeliest first."""
    try:
        signature = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        signature = []
    needed = [p for p in signature if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variables = question["variables"]
    if any(p.kind is p.VAR_POSITIONAL for p in signature) and not needed:
        yield ()
    names = [p.name for p in needed]
    if all(n in variables for n in names):
        ways = [_forms(variables[n], adapter.forms.get(n)) for n in names]
        for forms in product(*ways):
            yield tuple(formed(given.values[n], variables[n]["kind"], f) for n, f in zip(names, forms, strict=True))
        return
    data = [n for n, v in variables.items() if v["data"]]
    rest = [n for n, v in variables.items() if not v["data"]]
    for batch in (Whole(data), *data):  # a loop's (batch), (batch, index), (batch, index, optimizer)
        for (value,) in _shaped((batch,), given, variables, adapter):
            yield (value, 0, 0)[: len(needed)]
    if len(needed) <= MOST:
        for order in permutations([*data, *rest], len(needed)):
            yield from _shaped(order, given, variables, adapter)


@dataclass(frozen=True)
class Whole:
    """A batch as loaders give it: the data of a record in a tuple, labels last."""

    names: Sequence[str]


def _forms(v: Data, said: Any) -> list[Any]:
    return [tuple(said) if isinstance(said, list | tuple) else said] if said is not None else list(forms_of(v))


def _shaped(order: Sequence[Any], given: Records, variables: Data, adapter: Adapter) -> Iterator[tuple[Any, ...]]:
    ways = [
        [tuple(w) for w in product(*(_forms(variables[m], adapter.forms.get(m)) for m in n.names))]
        if isinstance(n, Whole) else _forms(variables[n], adapter.forms.get(n))
        for n in order
    ]  # fmt: skip
    for forms in product(*ways):
        yield tuple(_value(n, f, given, variables) for n, f in zip(order, forms, strict=True))


def _value(name: Any, form: Any, given: Records, variables: Data) -> Any:
    if not isinstance(name, Whole):
        return formed(given.values[name], variables[name]["kind"], form)
    parts = [formed(given.values[m], variables[m]["kind"], f) for m, f in zip(name.names, form, strict=True)]
    return [*parts, torch.zeros(given.size, dtype=torch.long)] if len(parts) == 1 else parts


@dataclass
class Call:
    """A function of the user's with the way to call it, once found."""

    call: Callable[..., Any]
    name: str
    stage: Stage
    clean: Callable[[], None]
    way: int | None = None

    def __call__(self, given: Records, question: Data, adapter: Adapter) -> Any:
        """Its value; `clean` undoes what a call left behind that failed.

        Raises: Wrong, or what the call raised that came furthest.
        """
        ways = list(islice(arguments(self.call, given, question, adapter), TRIES))
        if self.way is not None:
            return self.call(*ways[self.way])
        first: BaseException | None = None
        furthest = -1
        fallback: int | None = None
        whole = all(v["kind"] != "mask" for v in question["variables"].values())  # no record is apart by its nature
        for i, way in enumerate(ways):
            if fallback is not None and i > fallback + APART:
                break
            try:
                value = self.call(*way)
            except Exception as e:
                if len(self.stage.lines) > furthest:
                    first, furthest = e, len(self.stage.lines)
                self.clean()
                continue
            if self.stage.apart and whole and i + 1 < len(ways):  # `len` of a list, the first record of a batch
                fallback = i if fallback is None else fallback
                self.clean()
                continue
            self.way = i
            return value
        if fallback is not None:
            self.way = fallback
            return self.call(*ways[fallback])
        if first is None:
            raise Wrong(f"{self.name} takes arguments that are no variables of the model",
                        "give a lambda whose arguments are named after the model's variables")  # fmt: skip
        raise first


# --- what is moved --------------------------------------------------------------------------------------------------


@dataclass
class Theirs:
    """The user's side: nets, losses or a step, on the stage."""

    question: Data
    adapter: Adapter
    stage: Stage
    parameters: Parameters
    groups: dict[str, frozenset[int]]  # the parameters that each group's factors alone reach
    losses: dict[tuple[str, ...], Call] = field(default_factory=dict)
    step: Call | None = None

    def run(self, given: Records, seed: int) -> tuple[list[Moved | None], list[Step]]:
        """What each update of the model is in the user's code; None: nothing there speaks of it. And the order in which
        their optimizers stepped."""
        if self.step is not None:
            return self._stepped(given, seed)
        return [self._summed(u["groups"], given, seed) for u in self.question["updates"]], []

    def clean(self) -> None:
        """Nothing has happened yet."""
        self.stage.forget()
        for p in self.parameters.tensors:
            p.grad = None

    def _played(self, call: Call, given: Records, seed: int, pool: list[Drawn]) -> Any:
        """One call on the stage, from the same random state whenever the seed is the same."""
        self.stage.forget()
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        self.stage.pool, self.stage.size = pool, given.size
        with on(self.stage), recording(pool):
            return call(given, self.question, self.adapter)

    def _summed(self, groups: Sequence[str], given: Records, seed: int) -> Moved | None:
        """The sum of the losses of an update's groups, each moving its own."""
        found: Moved | None = None
        for names, call in self.losses.items():
            if not set(names) & set(groups):
                continue
            pool = list(given.drawn)
            loss = scalar(self._played(call, given, seed, pool), call.name)
            mine = frozenset[int]().union(*(self.groups[g] for g in names if g in groups))
            sign = 1.0 if set(names) & self.adapter.maximized else -1.0
            kept = [Piece(sign * p.gradient, p.line) for p in pieces(loss, self.parameters, self.stage)]
            whole = sign * self.parameters.gradient(loss)
            mask = np.zeros(len(whole))
            mask[self.parameters.places(mine)] = 1.0
            leaks = {g: self._size(whole, i) for g, i in self.groups.items() if g not in names}
            line = self.stage.lines[loss.grad_fn][1] if loss.grad_fn in self.stage.lines else None
            here = Moved(
                whole * mask,
                [Piece(p.gradient * mask, p.line) for p in kept],
                value=sign * loss.item(),
                leaks=leaks,
                line=line,
                pool=pool,
                moved=frozenset(names) & frozenset(groups),
            )
            found = here if found is None else _added(found, here)
        return found

    def _size(self, gradient: Vector, indices: frozenset[int]) -> float:
        return float(np.linalg.norm(gradient[self.parameters.places(indices)]))

    def _stepped(self, given: Records, seed: int) -> tuple[list[Moved | None], list[Step]]:
        """Two steps in a row from the same random numbers: what was left behind by the first is in the second."""
        assert self.step is not None
        self.clean()
        pool: list[Drawn] = []
        seen: dict[int, list[Piece]] = {}
        self.stage.watch = lambda b: seen.update({id(b): self._pieces(b)})
        events: list[Event] = []
        try:
            for iteration in range(2):
                pool[:] = given.drawn
                self._played(self.step, given, seed, pool)
                for e in self.stage.events:
                    e.iteration = iteration
                events += self.stage.events
        finally:
            self.stage.watch = None
        steps = [e for e in events if isinstance(e, Step) and e.iteration == 1]
        return [self._by_steps(u["groups"], events, seen, pool) for u in self.question["updates"]], steps

    def _pieces(self, event: Backward) -> list[Piece]:
        return [
            Piece(-p.gradient, p.line or event.line)
            for loss in event.losses
            if loss.requires_grad and loss.numel() == 1
            for p in pieces(loss, self.parameters, self.stage)
        ]

    def _by_steps(self, groups: Sequence[str], events: Sequence[Event], seen: dict[int, list[Piece]],
                  pool: list[Drawn]) -> Moved:  # fmt: skip
        """What all optimizers together do to the parameters of these groups."""
        width = sum(self.parameters.sizes)
        target, last = np.zeros(width), np.zeros(width)
        times: dict[str, int] = {}
        line: Line | None = None
        left = False
        kept: dict[tuple[int, int], Piece] = {}
        latest: dict[str, dict[tuple[int, int], Piece]] = {}
        for at, s in enumerate(events):
            if not isinstance(s, Step):
                continue
            held = self.parameters.indices(s.parameters)
            by_id = dict(zip(map(id, s.parameters), s.gradients, strict=True))
            whole = -self.parameters.vector([by_id.get(id(t)) for t in self.parameters.tensors])
            for g in (g for g in groups if held & self.groups[g]):
                places = self.parameters.places(held & self.groups[g])
                if s.iteration == 0:
                    continue
                over, flows = self._used(events[:at], seen, places, whole[places])
                left = left or bool(np.any(over))
                sign = -1.0 if s.maximize else 1.0
                moved = np.zeros(width)
                moved[places] = sign * (whole[places] - over)
                latest[g] = {}
                for f in flows:
                    for i, p in enumerate(seen.get(id(f), ())):
                        for pieces_ in (kept, latest[g]):
                            piece = pieces_.setdefault((id(f), i), Piece(np.zeros(width), p.line))
                            piece.gradient[places] += sign * p.gradient[places]
                target += moved
                last[places] = moved[places]
                times[g], line = times.get(g, 0) + 1, s.line
        most = max(times.values(), default=0)
        at_last = [p for found in latest.values() for p in found.values()]
        return Moved(
            target,
            list(kept.values()),
            last=Moved(last, at_last) if most > 1 else None,
            left_over=left,
            line=line,
            pool=pool,
            times=most,
            moved=frozenset(times),
        )

    def _used(self, before: Sequence[Event], seen: dict[int, list[Piece]], places: Any,
              found: Vector) -> tuple[Vector, list[Backward]]:  # fmt: skip
        """Of a gradient, what it still holds of losses that an earlier step over the same parameters has used, and the
        losses that are new in it: those since the gradients were zeroed, which is found out from their sum."""
        flown, used = np.zeros(len(found)), np.zeros(len(found))
        new: list[Backward] = []
        since: list[Backward] = []
        stepped = False
        for e in reversed(before):
            if isinstance(e, Step):
                held = self.parameters.places(self.parameters.indices(e.parameters))
                stepped = stepped or bool(np.isin(places, held).any())
                continue
            here = sum((p.gradient[places] for p in seen.get(id(e), ())), np.zeros(len(found)))
            flown = flown + here
            if stepped:
                used = used + here
            else:
                new.append(e)
            if np.allclose(flown, found, rtol=1e-7, atol=1e-12):
                return used, new
            since = new
        return np.zeros(len(found)), since


def _added(a: Moved, b: Moved) -> Moved:
    """Two losses of one update, for different groups of it or for the same."""
    value = None if a.value is None or b.value is None else a.value + b.value
    leaks = {g: max(a.leaks.get(g, 0.0), b.leaks.get(g, 0.0)) for g in {*a.leaks, *b.leaks}}
    return Moved(
        a.target + b.target,
        [*a.pieces, *b.pieces],
        value=value,
        leaks=leaks,
        line=a.line or b.line,
        pool=[*a.pool, *b.pool],
        moved=a.moved | b.moved,
    )


def scalar(value: Any, name: str) -> Tensor:
    """The loss that a function returned: its first scalar tensor. Raises: Wrong."""
    if isinstance(value, dict) and "loss" in value:
        value = value["loss"]
    found = [t for t in flat_tensors(value) if t.numel() == 1 and t.requires_grad]
    if found:
        return found[0].reshape(())
    tensors = flat_tensors(value)
    if tensors and tensors[0].requires_grad:
        raise Wrong(f"{name} returns a tensor of shape {tuple(tensors[0].shape)}, not one loss",
                    "let the adapter take its mean, as the training loop does")  # fmt: skip
    if tensors and tensors[0].numel() == 1:
        return tensors[0].reshape(()).detach().requires_grad_() * 1.0
    raise Wrong(f"{name} returns {type(value).__name__}, not a loss that gradients can flow from")

"""What can be found out of a user's file by running it: which net may be which factor, which function which loss.

Names count for nothing; shapes, gradients and the audit itself decide. What stays open is a gap in the written adapter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations, product
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from schematic.audit.adapter import Adapter, Wrong
from schematic.audit.factors import Misfit, fits, split
from schematic.audit.running import Call, Records, scalar
from schematic.audit.stage import Stage, Step, on

Data = dict[str, Any]

FEW = 4  # nets for one factor that are tried
MOST = 16  # whole adapters that are tried
OWN = ("training_step", "configure_optimizers", "validation_step", "test_step")


@dataclass(frozen=True)
class Found:
    """Something of the user's by the expression that names it; `made`: the line that makes it first."""

    expression: str
    value: Any
    made: str = ""


@dataclass(frozen=True)
class Choice:
    """One way to fill an adapter in. Keys of `losses` are the groups of an update, joined."""

    factors: dict[str, Found]
    losses: dict[str, Found]
    step: Found | None


def objects(module: ModuleType) -> list[Found]:
    """The nets of a file: its instances, and its classes as far as they can be made without guessing."""
    found = [Found(f"mine.{n}", v) for n, v in vars(module).items() if isinstance(v, nn.Module) and n != "_"]
    known = {type(f.value) for f in found} | {type(m) for f in found for m in f.value.modules()}
    for name, cls in vars(module).items():
        own = inspect.isclass(cls) and issubclass(cls, nn.Module) and cls.__module__ == module.__name__
        if own and cls not in known and (made := _made(cls, module)) is not None:
            found.append(Found(name.lower(), made[0], f"{name.lower()} = mine.{name}({made[1]})"))
    inside = {id(m) for f in found for m in f.value.modules() if m is not f.value}
    return [f for f in found if id(f.value) not in inside]


def _made(cls: type[nn.Module], module: ModuleType) -> tuple[nn.Module, str] | None:
    """An instance, made with the module's own values of the same names; None where that does not do."""
    needed = [
        p.name
        for p in list(inspect.signature(cls.__init__).parameters.values())[1:]
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    given = {n: getattr(module, n) for n in needed if isinstance(getattr(module, n, None), int | float | tuple)}
    try:
        return cls(**given), ", ".join(f"{n}=mine.{n}" for n in given)
    except Exception:
        return None


def callables(f: Found) -> Iterator[Found]:
    """What of a net can be called: itself, the methods that its class adds, and what is inside it."""
    yield f
    for name, value in vars(type(f.value)).items():
        if isinstance(value, FunctionType) and not name.startswith("_") and name not in ("forward", *OWN):
            yield Found(f"{f.expression}.{name}", getattr(f.value, name), f.made)
    for name, child in f.value.named_children():
        if not name.isdigit():
            yield Found(f"{f.expression}.{name}", child, f.made)


def fitting(asked: Data, factor: str, found: Sequence[Found], given: Records) -> list[Found]:
    """The callables that take a factor's parents and give what its target needs; the likeliest first."""
    facts = asked["factors"][factor]
    ranked: list[tuple[int, int, Found]] = []
    for i, f in enumerate(c for o in found for c in callables(o)):
        try:
            with torch.no_grad():
                ways = fits(facts, asked["variables"], f.value, given.values)
        except Exception:
            continue
        if ways and (rest := _surplus(facts, ways[0][2], given.size)) is not None:
            ranked.append((rest, i, f))
    return [f for _, _, f in sorted(ranked, key=lambda r: r[:2])]


def _surplus(facts: Data, value: Any, size: int) -> int | None:
    """How many tensors a net returns beside what its factor needs; None if it lacks some."""
    tensors = [v for v in value if isinstance(v, Tensor)] if isinstance(value, tuple | list) else [value]
    if not tensors or not all(isinstance(t, Tensor) and t.dim() and len(t) == size for t in tensors):
        return None
    if facts["domains"]:
        judged = tensors[0].numel() == size or (tensors[0].dim() == 4 and tensors[0].shape[1] == 1)
        return len(tensors) - 1 if judged else None
    spread = facts["family"] in ("Normal", "Laplace") and not facts["hollow"] and "scale" not in facts["options"]
    for parts in (2, 1) if spread else (1,):
        try:
            split(value, tuple(facts["event"]), parts)
        except Misfit:
            continue
        return len(tensors) - min(parts, len(tensors)) + (2 if spread and parts == 1 else 0)
    return None


def functions(
    asked: Data, module: ModuleType, adapter: Adapter, given: Records, stage: Stage
) -> tuple[list[Found], list[Found]]:
    """The file's functions that return a loss, and those (or LightningModules) that make a step."""
    losses, steps = [], []
    for name, value in vars(module).items():
        module_like = isinstance(value, nn.Module) or (inspect.isclass(value) and issubclass(value, nn.Module))
        own = getattr(value, "__module__", None) == module.__name__
        if module_like and own and all(hasattr(value, n) for n in OWN[:2]):
            steps.append(Found(f"mine.{name}", value))
        if not isinstance(value, FunctionType) or value.__module__ != module.__name__:
            continue
        stage.forget()
        stage.size = given.size
        call = Call(value, name, stage, stage.forget)
        try:
            with on(stage):
                returned = call(given, asked, adapter)
        except Exception:
            continue
        if any(isinstance(e, Step) for e in stage.events):
            steps.append(Found(f"mine.{name}", value))
            continue
        try:
            if scalar(returned, name).requires_grad and not isinstance(returned, tuple | list):
                losses.append(Found(f"mine.{name}", value))
        except Wrong:
            continue
    return losses, steps


def choices(asked: Data, nets: dict[str, list[Found]], losses: Sequence[Found], steps: Sequence[Found]) -> list[Choice]:
    """Whole adapters, the likeliest first: distinct nets for the factors, a function for each update or one step."""
    names = [n for n, f in nets.items() if f]
    ways = [c for c in product(*(nets[n][:FEW] for n in names)) if len({x.expression for x in c}) == len(c)]
    factors = [dict(zip(names, c, strict=True)) for c in islice(ways, MOST)] or [{}]
    if steps:
        return [Choice(f, {}, s) for f in factors for s in steps][:MOST]
    keys = [", ".join(u["groups"]) for u in asked["updates"]]
    count = min(len(keys), len(losses))
    held = [dict(zip(keys, p, strict=False)) for p in permutations(losses, count)] if count else [{}]
    return [Choice(f, loss, None) for loss in held for f in factors][:MOST]


def chosen(asked: Data, options: Sequence[Choice], judge: Callable[[Choice], int]) -> tuple[Choice, bool]:
    """The option of which there is least to say, and whether another is as good. What fails is last."""
    if len(options) == 1:
        return options[0], False
    weights = []
    for option in options:
        try:
            weights.append(judge(option))
        except Exception:
            weights.append(10**6)
        if weights[-1] == 0:
            return option, False
    least = min(weights)
    return options[weights.index(least)], weights.count(least) > 1


def written(asked: Data, stem: str, choice: Choice, open_: bool, nets: dict[str, list[Found]]) -> str:
    """The adapter as text, gaps marked."""
    made = dict.fromkeys(f.made for f in (*choice.factors.values(), *choice.losses.values()) if f.made)
    lines = [
        f'"""Which net of {stem}.py is which factor of {asked["name"]}, where its losses are: for `schematic audit`.',
        "",
        "What could not be found out is marked GAP. docs/audit.md explains the names.",
        '"""',
        "",
        f"import {stem} as mine"
        if stem.isidentifier()
        else f'import importlib\n\nmine = importlib.import_module("{stem}")',
        "",
        *made,
        *([""] if made else []),
        "FACTORS = {",
    ]
    for attribute, facts in asked["factors"].items():
        arrow = f"{', '.join(facts['parents']) or 'nothing'} -> {facts['target']}"
        found = choice.factors.get(attribute)
        others = [f.expression for f in nets.get(attribute, ()) if found and f.expression != found.expression][:2]
        note = f"; it fits as well: {', '.join(others)}" if others and open_ else ""
        stands = found.expression if found else "..."
        lines.append(f'    "{facts["name"]}": {stands},  # {"" if found else "GAP: your net for "}{arrow}{note}')
    lines += ["}", *_losses(asked, choice, open_)]
    return "\n".join(lines) + "\n"


def _losses(asked: Data, choice: Choice, open_: bool) -> Iterator[str]:
    if choice.step is not None:
        yield f"STEP = {choice.step.expression}"
        return
    yield "LOSSES = {  # what each group minimizes" + (
        "; check which is whose" if open_ and len(choice.losses) > 1 else ""
    )
    for u in asked["updates"]:
        key = ", ".join(u["groups"])
        found = choice.losses.get(key)
        gap = "  # GAP: a function of a batch that returns the loss of these groups"
        yield f'    "{key}": {found.expression if found else "..."},' + ("" if found else gap)
    yield "}"

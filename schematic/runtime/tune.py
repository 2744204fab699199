"""What depends on the machine: an emitted program's layers in the forms that run fastest here, each of them exact.

Which forms are faster is measured on a copy of the program before the first step, and remembered for this machine and
this program. `layers` has the forms; parameters, their names and checkpoints are the plain program's in all of them.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, cast

import torch
from torch import Tensor, nn

from schematic.graph.model import Optimizer
from schematic.runtime.batches import Batches
from schematic.runtime.data import Batch
from schematic.runtime.layers import (
    ChannelsLastConv2d,
    ChannelsLastConvTranspose2d,
    Doubling,
    OneDNNLinear,
    available,
    pairs,
)
from schematic.runtime.program import Program
from schematic.runtime.step import init, step

GAIN = 0.97  # of the plain form's time: what a form has to beat
ROUNDS = 7
SECONDS = 0.02  # of one measurement of a layer
STEPS, MOST = 0.3, 31  # seconds of whole steps, and rounds
VERSION = 2  # of what is remembered


@dataclass(frozen=True)
class Tuning:
    """The forms in force: the names of the linear maps by oneDNN's product and of the sequences whose upsampling and
    convolution are one, and whether maps have their channels last."""

    product: tuple[str, ...] = ()
    doubling: tuple[str, ...] = ()
    channels_last: bool = False

    def __str__(self) -> str:
        parts = (
            f"oneDNN's matrix product in {', '.join(self.product)}" if self.product else "",
            f"upsampling and convolution as one in {', '.join(self.doubling)}" if self.doubling else "",
            "channels last" if self.channels_last else "",
        )
        return "; ".join(filter(None, parts)) or "the plain form"


def tune(
    program: Program, batches: Batches, optimizers: Mapping[str, Optimizer], digest: str, known: object = None
) -> Tuning:
    """Puts a program's layers into the forms that are fastest here, in place, and says which.

    `known` is the tuning of the run to resume, as its config.json has it: it is taken as it is, so that the run goes on
    number for number. Else what is remembered for this machine, the program's text (`digest`) and the batch's size is
    taken, or measured. Reads one batch, and leaves batches, parameters and random states as they were.
    """
    module = cast(nn.Module, program)
    if known is None:
        path = _folder() / f"{_key(module, digest, batches)}.json"
        known = _read(path)
        if known is None:
            known = _write(path, asdict(measure(program, peek(batches), optimizers)))
    tuning = _fitting(module, known)
    apply(module, tuning)
    return tuning


def apply(program: nn.Module, tuning: Tuning) -> None:
    """Gives the layers their forms. Parameters, names and values are untouched."""
    for name in tuning.product:
        program.get_submodule(name).__class__ = OneDNNLinear
    if tuning.channels_last:
        for layer in program.modules():
            if type(layer) is nn.Conv2d:
                layer.__class__ = ChannelsLastConv2d
            elif type(layer) is nn.ConvTranspose2d:
                layer.__class__ = ChannelsLastConvTranspose2d
    for name in tuning.doubling:
        program.get_submodule(name).__class__ = Doubling


# --- what could be otherwise ------------------------------------------------------------------------------


def linears(program: nn.Module) -> dict[str, nn.Module]:
    """The linear maps that oneDNN's product may compute."""
    plain: dict[str, nn.Module] = {n: m for n, m in program.named_modules() if type(m) is nn.Linear}
    return plain if plain and available() else {}


def sequences(program: nn.Module) -> dict[str, nn.Module]:
    """The sequences with an upsampling and a convolution that are one."""
    return {n: m for n, m in program.named_modules() if type(m) is nn.Sequential and pairs(m)}


def convolutions(program: nn.Module) -> bool:
    return any(type(m) in (nn.Conv2d, nn.ConvTranspose2d) for m in program.modules())


# --- measuring --------------------------------------------------------------------------------------------


def measure(program: Program, batch: Batch, optimizers: Mapping[str, Optimizer]) -> Tuning:
    """The forms that are faster here than the plain ones: of layers by themselves, and then of whole steps."""
    copy = deepcopy(program)
    module = cast(nn.Module, copy)
    with torch.random.fork_rng(devices=[]):
        sites = {**linears(module), **sequences(module)}
        seen = _inputs(module, sites, _stepper(copy, batch, optimizers)) if sites else {}
        changes: tuple[dict[str, Any], ...] = (
            {"doubling": tuple(n for n in sequences(module) if n in seen and _faster(sites[n], Doubling, seen[n]))},
            {"product": tuple(n for n in linears(module) if n in seen and _faster(sites[n], OneDNNLinear, seen[n]))},
            {"channels_last": convolutions(module)},
        )
        found = Tuning()
        for change in changes:
            other = replace(found, **change)
            if other != found:
                before, after = (_stepper(_formed(program, tuning), batch, optimizers) for tuning in (found, other))
                found = other if _ratio(before, after, whole=True) < GAIN else found
    return found


def _formed(program: Program, tuning: Tuning) -> Program:
    copy = deepcopy(program)
    apply(cast(nn.Module, copy), tuning)
    return copy


def peek(batches: Batches) -> Batch:
    """A batch like those to come; the batches to come stay what they are."""
    generators = {id(s.generator): s.generator for s in batches.streams}.values()
    state, random = batches.state(), [g.get_state() for g in generators]
    batch = next(batches)
    batches.load_state(state)
    for generator, before in zip(generators, random, strict=True):
        generator.set_state(before)
    return batch


def _stepper(program: Program, batch: Batch, optimizers: Mapping[str, Optimizer]) -> Callable[[], object]:
    """A whole step of this program, on this batch."""
    device = next(program.parameters()).device
    trainer = init(program, optimizers, torch.Generator(device).manual_seed(0))
    return lambda: step(trainer, repeat(batch))


def _inputs(program: nn.Module, sites: Mapping[str, nn.Module], stepped: Callable[[], object]) -> dict[str, Tensor]:
    """What each layer is called with in a step, the largest: values, and whether they pass gradient on."""
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            x = args[0] if len(args) == 1 else None
            if isinstance(x, Tensor) and (name not in seen or x.numel() > seen[name].numel()):
                seen[name] = x.detach().clone().requires_grad_(x.requires_grad)

        return hook

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in sites.items()]
    stepped()
    for handle in handles:
        handle.remove()
    return seen


def _faster(layer: nn.Module, form: type[nn.Module], x: Tensor) -> bool:
    """Whether a form of the layer is faster there and back, at this input."""
    other = deepcopy(layer)
    other.__class__ = form
    return _ratio(_there_and_back(layer, x), _there_and_back(other, x)) < GAIN


def _there_and_back(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    moving = [*([x] if x.requires_grad else []), *(p for p in layer.parameters() if p.requires_grad)]
    gradient = torch.ones_like(layer(x))
    return lambda: torch.autograd.grad(layer(x), moving, gradient) if moving else layer(x)


def _ratio(plain: Callable[[], object], other: Callable[[], object], whole: bool = False) -> float:
    """The other's time over the plain one's: the median of rounds in which both run by turns; of `whole` steps more."""
    _time(other, 1)
    once = max(_time(plain, 1), 1e-6)
    number = max(1, int(SECONDS / ROUNDS / once))
    rounds = max(ROUNDS, min(MOST, int(STEPS / once))) if whole else ROUNDS
    return median(_time(other, number) / _time(plain, number) for _ in range(rounds))


def _time(run: Callable[[], object], number: int) -> float:
    """Seconds; of one thread its own, which other programs on the machine disturb less."""
    on_gpu = torch.cuda.is_available()
    clock = process_time if torch.get_num_threads() == 1 and not on_gpu else perf_counter
    begun = clock()
    for _ in range(number):
        run()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - begun


# --- what is remembered -----------------------------------------------------------------------------------


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "schematic" / "tuning"


def _key(program: nn.Module, digest: str, batches: Batches) -> str:
    """What the measurement depends on: program, batch, torch and machine."""
    parameter = next(program.parameters())
    parts = (
        VERSION, digest, [s.batch for s in batches.streams], torch.__version__, torch.get_num_threads(),
        str(parameter.device), str(parameter.dtype), *_machine(),
    )  # fmt: skip
    return sha256(repr(parts).encode()).hexdigest()[:32]


def _machine() -> Iterator[str]:
    yield from (platform.node(), platform.machine(), torch.backends.cpu.get_cpu_capability())
    if torch.cuda.is_available():
        yield torch.cuda.get_device_name()


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, found: Mapping[str, object]) -> object:
    """Remembers what was measured. Of runs that begin together the first one's measurement counts for all of them."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            json.dump(found, file)
    except FileExistsError:
        return _read(path) or found
    except OSError:  # no folder to write to: the next run measures again
        pass
    return found


def _fitting(program: nn.Module, known: object) -> Tuning:
    """What is known, as far as this program and this torch have it."""
    found = known if isinstance(known, dict) else {}

    def names(key: str, there: Mapping[str, nn.Module]) -> tuple[str, ...]:
        listed = found.get(key)
        return tuple(n for n in listed if n in there) if isinstance(listed, Sequence) else ()

    return Tuning(
        names("product", linears(program)), names("doubling", sequences(program)), found.get("channels_last") is True
    )

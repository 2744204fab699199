"""Speed beside what people write by hand: `python -m benchmarks.speed [vae] [gan] [dcgan] [infogan] [aae] [cyclegan]`.

The sides of a comparison train the same model on the same batches in one process, by turns, a few steps each, for many
rounds. What is printed is process CPU time on one thread: medians, the spread (quartiles), and the ratio to ours, taken
round by round. Before any timing, gradients on both sides are compared, from the same weights and the same noise.

  --rounds N   rounds (40)          --threads N   more threads; wall time is then taken
  --json FILE  the figures as JSON
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.peers import aae, cyclegan, gan, infogan, vae
from benchmarks.peers.side import Batch, Side
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.build import load
from schematic.graph.model import Optimizer
from schematic.graph.optimizers import settings
from schematic.runtime import optim, tune
from schematic.runtime.program import instantiate, load_class
from schematic.runtime.step import init, step

MODELS = Path(__file__).parent / "models"
SLICE = 0.06  # seconds that each side runs before it is the next one's turn
TOLERANCE = 1e-6  # of gradients in float64, relative to the largest

PLAIN = "schematic, --no-tune"

Maker = Callable[[nn.Module], Side]  # a peer of this program
Run = Callable[[Batch], object]
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Ours:
    """One form of ours: its step on a batch, and its program."""

    name: str
    step: Run
    program: nn.Module


@dataclass(frozen=True)
class Program:
    """A program on the emitted interface, with its optimizers."""

    cls: type[nn.Module]
    optimizers: Mapping[str, Optimizer]

    def form(self, name: str, tuning: tune.Tuning) -> Ours:
        """As `schematic train` steps it, with its layers in these forms."""
        program = instantiate(self.cls, 0, torch.device("cpu"))
        tune.apply(cast(nn.Module, program), tuning)
        trainer = init(program, self.optimizers, torch.Generator().manual_seed(0))
        return Ours(name, lambda batch: step(trainer, repeat(dict(batch))), cast(nn.Module, program))

    def forms(self, batch: Batch) -> list[Ours]:
        """As it is tuned here, without the private product, plain."""
        found = tune.measure(instantiate(self.cls, 0, torch.device("cpu")), dict(batch), self.optimizers)
        print(f"tuning: {found}")
        forms = {"schematic": found, "schematic, no private op": replace(found, product=()), PLAIN: tune.Tuning()}
        return [self.form(name, tuning) for name, tuning in forms.items()]


def compiled(stem: str) -> Program:
    """models/STEM.sg."""
    path = MODELS / f"{stem}.sg"
    cls: Any = load_class(pipeline.compile(path, Report()), stem)
    model = load(path, Report())
    assert model is not None
    return Program(cls, optim.resolve(cls.GROUPS, bool(cls.ADVERSARIAL), settings(model).optimizers, ()))


def edited(cls: Any) -> Program:
    """A program that a person wrote on the emitted interface."""
    return Program(cls, dict.fromkeys(cls.GROUPS, Optimizer("adam", 2e-4, (0.5, 0.999))))


# --- the same thing on both sides --------------------------------------------------------------------------


class SameNoise(TorchDispatchMode):
    """Every random tensor of one size is the same one, whoever draws it, and in whatever order."""

    RANDOM = ("normal", "rand", "randn", "randn_like", "rand_like", "uniform", "bernoulli", "native_dropout")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func.overloadpacket.__name__.rstrip("_") in self.RANDOM:
            torch.manual_seed(0)
            if kwargs.get("generator") is not None:
                kwargs["generator"].manual_seed(0)
        return func(*args, **kwargs)


@contextmanager
def gradients() -> Iterator[list[dict[int, Tensor]]]:
    """The gradients that each optimizer is handed, by parameter, in the order of its steps."""
    seen: list[dict[int, Tensor]] = []

    def record(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:  # by which Adam's step depends on the loss's scale
            group["eps"] = 1e-30
        parameters = [p for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        seen.append({id(p): p.grad.clone() for p in parameters if p.grad is not None})

    handle = register_optimizer_step_pre_hook(record)
    try:
        yield seen
    finally:
        handle.remove()


def copy(program: nn.Module, side: Side) -> None:
    """Our weights into the other side's network."""
    with torch.no_grad():
        for name, theirs in side.parameters.items():
            mine = program.get_parameter(name)
            for part, p in zip(mine.split([len(p) for p in theirs]), theirs, strict=True):
                p.copy_(part)


def difference(mine: Ours, side: Side, batch: Batch) -> float:
    """The largest difference of gradients, of all updates of one step from the same weights and noise, over the largest
    gradient."""
    copy(mine.program, side)
    with SameNoise(), gradients() as theirs:
        side.step(batch)
    with SameNoise(), gradients() as here:
        mine.step(batch)
    differs = largest = 0.0
    scale = side.scale * (len(next(iter(batch.values()))) if side.summed else 1)
    for name, stacked in side.parameters.items():
        p = mine.program.get_parameter(name)
        own = [seen[id(p)] for seen in here if id(p) in seen]
        their_own = zip(*([seen[id(q)] for seen in theirs if id(q) in seen] for q in stacked), strict=True)
        for g, parts in zip(own, their_own, strict=True):
            h = torch.cat(parts)
            differs = max(differs, (g * scale + h).abs().max().item())
            largest = max(largest, h.abs().max().item())
    return differs / largest


# --- timing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    rounds: int
    clock: Callable[[], float]


def timed(run: Run, batches: Sequence[Batch], number: int, clock: Callable[[], float]) -> float:
    begun = clock()
    for i in range(number):
        run(batches[i % len(batches)])
    return (clock() - begun) / number


def rounds(runs: Sequence[Run], batches: Sequence[Batch], timing: Timing) -> list[list[float]]:
    """Seconds a step of every side, round by round; the order turns."""
    numbers = []
    for run in runs:
        timed(run, batches, 3, timing.clock)
        numbers.append(max(1, round(SLICE / timed(run, batches, 3, timing.clock))))
    found: list[list[float]] = [[] for _ in runs]
    gc.collect()
    gc.disable()
    for i in range(timing.rounds):
        for j in range(len(runs)):
            k = (i + j) % len(runs)
            found[k].append(timed(runs[k], batches, numbers[k], timing.clock))
        gc.collect()
    gc.enable()
    return found


def report(names: Sequence[str], times: Sequence[Sequence[float]], notes: Sequence[str]) -> Rows:
    rows = []
    print(f"{'':32} {'ms/step':>8} {'quartiles':>15} {'ours is faster by':>18}")
    for name, seconds, note in zip(names, times, notes, strict=True):
        low, _, high = quantiles(seconds)
        ratios = [t / o for t, o in zip(seconds, times[0], strict=True)]
        below, ratio, above = quantiles(ratios)
        spread = f"{1e3 * low:.3f}-{1e3 * high:.3f}"
        print(f"{name:32} {1e3 * median(seconds):8.3f} {spread:>15} {ratio:8.2f} ({below:.2f}-{above:.2f})  {note}")
        rows.append(
            {"side": name, "ms": 1e3 * median(seconds), "ratio": ratio, "quartiles": (below, above), "note": note}
        )
    return rows


def agreement(program: Program, maker: Maker, batch: Batch) -> float:
    """The largest difference between gradients, in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        mine = program.form(PLAIN, tune.Tuning())
        few = {name: t[:8].double() for name, t in batch.items()}  # networks in float64 are slow
        return difference(mine, maker(mine.program), few)
    finally:
        torch.set_default_dtype(torch.float32)


def compare(name: str, program: Program, makers: Sequence[Maker], batches: Sequence[Batch], timing: Timing) -> Rows:
    print(f"\n=== {name}, batch {len(next(iter(batches[0].values())))}")
    mine = program.forms(batches[0])
    names, runs, notes = [o.name for o in mine], [o.step for o in mine], [""] * len(mine)
    for make in makers:
        try:
            side = make(mine[0].program)
        except ImportError as e:
            print(f"a peer is not installed: {e.name}")
            continue
        note = f"another rule: {side.rule}"
        if not side.rule:
            differs = agreement(program, make, batches[0])
            assert differs < TOLERANCE, f"{side.name}: the gradients differ by {differs:.1e}"
            note = f"the same gradients to {differs:.0e}"
        names, runs, notes = [*names, side.name], [*runs, side.step], [*notes, note]
    return report(names, rounds(runs, batches, timing), notes)


def images(size: int, *shape: int, fields: Sequence[str] = ("image",), number: int = 8) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    return [{f: torch.rand(size, *shape, generator=generator) for f in fields} for _ in range(number)]


def machine(threads: int) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {capability}, {threads} thread(s); torch {torch.__version__}, Python {platform.python_version()}"


def dcgan(timing: Timing) -> Rows:
    makers = [partial(make, nets=gan.dcgans, again=False) for make in (gan.usual, gan.tuned)]
    return compare("dcgan", compiled("dcgan"), makers, images(64, 1, 28, 28), timing)


def info(timing: Timing) -> Rows:
    batches = images(64, 1, 32, 32)
    own = compare(
        "infogan, the script's updates", edited(infogan.Script), (infogan.usual, infogan.tuned), batches, timing
    )
    return own + compare("infogan, the paper's schedule", edited(infogan.Paper), (infogan.script,), batches, timing)


COMPARISONS: dict[str, Callable[[Timing], Rows]] = {
    "vae": lambda timing: compare("vae", compiled("vae"), vae.SIDES, images(128, 784), timing),
    "gan": lambda timing: compare("gan", compiled("gan"), (gan.usual, gan.tuned), images(64, 784), timing),
    "dcgan": dcgan,
    "infogan": info,
    "aae": lambda timing: compare("aae", compiled("aae"), (aae.usual, aae.tuned), images(64, 784), timing),
    "cyclegan": lambda timing: compare(
        "cyclegan", compiled("cyclegan"), (cyclegan.usual, cyclegan.tuned),
        images(8, 3, 32, 32, fields=("a/image", "b/image")), timing,
    ),
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help=", ".join(COMPARISONS))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    if unknown := set(asked.which) - set(COMPARISONS):
        parser.error(f"there is no comparison {', '.join(sorted(unknown))}; there are {', '.join(COMPARISONS)}")
    torch.set_num_threads(asked.threads)
    timing = Timing(asked.rounds, time.process_time if asked.threads == 1 else time.perf_counter)
    print(machine(asked.threads))
    found = {name: COMPARISONS[name](timing) for name in asked.which or COMPARISONS}
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(asked.threads), "comparisons": found}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])

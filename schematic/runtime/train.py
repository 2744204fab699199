"""Training: an emitted program, its data and its settings become a run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schematic.graph.model import Train
from schematic.runtime import device as devices
from schematic.runtime import folder, metrics, samples
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.interrupt import Interrupt
from schematic.runtime.metrics import Metrics
from schematic.runtime.prepare import Plan, Settings, prepare
from schematic.runtime.program import digest
from schematic.runtime.progress import Bar
from schematic.runtime.step import anneal, step

LOG_EVERY = 20  # steps between two readings of the objectives; nothing else comes back from the device
SAVE_SECONDS = 30.0

Reason = Literal["finished", "interrupted", "not finite"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `steps` its checkpoint has seen, and the objectives last read, in nats per example."""

    run: Run
    reason: Reason
    steps: int
    seconds: float
    objectives: Mapping[str, float]

    @property
    def message(self) -> str:
        """What to tell the user."""
        kept = f"{self.steps} steps in {self.seconds:.0f} s; the run is in {self.run.path}"
        match self.reason:
            case "finished":
                return kept
            case "interrupted":
                return f"interrupted: {kept}"
            case "not finite":
                values = ", ".join(f"{group} {value}" for group, value in self.objectives.items())
                return f"stopped: an objective is no longer finite ({values}); the last good checkpoint is kept: {kept}"


def train(
    program: str,
    *,
    out: Path,
    spec: str = "",
    drawing: str = "",
    block: Train | None = None,
    settings: Settings | None = None,
    progress: bool = True,
    resume: bool = False,
) -> Outcome:
    """Trains an emitted program's text, and writes the run folder `out`; `resume` goes on with the run that it holds.

    Interrupted by Ctrl-C, or stopped because an objective is no longer finite, it ends with the last good checkpoint
    and its samples. A run that was interrupted and resumed is the run that was not, number for number.
    Raises RunError, before anything is written, where program, data, device or settings do not fit.
    """
    plan = prepare(program, block or Train(), settings or Settings())
    config = {**plan.config, "program_sha256": digest(program)}
    if resume:
        run, start = Run(Path(out)), restore(plan, Run(Path(out)), config)
    else:
        run, start = folder.create(Path(out), {**config, "status": "training"}), 0
        for name, text in (("program.py", program), ("model.sg", spec), ("drawing.svg", drawing)):
            if text:
                folder.write(run / name, text)
    outcome = loop(plan, run, Bar(plan.steps, progress), start)
    plan.program.load_state_dict(run.load()["program"])  # the last good one
    samples.write(run, plan.program, plan.sets, int(config["seed"]))
    metrics.draw(run, plan.program.UPDATES, str(config["model"]))
    run.configure(
        {**config, "status": outcome.reason, "steps_done": outcome.steps, "seconds": round(outcome.seconds, 1)}
    )
    return outcome


def loop(plan: Plan, run: Run, bar: Bar, start: int = 0) -> Outcome:
    """The steps from `start` on, and every LOG_EVERY of them what is read back, written and shown."""
    record, last = Metrics(run, start), dict[str, float]()
    begun = saved = time.monotonic()
    good = start
    reason: Reason = "finished"
    with bar, Interrupt() as interrupt:
        save(plan, run, start)
        for n in range(start + 1, plan.steps + 1):
            anneal(plan.trainer, (n - 1) / plan.steps)
            record.add(step(plan.trainer, plan.batches))
            ending = n == plan.steps or interrupt.asked
            if n % LOG_EVERY and not ending:
                continue
            now = time.monotonic()
            last = record.flush(n, n / plan.batches.per_epoch, now - begun)
            if not metrics.finite(last):
                reason = "not finite"
                break
            bar.show(n, (n - start) / (now - begun), last)
            if (ending or now - saved > SAVE_SECONDS) and sound(plan):
                save(plan, run, n)
                good, saved = n, now
            if interrupt.asked:
                reason = "interrupted"
                break
    return Outcome(run, reason, good, time.monotonic() - begun, last)


def save(plan: Plan, run: Run, step: int) -> None:
    """Writes the checkpoint: tensors and plain values."""
    run.save(
        {
            "step": step,
            "program": plan.program.state_dict(),
            "optimizers": {group: o.state_dict() for group, o in plan.trainer.optimizers.items()},
            "batches": plan.batches.state(),
            "random": devices.random_states(plan.trainer.generator, plan.device),
        }
    )


def restore(plan: Plan, run: Run, config: Mapping[str, object]) -> int:
    """Puts the plan where the run's checkpoint stands, and gives its step.

    Raises RunError where the run is of other settings or of another program.
    """
    before = run.config
    for name in sorted(config):
        if json.loads(json.dumps(config[name])) != before.get(name):
            what = "program" if name == "program_sha256" else name
            raise RunError(
                f"{run.path}: the run to resume has another {what}", "train into another folder, without resuming"
            )
    state = run.load()
    plan.program.load_state_dict(state["program"])
    for group, optimizer in plan.trainer.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][group])
    plan.batches.load_state(state["batches"])
    devices.restore(state["random"], plan.trainer.generator, plan.device)
    return int(state["step"])


def sound(plan: Plan) -> bool:
    """Whether every parameter is finite; the step that made one otherwise shows in an objective only later."""
    return all(bool(p.isfinite().all()) for p in plan.program.parameters())

"""Training: an emitted program, its data and its settings become a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from schematic.graph.model import Train
from schematic.runtime import checkpoint, faults, folder, latent, metrics, samples
from schematic.runtime.checkpoint import State
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.interrupt import Interrupt
from schematic.runtime.prepare import Plan, Settings, prepare
from schematic.runtime.program import digest
from schematic.runtime.progress import Bar
from schematic.runtime.routes import spec
from schematic.runtime.state import restore
from schematic.runtime.step import anneal, average, step
from schematic.runtime.watch import Watch

LOG_EVERY = 20  # steps between two readings of the objectives; nothing else comes back from the device

Reason = Literal["finished", "interrupted", "not finite"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `steps` its checkpoint has seen, and the objectives last read, in nats per example. `fault` says
    what was not finite."""

    run: Run
    reason: Reason
    steps: int
    seconds: float
    objectives: Mapping[str, float]
    fault: str = ""

    @property
    def message(self) -> str:
        """What to tell the user."""
        kept = f"{self.steps} steps in {self.seconds:.0f} s; the run is in {self.run.path}"
        match self.reason:
            case "finished":
                return kept
            case "interrupted":
                return f"interrupted: {kept}\n`schematic train --resume {self.run.path}` goes on"
            case "not finite":
                good = f"the last good checkpoint, of step {self.steps}, is kept"
                return f"stopped: {self.fault}; {good}; the run is in {self.run.path}"


def train(
    program: str,
    *,
    out: Path,
    spec: str = "",
    drawing: str = "",
    block: Train | None = None,
    settings: Settings | None = None,
    progress: bool = True,
) -> Outcome:
    """Trains an emitted program's text, and writes the run folder `out`.

    Interrupted by Ctrl-C, or stopped because an objective is no longer finite, it ends with the last good checkpoint
    and its samples. Raises RunError, before anything is written, where program, data, device or settings do not fit;
    and where the disk is full: older checkpoints stand.
    """
    plan = prepare(program, block or Train(), settings or Settings())
    texts = {"program.py": program, "model.sg": spec, "drawing.svg": drawing}
    config = {**plan.config, "program_sha256": digest(program), "status": "training"}
    run = Run(Path(out))
    plan.world.share(lambda: folder.create(run.path, config, {n: text for n, text in texts.items() if text}))
    return carry_out(plan, run, None, progress)


def resume(run: Path, *, progress: bool = True) -> Outcome:
    """Goes on with a run, however it was stopped, from its newest checkpoint; from the start where it has none.

    On the CPU what comes of it is bit for bit what had come of the run that was not stopped. Raises RunError where
    `run` is no run, where its program or its data have changed, and where every checkpoint is damaged.
    """
    kept = Run(Path(run))
    config, program = kept.config, kept.program
    if digest(program) != config.get("program_sha256"):
        raise RunError(f"{kept / 'program.py'} is no longer what was trained", "train the model again")
    try:
        settings = Settings.of(config)
    except (KeyError, TypeError, ValueError, AttributeError):
        words = f"{kept / 'config.json'} is damaged, or of a version with other settings"
        raise RunError(words, "train the model again") from None
    plan = prepare(program, Train(), settings)
    if plan.config["sets"] != config["sets"]:
        raise RunError(f"the data of {kept.path} have changed: {config['sets']}", "train the model again")
    state = plan.world.share(lambda: kept.load() if kept.checkpoints() else None)
    return carry_out(plan, kept, state, progress)


def carry_out(plan: Plan, run: Run, state: State | None, progress: bool) -> Outcome:
    """The steps from a state on, and what a run leaves behind."""
    try:
        outcome = loop(plan, run, state, progress)
        plan.world.write(plan.device, lambda: finish(plan, run, outcome))
    except OSError as e:
        steps = [checkpoint.step_of(path.name) for path in run.checkpoints()]
        kept = f"the checkpoint of step {steps[-1]} is whole" if steps else "there was no checkpoint yet"
        help = f"make room, then `schematic train --resume {run.path}`"
        raise RunError(f"{run.path} cannot be written: {e.strerror or e}; {kept}", help) from e
    except torch.OutOfMemoryError as e:
        raise RunError(f"{plan.device} has too little memory", "--batch with fewer records, or --precision bf16") from e
    except RuntimeError as e:
        if plan.settings.compile:  # its compiler is missing, or a derivative of a derivative is asked for
            raise RunError(f"torch.compile: {str(e).splitlines()[0]}", "train without --compile") from e
        raise
    return outcome


def walks(plan: Plan, run: Run) -> Mapping[str, bytes]:
    """Pictures of the code, where the run has a model with one."""
    model, batch = spec(run), samples.records(plan.sets, 2 * latent.ROWS, samples.device_of(plan.shown))
    return latent.pictures(plan.shown, model, batch, plan.settings.seed) if model else {}


def loop(plan: Plan, run: Run, state: State | None, progress: bool) -> Outcome:
    """The steps from a state on; every LOG_EVERY of them something is read back, written and shown."""
    trainer, fault, start = plan.trainer, "", restore(plan, state) if state else 0
    reason: Reason = "finished"
    bar = Bar(plan.steps, progress and plan.world.main)
    with bar, Watch(plan, run, bar, start, state["seconds"] if state else 0.0) as watch, Interrupt() as interrupt:
        if state is None:
            watch.save(0)
        for n in range(start + 1, plan.steps + 1):
            looks = n % LOG_EVERY == 0 or n == plan.steps
            anneal(trainer, n, plan.steps)
            watch.take(step(trainer, plan.batches, measured=looks))
            average(trainer, n)
            if not looks and not (interrupt.asked and plan.world.size == 1):  # several look at the same steps
                continue
            if not watch.sound():
                found = faults.find(plan, plan.world.share(run.load), n)
                reason, fault = "not finite", found or f"by step {n} an objective or a parameter is not finite"
                break
            if watch.look(n, interrupt.asked):
                reason = "interrupted"
                break
    return Outcome(run, reason, watch.good, watch.seconds, watch.means.objectives, fault)


def finish(plan: Plan, run: Run, outcome: Outcome) -> None:
    """Samples, curves and weights, of the last good checkpoint; the main process's work."""
    state, config = run.load(), run.config
    plan.shown.load_state_dict(checkpoint.weights(state))
    samples.write(run, plan.shown, plan.sets, plan.settings.seed)
    for name, picture in walks(plan, run).items():
        folder.write(run / f"{name}.png", picture)
    metrics.draw(run, plan.program.UPDATES, str(config["model"]))
    about = {"model": config["model"], "step": state["step"], "program_sha256": config["program_sha256"]}
    folder.write(run / "weights.safetensors", checkpoint.safetensors_of(state, about))
    run.configure(
        {**config, "status": outcome.reason, "steps_done": outcome.steps, "seconds": round(outcome.seconds, 1)}
    )

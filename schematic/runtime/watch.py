"""What is seen of a run while it trains: read back, shown, and written down, checkpoints among it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from math import ceil

import torch

from schematic.core.names import greek
from schematic.runtime import checkpoint, samples
from schematic.runtime.board import Board
from schematic.runtime.checkpoint import State
from schematic.runtime.errors import RunWarning
from schematic.runtime.folder import Run, write
from schematic.runtime.metrics import Means, Metrics, lines
from schematic.runtime.prepare import Plan
from schematic.runtime.progress import Bar
from schematic.runtime.state import capture
from schematic.runtime.step import Reading

GRIDS = 10  # of samples, over a run
SHOWN = 64  # samples a grid


class Watch:
    """Follows a run, used as a context. `good` is the step of the last checkpoint, `means` what was read last."""

    def __init__(self, plan: Plan, run: Run, bar: Bar, start: int, seconds: float) -> None:
        """`start` steps were done before, in so many seconds."""
        self.plan, self.run, self.bar, self.start, self.good = plan, run, bar, start, start
        self.metrics = Metrics(run, start, plan.world)
        before = lines(run)[-1:] if plan.world.main else []
        self.means = Means(before[0]["objectives"], before[0]["gradients"]) if before else Means({}, {})
        self.next_grid = self._grid_after(start)
        self.saved = time.monotonic()
        self.begun, self.spent = self.saved - seconds, seconds
        self.board = Board(run / "tensorboard", start) if plan.settings.tensorboard and plan.world.main else None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        if self.board:
            self.board.close()

    @property
    def seconds(self) -> float:
        """How long the run has taken, that before it was resumed included."""
        return time.monotonic() - self.begun

    def take(self, reading: Reading) -> None:
        """Takes what a step says of itself, without reading it back."""
        self.metrics.add(reading)

    def sound(self) -> bool:
        """Reads the objectives back: whether they and all parameters are finite, in all processes.

        In 16 bits a step whose gradient is not finite is left out and the scale halved; below 1 that is no cure.
        """
        self.means, scaler = self.metrics.read(), self.plan.trainer.scaler
        whole = torch.stack([p.detach().isfinite().all() for p in self.plan.program.parameters()]).all()
        return self.plan.world.agreed(whole & (self.means.finite and scaler.get_scale() >= 1))

    def look(self, n: int, asked: bool) -> bool:
        """After step n: shows and writes what is due; whether some process has been `asked` to stop. Raises OSError."""
        plan, ending = self.plan, n == self.plan.steps
        for group in self.metrics.idle(self.means, ending):
            self._warn(f"the gradient of {greek(group)} stays 0: nothing in its objective moves it")
        self.bar.show(n, (n - self.start) / (self.seconds - self.spent), self.means.objectives)
        due = time.monotonic() - self.saved >= plan.settings.save_every
        asked, due = plan.world.any(plan.device, asked, due)
        self._do(lambda: self._note(n))
        if ending or asked or due:
            self.save(n)
        if n >= self.next_grid:
            self.next_grid = self._grid_after(n)
            state = capture(plan, n)
            self._do(lambda: self._grid(n, state))
        return asked

    def save(self, n: int) -> None:
        """A checkpoint of step n. Raises OSError, in every process."""
        state = {**capture(self.plan, n), "seconds": self.seconds}
        self._do(lambda: self.run.save(state))
        self.good, self.saved = n, time.monotonic()

    def _do(self, action: Callable[[], None]) -> None:
        self.plan.world.write(self.plan.device, action)

    def _note(self, n: int) -> None:
        self.metrics.write(self.means, n, n / self.plan.batches.per_epoch, self.seconds)
        if self.board:
            self.board.values(n, self.means)

    def _grid_after(self, n: int) -> int:
        every = ceil(self.plan.steps / GRIDS)
        return (n // every + 1) * every

    def _grid(self, n: int, state: State) -> None:
        """Pictures of samples from the same noise each time, by the parameters that the model is judged with."""
        plan = self.plan
        plan.shown.load_state_dict(checkpoint.weights(state))
        batch = samples.records(plan.sets, SHOWN, samples.device_of(plan.shown))
        pictures = samples.pictures(samples.generate(plan.shown, SHOWN, batch, plan.settings.seed))
        (self.run / "samples").mkdir(exist_ok=True)
        for i, (name, picture) in enumerate(pictures.items()):
            write(self.run / "samples" / f"{n:09d}{f'-{name}' if i else ''}.png", picture)
            if self.board:
                self.board.picture(n, name, picture)

    def _warn(self, words: str) -> None:
        if self.plan.world.main:
            warnings.warn(words, RunWarning, stacklevel=3)

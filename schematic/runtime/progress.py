"""What a run says while it trains: a bar with the objectives' values at a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schematic.core.names import greek


class Bar:
    """A progress bar on stderr, used as a context; silent where stderr is no terminal."""

    def __init__(self, steps: int, shown: bool = True) -> None:
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[values]}"),
            console=Console(stderr=True),
            disable=not (shown and sys.stderr.isatty()),
        )
        self._task = self._progress.add_task("train", total=steps, values="", rate="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, step: int, rate: float, values: Mapping[str, float]) -> None:
        """The step reached, steps a second, and each group's objective."""
        text = "  ".join(f"{greek(group)} {value:.3f}" for group, value in values.items())
        self._progress.update(self._task, completed=step, rate=f"{rate:.0f}/s", values=text)

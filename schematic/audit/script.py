"""A user's file, run in a thread of its own: to its end, or to the loop over a loader that stands at its top.

A script that trains when it is run stops where it asks its loader for a batch. It is given one whenever a step is
wanted, and goes on to where it asks for the next: the body of its loop is the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch

from schematic.audit.adapter import Wrong, load
from schematic.audit.randomness import Recorder
from schematic.audit.stage import Stage, on


class Script:
    """A file that has been run as far as it goes by itself; `module` is what it has made so far."""

    def __init__(self, path: Path, stage: Stage) -> None:
        """Raises what the file raises."""
        self.path, self.stage = path, stage
        self.batches, self.news = SimpleQueue[Any](), SimpleQueue[BaseException | None]()
        self.loops = False
        self.thread = Thread(target=self._run, daemon=True)
        torch.utils.data.DataLoader.__iter__ = self._loader()  # type: ignore[method-assign,assignment]
        self.thread.start()
        self._wait()
        self.module = load(path)

    def step(self, batch: Any) -> None:
        """One round of the script's loop. Raises what it raises; Wrong where there is no loop."""
        if not self.loops:
            raise Wrong("STEP is the file itself, and it has no loop over a DataLoader at its top",
                        "name the function that makes a step")  # fmt: skip
        self.batches.put(batch)
        self._wait()

    def _wait(self) -> None:
        if (problem := self.news.get()) is not None:
            raise problem

    def _run(self) -> None:
        try:
            with on(self.stage), Recorder(lambda: self.stage.pool):
                load(self.path)
            self.loops = False
            self.news.put(None)
        except BaseException as e:
            self.loops = False
            self.news.put(e)

    def _loader(self) -> Callable[[Any], Iterator[Any]]:
        def batches(loader: Any) -> Iterator[Any]:
            while True:
                self.loops = True
                self.news.put(None)
                yield self.batches.get()

        return batches

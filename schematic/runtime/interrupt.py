"""Ctrl-C as a request: the step under way ends, then the run does."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """A context in which the first SIGINT or SIGTERM sets `asked`, and a second one interrupts as usual."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():  # Python takes handlers nowhere else
            self._before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        else:
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

"""Ctrl-C as a request: the step under way ends, then the run does."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

AT_ONCE = 1.0  # seconds


class Interrupt:
    """A context in which the first SIGINT or SIGTERM sets `asked`, and a second one, not at once, interrupts as usual.

    Of Ctrl-C torchrun's processes get two, one from the terminal and one from torchrun.
    """

    def __init__(self) -> None:
        self._first: float | None = None

    @property
    def asked(self) -> bool:
        return self._first is not None

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
        now = time.monotonic()
        if self._first is None:
            self._first = now
        elif now - self._first > AT_ONCE:
            raise KeyboardInterrupt

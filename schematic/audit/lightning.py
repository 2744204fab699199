"""A LightningModule's training step, without Lightning: the shape of the class is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def step_of(step: Any) -> Callable[..., Any] | None:
    return step

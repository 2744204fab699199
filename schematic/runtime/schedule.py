"""Learning rates over a run, as shares of the rate that is set."""

from __future__ import annotations

from math import cos, pi
from typing import assert_never

from schematic.graph.model import Optimizer

HALF = 0.5  # of a run: from where on `linear` falls


def share(rule: Optimizer, n: int, steps: int) -> float:
    """What share of its rate the n-th of `steps` steps takes, n from 1.

    `linear` is constant for half of the run, then falls linearly to 0 (Zhu et al., 2017, CycleGAN); `cosine` is half a
    period (Loshchilov and Hutter, 2017, Eq. 5, without restarts). With a warm-up both rise linearly at first.
    """
    done = (n - 1) / steps
    match rule.schedule:
        case "constant":
            fall = 1.0
        case "linear":
            fall = min(1.0, (1.0 - done) / HALF)
        case "cosine":
            fall = (1.0 + cos(pi * done)) / 2
        case other:
            assert_never(other)
    return fall * min(1.0, n / rule.warmup) if rule.warmup else fall

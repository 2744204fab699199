"""Importance weighting of a GAN (section 4.1, appendix E) on one-dimensional Gaussians, by quadrature.

The generator is x = theta + z, z ~ N(0, 1); the data are N(0, 1); the discriminator is logistic, q(y=1 | x) =
sigmoid(heat * logit), where the logit is the optimal one, log p_data(x) - log p_g(x). Values are in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NODES, CHANCES = np.polynomial.hermite_e.hermegauss(80)
CHANCES = CHANCES / CHANCES.sum()  # E_z[f(z)] = sum of CHANCES * f(NODES)
STEP = 1e-30


def log_normal(x: Array, mean: complex) -> Array:
    return -((x - mean) ** 2) / 2 - np.log(2 * np.pi) / 2


@dataclass(frozen=True)
class Game:
    """`at` is theta_0, `heat` 1 the optimal discriminator at theta_0."""

    at: float = 1.0
    heat: float = 1.0

    def logit(self, x: Array) -> Array:
        return self.heat * (log_normal(x, 0.0) - log_normal(x, self.at))

    def log_reverse(self, x: Array) -> Array:
        """log q^r(y=0 | x) = log q(y=1 | x)."""
        return -np.log1p(np.exp(-self.logit(x)))

    def log_mixture(self, x: Array) -> Array:
        """log p_theta0(x), Eq. 8."""
        return np.log((np.exp(log_normal(x, self.at)) + np.exp(log_normal(x, 0.0))) / 2)

    def log_weight(self, z: Array, theta: complex) -> Array:
        """log w of Eq. 40 at x(z, theta), exactly."""
        x = theta + z
        return self.log_reverse(x) + self.log_mixture(x) - log_normal(x, theta)

    def log_ratio(self, z: Array) -> Array:
        """log w of Eq. 44, q^r / q, at theta_0."""
        return self.logit(self.at + z)

    # --- values ---

    def bound(self, k: int, theta: complex) -> complex:
        """L_k(y=0) of Eq. 40 with exact weights."""
        weights = np.exp(self.log_weight(NODES, theta))
        total: complex = 0.0
        for places in product(range(len(NODES)), repeat=k - 1):
            rest = weights[list(places)].sum() if places else 0.0
            chance = np.prod(CHANCES[list(places)])
            total += chance * (CHANCES * np.log((weights + rest) / k)).sum()
        return total

    # --- gradients at theta_0 ---

    def slope_of_bound(self, k: int) -> float:
        """grad L_k, by complex step."""
        return float(np.imag(self.bound(k, self.at + 1j * STEP)) / STEP)

    def slope_of_reverse(self) -> Array:
        """grad log q^r(y=0 | x(z, theta)) at the nodes."""
        return np.imag(self.log_reverse(self.at + 1j * STEP + NODES)) / STEP

    def slope_left_out(self) -> Array:
        """The second term of Eq. 45 at the nodes."""
        moved = self.at + 1j * STEP
        return np.imag(self.log_mixture(moved + NODES) - log_normal(moved + NODES, moved)) / STEP

    def weighed(self, k: int, log_weights: Array, slopes: Array) -> float:
        """E[sum_i w~_i slope_i] over k draws: Eqs. 22, 41, 47."""
        weights = np.exp(log_weights - log_weights.max())
        total = 0.0
        for places in product(range(len(NODES)), repeat=k - 1):
            others = list(places)
            rest = weights[others].sum() if others else 0.0
            inside = weights * slopes + (weights[others] * slopes[others]).sum()
            total += np.prod(CHANCES[others]) * (CHANCES * inside / (weights + rest)).sum()
        return float(total)

    def exact_weights(self) -> Array:
        return np.asarray(self.log_weight(NODES, self.at).real)

    def jsd_slope(self) -> float:
        """grad JSD(p_g || p_data) at theta_0, from its definition (Eq. 27)."""
        theta = self.at + 1j * STEP

        def divergence(x: Array, mean: complex) -> complex:
            mixture = np.log((np.exp(log_normal(x, theta)) + np.exp(log_normal(x, 0.0))) / 2)
            return complex((CHANCES * (log_normal(x, mean) - mixture)).sum())

        jsd = (divergence(theta + NODES, theta) + divergence(NODES + 0j, 0.0)) / 2
        return float(np.imag(jsd) / STEP)

    def apart(self) -> float:
        """Total variation between the samples as Eq. 44 weighs them and as the exact weights do, many draws at once."""
        ours, exact = (CHANCES * np.exp(w - w.max()) for w in (self.log_ratio(NODES), self.exact_weights()))
        return float(np.abs(ours / ours.sum() - exact / exact.sum()).sum() / 2)

"""What the theorems speak of beside terms: divergences, posteriors and mixtures of finite distributions.

Distributions lie on the last axis, in any number of dimensions before it; values are in nats. Complex numbers work.
"""

from __future__ import annotations

import numpy as np

from schematic.calculus.named import Array, weighed


def kl(p: Array, q: Array) -> Array:
    """KL(p || q), over the last axis; 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(weighed(p, np.log(p) - np.log(q)).sum(axis=-1))


def mixture(parts: Array, weights: Array | None = None) -> Array:
    """sum_y w_y p(x | y) of parts (..., y, x): p_theta0(x) of Eq. 8; uniform weights by default."""
    return np.asarray((_weights(parts, weights)[:, None] * parts).sum(axis=-2))


def jsd(parts: Array, weights: Array | None = None) -> Array:
    """The Jensen-Shannon divergence of parts (..., y, x), generalised: sum_y w_y KL(p(x|y) || mixture) (Eq. 27)."""
    middle = mixture(parts, weights)[..., None, :]
    return np.asarray((_weights(parts, weights) * kl(parts, middle)).sum(axis=-1))


def _weights(parts: Array, weights: Array | None) -> Array:
    count = parts.shape[-2]
    return np.full(count, 1 / count) if weights is None else np.asarray(weights)


def reverse(b: Array) -> Array:
    """b^r of b(y | .) (..., y): y and 1-y exchanged; (1 - b)/(K - 1) for K domains (section 3.1)."""
    size = b.shape[-1]
    return np.asarray(b[..., ::-1] if size == 2 else (1 - b) / (size - 1))


def evidence(likelihood: Array, prior: Array) -> Array:
    """Z(y) = E_{prior(x)}[likelihood(y | x)]: (..., x, y) and (..., x) -> (..., y)."""
    return np.asarray((likelihood * prior[..., :, None]).sum(axis=-2))


def posterior(likelihood: Array, prior: Array) -> Array:
    """q^r(x | y) proportional to q^r(y | x) p_theta0(x) (Eq. 9): (..., x, y) and (..., x) -> (..., y, x)."""
    joint = likelihood * prior[..., :, None]
    return np.asarray(np.swapaxes(joint / joint.sum(axis=-2, keepdims=True), -1, -2))


def optimal_discriminator(parts: Array, weights: Array | None = None) -> Array:
    """q(y | x) proportional to w_y p(x | y) (Eq. 13): parts (..., y, x) -> (..., x, y)."""
    joint = _weights(parts, weights)[:, None] * parts
    return np.asarray(np.swapaxes(joint / joint.sum(axis=-2, keepdims=True), -1, -2))


def mutual_information(joint: Array) -> Array:
    """I(x; z) of a joint (..., x, z)."""
    independent = joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True)
    flat = (*joint.shape[:-2], -1)
    return kl(joint.reshape(flat), independent.reshape(flat))

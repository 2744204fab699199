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


def mixture(parts: Array) -> Array:
    """p_theta0(x) = E_{p(y)}[p(x | y)] of Eq. 8, p(y) uniform: parts (..., y, x) -> (..., x)."""
    return np.asarray(parts.mean(axis=-2))


def jsd(parts: Array) -> Array:
    """The Jensen-Shannon divergence of parts (..., y, x), of any number: E_{p(y)} KL(p(x|y) || mixture) (Eq. 27)."""
    return np.asarray(kl(parts, mixture(parts)[..., None, :]).mean(axis=-1))


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


def optimal_discriminator(parts: Array) -> Array:
    """q(y | x) proportional to p(x | y) (Eq. 13): parts (..., y, x) -> (..., x, y)."""
    return np.asarray(np.swapaxes(parts / parts.sum(axis=-2, keepdims=True), -1, -2))


def mutual_information(joint: Array) -> Array:
    """I(x; z) of a joint (..., x, z)."""
    independent = joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True)
    flat = (*joint.shape[:-2], -1)
    return kl(joint.reshape(flat), independent.reshape(flat))

"""How each draw and each atom of an objective is computed: by path, in closed form, by enumeration, by score function.

The rules are semantics.md's 10 and 11. Values are the objective's own and gradients unbiased, `gumbel` and
`straight_through` excepted.
"""

from __future__ import annotations

from math import prod
from typing import Literal

from schematic.graph.model import FamilyName, Gradient, Prior, Type

How = Literal[
    "data",  # a field of the batch
    "mask",  # whether a partial field is observed
    "prior",  # an explicit prior
    "map",  # a hollow arrow, or a Delta: a deterministic transformation
    "mean",  # a Bernoulli on `unit`: the draw is the mean
    "path",  # reparameterized: Normal, Laplace
    "sample",  # discrete, and nothing that is trained reaches its distribution
    "enumerate",  # discrete: every value, weighed by its probability
    "score",  # discrete: a sample, its gradient by the score function with a leave-one-out baseline
    "gumbel",  # discrete: a relaxed sample; biased
    "straight_through",  # discrete: a sample whose gradient is the mean's; biased
    "mixture",  # a point on the line between a draw of each domain
]

Atom = Literal[
    "blue",  # log b of a domain, from the logits
    "predicted",  # log b of another variable, or of each of its units given the others
    "critic",  # what a divergence makes of the logit
    "log",  # log f at the draw
    "closed",  # a divergence in closed form
    "sampled",  # a divergence at its draw: log f - log g
    "log_mean",  # the log of the mean over the importance samples of exp of a sum
    "sum",  # the sum itself, where the samples are alike
]

ENUMERABLE = 64  # values a record up to which a trained discrete draw is enumerated

PATHWISE: frozenset[How] = frozenset(("map", "mean", "path", "gumbel", "straight_through"))
BIASED: frozenset[How] = frozenset(("gumbel", "straight_through"))
SOFT: frozenset[How] = frozenset(("map", "mean", "gumbel", "straight_through"))  # a point of the simplex, not a corner

_CLOSED = frozenset(
    (
        ("Normal", "Normal"),
        ("Laplace", "Laplace"),
        ("Laplace", "Normal"),
        ("Normal", "Laplace"),
        ("Bernoulli", "Bernoulli"),
        ("Categorical", "Categorical"),
    )
)


def closed_form(left: FamilyName, right: FamilyName) -> bool:
    """KL(left || right) has a closed form in torch.distributions."""
    return (left, right) in _CLOSED


def values(type: Type) -> int:
    """How many values a variable of a discrete type has; 0 for a continuous one."""
    match type.kind:
        case "binary":
            return int(2 ** prod(type.shape))
        case "category":
            return int(type.size ** prod(type.shape))
        case _:
            return 0


def prior_of(variable_type: Type, prior: Prior | None) -> Prior:
    """The explicit prior; a `partial` variable without one takes the uniform one of its type."""
    if prior is not None:
        return prior
    return Prior("Categorical") if variable_type.kind == "category" else Prior("Bernoulli", (0.5,))


def draw(
    type: Type,
    family: FamilyName,
    implicit: bool,
    gradient: Gradient | None,
    trained: bool,
    enumerated: int,
    weighed: bool = False,
) -> How:
    """How a factor's draw is computed.

    trained     a parameter that moves, or a value that carries gradient, reaches its distribution
    enumerated  the product of the values of the draws that are enumerated before it
    weighed     it is importance-sampled: a sample, never every value
    """
    if implicit or family == "Delta":
        return "map"
    if family == "Bernoulli" and type.kind == "unit":
        return "mean"
    if family in ("Normal", "Laplace", "Flow"):
        return "path"
    if not trained:
        return "sample"
    chosen: How = "enumerate" if gradient is None and enumerated * values(type) <= ENUMERABLE else "score"
    if gradient is not None and gradient.name != "reinforce":
        chosen = gradient.name
    return "score" if weighed and chosen == "enumerate" else chosen

"""Names: reserved words, Greek letters, and the nearest known name to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

RESERVED = frozenset(
    (
        *("model", "net", "train", "use", "as", "in", "then", "without", "given", "partial", "perfect", "fixed"),
        *("temperature", "weight", "beta", "gradient", "when", "divergence"),
    )
)

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "omicron": "ο", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω",
}  # fmt: skip


def greek(name: str) -> str:
    """A Greek name as its letter, any other name as it is."""
    return GREEK.get(name, name)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean `z`?`` for the nearest known name, or an empty string."""
    names = list(known)
    lowered = {k.lower(): k for k in reversed(names)}
    near = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f"did you mean `{lowered[near[0]]}`?" if near else ""

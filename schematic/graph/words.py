"""The words that a file may use but not redefine, and what to say of a name that is none of them."""

from __future__ import annotations

from collections.abc import Iterable

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.names import did_you_mean
from schematic.core.source import Span
from schematic.syntax import ast

TYPES = ("real", "unit", "binary", "category", "domain")
FAMILIES = ("Normal", "Laplace", "Bernoulli", "Categorical", "Delta", "Flow")
PRIORS = ("Normal", "Laplace", "Bernoulli", "Categorical", "Uniform")
NETS = ("mlp", "linear", "conv", "dcgan", "resnet", "patchgan", "table", "python")
MOVES = ("swap", "swap_arrows", "perfect", "activate", "rename", "importance", "wake_sleep")
OPTIMIZERS = ("adam", "sgd", "rmsprop")
SCHEDULES = ("constant", "linear", "cosine")
DIVERGENCES = ("nonsaturating", "minimax", "least_squares", "hinge", "wasserstein", "kl")
GRADIENTS = ("enumerate", "reinforce", "gumbel", "straight_through")
SETTINGS = ("data", "batch", "epochs")

_KINDS = {
    "a type": TYPES,
    "a family": (*FAMILIES, *PRIORS),
    "a network": NETS,
    "a move": MOVES,
    "an optimizer": OPTIMIZERS,
    "a function": ("data", "sets"),
}
BUILT_IN = {word: kind for kind, words in _KINDS.items() for word in words}


def unknown(code: str, name: ast.Name, words: str, known: Iterable[str], *, listed: str = "") -> Diagnostic:
    """`words` with the nearest known name as the help, else (or besides) the list of what there is."""
    return unknown_at(code, name.span, name.text, words, known, listed=listed)


def unknown_at(code: str, span: Span, text: str, words: str, known: Iterable[str], *, listed: str = "") -> Diagnostic:
    names = tuple(known)
    near = did_you_mean(text, names)
    there_are = f"{listed}: {', '.join(names)}" if listed and names else ""
    return error(code, span, words, " ".join(filter(None, (near, there_are))))


def redefined(name: ast.Name) -> Diagnostic | None:
    """A built-in word as the name of something new."""
    kind = BUILT_IN.get(name.text)
    if kind is None:
        return None
    return error("SG111", name.span, f"`{name.text}` is {kind} of the language and cannot be redefined", "rename it")


def twice(name: ast.Name, first: Span) -> Diagnostic:
    return error("SG103", name.span, f"`{name.text}` is declared twice; first {where(first, name.span)}")


def place(span: Span, seen_from: Span) -> str:
    """`line 3`, or `lib.sg:3` from another file."""
    return f"line {span.line}" if span.source == seen_from.source else f"{span.source.path}:{span.line}"


def where(span: Span, seen_from: Span) -> str:
    """`on line 3`, or `in lib.sg:3` from another file."""
    return f"{'on' if span.source == seen_from.source else 'in'} {place(span, seen_from)}"

"""How emitted code is written: names that cannot clash, quoted strings, comments that stay comments, broken lines."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable
from fractions import Fraction

WIDTH = 108  # columns of a statement in a method, its indentation left out

TAKEN = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | frozenset(
    ("torch", "nn", "F", "dist", "pyro", "Tensor", "prod", "self", "draw", "group", "batch", "generator", "like", "n",
     "first", "place", "given", "q", "drawn", "missing", "kl_divergence", "frozen", "score",
     "slope", "log_mean", "normalized", "categorical", "laplace", "bits", "classes", "gumbel", "concrete", "math",
     "each", "log_reverse", "couplings", "made", "logits")
)  # fmt: skip


def local(name: str) -> str:
    """A name of the file as a local variable: one that the program uses itself, or Python does, gets an underscore."""
    return checked(f"{name}_" if name in TAKEN else name)


def key_local(key: str) -> str:
    """The local variable of a value: `z`, `z_real` of another component, `z_observed` of what is observed."""
    return local(key.replace(".", "_").replace(" ", "_"))


def branch_local(name: str) -> str:
    """The local variable of a branch: `fake`, of a sum `Half__fake` or `_2__fake`; no name of a file has two lines."""
    term, _, own = name.rpartition(".")
    return checked(f"{'_' if term[:1].isdigit() else ''}{term}__{own}") if term else local(own)


def checked(name: str) -> str:
    """The name, which the grammar has made sure of; nothing else may become an identifier."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise ValueError(f"internal error, please report it: {name!r} cannot be an identifier")
    return name


def class_name(factor: str) -> str:
    """`p_theta.t` as PThetaT."""
    return checked("".join(part[:1].upper() + part[1:] for part in factor.replace(".", "_").split("_")))


def unique(name: str, taken: Iterable[str]) -> str:
    """The name, with as many underscores as keep it apart."""
    seen = set(taken)
    while name in seen:
        name += "_"
    return name


def comment(text: str) -> str:
    """Text of a file as a comment: on one line, without control characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"# {shown}".rstrip()


def doc(text: str) -> str:
    """Text of a file inside a docstring: no quote, backslash or control character of it has a meaning there."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.replace("\\", "/").replace('"', "'")


def quoted(text: str) -> str:
    """A string literal, in double quotes where that needs no escape."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in written and "\\'" not in written else written


def number(value: Fraction | float) -> str:
    """A scale as code: 0.5, 1 / 3."""
    exact = Fraction(value)
    if exact.denominator == 1:
        return str(exact.numerator)
    shown = repr(float(value))
    if not isinstance(value, Fraction) or Fraction(shown) == exact:
        return shown
    return f"({exact.numerator} / {exact.denominator})"


def scaled(scale: Fraction | float, code: str) -> str:
    """scale * code, plain where the scale is 1 or -1."""
    if scale == 1:
        return code
    return f"-{code}" if scale == -1 else f"{number(scale)} * {code}"


def indent(lines: Iterable[str], depth: int = 1) -> list[str]:
    pad = "    " * depth
    return [pad + line if line else line for line in lines]


def noted(code: str, note: str) -> list[str]:
    """A line with its comment, which stands above where both are too long; a line too long by itself is broken."""
    written = comment(note)
    name, _, value = code.partition(" = ")
    if len(code) > WIDTH and value and " = " not in value:
        return [written, f"{name} = (", f"    {value}", ")"]
    return [f"{code}  {written}"] if len(code) + len(written) + 2 <= WIDTH else [written, code]


def tupled(parts: Iterable[int | str]) -> str:
    """A tuple as code, or a shape in a comment: (10, batch, 16)."""
    shown = [str(p) for p in parts]
    return f"({', '.join(shown)}{',' if len(shown) == 1 else ''})"


def shape(*parts: int | str) -> str:
    return tupled(parts)

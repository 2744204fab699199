"""Answers as data for a program."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from schematic.calculus.latex import latex
from schematic.calculus.terms import Summand
from schematic.calculus.text import text
from schematic.studies.compare import Difference
from schematic.studies.identify import Identity
from schematic.studies.moves import expression
from schematic.studies.objectives import formula


def difference_data(found: Difference) -> dict[str, Any]:
    """A difference; formulas as text and as LaTeX, in the right model's names."""
    return {
        "one_model": found.one_model,
        "renamed": dict(found.renamed),
        "changes": [asdict(c) for c in found.changes],
        "assumptions": {"left": found.only_left, "right": found.only_right},
        "objectives": [
            {
                "groups": o.groups,
                "left": o.left,
                "right": o.right,
                "factor": None if o.factor is None else float(o.factor),
                "terms": [{"how": t.how, "left": _term(t.left), "right": _term(t.right)} for t in o.terms],
                "beside": o.beside,
            }
            for o in found.objectives
        ],
        "no_objectives": {"left": found.no_left, "right": found.no_right},
    }


def _term(s: Summand | None) -> dict[str, str] | None:
    return None if s is None else {"text": text(formula(s)), "latex": latex(formula(s))}


def identity_data(name: str, found: Identity) -> dict[str, Any]:
    """An identity; `expression` moves the known model, `renamed` are its names in the model asked for."""
    near = found.near
    return {
        "model": name,
        "known": near is not None and near.exact and not near.moves,
        "nearest": near
        and {
            "name": near.known.name,
            "file": near.known.file,
            "expression": expression(near.known.name, near.moves),
            "moves": [{"name": m.name, "args": m.args} for m in near.moves],
            "renamed": {"variables": dict(near.match.variables), "groups": dict(near.match.groups)},
            "differences": [asdict(c) for c in near.changes],
        },
        "equal_objectives": [
            {"name": e.known.name, "file": e.known.file, "times": [float(r) for r in e.ratios]} for e in found.equal
        ],
        "terms": [{"weight": weight, **identity_data(part_name, part)} for weight, part_name, part in found.parts],
    }

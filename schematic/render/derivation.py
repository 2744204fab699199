"""A derivation in a terminal and on paper: objectives from the paper's form to the unfolded one, then the updates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

from schematic.calculus.latex import density_latex, latex_lines, name_latex
from schematic.calculus.terms import Density, Objective, Step, Term
from schematic.calculus.text import density_text, lines, text
from schematic.core.names import GREEK, greek
from schematic.graph.model import AnyModel, Model
from schematic.render.updates import UpdateRow, logs, updates

WIDTH = 100
DISPLAY = 115  # columns of text; a formula that is set takes less room


# --- text -------------------------------------------------------------------------------------------------


def derivation_text(model: AnyModel, objectives: Sequence[Objective]) -> str:
    """What `schematic derive` prints: objectives are maximized, in nats per example."""
    out = [model.name, "=" * len(model.name), ""]
    for number, objective in enumerate(objectives, 1):
        title = f"{number}. {', '.join(map(greek, objective.groups))} maximize{'s' * (len(objective.groups) == 1)}"
        out += [title, "-" * len(title), *_objective_text(objective), ""]
    if found := logs(model):
        out += ["The model assumes", "-----------------"]
        out += [line for said, source in found for line in _item(said + (f" ({source})" if source else ""))] + [""]
    out += ["Updates, in the order of a training step", "-" * 40]
    out += [line for n, row in enumerate(updates(model, objectives), 1) for line in _row_text(n, row)]
    return "\n".join([*out, ""])


def _objective_text(objective: Objective) -> Iterator[str]:
    yield from _indented(objective.derivation.start, "   ")
    for step in steps(objective):
        yield ""
        yield from wrap(reason(step), WIDTH, initial_indent="   ", subsequent_indent="     ")
        for said in step.assumptions:
            yield from _item(said, "assumes: ")
        for term in step.dropped:
            first, *rest = lines(term, WIDTH - 16)
            yield from (f"   - drops: {first}", *(f"            {line}" for line in rest))
        yield from _indented(step.after, " = ")
    if objective.assumptions:
        yield ""
        yield "   Reading this way assumes"
        for said in objective.assumptions:
            yield from _item(said)


def steps(objective: Objective) -> tuple[Step, ...]:
    """The steps that a reader sees: those that change the print, assume or drop something."""
    derivation = objective.derivation
    before = (derivation.start, *(s.after for s in derivation.steps))
    seen = zip(derivation.steps, before, strict=False)
    return tuple(s for s, old in seen if s.assumptions or s.dropped or text(s.after) != text(old))


def reason(step: Step) -> str:
    """A step's rule, formula and source on one line."""
    return f"{step.rule}: {step.reason}" + (f" [{step.equation}]" if step.equation else "")


def _indented(term: Term, mark: str) -> Iterator[str]:
    first, *rest = lines(term, WIDTH - 3)
    yield mark + first
    yield from (f"   {line}" for line in rest)


def _item(said: str, lead: str = "") -> list[str]:
    return wrap(lead + said, WIDTH, initial_indent="   - ", subsequent_indent="     ")


def _row_text(number: int, row: UpdateRow) -> Iterator[str]:
    yield f"{number}. {', '.join(map(greek, row.objective.groups))}"
    cells = (
        ("trains", ("; ".join(m.text for m in row.moved) or "-",)),
        ("maximizes", lines(row.objective.term, WIDTH - 16)),
        ("optimizer", (optimizer_text(row),)),
        ("no gradient", (", ".join(stopped_role(d) + density_text(d) for d in row.stopped) or "-",)),
        ("fixed", (", ".join(f"{h.label.text} ({h.reason})" for h in row.held) or "-",)),
    )
    for name, shown in cells:
        first, *rest = (piece for line in shown for piece in wrap(line, WIDTH - 16, drop_whitespace=False))
        yield f"   {name:<13}{first}"
        yield from (" " * 16 + line for line in rest)


def stopped_role(density: Density) -> str:
    """What a density is that passes no gradient: a weight, or where samples come from."""
    return "the weight " if density.kind == "blue" else "samples of "


def optimizer_text(row: UpdateRow) -> str:
    """The optimizers of a row, one if all groups share it."""
    shared = len({o for _, o in row.optimizers}) == 1
    shown = row.optimizers[:1] if shared else row.optimizers
    return ", ".join(("" if shared else f"{greek(g)}: ") + f"{o}{_times(o.steps)}" for g, o in shown)


def _times(steps: int) -> str:
    return f", {steps} times a step" if steps > 1 else ""


# --- LaTeX ------------------------------------------------------------------------------------------------

PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath, amssymb, booktabs, geometry, tabularx}
\allowdisplaybreaks
"""

TEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "^": r"\textasciicircum{}", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$",
    "{": r"\{", "}": r"\}", "~": r"$\sim$", "|": r"$\mid$", "<": "$<$", ">": "$>$", "−": "$-$", "‖": r"$\Vert$",
    "½": r"$\tfrac12$", "ʳ": "$^r$", "·": r"$\cdot$", "→": r"$\to$", "∑": r"$\sum$", "≥": r"$\ge$", "≤": r"$\le$",
}  # fmt: skip
"""Characters of our sentences that LaTeX wants spelled."""


def derivation_latex(model: AnyModel, objectives: Sequence[Objective], *, document: bool = False) -> str:
    """The derivation for LaTeX with amsmath and booktabs: a fragment, or a document of its own."""
    bold = vectors(model)
    out = [rf"\section*{{{tex(model.name)}}}"]
    for number, objective in enumerate(objectives, 1):
        out += [rf"\subsection*{{{number}. Objective of {_groups_latex(objective)}}}"]
        out += _objective_latex(number, objective, bold)
    if found := logs(model):
        out += [r"\subsection*{The model assumes}"]
        out += _itemize(said + (f" ({source})" if source else "") for said, source in found)
    out += _table_latex(updates(model, objectives), bold)
    if document:
        out = [PREAMBLE, r"\begin{document}", *out, r"\end{document}"]
    return "\n".join([*out, ""])


def vectors(model: AnyModel) -> frozenset[str]:
    """The variables with an event shape: set in bold, as the paper's x and z."""
    terms = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    return frozenset(v.name for m in terms for v in m.variables if v.type.shape)


def tex(said: str) -> str:
    """A sentence of ours for LaTeX's text mode, Greek letters in mathematics."""
    letters = {letter: f"${name_latex(name)}$" for name, letter in GREEK.items()}
    subscripts = {chr(0x2080 + n): f"$_{n}$" for n in range(10)}
    return "".join((TEX | letters | subscripts).get(c, c) for c in said)


def display_latex(term: Term, bold: frozenset[str], left: str = "") -> str:
    """A formula to be displayed after `left`, on lines of its sums where it is wider than a page."""
    first, *rest = latex_lines(term, DISPLAY, bold)
    if not rest:
        return left + first
    rows = [f"&{left}{first}", *(rf"&\quad {line}" for line in rest)]
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])


def loss_latex(groups: Sequence[str]) -> str:
    r"""The name of an objective: \mathcal{L}_{\theta,\eta}."""
    return rf"\mathcal{{L}}_{{{','.join(map(name_latex, groups))}}}"


def _groups_latex(objective: Objective) -> str:
    return ", ".join(f"${name_latex(g)}$" for g in objective.groups)


def _objective_latex(number: int, objective: Objective, bold: frozenset[str]) -> list[str]:
    body = [loss_latex(objective.groups), *_aligned(objective.derivation.start, bold)]
    dropped: list[str] = []
    for step in steps(objective):
        body += [rf"\intertext{{\small {tex(reason(step))}}}", *_aligned(step.after, bold)]
        dropped += [tex(f"{step.rule} assumes: {said}") for said in step.assumptions]
        dropped += [rf"{tex(step.rule)} drops ${line}$" for t in step.dropped for line in latex_lines(t, 10**6, bold)]
    # An \intertext stands after a \\ and brings none.
    rows = [line if line.startswith(r"\intertext") else f"  {line}" for line in body]
    ended = [row + (r" \\" if row.startswith("  &") else "") for row in rows[:-1]]
    out = [r"\begin{align*}", *ended, rows[-1], r"\end{align*}"]
    notes = [*dropped, *map(tex, objective.assumptions)]
    return out + ([r"\begin{itemize}", *(rf"  \item {n}" for n in notes), r"\end{itemize}"] if notes else [])


def _aligned(term: Term, bold: frozenset[str]) -> list[str]:
    first, *rest = latex_lines(term, 100, bold)
    return [f"&= {first}", *(rf"&\quad {line}" for line in rest)]


def _itemize(sentences: Iterable[str]) -> list[str]:
    return [r"\begin{itemize}", *(rf"  \item {tex(s)}" for s in sentences), r"\end{itemize}"]


def _table_latex(rows: Sequence[UpdateRow], bold: frozenset[str]) -> list[str]:
    out = [r"\subsection*{Updates, in the order of a training step}", r"\begin{tabularx}{\linewidth}{@{}lllXX@{}}"]
    out += [r"  \toprule", r"  group & maximizes & optimizer & passes no gradient & fixed \\", r"  \midrule"]
    for row in rows:
        stopped = ", ".join(f"{stopped_role(d)}${density_latex(d, bold)}$" for d in row.stopped) or "--"
        held = ", ".join(f"${h.label.tex}$ ({h.reason})" for h in row.held) or "--"
        loss = f"${loss_latex(row.objective.groups)}$"
        cells = (_groups_latex(row.objective), loss, tex(optimizer_text(row)), stopped, held)
        out.append(f"  {' & '.join(cells)} \\\\")
    return [*out, r"  \bottomrule", r"\end{tabularx}"]

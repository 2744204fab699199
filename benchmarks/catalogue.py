"""docs/catalogue/: a page for each file of examples/, and their index. `python -m benchmarks.catalogue` writes them.

All but the runs is computed from the files, in some seconds and without training. A run is what somebody trained and
left in docs/catalogue/runs/: NAME.json, its command and its figures, and NAME.png, its samples.

Formulas are ```math blocks: within $$ forges take the backslashes of LaTeX for Markdown's.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from schematic.calculus.latex import name_latex
from schematic.calculus.terms import Objective, Step, Term
from schematic.calculus.text import density_text, lines, text
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.core.names import greek
from schematic.graph.model import AnyModel, Sum
from schematic.graph.text import model_text
from schematic.render.derivation import display_latex, loss_latex, optimizer_text, steps, stopped_role, vectors
from schematic.render.drawing import svg
from schematic.render.updates import logs, updates
from schematic.studies.known import Known, known
from schematic.studies.relations import Relation, model_names, relations
from schematic.studies.starting import introduction

ROOT = Path(__file__).parents[1]
EXAMPLES = Path("examples")
FOLDER = Path("docs/catalogue")
RUNS = FOLDER / "runs"
COMMAND = "python -m benchmarks.catalogue"
WIDTH = 100
SECTIONS = ("Drawn with an adversary", "Drawn without one", "Sums")
THUMBNAIL, THUMBNAIL_WIDTH = 0.4, 200  # its scale, its most pixels
FIGURES_HEAD = ("figure", "before training", "after", "target", "unit")


def pages() -> dict[Path, str]:
    """Every file of the catalogue that is computed, by its path from the repository's root, the current folder."""
    models = known(EXAMPLES)
    edges, names = relations(models), model_names(models)
    drawings = {k.file: svg(k.model) for k in models}
    made = {FOLDER / "images" / f"{stem(file)}.svg": drawing for file, drawing in drawings.items()}
    made |= {page_of(k.file): page(k, edges, names) for k in models}
    return made | {FOLDER / "README.md": index(models, names, drawings)}


def missing_runs() -> list[str]:
    """The examples whose run, or its picture, is not there."""
    stems = sorted(file.stem for file in EXAMPLES.glob("*.sg"))
    return [s for s in stems if not all((RUNS / f"{s}{kind}").is_file() for kind in (".json", ".png"))]


def page_of(file: str) -> Path:
    """The page of an example: gan.sg has gan.md."""
    return FOLDER / f"{stem(file)}.md"


def stem(file: str) -> str:
    return file.removesuffix(".sg")


# --- the index --------------------------------------------------------------------------------------------------

INDEX = f"""# Catalogue

Each file of [examples/](../../examples) on a page of its own: the file, its drawing, what each group of parameters
maximizes and how that follows from the arrows, who is updated with what, the program, how the model is related to
others, and a training run.

Equations and sections are those of [Hu, Yang, Salakhutdinov and Xing](https://arxiv.org/abs/1706.00550). Each model is
measured by one [figure](../evaluate.md), before training and after. `{COMMAND}` writes these pages, and
`python -m benchmarks.figures` trains the runs.
"""


def index(models: Sequence[Known], names: dict[str, str], drawings: dict[str, str]) -> str:
    """The tables of all models."""
    out = [INDEX]
    for title in SECTIONS:
        rows = [_row(k, names, drawings[k.file]) for k in models if section(k.model) == title]
        if rows:
            out += [
                f"## {title}",
                "",
                *table(("drawing", "model", "in the paper", "before → after training"), rows),
                "",
            ]
    return "\n".join(out)


def section(model: AnyModel) -> str:
    """The part of the index that a model stands in, by what is drawn."""
    if isinstance(model, Sum):
        return SECTIONS[2]
    return SECTIONS[not any(f.adversarial for f in model.factors)]


def _row(k: Known, names: dict[str, str], drawn: str) -> tuple[str, ...]:
    page, name = page_of(k.file).name, names[k.file]
    what, _, where = reference(said_of(k.file)).partition(": ")
    width = min(THUMBNAIL * int(re.findall(r'width="(\d+)', drawn)[0]), THUMBNAIL_WIDTH)
    drawing = f'<a href="{page}"><img src="images/{stem(k.file)}.svg" width="{width:.0f}" alt="{name}"></a>'
    return (
        drawing,
        f"[{name}]({page})<br>{sentence(what)}",
        sentence(where[:1].upper() + where[1:]),
        figure(run(k.file)),
    )


def figure(found: dict[str, Any] | None) -> str:
    """A run's first figure on one line."""
    if found is None or not found.get("figures"):
        return "not run yet"
    first = found["figures"][0]
    return escaped(f"{first['name']}: {number(first.get('before'))} → {number(first['value'])}")


def said_of(file: str) -> str:
    """What an example says of itself."""
    return introduction((EXAMPLES / file).read_text())


def reference(said: str) -> str:
    """The sentences up to the one that names an equation."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", said)
    last = next((n for n, s in enumerate(sentences, 1) if re.search(r"\bEqs?\. \d", s)), len(sentences))
    return " ".join(sentences[:last])


# --- a page -----------------------------------------------------------------------------------------------------

OBJECTIVES = "What each group of parameters maximizes, in nats per example, in "
OBJECTIVES += "[the paper's letters](../semantics.md#as-it-is-printed)."


def page(k: Known, edges: Iterable[Relation], names: dict[str, str]) -> str:
    """All that there is to say of one model."""
    model, report = k.model, Report()
    found = pipeline.derive(model, report)
    report.check()
    parts = (
        [f"# {names[k.file]}", "", sentence(said_of(k.file)), "", f"![{k.name}](images/{stem(k.file)}.svg)"],
        _file(k),
        _related(k, edges, names),
        _objectives(model, found),
        _updates(model, found),
        _program(k, report),
        _run(k.file),
        ["", "---", "", f"[All models](README.md) · written by `{COMMAND}`", ""],
    )
    return "\n".join(line for part in parts for line in part)


def _file(k: Known) -> Iterator[str]:
    source = (EXAMPLES / k.file).read_text()
    yield from ("", f"## [{k.file}](../../examples/{k.file})", "", *fenced(source))
    if re.search(r"^use ", source, re.M):
        yield from folded("The model that the moves make", fenced(model_text(k.model)))


def _related(k: Known, edges: Iterable[Relation], names: dict[str, str]) -> Iterator[str]:
    own = [r for r in edges if k.file in (r.left, r.right)]
    near = [r.right for r in own if r.kind == "near" and r.left == k.file]
    if own:
        yield from ("", "## Relatives", "")
        yield from (f"- {relative(r, k.file, names)}" for r in own if r.right not in near)
        if near:
            yield f"- Near it, with differences that no move makes: {listed(link(file, names) for file in near)}"


def relative(r: Relation, file: str, names: dict[str, str]) -> str:
    """An edge as a sentence on the page of one of its ends."""
    name = link(r.right if file == r.left else r.left, names)
    match r.kind, file == r.right:
        case "move", True:
            return f"It is `{r.words}`, where `M` is {name}" + ("; the same move leads back" if r.both else "")
        case "move", False:
            return f"`{r.words}` of it is {name}" + ("; the same move leads back" if r.both else "")
        case "term", True:
            return f"It is a sum: `{r.words}` is a term of it, where `M` is {name}"
        case "term", False:
            return f"`{r.words}` of it is a term of the sum {name}"
        case "equal", True:
            return f"{name} has the same objectives {r.words}, by another drawing"
        case "equal", False:
            return f"It has the objectives of {name} {r.words}, by another drawing"
        case _:
            return f"It is nearest to {name}, and differs by this: {escaped(r.words)}"


def link(file: str, names: dict[str, str]) -> str:
    """A model's name, leading to its page."""
    return f"[{names[file]}]({page_of(file).name})"


def _objectives(model: AnyModel, found: Sequence[Objective]) -> Iterator[str]:
    yield from ("", "## Objectives", "", OBJECTIVES)
    bold = vectors(model)
    for n, objective in enumerate(found, 1):
        names = ", ".join(map(greek, objective.groups))
        yield from ("", f"### {n}. {names} maximize{'s' * (len(objective.groups) == 1)}", "")
        left = rf"\max_{{{','.join(map(name_latex, objective.groups))}}}\; {loss_latex(objective.groups)} = "
        yield from formula(objective.term, bold, left)
        yield from ("", *fenced("\n".join(lines(objective.term, WIDTH))))
        yield from _derivation(objective, bold)
    if said := logs(model):
        yield from ("", "### The model assumes", "")
        yield from (f"- {escaped(line)}" + (f" ({escaped(source)})" if source else "") for line, source in said)


def _derivation(objective: Objective, bold: frozenset[str]) -> Iterator[str]:
    seen = steps(objective)
    body = ["From the paper's form:", "", *formula(objective.derivation.start, bold)]
    for n, step in enumerate(seen, 1):
        body += ["", *_step(n, step, bold)]
    if seen:
        yield from folded(f"Derivation, {len(seen)} step{'s' * (len(seen) > 1)}", body)
    else:
        yield from ("", "This is the paper's form as it stands.")
    if objective.assumptions:
        yield from ("", "Reading this way assumes:", "", *(f"- {escaped(said)}" for said in objective.assumptions))


def _step(n: int, step: Step, bold: frozenset[str]) -> Iterator[str]:
    source = f" [{escaped(step.equation)}]" if step.equation else ""
    yield f"{n}. **{step.rule}**: {escaped(step.reason)}{source}"
    yield from (f"   - assumes: {escaped(said)}" for said in step.assumptions)
    yield from (f"   - drops: `{text(term)}`" for term in step.dropped)
    yield from ("", *formula(step.after, bold, "= "))


def _updates(model: AnyModel, found: Sequence[Objective]) -> Iterator[str]:
    yield from ("", "## Updates, in the order of a training step", "")
    rows = []
    for n, row in enumerate(updates(model, found), 1):
        trains = listed(f"`{label.text}`" for label in row.moved)
        stopped = listed(f"{stopped_role(d)}`{density_text(d)}`" for d in row.stopped)
        held = listed(f"`{h.label.text}` ({h.reason})" for h in row.held)
        groups = ", ".join(map(greek, row.objective.groups))
        rows.append((f"{n}. {groups}", trains, optimizer_text(row), stopped, held))
    yield from table(("maximized", "trains", "optimizer", "passes no gradient", "read, not trained"), rows)


def _program(k: Known, report: Report) -> Iterator[str]:
    source = pipeline.text(k.model, report, command=f"schematic compile {EXAMPLES / k.file}")
    command = f"schematic compile {EXAMPLES / k.file} -o {stem(k.file)}.py"
    summary = f"{len(source.splitlines())} lines that depend on torch and pyro alone"
    yield from ("", "## Program", "", *fenced(command), *folded(summary, fenced(source, "python")))


# --- a run ------------------------------------------------------------------------------------------------------


def run(file: str) -> dict[str, Any] | None:
    """What is known of an example's run; None without one."""
    path = RUNS / f"{stem(file)}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def _run(file: str) -> Iterator[str]:
    found = run(file)
    yield from ("", "## A run", "")
    if found is None:
        yield "Nobody has left one here yet."
        return
    yield from fenced(found["command"])
    if (RUNS / f"{stem(file)}.png").is_file():
        yield from ("", f"![Samples](runs/{stem(file)}.png)")
    rows = [_figure_row(f) for f in found["figures"]]
    yield from ("", *table(FIGURES_HEAD, rows))
    rest = {name: value for name, value in found.items() if name not in ("command", "figures")}
    yield from ("", *(f"- {name}: {escaped(number(value))}" for name, value in rest.items()))


def _figure_row(f: dict[str, Any]) -> tuple[str, ...]:
    name, unit = escaped(f["name"]), escaped(f.get("unit") or "–")
    return name, *(number(f.get(key)) for key in ("before", "value", "target")), unit


def number(value: Any) -> str:
    """A value of a run's record, numbers to four digits."""
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.4g}"
        case list():
            return ", ".join(map(number, value))
        case _:
            return str(value)


# --- Markdown ---------------------------------------------------------------------------------------------------


def formula(term: Term, bold: frozenset[str], left: str = "") -> Iterator[str]:
    """A displayed formula, on lines of its sums where it is long."""
    yield from fenced(display_latex(term, bold, left), "math")


def fenced(body: str, language: str = "") -> Iterator[str]:
    yield from (f"```{language}", *body.rstrip("\n").split("\n"), "```")


def folded(summary: str, body: Iterable[str]) -> Iterator[str]:
    yield from ("", f"<details><summary>{summary}</summary>", "", *body, "", "</details>")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    cells = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    yield from (f"| {' | '.join(row)} |" for row in cells)


def listed(items: Iterable[str]) -> str:
    return ", ".join(items) or "–"


def sentence(said: str) -> str:
    """A sentence without Markdown's signs, options of the command line set as code."""
    pieces = re.split(r"""(--[a-z]+ (?:'[^']*'|"[^"]*"|[^\s.]+))""", said)
    return "".join(f"`{piece}`" if n % 2 else escaped(piece) for n, piece in enumerate(pieces))


def escaped(said: str) -> str:
    """A sentence without Markdown's signs."""
    return re.sub(r"([\\`*_\[\]<>~$])", r"\\\1", said)


def main() -> int:
    """Writes what changed, removes pages of examples that are gone, and lists the examples without a run."""
    os.chdir(ROOT)
    made = pages()
    for path in {*FOLDER.glob("*.md"), *FOLDER.glob("images/*.svg")} - made.keys():
        path.unlink()
        print(f"removed {path}")
    for path, content in made.items():
        if not path.is_file() or path.read_text() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            print(f"wrote {path}")
    if missing := missing_runs():
        print(f"no run of {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

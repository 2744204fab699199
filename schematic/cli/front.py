"""The commands that read, draw and derive. None of them imports torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schematic.cli.diagnostics import data, settle, show
from schematic.cli.options import (
    FILE,
    force_option,
    json_option,
    loaded,
    model_option,
    model_options,
    output_option,
    with_option,
)
from schematic.cli.output import deliver, write, writing
from schematic.core.diagnostics import Diagnostic, Report, in_order
from schematic.core.source import Source, Span

if TYPE_CHECKING:
    from schematic.calculus.terms import Objective, Term
    from schematic.compiler.pipeline import Stage
    from schematic.graph.applying import At
    from schematic.graph.model import AnyModel
    from schematic.render.drawing import Format

TEXT = click.Path(exists=True, dir_okay=False, allow_dash=True)
STAGES = ("ast", "graph", "objectives", "plan", "python")
DERIVATIONS = {"text": ".txt", "latex": ".tex", "html": ".html", "json": ".json", "fragment": ".tex"}
PICTURES = ("svg", "png", "pdf", "dot", "tex")


@click.command()
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@model_option
@with_option
@json_option
def check(files: tuple[Path, ...], model: str | None, restate: str | None, as_json: bool) -> None:
    """Report everything that is wrong in FILEs.

    Prints nothing on stdout for a good file. Errors, warnings and notes go to stderr; the exit code is 1 if there is
    an error. With --json they are a list on stdout instead.

    \b
    Examples:
      schematic check infogan.sg
      schematic check infogan.sg --with 'x : unit(1, 28, 28) = data("image")'
      schematic check examples/*.sg --json
    """
    from schematic.compiler import pipeline

    report = Report()
    for file in files:
        pipeline.check(file, report, model=model, restate=restate)
    if as_json:
        click.echo(json.dumps([data(d) for d in in_order(report)], indent=2))
    else:
        show(report)
    click.get_current_context().exit(int(report.failed))


@click.command()
@click.argument("files", metavar="FILE...", type=TEXT, nargs=-1, required=True)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 if a file would change.")
def fmt(files: tuple[str, ...], only_check: bool) -> None:
    """Lay FILEs out in the one style, in place; comments stay. `-` is stdin to stdout.

    \b
    Examples:
      schematic fmt infogan.sg
      schematic fmt --check examples/*.sg
      schematic fmt - < draft.sg
    """
    report, changed = Report(), []
    for name in files:
        before = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        after = formatted(name, before, report)
        if after is None:
            continue
        if name == "-" and not only_check:
            deliver(after, None, suffix="", force=False)
        elif after != before:
            changed.append(name)
            if not only_check:
                with writing(name):
                    write(Path(name), after)
    show(report)
    for name in changed:
        click.echo(f"{name}: {'would be laid out anew' if only_check else 'laid out anew'}", err=True)
    click.get_current_context().exit(int(report.failed or (only_check and bool(changed))))


def formatted(name: str, text: bytes, report: Report) -> bytes | None:
    """The text laid out anew; None, and errors in the report, if it does not parse."""
    from schematic.syntax.format import format
    from schematic.syntax.parser import parse
    from schematic.syntax.reader import decode

    source, found = decode("<stdin>" if name == "-" else name, text), Report()
    if isinstance(source, Diagnostic):
        report.add(source)
        return None
    tree = parse(source, found)
    report.add(*found)
    if found.failed:
        return None
    after = format(tree)
    assert parse(Source(source.path, after), Report()) == tree, "the formatter changed the meaning of a file"
    return after.encode()


@click.command()
@model_options
@click.option("--stage", type=click.Choice(STAGES), default="python", show_default=True, help="Print this stage.")
@output_option("Write to FILE.")
@force_option
def compile(file: Path, model: str | None, restate: str | None, stage: Stage, output: str | None, force: bool) -> None:
    """Write the program that trains FILE's model: one Python file.

    It depends on torch and pyro alone. Every stage on the way to it has a printable form: the syntax tree, the graph,
    the objectives, the plan.

    \b
    Examples:
      schematic compile infogan.sg -o infogan.py
      schematic compile infogan.sg --stage plan
      schematic compile infogan.sg --model GAN -o -
    """
    from schematic.compiler import pipeline

    report = Report()
    text = pipeline.compile(file, report, stage=stage, model=model, restate=restate)
    settle(report)
    deliver(text, output, suffix=".py" if stage == "python" else ".txt", force=force)


@click.command()
@model_options
@output_option("Write to FILE; its suffix says how: .svg, .png, .pdf, .dot or .tex.")
@click.option("--format", "kind", type=click.Choice(PICTURES), help="The format, where FILE's suffix does not say it.")
@force_option
def render(
    file: Path, model: str | None, restate: str | None, output: str | None, kind: Format | None, force: bool
) -> None:
    """Draw FILE's model.

    Shaded nodes are visible variables. Solid arrows generate and dashed ones infer; hollow ones are implicit, blue
    ones adversarial.

    \b
    Examples:
      schematic render infogan.sg -o infogan.svg
      schematic render vae.sg -o vae.pdf
      schematic render vae.sg --format dot
    """
    from schematic.render import drawing

    suffix = Path(output or "").suffix.removeprefix(".").lower() or "svg"
    chosen = kind or next((f for f in drawing.FORMATS if f == suffix), None)
    if chosen is None:
        raise click.UsageError(f"a drawing is .svg, .png, .pdf, .dot or .tex; `{output}` is none of them: say --format")
    drawn = loaded(file, model, restate)
    deliver(drawing.draw(drawn, chosen), output, suffix=f".{chosen}", force=force)


@click.command()
@model_options
@click.option("--latex", "kind", flag_value="latex", help="As a LaTeX document.")
@click.option("--fragment", "kind", flag_value="fragment", help="As LaTeX for \\input, without the preamble.")
@click.option("--html", "kind", flag_value="html", help="As a page.")
@click.option("--json", "kind", flag_value="json", help="As JSON.")
@output_option("Write to FILE; its suffix says how: .txt, .tex, .html or .json.")
@force_option
def derive(
    file: Path, model: str | None, restate: str | None, kind: str | None, output: str | None, force: bool
) -> None:
    """Derive what each group of parameters maximizes, step by step.

    Prints each objective from the paper's form to the one that is trained, every step with its reason, what is
    assumed, and the table of updates.

    \b
    Examples:
      schematic derive vae.sg
      schematic derive vae.sg -o vae.html
      schematic derive vae.sg --fragment -o vae.tex
    """
    from schematic.compiler import pipeline
    from schematic.render import derivation, page

    suffix = Path(output or "").suffix.lower() or DERIVATIONS[kind or "text"]
    chosen = kind or next((k for k, s in DERIVATIONS.items() if s == suffix), None)
    if chosen is None or suffix != DERIVATIONS[chosen]:
        right = DERIVATIONS[chosen] if chosen else ".txt, .tex, .html or .json"
        raise click.UsageError(f"`{output}` does not fit: the derivation is {right}")
    drawn = loaded(file, model, restate)
    report = Report()
    pipeline.waits(drawn, report, "error")
    report.check()
    found = pipeline.derive(drawn, report)
    settle(report)
    match chosen:
        case "text":
            text = derivation.derivation_text(drawn, found)
        case "html":
            text = page.derivation_html(drawn, found)
        case "json":
            text = json.dumps(derived(drawn, found), indent=2) + "\n"
        case _:
            text = derivation.derivation_latex(drawn, found, document=chosen == "latex")
    deliver(text, output, suffix=suffix, force=force)


def derived(model: AnyModel, found: tuple[Objective, ...]) -> dict[str, Any]:
    """A derivation for a program; formulas as text and as LaTeX."""
    from schematic.calculus.latex import latex
    from schematic.calculus.text import text
    from schematic.render.updates import logs

    def formula(term: Term) -> dict[str, str]:
        return {"text": text(term), "latex": latex(term)}

    return {
        "model": model.name,
        "objectives": [
            {
                "groups": o.groups,
                **formula(o.term),
                "start": formula(o.derivation.start),
                "steps": [
                    {
                        "rule": step.rule,
                        "reason": step.reason,
                        "equation": step.equation,
                        **formula(step.after),
                        "assumptions": step.assumptions,
                        "dropped": [formula(term) for term in step.dropped],
                    }
                    for step in o.derivation.steps
                ],
            }
            for o in found
        ],
        "assumptions": [{"text": said, "source": source} for said, source in logs(model)],
    }


@click.command()
@model_options
@click.argument("variables", metavar="[A B]", nargs=-1)
@output_option("Write to FILE.sg.")
@force_option
def swap(
    file: Path, model: str | None, restate: str | None, variables: tuple[str, ...], output: str | None, force: bool
) -> None:
    """Exchange FILE's solid and dashed arrows, or two variables.

    Without A and B the arrows, with them these two variables of the model. Prints the model that comes out; what the
    move assumes goes to stderr.

    \b
    Examples:
      schematic swap infogan.sg
      schematic swap infogan.sg x z
      schematic swap infogan.sg -o aavae.sg
    """
    from schematic.graph import algebra, text
    from schematic.render.updates import logs

    if len(variables) not in (0, 2):
        raise click.UsageError("name two variables to exchange, or none to exchange solid and dashed arrows")
    drawn = loaded(file, model, restate)
    moved = algebra.swap(drawn, *variables, at=named(variables)) if variables else algebra.swap_arrows(drawn)
    for said, source in logs(moved)[len(logs(drawn)) :]:
        click.echo(f"assumes: {said}" + (f" ({source})" if source else ""), err=True)
    deliver(text.model_text(moved), output, suffix=".sg", force=force)


def named(variables: tuple[str, ...]) -> At:
    """The places of the two variables, for what is wrong with them, as if `A B` were a text."""
    from schematic.graph.applying import At

    said = Source("swap", " ".join(variables))
    first, whole = len(variables[0]), len(said.text)
    return At(Span(said, 0, whole), args=(Span(said, 0, first), Span(said, first + 1, whole)))

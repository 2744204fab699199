"""The commands that ask about models: what differs, what a model is. None of them imports torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from schematic.cli.diagnostics import settle
from schematic.cli.options import force_option, json_option, load, loaded, model_options, output_option
from schematic.cli.output import deliver
from schematic.core.diagnostics import Report
from schematic.graph.model import AnyModel


def file_or_model(ctx: click.Context, param: click.Parameter, value: str) -> tuple[Path, str | None]:
    """FILE or FILE:MODEL."""
    file, _, model = value.rpartition(":")
    named = not Path(value).is_file() and Path(file).is_file()
    if not named and not Path(value).is_file():
        raise click.BadParameter(f"File '{value}' does not exist.", ctx, param)
    return (Path(file), model) if named else (Path(value), None)


@click.command()
@click.argument("left", metavar="A", callback=file_or_model)
@click.argument("right", metavar="B", callback=file_or_model)
@click.option("--model-a", metavar="NAME", help="This model of A; without it, the file's last one.")
@click.option("--model-b", metavar="NAME", help="This model of B.")
@json_option
def diff(
    left: tuple[Path, str | None],
    right: tuple[Path, str | None],
    model_a: str | None,
    model_b: str | None,
    as_json: bool,
) -> None:
    """Tell what differs between two models.

    Arrows, assumptions, and each group's objective. A and B are FILE or FILE:MODEL. Variables, arrows and groups are
    matched under the renaming that makes the two agree best; `-` is A's, `+` is B's, all in B's names.

    \b
    Examples:
      schematic diff infogan.sg aae.sg
      schematic diff models.sg:GAN models.sg:InfoGAN
      schematic diff vae.sg mine.sg --model-b VAE --json
    """
    from schematic.studies.compare import difference
    from schematic.studies.data import difference_data
    from schematic.studies.screens import difference_text

    (file, name), (other, other_name) = left, right
    report = Report()
    a, b = (load(f, n, None, report) for f, n in ((file, model_a or name), (other, model_b or other_name)))
    settle(report)
    found = difference(a, b)
    if as_json:
        click.echo(json.dumps(difference_data(found), indent=2))
    else:
        click.echo(difference_text(f"{a.name}  {file}", f"{b.name}  {other}", found), nl=False)


@click.command()
@model_options
@json_option
def identify(file: Path, model: str | None, restate: str | None, as_json: bool) -> None:
    """Tell which known model FILE's is, or which is nearest.

    It is one up to names; else the moves from the nearest one are told, and what then differs. Known are the examples
    that come with schematic. Names, the order of statements, event shapes and networks do not count; types, given
    distributions, arrows, and options that change an objective do. A model that maximizes what a known one does by
    another drawing is told, too.

    \b
    Examples:
      schematic identify mine.sg
      schematic identify mine.sg --model Student
      schematic identify infogan.sg --with 'q_eta : x, y --> z'
    """
    from schematic.studies.data import identity_data
    from schematic.studies.identify import identify as identified
    from schematic.studies.identity_screen import identity_text
    from schematic.studies.known import known

    drawn: AnyModel = loaded(file, model, restate)
    found = identified(drawn, known())
    if as_json:
        click.echo(json.dumps(identity_data(drawn.name, found), indent=2))
    else:
        click.echo(identity_text(drawn.name, found), nl=False)


@click.command()
@click.argument(
    "folder", metavar="[FOLDER]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@output_option("Write to FILE; .dot is for Graphviz.")
@force_option
@json_option
def relations(folder: Path | None, output: str | None, force: bool, as_json: bool) -> None:
    """Tell by which moves the examples follow from each other.

    With FOLDER, the models of its files. An edge is a move of the algebra, a sum, equal objectives by another drawing,
    or, where no move leads to a model, the nearest one. They are computed from the drawings, as the paper's Figure 4
    relates them by hand.

    \b
    Examples:
      schematic relations
      schematic relations my-models/ --json
      schematic relations -o relations.dot
    """
    from schematic.studies import relations as study
    from schematic.studies.known import known

    models = known(folder)
    if folder is not None:
        left = sorted({file.name for file in folder.glob("*.sg")} - {k.file for k in models})
        if left:
            click.echo(f"left out, having errors or no model: {', '.join(left)}", err=True)
        if not models:
            raise click.ClickException(f"{folder} has no file with a model")
    found = study.relations(models)
    if as_json:
        text = json.dumps([asdict(r) for r in found], indent=2) + "\n"
    elif output is not None and output.endswith(".dot"):
        text = study.relations_dot(models, found)
    else:
        text = study.relations_text(models, found)
    deliver(text, output, suffix=Path(output or "").suffix or ".txt", force=force)

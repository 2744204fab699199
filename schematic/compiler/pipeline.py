"""The order of the stages, known here alone: read, parse, build, derive, plan, emit."""

from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path
from typing import Literal, assert_never

from schematic.calculus.terms import Objective
from schematic.core.diagnostics import Report
from schematic.core.version import VERSION
from schematic.graph.model import AnyModel, Model

Stage = Literal["ast", "graph", "objectives", "plan", "python"]


def check(path: Path, report: Report | None = None, *, model: str | None = None, restate: str | None = None) -> Report:
    """Everything that can be found wrong with a file, its objectives included; every model of it is checked."""
    from schematic.graph import build

    report = Report() if report is None else report
    found = Report()
    named = model is not None or restate is not None
    models = (build.load(path, found, model=model, restate=restate),) if named else build.load_all(path, found)
    if not found.failed:
        for m in models:
            if m is not None:
                derive(m, found)
    report.add(*found)
    return report


def compile(
    path: Path,
    report: Report | None = None,
    *,
    stage: Stage = "python",
    model: str | None = None,
    restate: str | None = None,
) -> str:
    """A stage of a file's model as text. Warnings and notes go to the report.

    Raises: SchematicError with every finding if one is an error.
    """
    from schematic.graph import build

    report = Report() if report is None else report
    if stage == "ast":
        return syntax(path, report)
    loaded = build.load(path, report, model=model, restate=restate)
    report.check()
    assert loaded is not None, "a report without an error comes with a model"
    if stage == "graph":
        return graph(loaded)
    return text(loaded, report, stage, path, command(path, model, restate))


def derive(model: AnyModel, report: Report) -> tuple[Objective, ...]:
    """The objectives of a model, in the order of the updates; none where an error was found."""
    from schematic.compiler.objectives import objectives

    return objectives(model, report) if isinstance(model, Model) else ()


def text(
    model: AnyModel, report: Report, stage: Literal["objectives", "plan", "python"], path: Path, command: str
) -> str:
    """The later stages of a model. Raises: SchematicError."""
    from schematic.calculus import text as terms
    from schematic.compiler import plan_text
    from schematic.compiler.emit import Header, emit
    from schematic.compiler.plan import plan

    found = derive(model, report)
    report.check()
    assert isinstance(model, Model)
    if stage == "objectives":
        blocks = ((f"max over {', '.join(o.groups)}:", *(f"  {x}" for x in terms.lines(o.term))) for o in found)
        return "\n".join("\n".join(block) + "\n" for block in blocks)
    planned = plan(model, found, report)
    report.check()
    match stage:
        case "plan":
            return plan_text.show(planned)
        case "python":
            return emit(planned, Header(str(path), f"sha256:{digest(model, path)}", VERSION, command))
        case _:
            assert_never(stage)


def syntax(path: Path, report: Report) -> str:
    """The syntax tree of a file as code."""
    from pprint import pformat

    from schematic.syntax.parser import parse
    from schematic.syntax.reader import read

    source = read(path, report)
    report.check()
    assert source is not None
    tree = parse(source, report)
    report.check()
    return pformat(tree, width=110) + "\n"


def graph(model: AnyModel) -> str:
    """A model as code."""
    from pprint import pformat

    return pformat(model, width=110) + "\n"


def command(path: Path, model: str | None, restate: str | None) -> str:
    """The command that compiles this."""
    named = (*(("--model", model) if model else ()), *(("--with", restate) if restate else ()))
    return shlex.join(("schematic", "compile", str(path), *named))


def digest(model: Model, path: Path) -> str:
    """A hash of the file and of every text that the model's parts were declared in."""
    parts = (*model.variables, *model.factors, *model.nets)
    texts = {path.as_posix(): path.read_text(encoding="utf-8", errors="replace")}
    texts.update((p.span.source.path, p.span.source.text) for p in parts)
    return sha256("\0".join(texts[name] for name in sorted(texts)).encode()).hexdigest()

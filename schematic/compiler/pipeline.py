"""The order of the stages, known here alone: read, parse, build, derive, plan, emit."""

from __future__ import annotations

import shlex
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, assert_never

from schematic.calculus.terms import Objective
from schematic.core.diagnostics import Diagnostic, Report, SchematicError, Severity
from schematic.core.version import VERSION
from schematic.graph.model import AnyModel, Model

Stage = Literal["ast", "graph", "objectives", "plan", "python"]


def check(path: Path, report: Report | None = None, *, model: str | None = None, restate: str | None = None) -> Report:
    """Everything that can be found wrong with a file, its objectives included; every model of it is checked."""
    from schematic.compiler.plan import plan
    from schematic.graph import build

    report = Report() if report is None else report
    found = Report()
    named = model is not None or restate is not None
    models = (build.load(path, found, model=model, restate=restate),) if named else build.load_all(path, found)
    if not found.failed:
        for m in models:
            if m is not None and not waits(m, found, "warning"):
                here = Report()
                maximized = derive(m, here)
                if not here.failed:
                    plan(m, maximized, here)
                found.add(*here)
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
    return text(loaded, report, stage, command(path, model, restate))


def waits(model: AnyModel, report: Report, severity: Severity) -> bool:
    """Reports the forms of a model that are checked and drawn but not compiled yet; whether there are any."""
    from schematic.graph.pending import pending

    found = tuple(replace(d, severity=severity) for d in pending(model))
    report.add(*found)
    return bool(found)


def derive(model: AnyModel, report: Report) -> tuple[Objective, ...]:
    """The objectives of a model, in the order of the updates; none where an error was found."""
    from schematic.compiler.objectives import objectives

    return objectives(model, report)


def text(
    model: AnyModel,
    report: Report,
    stage: Literal["objectives", "plan", "python"] = "python",
    command: str = "schematic",
) -> str:
    """A later stage of a model; `command` is told in the program's header. Raises: SchematicError."""
    from schematic.calculus import text as terms
    from schematic.compiler import plan_text
    from schematic.compiler.emit import Header, emit
    from schematic.compiler.plan import plan

    waits(model, report, "error")
    report.check()
    found = derive(model, report)
    report.check()
    if stage == "objectives":
        blocks = ((f"max over {', '.join(o.groups)}:", *(f"  {x}" for x in terms.lines(o.term))) for o in found)
        return "\n".join("\n".join(block) + "\n" for block in blocks)
    planned = plan(model, found, report)
    report.check()
    match stage:
        case "plan":
            return plan_text.show(planned)
        case "python":
            return emit(planned, Header(model.span.source.path, f"sha256:{digest(model)}", VERSION, command))
        case _:
            assert_never(stage)


def syntax(path: Path, report: Report) -> str:
    """The syntax tree of a file as code."""
    from pprint import pformat

    from schematic.syntax.parser import parse
    from schematic.syntax.reader import read_source

    source = read_source(path)
    if isinstance(source, Diagnostic):
        raise SchematicError((source,))
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


def digest(model: AnyModel) -> str:
    """A hash of every text that the model's parts were declared in, whatever the folder."""
    models = (model,) if isinstance(model, Model) else tuple(m for _, m in model.terms)
    parts = (model, *models, *(p for m in models for p in (*m.variables, *m.factors, *m.nets)))
    texts = {p.span.source.path: p.span.source.text for p in parts}
    return sha256("\0".join(texts[name] for name in sorted(texts)).encode()).hexdigest()

"""Files to models: what a file uses, declares and trains. Every error of a run is in the report."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from schematic.core.diagnostics import Diagnostic, Report, error
from schematic.core.names import did_you_mean
from schematic.core.source import Source, Span
from schematic.graph.algebra import At
from schematic.graph.blocks import ANY, Outside, build
from schematic.graph.checks import computed_warnings, warnings
from schematic.graph.expressions import Entry, Scope, evaluate, restated
from schematic.graph.fitting import Value, finished, terms
from schematic.graph.hows import read_declaration
from schematic.graph.model import AnyModel, Model, NetDeclaration
from schematic.graph.training import merged, read_train, trained
from schematic.graph.words import redefined, twice, unknown, where
from schematic.syntax import ast
from schematic.syntax.parser import parse as parse_file
from schematic.syntax.parser import parse_statements
from schematic.syntax.reader import read_source


def load(
    path: str | os.PathLike[str], report: Report, *, model: str | None = None, restate: str | None = None
) -> AnyModel | None:
    """The main model of a file, or the one named, with `restate` (`--with`) on top; None if it is at fault."""
    files = _Files(report)
    read = files.file(os.fspath(path))
    return _chosen(read, model, restate, report) if read else None


def parse(
    text: str,
    report: Report,
    *,
    path: str = "<text>",
    model: str | None = None,
    restate: str | None = None,
) -> AnyModel | None:
    """The same for a text; `use` is relative to the folder of `path`, which need not exist."""
    read = _Files(report).text(Source(path, text))
    return _chosen(read, model, restate, report)


def load_all(path: str | os.PathLike[str], report: Report) -> tuple[AnyModel, ...]:
    """Every model that a file declares, in order, all checked; those at fault are left out."""
    read = _Files(report).file(os.fspath(path))
    return tuple(e.model for e in read.own.values() if e.model is not None) if read else ()


def _chosen(read: _Read, name: str | None, restate: str | None, report: Report) -> AnyModel | None:
    start = Span(read.source, 0, 0)
    if not read.own:
        if not read.broken:
            report.add(error("SG120", start, "this file declares no model", "`model M { ... }`"))
        return None
    if name is not None and name not in read.own:
        if name not in read.broken:
            words = f"{read.source.path} has no model `{name}`"
            report.add(unknown("SG109", ast.Name(name, span=start), words, read.own, listed="models"))
        return None
    entry = read.own[name if name is not None else list(read.own)[-1]]
    if entry.model is None or restate is None:
        return entry.model
    return _restate(entry.model, restate, Outside(read.nets), report)


def _restate(model: AnyModel, text: str, outside: Outside, report: Report) -> AnyModel | None:
    source = Source("--with", text)
    mine = Report()
    statements = parse_statements(source, mine)
    outside = replace(outside, broken=_declared_in(text) if mine.failed else frozenset())
    at = At(Span(source, 0, len(text.rstrip())))
    value = restated(Value(model), statements, outside, mine, at)
    new = finished(model.name, value, at.move, mine, model.span) if value else None
    report.add(*mine)
    return None if mine.failed else new


@dataclass
class _Read:
    """A file as far as it is read: `own` models, `visible` ones (with what it uses), nets."""

    source: Source
    own: dict[str, Entry] = field(default_factory=dict)
    visible: dict[str, Entry] = field(default_factory=dict)
    nets: dict[str, NetDeclaration] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


class _Files:
    """The files of one run, each read once."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._read: dict[str, _Read | None] = {}
        self._open: list[tuple[str, ast.Use | None]] = []

    def file(self, path: str, by: ast.Use | None = None) -> _Read | None:
        """The file, read once; None if it cannot be."""
        key = os.path.realpath(path)
        if key not in self._read:
            source = read_source(path)
            if isinstance(source, Diagnostic):
                self._report.add(source)
                self._read[key] = None
            else:
                self._open.append((key, by))
                self._read[key] = self.text(source)
                self._open.pop()
        return self._read[key]

    def text(self, source: Source) -> _Read:
        syntax = Report()
        file = parse_file(source, syntax, shown=len(self._open) <= 1)
        self._report.add(*syntax)
        read = _Read(source, broken=set(_declared_in(source.text)) if syntax.failed else set())
        later = {s.name.text: s.name.span for s in file.statements if isinstance(s, ast.ModelDecl)}
        for statement in file.statements:
            match statement:
                case ast.Use():
                    self._use(statement, read)
                case ast.NetDecl():
                    self._net(statement, read)
                case ast.ModelDecl():
                    self._model(statement, read, later)
                case ast.Train():
                    pass
        self._finish(read, file)
        return read

    # --- statements --------------------------------------------------------------------------------------------

    def _net(self, decl: ast.NetDecl, read: _Read) -> None:
        first = read.nets.get(decl.name.text) or read.visible.get(decl.name.text)
        if first is not None:
            self._report.add(twice(decl.name, first.span))
            return
        net = read_declaration(decl, read.nets.keys() | (read.broken - read.nets.keys()), self._report)
        if net is not None:
            read.nets[net.name] = net
        else:
            read.broken.add(decl.name.text)

    def _model(self, decl: ast.ModelDecl, read: _Read, later: Mapping[str, Span]) -> None:
        name = decl.name
        clash = redefined(name)
        first = read.visible.get(name.text) or read.nets.get(name.text)
        if clash is None and first is not None:
            clash = twice(name, first.span)
        if clash is not None:
            self._report.add(clash)
        outside, mine = Outside(dict(read.nets), frozenset(read.broken)), Report()
        if isinstance(decl.body, ast.Block):
            model: AnyModel | None = build(name.text, decl.body.statements, None, outside, mine, name.span)
        else:
            scope = Scope(read.visible, outside, {n: s for n, s in later.items() if n not in read.own})
            model = evaluate(name.text, decl.body, scope, mine, name.span)
        self._report.add(*(d for d in mine if not _consequence(d, read.broken)))
        if first is None:
            read.own[name.text] = read.visible[name.text] = Entry(model, name.span)

    def _finish(self, read: _Read, file: ast.File) -> None:
        """The file's training settings, which are its main model's, and what only whole models show."""
        trains = [s for s in file.statements if isinstance(s, ast.Train)]
        main = list(read.own)[-1] if read.own else ""
        model = read.own[main].model if main else None
        if trains and main:
            train = read_train(trains, *trained(model), self._report)
        if trains and model is not None:
            model = replace(model, train=merged(model.train, train))
            read.own[main] = read.visible[main] = replace(read.own[main], model=model)
        elif trains and not main and not read.broken:
            self._report.add(
                error("SG120", trains[0].span, "this file declares no model to train", "`model M { ... }`")
            )
        built = [m for e in read.own.values() if e.model is not None for m in terms(e.model)]
        self._report.add(*_group_problems(file, built, complete=all(e.model for e in read.own.values())))
        if not read.broken and len(self._open) <= 1:
            self._report.add(*_warnings(read, file))

    # --- other files -------------------------------------------------------------------------------------------

    def _use(self, statement: ast.Use, read: _Read) -> None:
        used = self._used(statement, read)
        alias = statement.alias
        if alias is not None and (clash := redefined(alias)):
            self._report.add(clash)
            return
        if used is None:
            read.broken |= {alias.text} if alias else {ANY}
            return
        read.broken |= used.broken | {f"{alias.text}.{n}" for n in used.broken if alias}
        for name, entry in used.own.items():
            full = f"{alias.text}.{name}" if alias else name
            first = read.visible.get(full) or read.nets.get(full)
            if first is None or first is entry:
                read.visible[full] = entry
                continue
            words = f"`{full}` of {used.source.path} is declared already, {where(first.span, statement.span)}"
            stem = re.sub(r"\W", "_", Path(statement.path.text).stem)
            self._report.add(error("SG121", statement.path.span, words, f"`use {_quoted(statement)} as {stem}`"))

    def _used(self, statement: ast.Use, read: _Read) -> _Read | None:
        text, span = statement.path.text, statement.path.span
        problem = _path_problem(text)
        if problem:
            self._report.add(error("SG112", span, *problem))
            return None
        path = os.path.normpath(os.path.join(os.path.dirname(read.source.path), text))
        key = os.path.realpath(path)
        if not os.path.isfile(path):
            near = did_you_mean(os.path.basename(text), _neighbours(path))
            self._report.add(error("SG112", span, f"there is no file `{path}`", near))
            return None
        keys = [k for k, _ in self._open]
        if key in keys:
            self._report.add(self._cycle(statement, keys.index(key)))
            return None
        if len(self._open) >= _DEEPEST:
            self._report.add(error("SG108", statement.span, f"more than {_DEEPEST} files use one another in a row"))
            return None
        return self.file(path, statement)

    def _cycle(self, closing: ast.Use, start: int) -> Diagnostic:
        """A ring of files, told where its first file enters it."""
        entering = [use for _, use in self._open[start + 1 :] if use is not None]
        ring = [os.path.basename(use.span.source.path) for use in (*entering, closing)]
        if not entering:
            return error("SG108", closing.span, f"{ring[0]} uses itself", "delete this")
        words = f"{' uses '.join(ring[:2])}{''.join(f', which uses {name}' for name in (*ring[2:], ring[0]))}"
        return error("SG108", entering[0].span, f"{words} ({ring[-1]}:{closing.span.line})")


_DEEPEST = 60


def _quoted(statement: ast.Use) -> str:
    return f'"{statement.path.text}"'


def _path_problem(text: str) -> tuple[str, str] | None:
    if "\\" in text:
        return "a path has `/`", f'`"{text.replace(chr(92), "/")}"`'
    if text.startswith(("/", "~")):
        return "a path is relative to this file", ""
    if not text.endswith(".sg") or not text[:-3].rpartition("/")[2]:
        return "a path ends in `.sg`", f'`"{text.rstrip("/") or "model"}.sg"`'
    return None


def _neighbours(path: str) -> list[str]:
    try:
        return [n for n in os.listdir(os.path.dirname(path) or ".") if n.endswith(".sg")]
    except OSError:
        return []


def _group_problems(file: ast.File, built: Iterable[AnyModel], complete: bool) -> Iterable[Diagnostic]:
    """`net F in GROUPS` of a file: some model that it declares has each group."""
    groups = tuple(dict.fromkeys(g for m in built for g in m.groups))
    if not complete or not groups:
        return
    for decl in (s for s in file.statements if isinstance(s, ast.NetDecl)):
        for group in (g for g in decl.groups if g.text not in groups):
            yield unknown("SG117", group, f"no model here has a group `{group.text}`", groups, listed="groups")


def _warnings(read: _Read, file: ast.File) -> Iterable[Diagnostic]:
    drawn = {s.name.text for s in file.statements if isinstance(s, ast.ModelDecl) and isinstance(s.body, ast.Block)}
    for name, entry in read.own.items():
        if isinstance(entry.model, Model) and name in drawn:
            yield from warnings(entry.model)
        elif entry.model is not None:
            yield from computed_warnings(entry.model)


_DECLARED = re.compile(
    r"\b([A-Za-z]\w*)(?:\.\w+)?\s*(?:\[[^\]\n]*\]\s*)?[:=]|\b(?:net|model|as)\s+([A-Za-z]\w*)", re.ASCII
)


def _consequence(found: Diagnostic, broken: Collection[str]) -> bool:
    """A move misses what a statement would have declared if it could have been read."""
    marked = found.span.source.text[found.span.start : found.span.end]
    return found.code == "SG301" and marked.partition(".")[0] in broken


def _declared_in(text: str) -> frozenset[str]:
    """Names that a text which did not parse seems to declare: nothing is told of their absence."""
    return frozenset(a or b for a, b in _DECLARED.findall(text))

"""The known models: the main models of the files of examples/."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from schematic.core.diagnostics import Report
from schematic.graph.build import load
from schematic.graph.model import AnyModel
from schematic.studies.objectives import Derived, derived


@dataclass(frozen=True)
class Known:
    """A model and the name of its file; what is asked of it more than once."""

    file: str
    model: AnyModel

    @property
    def name(self) -> str:
        return self.model.name

    @cached_property
    def objectives(self) -> Derived:
        return derived(self.model)


def folder() -> Path:
    """Where the examples are: in the package, else in the checkout around it."""
    packaged = Path(str(resources.files("schematic"))) / "examples"
    checkout = Path(__file__).parents[2] / "examples"
    return packaged if packaged.is_dir() else checkout


def known(where: Path | None = None) -> tuple[Known, ...]:
    """The main model of every file of a folder, of the examples if none is named; a file with errors is passed over."""
    found = []
    for file in sorted((where or folder()).glob("*.sg")):
        report = Report()
        model = load(file, report)
        if model is not None and not report.failed:
            found.append(Known(file.name, model))
    return tuple(found)

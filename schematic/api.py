"""The Python interface: models are values, moves are functions of them, and a model shows itself in a notebook.

Importing this module imports no torch; only `train` and `sample` do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schematic.calculus.terms import Derivation, Term
from schematic.calculus.terms import Objective as Derived
from schematic.core.diagnostics import Diagnostic, Report, SchematicError, in_order
from schematic.core.source import Source
from schematic.graph import algebra, optimizers
from schematic.graph.model import AnyModel, Assumption
from schematic.graph.model import Model as Drawn

if TYPE_CHECKING:
    from networkx import MultiDiGraph

    from schematic.runtime.train import Outcome


@dataclass(frozen=True, repr=False)
class Objective:
    """What the groups of one update maximize together, in nats per example. It shows itself as its formula."""

    derived: Derived

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        from schematic.calculus.text import text

        return f"{', '.join(self.groups)}: {text(self.term)}"

    @property
    def groups(self) -> tuple[str, ...]:
        return self.derived.groups

    @property
    def term(self) -> Term:
        """The unfolded objective, the last line of its derivation."""
        return self.derived.term

    @property
    def derivation(self) -> Derivation:
        """From the paper's form to the unfolded one; each step has its rule, reason, equation and assumptions."""
        return self.derived.derivation

    def latex(self) -> str:
        """The unfolded objective as LaTeX, for mathematics mode."""
        from schematic.calculus.latex import latex

        return latex(self.term)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


@dataclass(frozen=True, repr=False)
class Model:
    """A schematic graphical model. `drawn` is the plain graph; `notes` are what its file's checks had to say.

    It shows itself as text of the language, and in a notebook as its drawing and its objectives.
    """

    drawn: AnyModel
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return str(self).rstrip()

    @property
    def name(self) -> str:
        return self.drawn.name

    @property
    def log(self) -> tuple[Assumption, ...]:
        """What the moves that made it assume without drawing it; of a sum, the logs of its terms."""
        models = (self.drawn,) if isinstance(self.drawn, Drawn) else tuple(m for _, m in self.drawn.terms)
        return tuple(line for m in models for line in m.log)

    @property
    def graph(self) -> MultiDiGraph[str]:
        """A networkx.MultiDiGraph: an edge for each parent of each factor, with `factor`, `process` ("generative" or
        "inference"), `implicit` and `adversarial`."""
        from schematic.graph.view import to_networkx

        return to_networkx(self.drawn)

    def __str__(self) -> str:
        """The model as text of the language, moves made."""
        from schematic.graph.text import model_text

        return model_text(self.drawn)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """The drawing and the objectives; the drawing alone where the model has no objectives."""
        from schematic.render.notebook import bundle

        try:
            return bundle(self.drawn, [o.derived for o in objectives(self)])
        except SchematicError:
            return bundle(self.drawn)


def load(path: str | Path, model: str | None = None, *, restate: str | None = None) -> Model:
    """The model of a file: the last that it declares, or `model`; `restate` as the command line's --with.

    Raises: SchematicError with everything that is wrong in the file.
    """
    from schematic.graph.build import load as build

    report = Report()
    return _checked(build(Path(path), report, model=model, restate=restate), report)


def parse(text: str, model: str | None = None) -> Model:
    """The model of a text. Raises: SchematicError with everything that is wrong in it."""
    from schematic.graph.build import parse as build

    report = Report()
    return _checked(build(text, report, model=model), report)


def _checked(drawn: AnyModel | None, report: Report) -> Model:
    report.check()
    assert drawn is not None, "a report without an error comes with a model"
    return Model(drawn, in_order(report))


# --- the algebra: what the language's moves do, as functions; they raise SchematicError where one does not apply ------


def swap(model: Model, a: str, b: str) -> Model:
    """Exchanges two variables at every arrow end (Figure 3(c), Eq. 35)."""
    return Model(algebra.swap(model.drawn, a, b))


def swap_arrows(model: Model) -> Model:
    """Exchanges the generative and the inference process (Figure 3(b), Eqs. 19, 23)."""
    return Model(algebra.swap_arrows(model.drawn))


def perfect(model: Model, factor: str) -> Model:
    """Makes a discriminator the one that is always right (Lemma 2)."""
    return Model(algebra.perfect(model.drawn, factor))


def activate(model: Model, factor: str = "q_star", net: str | None = None) -> Model:
    """Undoes `perfect`; `q_star` is the one perfect factor, `net` as in the language: "dcgan(64)" (Eq. 23)."""
    if net is None:
        return Model(algebra.activate(model.drawn, factor))
    from schematic.graph.hows import read_how
    from schematic.syntax.parser import parse_net

    report = Report()
    call = parse_net(Source("<net>", net), report)
    how = read_how(call, (), report) if call else None
    report.check()
    return Model(algebra.activate(model.drawn, factor, how))


def without(model: Model, name: str) -> Model:
    """Removes a factor, or a variable that no factor mentions."""
    return Model(algebra.without(model.drawn, name))


def rename(model: Model, a: str, b: str) -> Model:
    """Renames a variable, a group or a factor; b must be new."""
    return Model(algebra.rename(model.drawn, a, b))


def importance(model: Model, k: int | None = None) -> Model:
    """Importance weighting with k draws, the batch if None (Eqs. 22, 44)."""
    return Model(algebra.importance(model.drawn, k))


def wake_sleep(model: Model) -> Model:
    """The wake and sleep phases (Eq. 20)."""
    return Model(algebra.wake_sleep(model.drawn))


# --- what becomes of a model ------------------------------------------------------------------------------------


def objectives(model: Model) -> tuple[Objective, ...]:
    """What each group maximizes, in the order of the updates. Raises: SchematicError where a rule is missing."""
    from schematic.compiler import pipeline

    report = Report()
    pipeline.waits(model.drawn, report, "error")
    report.check()
    found = pipeline.derive(model.drawn, report)
    report.check()
    return tuple(Objective(o) for o in found)


def emit(model: Model) -> str:
    """The program, as Python source that depends on torch and pyro alone. Raises: SchematicError."""
    from schematic.compiler import pipeline

    return pipeline.text(model.drawn, Report(), command="schematic.emit")


def render(model: Model, path: str | Path) -> Path:
    """Draws the model into a file, .svg, .png, .pdf or .dot. Raises: ValueError for another suffix, OSError."""
    from schematic.render.drawing import render as draw

    return draw(model.drawn, path)


def train(
    model: Model,
    *,
    out: str | Path,
    data: str | None = None,
    device: str = "auto",
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    **more: Any,
) -> Outcome:
    """Compiles the model and trains it into the run folder `out`; what is given overrides its `train` block.

    `more` are the other options of the command line by their names, `labels="1%"`, `precision="bf16"`, `shard=True`:
    fields of `schematic.runtime.prepare.Settings`.

    Raises: SchematicError where the model does not compile, RunError where data, device or settings do not fit.
    """
    program = emit(model)
    from schematic.render.drawing import svg
    from schematic.runtime import train as runtime
    from schematic.runtime.prepare import Settings

    settings = Settings(data, device, epochs, steps, batch, seed, **more)
    picture, block = svg(model.drawn), optimizers.settings(model.drawn)
    return runtime.train(program, out=Path(out), spec=str(model), drawing=picture, block=block, settings=settings)


def resume(run: str | Path) -> Outcome:
    """Goes on with a run that was stopped, from its newest checkpoint, by its own settings. Raises: RunError."""
    from schematic.runtime import train as runtime

    return runtime.resume(Path(run))


def report(run: str | Path) -> Path:
    """Writes a run's report.html anew: drawing, objectives, curves, samples, figures, and how to repeat it.

    Raises: RunError where `run` is no run, or cannot be written to.
    """
    from schematic.render.report import report as page
    from schematic.runtime.errors import RunError
    from schematic.runtime.folder import Run, write

    kept = Run(Path(run))
    _ = kept.config
    try:
        write(kept / "report.html", page(kept.path))
    except OSError as e:
        raise RunError(f"{kept / 'report.html'}: {e.strerror or e}", "make room") from e
    return kept / "report.html"

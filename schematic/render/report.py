"""A run's report: one page that needs nothing else, made of what lies in the run's folder."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from schematic.calculus.terms import Objective
from schematic.compiler import pipeline
from schematic.core.diagnostics import Report
from schematic.graph.build import load
from schematic.graph.model import AnyModel
from schematic.render.derivation import vectors
from schematic.render.page import Glyphs, objective_html, page, sections

PICTURES = {
    "samples": "Samples",
    "reconstructions": "Records, each above what inference and generation bring back of it",
    "predictions": "Records in a column for each class that they are taken for",
    "traversal": "What changes along each direction of the code",
    "interpolation": "Between two codes",
}
EARLIER = 4  # grids of samples of earlier steps that are shown


def report(run: Path) -> str:
    """The page: drawing, objectives, curves, samples, figures, and how to repeat the run. Raises: OSError."""
    config = json.loads((run / "config.json").read_text())
    glyphs = Glyphs()
    body = [
        f"<h1>{escape(str(config['model']))}</h1>",
        f'<p class="reason">{escape(_summary(config))}</p>',
        *_drawing(run),
        *_objectives(run, glyphs),
        *_figures(run),
        *_curves(run),
        *_pictures(run),
        *_settings(run, config),
    ]
    return page(f"{config['model']}: a run", [glyphs.symbols, *body])


def _summary(config: Mapping[str, Any]) -> str:
    data = "; ".join(f"{name}: {text}" if name else text for name, text in config["sets"].items())
    steps = f"{config.get('steps_done', 0)} of {config['steps']} steps in {config.get('seconds', 0):.0f} s"
    return f"{config['status']}: {steps} on {config['device']}, {config['batch']} records a step. {data}"


def _model(run: Path) -> tuple[AnyModel, tuple[Objective, ...]] | None:
    """The run's model with its objectives; None where the run has none."""
    if not (run / "model.sg").exists():
        return None
    report = Report()
    model = load(run / "model.sg", report)
    found = pipeline.derive(model, report) if model and not report.failed else None
    return None if model is None or found is None or report.failed else (model, tuple(found))


def _drawing(run: Path) -> Iterator[str]:
    if (run / "drawing.svg").exists():
        yield _image(run / "drawing.svg", "The model, drawn")


def _objectives(run: Path, glyphs: Glyphs) -> Iterator[str]:
    known = _model(run)
    if known is None:
        return
    model, objectives = known
    bold = vectors(model)
    yield "<h2>Objectives</h2>"
    yield from (f'<div class="result">{objective_html(glyphs, o, bold)}</div>' for o in objectives)
    steps = "".join(sections(model, objectives, glyphs))
    yield f"<details><summary>How they are derived, and what is updated when</summary>{steps}</details>"


def _figures(run: Path) -> Iterator[str]:
    if not (run / "figures.json").exists():
        return
    yield "<h2>Figures</h2>"
    rows = [
        (f["name"], _number(f["value"], f.get("sd")), _number(f["before"]), f["unit"])
        for f in json.loads((run / "figures.json").read_text())
    ]
    yield _table(("figure", "value", "at step 0", "unit"), rows)


def _number(value: float | None, sd: float | None = None) -> str:
    return "" if value is None else f"{value:.4g}" + ("" if sd is None else f" ± {sd:.2g}")


def _pictures(run: Path) -> Iterator[str]:
    for start, title in PICTURES.items():
        for path in sorted(run.glob(f"{start}*.png")):
            if path.stem in (start, "samples") or path.stem.startswith(f"{start}-"):
                named = path.stem.removeprefix(start).lstrip("-")
                heading = f"{title}: {named}" if named else title
                yield f"<h2>{escape(heading)}</h2>{_image(path, heading)}"
    before = sorted((run / "samples").glob("*.png"))
    plain = [p for p in before if p.stem.isdigit()][:-1]
    chosen = plain[:: max(1, len(plain) // EARLIER)][:EARLIER]
    if chosen:
        yield '<h2>Samples as training went on, from the same noise</h2><div class="row">'
        yield from (_image(p, f"step {int(p.stem)}", caption=True) for p in chosen)
        yield "</div>"


def _curves(run: Path) -> Iterator[str]:
    if (run / "curves.svg").exists():
        yield f"<h2>Objectives over time</h2>{_image(run / 'curves.svg', 'Objectives over time')}"


def _settings(run: Path, config: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Settings, and how to repeat the run</h2>"
    plain = {**config["versions"], "data": config["data"], "seed": config["seed"]}
    rows = [(name, str(value)) for name, value in plain.items()]
    rows += [(group, _optimizer(rule)) for group, rule in config["optimizers"].items()]
    yield _table(("setting", "value"), rows)
    yield f"<pre>{escape(command(run, config))}</pre>"
    if (run / "model.sg").exists():
        yield f"<details><summary>model.sg</summary><pre>{escape((run / 'model.sg').read_text())}</pre></details>"
    yield f"<p>The program that was trained is program.py, SHA-256 {config['program_sha256']}.</p>"


def _optimizer(rule: Mapping[str, Any]) -> str:
    numbers = [f"{n:g}" for n in (rule["rate"], *(rule["betas"] if rule["name"] == "adam" else ()))]
    named = [f"{k}: {v}" for k, v in rule.items() if k not in ("name", "rate", "betas") and v not in (None, 0)]
    return f"{rule['name']}({', '.join((*numbers, *named))})"


def command(run: Path, config: Mapping[str, Any]) -> str:
    """The command line that trains the run's model again with its settings."""
    data = config["data"]
    source = data if isinstance(data, str) else ",".join(f"{n}={s}" if n else str(s) for n, s in data)
    words = ["schematic", "train", str(run / "model.sg"), "--data", source, "--device", config["device"]]
    for name in ("steps", "batch", "seed"):
        words += [f"--{name}", str(config[name])]
    for name, plain in (("labels", ""), ("binarize", ""), ("precision", "32")):
        words += [f"--{name}", str(config[name])] if config[name] != plain else []
    words += [f"--{name}" for name in ("compile", "shard") if config[name]]
    start = f"torchrun --nproc-per-node {config['processes']} -m " if config["processes"] > 1 else ""
    return start + shlex.join([*words, "--out", f"{run}-again"])


def _image(path: Path, alt: str, *, caption: bool = False) -> str:
    kind = "image/svg+xml" if path.suffix == ".svg" else "image/png"
    data = base64.b64encode(path.read_bytes()).decode()
    below = f"<figcaption>{escape(alt)}</figcaption>" if caption else ""
    return f'<figure><img src="data:{kind};base64,{data}" alt="{escape(alt)}">{below}</figure>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

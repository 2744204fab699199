"""A derivation as one self-contained page: the drawing, formulas as outlines and as MathML, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from xml.etree import ElementTree

from schematic.calculus.latex import density_latex, latex_lines, name_latex
from schematic.calculus.terms import Objective, Step, Term
from schematic.core.names import greek
from schematic.graph.model import AnyModel
from schematic.render.derivation import loss_latex, optimizer_text, steps, stopped_role, vectors
from schematic.render.drawing import svg
from schematic.render.updates import UpdateRow, logs, updates

SIZE = 18.0

STYLE = """
:root { color-scheme: light dark; --ink: #111; --page: #fff; --soft: #5a6270; --line: #d5d9e0; --card: #f6f7f9 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --page: #16181d; --soft: #9aa3b2; --line: #343a46; --card: #1d2027 }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-weight: 600; line-height: 1.2 } h2 { margin-top: 2.5rem }
figure { margin: 1rem 0; overflow-x: auto } figure > svg { max-width: 100%; height: auto }
.formula { display: flex; align-items: center; overflow-x: auto; margin: .35rem 0 }
.inline { display: inline-block; vertical-align: middle }
.formula svg, .inline svg { fill: currentColor; display: block }
.formula svg { flex: none }
.next > .formula { padding-left: 1.5rem } .next > .formula:first-of-type { padding-left: 0 }
.next > .formula:first-of-type::before { content: "="; flex: none; width: 1.5rem }
.next { border-left: 2px solid var(--line); padding-left: 1rem; margin: 1rem 0 }
.reason { color: var(--soft); font-size: .9rem } .reason b { color: var(--ink); font-weight: 600 }
.result { background: var(--card); padding: .5rem 1rem; border-radius: .5rem } .result + .result { margin-top: .5rem }
figure img { max-width: 100%; height: auto } figcaption { color: var(--soft); font-size: .8rem }
.row { display: flex; flex-wrap: wrap; gap: 1rem } .row figure { margin: 0; width: calc(25% - .75rem) }
pre { background: var(--card); padding: .75rem 1rem; border-radius: .5rem; overflow-x: auto; white-space: pre-wrap }
ul { margin: .25rem 0; font-size: .9rem } table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-top: 1px solid var(--line) }
.mathml { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
""".strip()


class Glyphs:
    """The glyphs that a page has drawn so far, each once; formulas refer to them."""

    def __init__(self) -> None:
        self._symbols: dict[str, str] = {}

    def formula(self, tex: str, *, inline: bool = False) -> str:
        """A formula as SVG, hidden from screen readers, which get the same as MathML."""
        from latex2mathml.converter import convert
        from ziamath.config import config
        from ziamath.zmath import Latex

        before, config.svg2 = config.svg2, True
        try:
            drawn = Latex(tex, size=SIZE).svgxml()
        finally:
            config.svg2 = before
        for symbol in drawn.findall("symbol"):
            drawn.remove(symbol)
            self._symbols.setdefault(symbol.get("id", ""), ElementTree.tostring(symbol, encoding="unicode"))
        drawn.set("aria-hidden", "true")
        picture = ElementTree.tostring(drawn, encoding="unicode")
        twin = convert(tex, display="inline" if inline else "block")
        return f'<span class="{"inline" if inline else "formula"}">{picture}<span class="mathml">{twin}</span></span>'

    @property
    def symbols(self) -> str:
        """The glyphs, invisible themselves."""
        found = "".join(text for _, text in sorted(self._symbols.items()))
        size = 'width="0" height="0" style="position:absolute" aria-hidden="true"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{found}</svg>'


def derivation_html(model: AnyModel, objectives: Sequence[Objective]) -> str:
    """The whole derivation as one page that needs nothing else."""
    glyphs = Glyphs()
    body = [f"<h1>{escape(model.name)}</h1>", f"<figure>{svg(model)}</figure>", *sections(model, objectives, glyphs)]
    return page(f"{model.name}: objectives", [glyphs.symbols, *body])


def sections(model: AnyModel, objectives: Sequence[Objective], glyphs: Glyphs) -> list[str]:
    """Each objective with its steps, what the model assumes, and the table of updates."""
    body, bold = list[str](), vectors(model)
    for number, objective in enumerate(objectives, 1):
        body += _objective(glyphs, number, objective, bold)
    if found := logs(model):
        body += ["<h2>The model assumes</h2>", _list(t + (f" ({s})" if s else "") for t, s in found)]
    table = _table(glyphs, updates(model, objectives), bold)
    return [*body, "<h2>Updates, in the order of a training step</h2>", table]


def page(title: str, body: Iterable[str]) -> str:
    """An HTML page in the one style."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    start = ["<!doctype html>", f'<html lang="en"><head>{head}<style>', STYLE, "</style></head><body>"]
    return "\n".join([*start, *body, "</body></html>", ""])


def objective_html(glyphs: Glyphs, objective: Objective, bold: frozenset[str]) -> str:
    """What the groups maximize, unfolded, without the steps that lead to it."""
    groups = objective.groups
    loss = glyphs.formula(rf"\max_{{{','.join(map(name_latex, groups))}}} {loss_latex(groups)} =")
    return loss + _term(glyphs, objective.term, bold)


def _objective(glyphs: Glyphs, number: int, objective: Objective, bold: frozenset[str]) -> list[str]:
    names = ", ".join(map(greek, objective.groups))
    loss = glyphs.formula(rf"\max_{{{','.join(map(name_latex, objective.groups))}}} {loss_latex(objective.groups)} =")
    out = [f"<h2>{number}. {escape(names)}</h2>", loss, _term(glyphs, objective.derivation.start, bold)]
    out += [
        line for step in steps(objective) for line in _step(glyphs, step, bold, step is objective.derivation.steps[-1])
    ]
    return out + ([_list(objective.assumptions, "assumes: ")] if objective.assumptions else [])


def _step(glyphs: Glyphs, step: Step, bold: frozenset[str], last: bool) -> list[str]:
    source = f" [{escape(step.equation)}]" if step.equation else ""
    notes = [f"assumes: {escape(a)}" for a in step.assumptions]
    notes += [f"drops: {_term(glyphs, term, bold, inline=True)}" for term in step.dropped]
    return [
        f'<div class="next{" result" if last else ""}">',
        f'<div class="reason"><b>{escape(step.rule)}</b>: {escape(step.reason)}{source}</div>',
        *([f"<ul>{''.join(f'<li>{n}</li>' for n in notes)}</ul>"] if notes else []),
        _term(glyphs, step.after, bold),
        "</div>",
    ]


def _term(glyphs: Glyphs, term: Term, bold: frozenset[str], *, inline: bool = False) -> str:
    return "".join(glyphs.formula(line, inline=inline) for line in latex_lines(term, 125, bold))


def _list(sentences: Iterable[str], lead: str = "") -> str:
    return f"<ul>{''.join(f'<li>{escape(lead + s)}</li>' for s in sentences)}</ul>"


def _table(glyphs: Glyphs, rows: Sequence[UpdateRow], bold: frozenset[str]) -> str:
    heads = ("group", "trains", "maximizes", "optimizer", "passes no gradient", "fixed")
    out = [f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>"]
    for row in rows:
        cells = (
            glyphs.formula(",".join(map(name_latex, row.objective.groups)), inline=True),
            "<br>".join(glyphs.formula(m.tex, inline=True) for m in row.moved),
            glyphs.formula(loss_latex(row.objective.groups), inline=True),
            escape(optimizer_text(row)),
            "<br>".join(stopped_role(d) + glyphs.formula(density_latex(d, bold), inline=True) for d in row.stopped),
            "<br>".join(f"{glyphs.formula(h.label.tex, inline=True)} {escape(h.reason)}" for h in row.held),
        )
        out.append("<tr>" + "".join(f"<td>{c or '-'}</td>" for c in cells) + "</tr>")
    return "\n".join([*out, "</tbody></table>"])

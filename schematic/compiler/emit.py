"""Plan -> Python: one file that reads from top to bottom and needs torch and pyro alone (design.md, "The emitted
program"). Every name of a spec is checked, every string quoted; the same plan gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schematic.compiler import emit_classes, emit_draw, emit_nets, emit_priors, emit_sample, emit_terms, pyro
from schematic.compiler.emit_text import TAKEN, checked, comment, indent, noted, quoted, tupled, unique
from schematic.compiler.program import Plan
from schematic.nets import source as nets


@dataclass(frozen=True)
class Header:
    """Where a program comes from."""

    path: str
    digest: str
    version: str
    command: str


def emit(plan: Plan, header: Header) -> str:
    """The program's text."""
    classes = emit_nets.names(plan)
    built = emit_nets.construct(plan, classes)
    factors = [emit_nets.factor_class(plan, k, classes[k.factor.name]) for k in plan.conditionals]
    draw, terms = emit_draw.draw(plan), emit_terms.terms(plan)
    opinion, sampling = pyro.methods(plan), emit_sample.methods(plan)
    code = "\n".join("\n".join(lines) for lines in (*factors, draw, terms, opinion, sampling, built.lines))
    priors = emit_priors.prior_functions(plan)
    helpers = _helpers(code + "\n".join("\n".join(p) for p in priors), built.freezes)
    taken = _taken(classes, built.classes, [*helpers, *priors])
    name = checked(unique(plan.model.name, {*taken, *built.outside.values()}))
    model = _model(plan, name, built.lines, draw, terms, [opinion, sampling])
    blocks = [*([nets.source(built.classes).rstrip().split("\n")] if built.classes else []), emit_classes.BASE]
    blocks += [*helpers, *priors, *factors, model]
    text = "\n\n\n".join("\n".join(b) for b in blocks)
    gap = ["", ""] if text.startswith(("class ", "def ")) else [""]
    imports = (*_imports(text, built.classes), *_outside(built.outside))
    return "\n".join((*_header(plan, header), "", *imports, *gap, text, ""))


def dictionary(pairs: Mapping[str, str]) -> str:
    """{"x": "image"} as code."""
    return f"{{{', '.join(f'{quoted(a)}: {quoted(b)}' for a, b in pairs.items())}}}"


def _header(plan: Plan, header: Header) -> list[str]:
    lines = (
        f"{plan.model.name}, compiled by schematic {header.version} from {header.path}",
        f"spec     {header.digest}",
        f"command  {header.command}",
    )
    return [comment(line) for line in lines]


def _imports(text: str, classes: list[str]) -> list[str]:
    """The standard library first, then pyro and torch, as far as the text uses them."""
    wanted = {"import torch", "from torch import Tensor, nn", *nets.imports(classes)}
    wanted |= {"import pyro.distributions as dist"} if "dist." in text else set()
    wanted |= {"import torch.nn.functional as F"} if "F." in text else set()
    wanted |= {"import math"} if "math." in text else set()
    wanted |= {"import pyro"} if "pyro.sample(" in text else set()
    wanted |= {"from pyro import poutine"} if "poutine." in text else set()
    wanted |= {"from torch.distributions import kl_divergence"} if "kl_divergence(" in text else set()
    merged: dict[str, set[str]] = {}
    for line in wanted:
        origin, _, names = line.partition(" import ") if line.startswith("from") else (line, "", "")
        merged.setdefault(origin, set()).update(names.split(", ") if names else ())
    lines = [f"{o} import {', '.join(sorted(n))}" if n else o for o, n in merged.items()]
    lines.sort(key=lambda line: (line.startswith("from"), line))
    standard = [line for line in lines if line.split()[1].partition(".")[0] not in ("torch", "pyro")]
    return [*standard, *([""] if standard else []), *(line for line in lines if line not in standard)]


def _outside(names: dict[str, str]) -> list[str]:
    """The imports of what `python(...)` names, "module:Name" each."""
    found = []
    for origin, alias in names.items():
        module, _, name = origin.partition(":")
        path = ".".join(checked(part) for part in module.split("."))
        found.append(f"from {path} import {checked(name)} as {alias}")
    return ["", *sorted(found)] if found else []


def _helpers(code: str, freezes: bool) -> list[list[str]]:
    """The functions and classes that the program uses, those they use included."""
    found: list[list[str]] = []
    if "OneHot(" in code:
        found.append(emit_classes.ONE_HOT)
    if freezes or "frozen(" in code:
        found.append(emit_classes.FROZEN)
    if freezes:
        found.append(emit_classes.FROZEN_NET)
    found += [lines for name, lines in emit_draw.HELPERS.items() if f"{name}(" in code]
    found += [emit_terms.SCORE] if "score(" in code else []
    found += [emit_terms.SLOPE] if "slope(" in code else []
    found += [emit_classes.FLOW] if "Flow(" in code else []
    found += [emit_classes.PYTHON] if "Python(python_" in code or "PythonBody(python_" in code else []
    found += [emit_classes.PYTHON_BODY] if "PythonBody(python_" in code else []
    found += [emit_classes.EACH] if "each(self.net" in code else []
    found += [emit_terms.LOG_REVERSE] if "log_reverse(" in code else []
    found += [emit_terms.LOG_MEAN] if "log_mean(" in code else []
    found += [emit_terms.NORMALIZED] if "normalized(" in code else []
    return found


def _taken(classes: dict[str, str], built: list[str], helpers: list[list[str]]) -> set[str]:
    """Every name at the top of the file, and those that the model's methods read there."""
    opened = (line for lines in helpers for line in lines if line.startswith(("class ", "def ")))
    tops = {line.split("(")[0].split()[-1].rstrip(":") for line in opened}
    imported = {n for line in nets.imports(built) for n in line.partition("import ")[2].split(", ")}
    return {"Conditional", *classes.values(), *nets.needed(built), *imported, *tops, *TAKEN}


def _model(
    plan: Plan, name: str, built: list[str], draw: list[str], terms: list[str], more: list[list[str]]
) -> list[str]:
    groups = ", ".join(f"{quoted(g)}: {tupled(map(quoted, fs))}" for g, fs in plan.groups)
    fields = ", ".join(f"{quoted(f)}: {v.type.event_shape!r}" for f, v in plan.fields)
    types = {f: v.type.kind for f, v in plan.fields}
    updates = tupled(tupled(map(quoted, gs)) for gs, _ in plan.steps)
    redraw = tupled(str(fresh) for _, fresh in plan.steps)
    judges = dict.fromkeys(k.factor.group for k in plan.conditionals if k.factor.adversarial)
    adversarial = tupled(quoted(g) for g in judges if g in dict(plan.groups))
    conditions = tupled(quoted(v.name) for v in emit_sample.generation(plan).given)
    shared = tupled(str(any(u.made for u in plan.updates if gs[0] in u.groups)) for gs, _ in plan.steps)
    made, passed = (", made: dict | None = None", ", made") if "True" in shared else ("", "")
    lines = [
        f"class {name}(nn.Module):",
        f'    """{plan.model.name}: {", ".join(f"`{k.factor.name}`" for k in plan.conditionals)}."""',
        "",
        *indent(noted(f"GROUPS = {{{groups}}}", "the factors that each group trains")),
        *indent(noted(f"FIELDS = {{{fields}}}", "the data fields, with their event shapes")),
        *indent(noted(f"UPDATES = {updates}", "the order of one step")),
        *indent(noted(f"REDRAW = {redraw}", "whether an update needs a fresh draw")),
        *indent(noted(f"SHARED = {shared}", "whether an update scores what its draw has made") if made else []),
        *indent(noted(f"ADVERSARIAL = {adversarial}", "the groups that judge")),
        *indent(noted(f"TYPES = {dictionary(types)}", "the type of each field")),
        *indent(noted(f"PARTIAL = {tupled(map(quoted, plan.partial))}", "the fields that some records lack")
                if plan.partial else []),
        *indent(noted(f"DATA = {dictionary(dict(plan.data))}", "the field of each variable, at y=0 if it has several")),
        *indent(noted(f"CONDITIONS = {conditions}", "the variables that sample must be given")),
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *indent(built, 2),
        "",
        "    def parameters_of(self, group: str):",
        '        """The parameters that a group moves."""',
        '        factors = (getattr(self, name.replace(".", "_")) for name in self.GROUPS[group])',
        "        return nn.ModuleList(factors).parameters()",
        "",
        *indent(draw),
        "",
        *indent(terms),
        "",
        f"    def objective(self, draw: dict, group: str{made}) -> Tensor:",
        '        """What the group maximizes: a scalar, the mean over the batch, in nats."""',
        f"        return sum(self.terms(draw, group{passed}).values())",
    ]
    return [*lines, *(line for method in more if method for line in ("", *indent(method)))]


"""The process in which the user's code runs: `python -m schematic.audit.worker QUESTION ANSWER`.

It reads a question, runs their losses beside the model's program, and writes an answer, both JSON. Whatever their code
prints goes where the caller sends it; whatever it raises becomes words.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from schematic.audit import adapter as adapters
from schematic.audit import discover, lightning, standins
from schematic.audit.adapter import Adapter, Wrong
from schematic.audit.atoms import Draw, Key, Program, Value, all_atoms, load, own
from schematic.audit.factors import OUTPUTS, SPREADS, Misfit, Read, Wrapped, fits, reading, split
from schematic.audit.judging import Trial
from schematic.audit.parameters import Parameters, modules_of
from schematic.audit.randomness import Asked, Drawn, Replay, Share, shares
from schematic.audit.running import Call, Moved, Records, Theirs, records
from schematic.audit.script import Script
from schematic.audit.stage import Stage, Step, on, set_up
from schematic.audit.verdicts import findings

Data = dict[str, Any]

IMPORTED = 'keep what trains and exits out of the import: `if __name__ == "__main__":`'
OPEN = {"output", "extra", "parts", "detached"}  # what another reading of a net may explain better
SHAKES = 8  # random weights under which a net's output is looked at
GAINS = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35)  # of random weights, the first that does
WIDEST = "mean, logstd"  # the reading that spreads draws most
LARGE = 14.0  # logits beyond which a probability has too few digits
SIZES = (5, 5, 7)  # the batches of the trials: two alike, one that tells sums over the batch from means


def main(question: Path, answer: Path) -> None:
    """Answers one question. Never raises: what goes wrong is the answer."""
    asked = json.loads(question.read_text())
    try:
        found = initial(asked) if asked["task"] == "init" else audit(asked)
    except Wrong as e:
        found = {"error": e.message, "help": e.help}
    except Misfit as e:
        found = {"error": str(e), "help": ""}
    except SystemExit as e:
        found = {"error": f"your code ended with exit({e.code}) before there was a verdict", "help": IMPORTED}
    except Exception as e:
        found = raised(e, Path(asked["losses"]).parent)
    answer.write_text(json.dumps(found))


def raised(e: BaseException, folder: Path) -> Data:
    """What the user's code raised, and where; an error of ours is passed on as one."""
    frames = traceback.extract_tb(e.__traceback__)
    theirs = [f for f in frames if Path(f.filename).parent == folder or folder in Path(f.filename).parents]
    text = f"{type(e).__name__}: {e}"
    if theirs:
        return {"error": f"your code stopped with {text}", "line": [theirs[-1].filename, theirs[-1].lineno], "help": ""}
    if isinstance(e, SyntaxError) and e.filename and e.lineno:
        return {"error": f"your code stopped with {text}", "line": [e.filename, e.lineno], "help": ""}
    return {"internal": text, "traceback": "".join(traceback.format_exception(e))}


def staged(asked: Data) -> tuple[Stage, Script]:
    """The stage, and the user's file, run on it."""
    losses = Path(asked["losses"])
    own_files = {asked["adapter"]} if asked.get("adapter") else set()
    folder = str(losses.parent)
    stage = Stage(lambda name: name.startswith(folder) and name not in own_files - {str(losses)})
    set_up(stage)
    sys.argv = [str(losses)]  # a script's own options take their defaults
    lightning.install()
    standins.install()
    torch.manual_seed(asked["seed"])
    return stage, Script(losses, stage)


def audit(asked: Data) -> Data:
    """The findings for every update of the model."""
    stage, script = staged(asked)
    with on(stage):
        said = adapters.load(Path(asked["adapter"])) if asked.get("adapter") else script.module
    return judged(asked, adapters.read(vars(said), asked), stage, script)


def judged(asked: Data, adapter: Adapter, stage: Stage, script: Script, deep: bool = True) -> Data:
    """The findings under an adapter."""
    with on(stage):
        step = script.step if adapter.step is script.module else lightning.step_of(adapter.step)
    theirs, programs = prepared(asked, adapter, step, stage)
    sizes = sizes_of(asked) if adapter.batch is None else (adapter.batch,) * 2
    runs = [run(theirs, programs[0], asked, n, asked["seed"] * 1000 + i) for i, n in enumerate(sizes)]
    return best(asked, adapter, theirs, programs, runs, deep)


def initial(asked: Data) -> Data:
    """An adapter for the user's file, as far as running it tells."""
    stage, script = staged(asked)
    module = script.module
    with on(stage):
        found = discover.objects(module)
    for f in found:
        f.value.double().train()
    given = records(asked, sizes_of(asked)[0], asked["seed"])
    with on(stage):
        nets = {a: discover.fitting(asked, a, found, given) for a in asked["factors"]}
    losses, steps = discover.functions(asked, module, Adapter({}), given, stage)
    if script.loops and not steps:
        steps = [discover.Found("mine", module)]
    options = discover.choices(asked, nets, losses, steps)

    def weigh(c: discover.Choice) -> int:
        factors = {a: f.value for a, f in c.factors.items()}
        held = {tuple(k.split(", ")): f.value for k, f in c.losses.items()}
        return weight(
            judged(asked, Adapter(factors, losses=held, step=c.step.value if c.step else None), stage, script, False)
        )

    whole = [o for o in options if len(o.factors) == len(asked["factors"]) and (o.losses or o.step)]
    choice, open_ = discover.chosen(asked, whole, weigh) if whole else (options[0], False)
    return {"adapter": discover.written(asked, Path(asked["losses"]).stem, choice, open_, nets)}


def sizes_of(asked: Data) -> tuple[int, ...]:
    """The batches of the trials; even where some records are observed and others are not, half of each."""
    masked = any(v["kind"] == "mask" for v in asked["variables"].values())
    return tuple(n + 1 for n in SIZES) if masked else SIZES


def best(asked: Data, adapter: Adapter, theirs: Theirs, programs: Sequence[Program], runs: Sequence[Run],
         deep: bool) -> Data:  # fmt: skip
    """The findings under the reading of the nets' outputs that leaves the least to say; what is equal settles it."""
    open_ = [w for a, w in programs[0].factors.items() if a not in adapter.outputs and w.read.output in SPREADS]
    found: list[tuple[int, Data]] = []
    for outputs in product(SPREADS, repeat=len(open_)):
        for w, output in zip(open_, outputs, strict=True):
            w.read = Read(output)
        answer = findings(asked, theirs, [trial(theirs, programs, r) for r in runs], deep)
        read = {w.facts["name"]: w.read.output for w in programs[0].factors.values()}
        found.append((weight(answer), {**answer, "read": read}))
        if not any({d["kind"] for d in f["differences"]} & {*OPEN, "unexplained"} for f in answer["findings"]):
            break
    return min(found, key=lambda f: f[0])[1]


def weight(answer: Data) -> int:
    """How much there is to say against their code."""
    said = [d["kind"] for f in answer["findings"] for d in f["differences"]]
    return sum(3 if kind in OPEN else 10 if kind == "unexplained" else 1 for kind in said)


def prepared(asked: Data, adapter: Adapter, step: Any, stage: Stage) -> tuple[Theirs, list[Program]]:
    """Their nets as the program's factors, and their losses."""
    owners: dict[int, nn.Module] = {}
    for call in (*adapter.factors.values(), *adapter.losses.values(), step):
        owners.update((id(m), m) for m in modules_of(call))
    for m in owners.values():
        m.double().train()
    parameters = Parameters.of(named(list(owners.values())))
    given = records(asked, adapter.batch or sizes_of(asked)[0], asked["seed"])
    wrapped = {a: wrap(asked, adapter, a, given, list(owners.values()), parameters, stage) for a in adapter.factors}
    programs = [load(asked["program"], wrapped, asked["updates"])]
    programs += [load(v["program"], wrapped, v["updates"], v["restates"]) for v in asked["variants"]]
    parents = {a: [given.values[p] for p in w.facts["parents"]] for a, w in wrapped.items()}
    reach = {a: parameters.reached(partial(w, *parents[a])) for a, w in wrapped.items()}
    groups = ours(asked, reach)
    theirs = Theirs(asked, adapter, stage, parameters, groups)
    losses = {n: Call(call, "the loss of " + ", ".join(n), stage, theirs.clean) for n, call in adapter.losses.items()}
    return replace(theirs, losses=losses, step=Call(step, "STEP", stage, theirs.clean) if step else None), programs


def named(owners: Sequence[nn.Module]) -> list[tuple[str, torch.Tensor]]:
    """Every parameter once, by a name that tells its module's class."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for m in sorted(owners, key=lambda m: -sum(1 for _ in m.parameters())):
        for name, p in m.named_parameters():
            found.setdefault(id(p), (f"{type(m).__name__}.{name}", p))
    return list(found.values())


def ours(asked: Data, reach: dict[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    """The parameters of each group that moves: what its factors reach and no other group's do."""
    moving = dict.fromkeys(g for u in asked["updates"] for g in u["groups"])
    none = frozenset[int]()
    all_ = {g: none.union(*(reach[a] for a, f in asked["factors"].items() if f["group"] == g)) for g in moving}
    return {g: mine - none.union(*(other for h, other in all_.items() if h != g)) for g, mine in all_.items()}


def wrap(asked: Data, adapter: Adapter, name: str, given: Records, owners: Sequence[nn.Module], parameters: Parameters,
         stage: Stage) -> Wrapped:  # fmt: skip
    """A net as a factor: the form of its inputs and the reading of its output as said, or as found by running it."""
    facts, variables = asked["factors"][name], asked["variables"]
    net = adapter.factors[name]
    with torch.no_grad(), on(stage):
        ways = fits(facts, variables, net, given.values)
        if not ways:
            net(*(given.values[p] for p in facts["parents"]))  # raises what is wrong
        forms, joined, value = ways[0]
        values = [value]
        for seed in range(SHAKES):
            parameters.shake(seed)
            values.append(fits(facts, variables, net, given.values)[0][2])
    output = adapter.outputs.get(name) or found_output(facts, values)
    return Wrapped(facts, variables, net, forms, joined, Read(output), owners)


def found_output(facts: Data, values: Sequence[Any]) -> str:
    """How a net's output is read, from what it gives: probabilities stay between 0 and 1 whatever the weights."""
    if facts["hollow"]:
        return "mean"
    if facts["domains"] or facts["family"] in ("Bernoulli", "Categorical"):
        found = [v[0] if isinstance(v, tuple | list) else v for v in values]
        bounded = all(bool((v >= 0).all() and (v <= 1).all()) for v in found)
        if facts["family"] == "Categorical":
            bounded = bounded and all(bool((v.sum(-1) - 1).abs().max() < 1e-9) for v in found)
        return "probability" if bounded else "logits"
    try:
        found = split(values[0], tuple(facts["event"]), 2)
    except Misfit:
        return "mean"
    return OUTPUTS["Normal"][0] if len(found) == 2 else "mean"


Way = tuple[Share, dict[str, torch.Tensor] | None]


@dataclass(frozen=True)
class Run:
    """One run of theirs: the weights, the data, what it moved, and the ways to share its draws."""

    size: int
    seed: int
    given: Records
    weights: tuple[torch.Tensor, ...]
    moved: Sequence[Moved | None]
    steps: Sequence[Step]
    asked: Sequence[Asked]
    generated: Sequence[str]
    ways: Sequence[Sequence[Way]]


def run(theirs: Theirs, program: Program, asked: Data, size: int, seed: int) -> Run:
    """One run of theirs at random weights and data."""
    given = records(asked, size, seed)
    for t in theirs.parameters.tensors:
        t.requires_grad_()
    shaken(theirs, program, seed, given)
    weights = tuple(t.detach().clone() for t in theirs.parameters.tensors)
    moved, steps = theirs.run(given, seed)
    with torch.no_grad(), Replay() as replay:
        program.instance.draw(given.batch)
    masks = [v for n, v in given.values.items() if asked["variables"][n]["kind"] == "mask"]
    parts = [p for m in masks for p in (m, ~m)]
    ways = [_ways(asked, given, shares(replay.asked, _pool(m, given), parts), _pool(m, given)) for m in moved]
    return Run(size, seed, given, weights, moved, steps, replay.asked, asked["generated"], ways)


def shaken(theirs: Theirs, program: Program, seed: int, given: Records) -> None:
    """Random weights under which no probability comes so near to 0 or 1 that its logarithm loses digits, however the
    nets are read."""
    spread = [w for w in program.factors.values() if w.read.output in SPREADS]
    for gain in GAINS[seed % 2 :]:
        theirs.parameters.shake(seed, gain)
        with torch.no_grad(), ExitStack() as stack:
            largest = logits(program, given)
            for w in spread:
                stack.enter_context(reading(w, replace(w.read, output=WIDEST)))
            largest = max(largest, logits(program, given)) if spread else largest
        if largest < LARGE:
            return


def logits(program: Program, given: Records) -> float:
    """The largest logit of a probability at the data and at what the program draws."""
    seen = [given.values, *program.instance.draw(given.batch).values()]
    called = [
        w(*(values[p] for p in w.facts["parents"]))
        for w in program.factors.values()
        if w.read.output == "probability"
        for values in seen
        if all(p in values for p in w.facts["parents"])
    ]
    sizes = [getattr(c, "base_dist", c).logits.abs().max().item() for c in called if not isinstance(c, torch.Tensor)]
    return max(sizes, default=0.0)


def trial(theirs: Theirs, programs: Sequence[Program], r: Run) -> Trial:
    """A run beside the program at the same weights, data and draws, as the nets are read now."""

    def draw(update: int, way: int, still: bool = False) -> Draw:
        with torch.no_grad():
            for t, w in zip(theirs.parameters.tensors, r.weights, strict=True):
                if not torch.equal(t, w):  # their code may have written into it
                    t.copy_(w)
                t.requires_grad_()
        torch.manual_seed(r.seed)
        shared, made = r.ways[update][min(way, len(r.ways[update]) - 1)]
        if still:
            shared = tuple(
                torch.zeros(a.shape) if a.kind == "normal" else s for a, s in zip(r.asked, shared, strict=True)
            )
        with Replay(shared):
            found: Draw = programs[0].instance.draw(r.given.batch)
        if made is not None:
            with Replay(shared):
                found |= {b: v for b, v in programs[0].instance.draw(r.given.batch | made).items() if b in r.generated}
        return found

    @cache
    def own_(update: int, way: int) -> dict[Key, Value]:
        return own(programs[0], draw(update, way), theirs.parameters)

    @cache
    def atoms_(update: int, way: int) -> dict[Key, Value]:
        still = draw(update, way, True)
        held = [replace(p, still=still) for p in programs]
        return all_atoms(held, draw(update, way), theirs.parameters)

    return Trial(r.size, r.moved, max(map(len, r.ways)), own_, atoms_, r.steps)


def _ways(asked: Data, given: Records, found: Sequence[Share], pool: Sequence[Drawn]) -> list[Way]:
    """The ways to share draws; with them, what the user drew in place of classes of the data, for what is generated."""
    made: list[dict[str, torch.Tensor] | None] = [None]
    for field, name in asked["fields"].items():
        v = asked["variables"][name]
        for d in pool if v["kind"] == "category" and asked["generated"] else ():
            whole = d.kind == "class" and d.value.numel() * v["event"][-1] == given.batch[field].numel()
            if whole and int(d.value.max()) < v["event"][-1]:
                classes = torch.nn.functional.one_hot(d.value.long(), v["event"][-1])
                made.append({field: classes.reshape(given.batch[field].shape).double()})
    return [(share, m) for m in made for share in found]


def _pool(moved: Moved | None, given: Records) -> list[Drawn]:
    """The draws of an update's run, the user's before those that were handed to it."""
    if moved is None:
        return given.drawn
    handed = {id(d) for d in given.drawn}
    return [d for d in moved.pool if id(d) not in handed] + given.drawn


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

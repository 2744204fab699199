"""The process in which the user's code runs: `python -m schematic.audit.worker QUESTION ANSWER`.

It reads a question, runs their losses beside the model's program, and writes an answer, both JSON. Whatever their code
prints goes where the caller sends it; whatever it raises becomes words.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from schematic.audit import adapter as adapters
from schematic.audit.adapter import Adapter, Wrong
from schematic.audit.atoms import Draw, Key, Program, Value, all_atoms, load, own
from schematic.audit.factors import OUTPUTS, Misfit, Read, Wrapped, fits, split
from schematic.audit.judging import Trial
from schematic.audit.lightning import step_of
from schematic.audit.parameters import Parameters, modules_of
from schematic.audit.randomness import Drawn, Replay, shares
from schematic.audit.running import Call, Moved, Records, Theirs, records
from schematic.audit.stage import Stage, on, set_up
from schematic.audit.verdicts import findings

Data = dict[str, Any]

SIZES = (5, 5, 7)  # the batches of the trials: two alike, one that tells sums over the batch from means


def main(question: Path, answer: Path) -> None:
    """Answers one question. Never raises: what goes wrong is the answer."""
    asked = json.loads(question.read_text())
    try:
        found = audit(asked)
    except Wrong as e:
        found = {"error": e.message, "help": e.help}
    except Misfit as e:
        found = {"error": str(e), "help": ""}
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
    return {"internal": text, "traceback": "".join(traceback.format_exception(e))}


def audit(asked: Data) -> Data:
    """The findings for every update of the model."""
    losses = Path(asked["losses"])
    folder = str(losses.parent)
    own_files = {str(Path(asked["adapter"]))} if asked.get("adapter") else set()
    stage = Stage(lambda name: name.startswith(folder) and name not in own_files - {str(losses)})
    set_up(stage)
    torch.manual_seed(asked["seed"])
    with on(stage):
        module = adapters.load(losses)
        said = adapters.load(Path(asked["adapter"])) if asked.get("adapter") else module
        adapter = adapters.read(vars(said), asked)
        step = step_of(adapter.step)
    theirs, programs = prepared(asked, adapter, step, stage)
    sizes = SIZES if adapter.batch is None else (adapter.batch,) * 2
    trials = [trial(theirs, programs, asked, n, asked["seed"] * 1000 + i) for i, n in enumerate(sizes)]
    return findings(asked, theirs, trials)


def prepared(asked: Data, adapter: Adapter, step: Any, stage: Stage) -> tuple[Theirs, list[Program]]:
    """Their nets as the program's factors, and their losses."""
    owners: dict[int, nn.Module] = {}
    for call in (*adapter.factors.values(), *adapter.losses.values(), step):
        owners.update((id(m), m) for m in modules_of(call))
    for m in owners.values():
        m.double().train()
    parameters = Parameters.of(named(list(owners.values())))
    given = records(asked, SIZES[0] if adapter.batch is None else adapter.batch, asked["seed"])
    wrapped = {a: wrap(asked, adapter, a, given, list(owners.values()), stage) for a in adapter.factors}
    programs = [load(asked["program"], wrapped, asked["updates"])]
    programs += [load(v["program"], wrapped, v["updates"], v["restates"]) for v in asked["variants"]]
    reach = {a: parameters.reached(lambda w=w: w(*(given.values[p] for p in w.facts["parents"]))) for a, w in wrapped.items()}
    groups = ours(asked, reach)
    losses = {names: Call(call, "the loss of " + ", ".join(names)) for names, call in adapter.losses.items()}
    return Theirs(asked, adapter, stage, parameters, groups, losses, Call(step, "STEP") if step else None), programs


def named(owners: Sequence[nn.Module]) -> list[tuple[str, torch.Tensor]]:
    """Every parameter once, by a name that tells its module's class."""
    found: dict[int, tuple[str, torch.Tensor]] = {}
    for m in sorted(owners, key=lambda m: -sum(1 for _ in m.parameters())):
        for name, p in m.named_parameters():
            found.setdefault(id(p), (f"{type(m).__name__}.{name}", p))
    return list(found.values())


def ours(asked: Data, reach: dict[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    """The parameters of each group that moves: what its factors reach and no earlier group's do."""
    moving = [g for u in asked["updates"] for g in u["groups"]]
    found: dict[str, frozenset[int]] = {}
    taken: frozenset[int] = frozenset()
    for g in dict.fromkeys(moving):
        all_ = frozenset[int]().union(*(reach[a] for a, f in asked["factors"].items() if f["group"] == g))
        found[g] = all_ - taken
        taken |= all_
    return found


def wrap(asked: Data, adapter: Adapter, name: str, given: Records, owners: Sequence[nn.Module], stage: Stage) -> Wrapped:
    """A net as a factor: the form of its inputs and the reading of its output as said, or as found by running it."""
    facts, variables = asked["factors"][name], asked["variables"]
    net = adapter.factors[name]
    with torch.no_grad(), on(stage):
        ways = fits(facts, variables, net, given.values)
        if not ways:
            shaped = [given.values[p] for p in facts["parents"]]
            net(*shaped)  # raises what is wrong
        forms, joined, value = ways[0]
        output = adapter.outputs.get(name) or found_output(facts, value, net, forms, joined, given, variables)
    return Wrapped(facts, variables, net, forms, joined, Read(output), owners)


def found_output(facts: Data, value: Any, net: Any, forms: Any, joined: bool, given: Records, variables: Data) -> str:
    """How a net's output is read, from what it gives: probabilities stay between 0 and 1 whatever the weights."""
    if facts["hollow"]:
        return "mean"
    if facts["domains"] or facts["family"] in ("Bernoulli", "Categorical"):
        values = value[0] if isinstance(value, tuple | list) else value
        bounded = bool((values >= 0).all() and (values <= 1).all())
        if facts["family"] == "Categorical":
            bounded = bounded and bool((values.sum(-1) - 1).abs().max() < 1e-9)
        return "probability" if bounded else "logits"
    event = tuple(facts["event"])
    try:
        split(value, event, 2)
    except Misfit:
        return "mean"
    return OUTPUTS["Normal"][0]


def trial(theirs: Theirs, programs: Sequence[Program], asked: Data, size: int, seed: int) -> Trial:
    """One run of theirs and of the program at the same weights, data and draws."""
    theirs.parameters.shake(seed)
    weights = [t.detach().clone() for t in theirs.parameters.tensors]
    given = records(asked, size, seed)
    moved, steps = theirs.run(given, seed)
    with torch.no_grad(), Replay() as replay:
        programs[0].instance.draw(given.batch)
    ways = [shares(replay.asked, _pool(m, given)) for m in moved]

    def draw(update: int, way: int) -> Draw:
        with torch.no_grad():
            for t, w in zip(theirs.parameters.tensors, weights, strict=True):
                t.copy_(w)
        torch.manual_seed(seed)
        shared = ways[update][min(way, len(ways[update]) - 1)]
        with Replay(shared):
            found: Draw = programs[0].instance.draw(given.batch)
        return found

    @lru_cache(maxsize=None)
    def own_(update: int, way: int) -> dict[Key, Value]:
        return own(programs[0], draw(update, way), theirs.parameters)

    @lru_cache(maxsize=None)
    def atoms_(update: int, way: int) -> dict[Key, Value]:
        return all_atoms(programs, draw(update, way), theirs.parameters)

    return Trial(size, moved, max(map(len, ways)), own_, atoms_, steps)


def _pool(moved: Moved | None, given: Records) -> list[Drawn]:
    """The draws of an update's run, the user's before those that were handed to it."""
    if moved is None:
        return given.drawn
    handed = {id(d) for d in given.drawn}
    return [d for d in moved.pool if id(d) not in handed] + given.drawn


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

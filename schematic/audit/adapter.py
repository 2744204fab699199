"""The adapter: a few lines of Python that say which of the user's nets is which factor, and where the losses are.

    import my_gan as mine                                  # the audited file, by its name

    FACTORS = {"p_theta": mine.G, "q_phi": mine.D}         # anything that can be called: a net, a method, a lambda
    OUTPUTS = {"q_phi": "probability"}                     # how a net's output is read, where it is not found out
    LOSSES  = {"phi": mine.d_loss, "theta": "my_gan:g_loss"}   # what each group minimizes; arguments are named after
                                                           # variables of the model, or given in their order
    MAXIMIZED = {"theta"}                                  # groups whose function is to be maximized

or, instead of LOSSES,

    STEP = mine.train_step                               # one training step, with its optimizers; or a LightningModule

FORMS = {"c": "index", "x": (64,)} says in which form the code holds a variable; BATCH = 64 how many records it needs.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

NAMES = ("FACTORS", "OUTPUTS", "LOSSES", "STEP", "MAXIMIZED", "FORMS", "BATCH")


class Wrong(Exception):
    """The adapter or the audited code is at fault: what is wrong, and how to mend it."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


@dataclass
class Adapter:
    """What the adapter says, read."""

    factors: dict[str, Callable[..., Any]]
    outputs: dict[str, str] = field(default_factory=dict)
    losses: dict[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    step: Any = None
    maximized: frozenset[str] = frozenset()
    forms: dict[str, Any] = field(default_factory=dict)
    batch: int | None = None


def load(path: Path, name: str | None = None) -> ModuleType:
    """A file as a module, as `import` would find it, its folder on the path. Raises whatever the file raises."""
    name = name or path.stem
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == str(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def read(module: Mapping[str, Any], question: Mapping[str, Any]) -> Adapter:
    """What the adapter's names say. Raises: Wrong, naming what does not fit the model."""
    said = {n: module[n] for n in NAMES if n in module}
    if "FACTORS" not in said:
        raise Wrong("there is no adapter: nothing has FACTORS", "`schematic audit --init` writes one from your file")
    attributes = {f["name"]: a for a, f in question["factors"].items()} | {a: a for a in question["factors"]}
    factors = {_known(n, attributes, "factor", "FACTORS"): called(v, n) for n, v in said["FACTORS"].items()}
    if missing := [f["name"] for a, f in question["factors"].items() if a not in factors]:
        raise Wrong(f"FACTORS lacks {', '.join(missing)}", "every arrow with a network needs one of your nets")
    groups = {g: g for u in question["updates"] for g in u["groups"]}
    losses = {
        tuple(_known(g.strip(), groups, "group", "LOSSES") for g in names.split(",")): called(v, names)
        for names, v in said.get("LOSSES", {}).items()
    }
    if not losses and said.get("STEP") is None:
        raise Wrong("it has neither LOSSES nor STEP", 'for example `LOSSES = {"phi": mine.d_loss}`')
    outputs = {_known(n, attributes, "factor", "OUTPUTS"): v for n, v in said.get("OUTPUTS", {}).items()}
    maximized = frozenset(_known(g, groups, "group", "MAXIMIZED") for g in said.get("MAXIMIZED", ()))
    step = called(said["STEP"], "STEP") if isinstance(said.get("STEP"), str) else said.get("STEP")
    return Adapter(factors, outputs, losses, step, maximized, dict(said.get("FORMS", {})), said.get("BATCH"))


def _known(name: str, names: Mapping[str, str], kind: str, where: str) -> str:
    if name not in names:
        raise Wrong(f"{where} names `{name}`, which is no {kind} of the model", f"it has {', '.join(dict(names))}")
    return names[name]


def called(value: Any, name: str) -> Callable[..., Any]:
    """A callable, or what "module:function" names. Raises: Wrong."""
    if isinstance(value, str):
        module, colon, path = value.partition(":")
        if not colon:
            raise Wrong(f"`{value}` for {name} is not of the form module:function")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as e:
            raise Wrong(f"`{value}` for {name} is not there: {e}") from e
        value = found
    if value is ...:
        raise Wrong(f"{name} is still a gap", "put your net, or your function, there")
    if not callable(value):
        raise Wrong(f"what stands for {name} cannot be called: {type(value).__name__}")
    found = value
    return found  # type: ignore[no-any-return]

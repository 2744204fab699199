"""What a run needs, checked before anything is trained or written: program, data, device, optimizers, length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from schematic.core.version import VERSION
from schematic.graph.model import Optimizer, Train
from schematic.runtime import device as devices
from schematic.runtime import optim
from schematic.runtime.batches import Batches
from schematic.runtime.data import DataSet, load, place, sources
from schematic.runtime.errors import RunError
from schematic.runtime.program import Program, digest, instantiate, load_class, partial_fields
from schematic.runtime.step import Trainer, init
from schematic.runtime.tune import Tuning, tune

BATCH = 64
STEPS, ADVERSARIAL_STEPS = 3000, 4000  # at least: the digits are 22 steps an epoch
EPOCHS = 10  # at least: MNIST is 937 steps an epoch


@dataclass(frozen=True)
class Settings:
    """What a run was asked for; None is left to the file's `train` block, then to the defaults."""

    data: str | tuple[tuple[str, str], ...] | None = None
    device: str = "auto"
    epochs: int | None = None
    steps: int | None = None
    batch: int | None = None
    seed: int = 0
    optimizers: tuple[tuple[str, Optimizer], ...] = ()
    labels: str = ""  # the share of its training records that a partial field is observed in
    binarize: str = ""  # "fixed" or "dynamic"
    save_every: float = 30.0  # seconds between two checkpoints
    tune: bool = True  # the layers in the forms that are fastest here
    tuning: object = None  # that of the run to resume

    @staticmethod
    def of(config: Mapping[str, Any]) -> Settings:
        """The settings of a run, from its config.json."""
        data, optimizers = config["data"], config["optimizers"].items()
        return Settings(
            data if isinstance(data, str) else tuple((name, source) for name, source in data),
            config["device"],
            steps=config["steps"],
            batch=config["batch"],
            seed=config["seed"],
            optimizers=tuple((g, Optimizer(**{**o, "betas": tuple(o["betas"])})) for g, o in optimizers),
            labels=config["labels"],
            binarize=config["binarize"],
            save_every=config["save_every"],
            tuning=config["tuning"],
        )


@dataclass(frozen=True)
class Plan:
    """A run about to begin. `config` is what config.json says of it."""

    program: Program
    sets: tuple[DataSet, ...]
    device: torch.device
    batches: Batches
    trainer: Trainer
    steps: int
    save_every: float
    config: Mapping[str, Any]


def prepare(text: str, block: Train, asked: Settings) -> Plan:
    """The plan of a run; what is asked overrides the `train` block.

    Raises RunError where program, data, device or settings do not fit.
    """
    devices.set_up()
    device = devices.choose(asked.device)
    cls: Any = load_class(text, "program.py")
    optimizers = optim.resolve(cls.GROUPS, bool(cls.ADVERSARIAL), block.optimizers, asked.optimizers)
    partial = partial_fields(cls)
    data = sources(cls.FIELDS, cls.TYPES, partial, block.data, asked.data, labels=asked.labels, binarize=asked.binarize)
    sets = place(load(data, cls.FIELDS, cls.TYPES, partial), device)
    if not sets:
        raise RunError("the model reads no data", "it learns from a variable with `= data(...)`")
    size = asked.batch or block.batch or min(BATCH, *(s.records for s in sets))
    torch.manual_seed(asked.seed)
    generator = torch.Generator(device).manual_seed(asked.seed)
    batches = Batches(sets, size, device, generator)
    program = instantiate(cls, asked.seed, device)
    tuning = tune(program, batches, optimizers, digest(text), asked.tuning) if asked.tune else Tuning()
    steps = length(batches.per_epoch, bool(cls.ADVERSARIAL), block, asked)
    config = {
        "model": cls.__name__,
        "data": data[0][1] if data[0][0] == "" and len(data) == 1 else data,
        "sets": {s.name: str(s) for s in sets},
        "device": str(device),
        "seed": asked.seed,
        "batch": size,
        "steps": steps,
        "labels": asked.labels,
        "binarize": asked.binarize,
        "save_every": asked.save_every,
        "optimizers": {g: _plain(o) for g, o in optimizers.items()},
        "tuning": asdict(tuning),
        "versions": {"schematic": VERSION, "torch": torch.__version__},
    }
    return Plan(program, sets, device, batches, init(program, optimizers, generator), steps, asked.save_every, config)


def length(per_epoch: int, adversarial: bool, block: Train, asked: Settings) -> int:
    """The number of steps: `steps`, else `epochs` of them, else a default that suits small sets and large ones."""
    if asked.steps:
        return asked.steps
    epochs = asked.epochs or block.epochs
    return epochs * per_epoch if epochs else max(ADVERSARIAL_STEPS if adversarial else STEPS, EPOCHS * per_epoch)


def _plain(optimizer: Optimizer) -> dict[str, Any]:
    return {name: value for name, value in asdict(optimizer).items() if name != "span"}

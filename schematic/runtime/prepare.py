"""What a run needs, checked before anything is trained or written: program, data, device, optimizers, length."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from schematic.core.version import VERSION
from schematic.graph.model import Optimizer, Train
from schematic.runtime import board, optim
from schematic.runtime import device as devices
from schematic.runtime.batches import Batches
from schematic.runtime.data import DataSet, load, place, sources
from schematic.runtime.distributed import World, join
from schematic.runtime.errors import RunError
from schematic.runtime.noise import Shared, axes
from schematic.runtime.precision import Precision, check, compiled, lower
from schematic.runtime.program import Program, digest, instantiate, load_class, partial_fields
from schematic.runtime.sharding import Shards, shard
from schematic.runtime.step import Context, Trainer, init
from schematic.runtime.tune import Tuning, peek, tune

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
    precision: Precision = "32"
    compile: bool = False
    shard: bool = False  # of several processes each holds a part of the parameters
    tensorboard: bool = False
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
            precision=config["precision"],
            compile=config["compile"],
            shard=config["shard"],
            tensorboard=config["tensorboard"],
            tuning=config["tuning"],
        )


@dataclass(frozen=True)
class Plan:
    """A run about to begin. `config` is what config.json says of it; `shown` a second instance of the program, which
    takes the parameters that pictures are made with; `shards` are there where the program is sharded."""

    program: Program
    shown: Program
    sets: tuple[DataSet, ...]
    device: torch.device
    world: World
    batches: Batches
    trainer: Trainer
    shards: Shards | None
    steps: int
    settings: Settings
    config: Mapping[str, Any]


def prepare(text: str, block: Train, asked: Settings) -> Plan:
    """The plan of a run; what is asked overrides the `train` block. Several processes meet here.

    Raises RunError where program, data, device or settings do not fit.
    """
    devices.set_up()
    world, device = join(devices.choose(asked.device))
    check(asked.precision, device)
    if asked.tensorboard:
        board.check()
    cls: Any = load_class(text, "program.py")
    optimizers = optim.resolve(cls.GROUPS, bool(cls.ADVERSARIAL), block.optimizers, asked.optimizers)
    data, sets = data_of(cls, block, asked, device)
    size = asked.batch or block.batch or world.fitting(min(BATCH, *(s.records for s in sets)))
    torch.manual_seed(asked.seed + world.rank)
    generator = torch.Generator(device).manual_seed(asked.seed)
    batches = Batches(sets, size, device, generator, world)
    program = instantiate(cls, asked.seed, device)
    shown = instantiate(cls, asked.seed, torch.device("cpu") if asked.shard else device)
    if asked.precision == "64":
        program, shown = program.to(torch.float64), shown.to(torch.float64)
    tuning = tune(program, batches, optimizers, digest(text), asked.tuning) if asked.tune else Tuning()
    steps = length(batches.per_epoch, bool(cls.ADVERSARIAL), block, asked)
    trainer, shards = trained(program, optimizers, batches, asked, world, device)
    config = {
        "model": cls.__name__,
        "data": data[0][1] if data[0][0] == "" and len(data) == 1 else data,
        "sets": {s.name: str(s) for s in sets},
        "device": device.type if world.size > 1 else str(device),
        "processes": world.size,
        "seed": asked.seed,
        "batch": size,
        "steps": steps,
        **{name: getattr(asked, name) for name in KEPT},
        "optimizers": {g: _plain(o) for g, o in optimizers.items()},
        "tuning": asdict(tuning),
        "versions": {"schematic": VERSION, "torch": torch.__version__},
    }
    return Plan(program, shown, sets, device, world, batches, trainer, shards, steps, asked, config)


def data_of(
    cls: Any, block: Train, asked: Settings, device: torch.device
) -> tuple[tuple[tuple[str, str], ...], tuple[DataSet, ...]]:
    """The sources of a program's sets, and the sets, in the run's precision and on its device where they fit there."""
    known = partial_fields(cls)
    data = sources(cls.FIELDS, cls.TYPES, known, block.data, asked.data, labels=asked.labels, binarize=asked.binarize)
    sets = load(data, cls.FIELDS, cls.TYPES, known)
    if not sets:
        raise RunError("the model reads no data", "it learns from a variable with `= data(...)`")
    if asked.precision == "64":
        sets = tuple(s.to(torch.float64) for s in sets)
    return data, place(sets, device)


KEPT = ("labels", "binarize", "save_every", "precision", "compile", "shard", "tensorboard")  # settings, as they are


def trained(
    program: Program,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    asked: Settings,
    world: World,
    device: torch.device,
) -> tuple[Trainer, Shards | None]:
    """The trainer, and the program, in place, as the settings want it: its precision, its parts, compiled."""
    module, shards = cast(nn.Module, program), None
    noise: Context = nullcontext
    if world.size > 1:
        places = axes(program, peek(batches))
        noise = partial(Shared, places, world)
        if device.type == "cuda":  # batch statistics of all processes; none of the built-in nets has any
            nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    if asked.shard:
        if world.size == 1:
            raise RunError("--shard shares the parameters among processes: there is one", "torchrun starts several")
        if asked.compile:
            raise RunError("--compile and --shard do not go together", "leave one of them out")
        shards = shard(program, world)
    lower(program, asked.precision, device)
    if asked.compile:
        compiled(program)
    trainer = init(program, optimizers, batches.streams[0].generator)
    scaler = GradScaler(device.type, enabled=asked.precision == "16")
    trainer = replace(trainer, scaler=scaler, world=world, noise=noise, sharded=asked.shard)
    return (replace(trainer, saved=shards.saved) if shards else trainer), shards


def length(per_epoch: int, adversarial: bool, block: Train, asked: Settings) -> int:
    """The number of steps: `steps`, else `epochs` of them, else a default that suits small sets and large ones."""
    if asked.steps:
        return asked.steps
    epochs = asked.epochs or block.epochs
    return epochs * per_epoch if epochs else max(ADVERSARIAL_STEPS if adversarial else STEPS, EPOCHS * per_epoch)


def _plain(optimizer: Optimizer) -> dict[str, Any]:
    return {name: value for name, value in asdict(optimizer).items() if name != "span"}

"""Several processes train what one does: the same parameters at the same global batch, sharded or not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

import schematic as sg
from schematic.graph.model import Train
from schematic.runtime.distributed import World
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.metrics import lines
from schematic.runtime.noise import Shared, axes
from schematic.runtime.prepare import Plan, Settings, prepare
from schematic.runtime.program import load_class
from schematic.runtime.step import step
from schematic.runtime.train import resume, train

EXAMPLES = Path(__file__).parents[2] / "examples"


def asked(steps: int = 100, **more: Any) -> Settings:
    return Settings(steps=steps, batch=16, device="cpu", precision="64", tune=False, save_every=0.0, **more)


def begin(rank: int, folder: Path, work: Callable[..., None], arguments: tuple[Any, ...], by: str = "gloo") -> None:
    """One of two processes, with one thread, that find each other by a file in the folder."""
    torch.set_num_threads(1)
    place, patience = f"file://{folder / 'meet'}", timedelta(seconds=120)
    dist.init_process_group(by, init_method=place, rank=rank, world_size=2, timeout=patience)
    work(folder, *arguments)
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may abort an interpreter that ends on its own


def two_processes(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        train(text, out=folder / f"two-{name}", settings=asked(), progress=False)
    measure_parts(folder, texts["gan"])
    train(texts["gan"], out=folder / "parts", settings=asked(40, shard=True), progress=False)
    part = int(os.environ.get("RANK", dist.get_rank()))
    try:
        train(texts["gan"], out=folder / "odd", settings=replace(asked(), batch=15), progress=False)
    except RunError as e:
        (folder / f"odd-{part}").write_text(str(e))


def measure_parts(folder: Path, text: str) -> None:
    """What this process holds of a sharded program and of its optimizers' states; and whole states with it."""
    plan = prepare(text, Train(), asked(shard=True))
    step(plan.trainer, plan.batches)
    held = sum(p.numel() for p in plan.program.parameters())
    states = [s for o in plan.trainer.optimizers.values() for s in o.state_dict()["state"].values()]
    kept = sum(s["exp_avg"].numel() for s in states)
    whole = sum(p.numel() for p in plan.shown.parameters())
    torch.save((held, kept, whole, saved_elements(plan)), folder / f"held-{dist.get_rank()}.pt")


def saved_elements(plan: Plan) -> int:
    """How many elements of parameters a graph of the objective keeps alive."""
    batch = next(plan.batches)
    with plan.trainer.saved():
        with plan.trainer.noise():
            draw = plan.program.draw(batch, plan.trainer.generator)
        value = plan.program.objective(draw, "theta")
        alive = sum(shape.numel() for known, _, shape in plan.shards.live.whole.values() if known() is not None)
        del value
    return alive


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GAN with three nets and a VAE, emitted, trained by one process and by two; the GAN in parts, too."""
    folder = tmp_path_factory.mktemp("runs")
    gan = sg.load(EXAMPLES / "infogan.sg", restate="q_phi = mlp(16)  q_eta = Normal(mlp(16))  p_theta = mlp(16)")
    vae = sg.load(EXAMPLES / "vae.sg", restate="q_eta = Normal(mlp(16))  p_theta = mlp(16)")
    texts = {"gan": sg.emit(gan), "vae": sg.emit(vae)}
    for name, text in texts.items():
        train(text, out=folder / f"one-{name}", settings=asked(), progress=False)
    train(texts["gan"], out=folder / "whole", settings=asked(40), progress=False)
    mp.spawn(begin, (folder, two_processes, (texts,)), nprocs=2)
    return folder


def apart(a: Path, b: Path) -> float:
    """The largest difference between the parameters of two runs."""
    one, other = (Run(run).load()["program"] for run in (a, b))
    assert one.keys() == other.keys() and all(v.dtype == torch.float64 for v in one.values())
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_two_processes_train_what_one_does(name: str, runs: Path) -> None:
    one, two = runs / f"one-{name}", runs / f"two-{name}"
    assert apart(one, two) < 1e-10
    assert lines(Run(one))[-1]["objectives"] == pytest.approx(lines(Run(two))[-1]["objectives"], abs=1e-10)
    start = load_class(Run(one).program, "program.py")().state_dict()
    assert any((start[k] - v).abs().max() > 1e-2 for k, v in Run(one).load()["program"].items())
    assert [line["step"] for line in lines(Run(two))] == [20, 40, 60, 80, 100]  # one writer
    assert Run(two).config["processes"] == 2 and Run(two).config["status"] == "finished"


def test_one_process_goes_on_with_what_two_began(runs: Path, tmp_path: Path) -> None:
    run = Run(shutil.copytree(runs / "two-vae", tmp_path / "run"))
    run.checkpoints()[-1].unlink()
    assert run.load()["step"] == 80
    assert resume(run.path, progress=False).steps == 100
    assert apart(run.path, runs / "one-vae") < 1e-10


def test_parts_train_what_the_whole_does(runs: Path) -> None:
    """Each process holds half of the parameters and of the optimizers' states, and a graph keeps none of the others."""
    assert apart(runs / "whole", runs / "parts") < 1e-10
    for rank in (0, 1):
        held, kept, whole, saved = torch.load(runs / f"held-{rank}.pt", weights_only=True)
        assert whole / 2 <= held < 0.51 * whole and kept == held and saved == 0


def test_a_batch_that_cannot_be_shared_is_told(runs: Path) -> None:
    for rank in (0, 1):
        assert "a batch of 15 has no equal parts for 2 processes" in (runs / f"odd-{rank}").read_text()


def test_parts_need_several_processes(programs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is one"):
        train(programs.VAE, out=tmp_path / "run", settings=asked(shard=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_trains_and_goes_on(tmp_path: Path) -> None:
    """`pytest -m slow tests/runtime/test_runtime_distributed.py`"""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "schematic", "train"]

    def ran(*arguments: str) -> dict[str, Any]:
        command = [*start, *arguments, "--json"]
        found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        (line,) = found.stdout.splitlines()  # one speaks
        told: dict[str, Any] = json.loads(line)
        return told

    model = str(EXAMPLES / "vae_direct.sg")
    assert ran(model, "--out", "run", "--steps", "60", "--device", "cpu", "--save-every", "0")["steps"] == 60
    run = Run(tmp_path / "run")
    run.checkpoints()[-1].unlink()
    assert run.load()["step"] == 40 and ran("--resume", "run")["steps"] == 60
    assert (run / "report.html").exists()


def train_on_gpus(folder: Path, text: str) -> None:
    os.environ["LOCAL_RANK"] = str(dist.get_rank())
    train(text, out=folder / "two", settings=replace(asked(), device="cuda"), progress=False)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_what_one_does(tmp_path: Path) -> None:
    text = sg.emit(sg.load(EXAMPLES / "vae.sg", restate="q_eta = Normal(mlp(16))  p_theta = mlp(16)"))
    train(text, out=tmp_path / "one", settings=replace(asked(), device="cuda"), progress=False)
    mp.spawn(begin, (tmp_path, train_on_gpus, (text,), "nccl"), nprocs=2)
    assert apart(tmp_path / "one", tmp_path / "two") < 1e-8


# --- noise ------------------------------------------------------------------------------------------------


def one_set(path: Path) -> bool:
    return "usps" not in path.read_text() and "horses" not in path.read_text()


@pytest.mark.parametrize("path", sorted(filter(one_set, EXAMPLES.glob("*.sg"))), ids=lambda p: p.stem)
def test_processes_draw_their_parts_of_what_one_draws(path: Path) -> None:
    """Every draw of every example, of three processes: its part of the values that one process has."""
    torch.manual_seed(0)
    program: Any = load_class(sg.emit(sg.load(path)), "program.py")().double()
    batch = {f: torch.rand(6, *shape, dtype=torch.float64) for f, shape in program.FIELDS.items()}
    batch |= {f"{f}_observed": torch.ones(6, dtype=torch.float64) for f in getattr(program, "PARTIAL", ())}
    places = axes(program, batch)
    whole = values(program.draw(batch, torch.Generator().manual_seed(3)))
    ends = set()
    for rank in range(3):
        world, generator = World(rank, 3), torch.Generator().manual_seed(3)
        with Shared(places, world):
            parts = values(program.draw({f: world.part(v) for f, v in batch.items()}, generator))
        for name, value in whole.items():
            (axis,) = [i for i in range(value.dim()) if value.shape[i] != parts[name].shape[i]] or (None,)
            expected = value if axis is None else value.narrow(axis, 2 * rank, 2)
            assert torch.allclose(parts[name], expected, atol=1e-12), name
        ends.add(generator.get_state().numpy().tobytes())
    assert len(ends) == 1  # the generators go on alike


def values(draw: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    found = {}
    for name, value in draw.items():
        if isinstance(value, Tensor):
            found[prefix + name] = value
        elif isinstance(value, dict):
            found |= values(value, f"{prefix}{name}.")
    return found

"""Training from an emitted program's text to a run folder, and back from there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from schematic.graph.model import Optimizer, Train
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.prepare import Settings, length
from schematic.runtime.program import load_class
from schematic.runtime.sample import reload, sample
from schematic.runtime.step import init, schedule, step
from schematic.runtime.train import Outcome, train

CPU = torch.device("cpu")
FILES = {
    "config.json",
    "model.sg",
    "program.py",
    "drawing.svg",
    "metrics.jsonl",
    "curves.svg",
    "samples.png",
    "checkpoints",
    "weights.safetensors",
}


def run(program: str, out: Path, steps: int = 45, **settings: Any) -> Outcome:
    asked = Settings(steps=steps, device="cpu", **settings)
    return train(program, out=out, spec="model M {}\n", drawing="<svg/>", settings=asked, progress=False)


def trainer(text: str, device: torch.device = CPU, generator: torch.Generator | None = None) -> Any:
    torch.manual_seed(0)
    program: Any = load_class(text, "test")()
    program = program if device == CPU else program.to(device)
    adam = {group: Optimizer("adam", 1e-2) for group in program.GROUPS}
    return init(program, adam, generator or torch.Generator().manual_seed(0))


@pytest.fixture
def gan_run(programs: ModuleType, tmp_path: Path) -> Path:
    return run(programs.GAN, tmp_path / "gan").run.path


def test_a_run_folder_holds_everything(programs: ModuleType, tmp_path: Path) -> None:
    outcome = run(programs.VAE, tmp_path / "vae")
    assert outcome.reason == "finished" and outcome.steps == 45
    assert {p.name for p in (tmp_path / "vae").iterdir()} == FILES | {"reconstructions.png"}
    lines = [json.loads(line) for line in (tmp_path / "vae/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 45]
    assert set(lines[0]["objectives"]) == {"theta", "eta"}
    assert lines[-1]["objectives"]["theta"] > lines[0]["objectives"]["theta"]  # it is maximized
    for picture in ("samples.png", "reconstructions.png"):
        assert (tmp_path / "vae" / picture).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    config = json.loads((tmp_path / "vae/config.json").read_text())
    assert config["status"] == "finished" and config["batch"] == 64 and config["data"] == "digits"


def test_a_model_without_inference_net_has_no_reconstructions(gan_run: Path) -> None:
    assert {p.name for p in gan_run.iterdir()} == FILES


def test_the_same_seed_gives_the_same_run(programs: ModuleType, tmp_path: Path) -> None:
    a, b, c = (
        run(programs.GAN, tmp_path / name, seed=seed).objectives for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert a == b != c


def test_samples_come_back_from_the_folder(gan_run: Path) -> None:
    assert sample(gan_run, 64, device="cpu", seed=0) == (gan_run / "samples.png",)
    first = (gan_run / "samples.png").read_bytes()
    other = gan_run.parent / "other.png"
    sample(gan_run, 64, out=other, seed=1)
    assert other.read_bytes() != first
    sample(gan_run, 64, out=other, seed=0)
    assert other.read_bytes() == first
    trained = Run(gan_run).load()["program"]
    assert all(torch.equal(v, trained[k]) for k, v in reload(gan_run, "cpu").program.state_dict().items())


@pytest.mark.parametrize("damage", ["missing", "folder", "program", "other"])
def test_damaged_runs_are_told(damage: str, gan_run: Path, programs: ModuleType) -> None:
    match damage:
        case "missing":
            shutil.rmtree(gan_run / "checkpoints")
        case "folder":
            (gan_run / "config.json").unlink()
        case "program":
            (gan_run / "program.py").write_text("import nothing_of_that_name")
        case "other":
            (gan_run / "program.py").write_text(programs.VAE)
    with pytest.raises(RunError):
        sample(gan_run, 4)


def test_no_folder_of_others_is_written_into(programs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(RunError, match="no run of ours"):
        run(programs.GAN, tmp_path / "thesis", 1)
    with pytest.raises(RunError, match="is a file"):
        run(programs.GAN, tmp_path / "thesis" / "chapter.tex", 1)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    (tmp_path / "empty").mkdir()
    assert run(programs.GAN, tmp_path / "empty", 1).reason == "finished"
    (tmp_path / "empty" / "notes.txt").write_text("mine")
    assert run(programs.GAN, tmp_path / "empty", 1).reason == "finished"
    assert (tmp_path / "empty" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data": "nowhere"}, "no data set `nowhere`"),
        ({"device_": "quantum"}, "no device `quantum`"),
        ({"batch": 5000}, "fewer than a batch of 5000"),
        ({"optimizers": (("tehta", Optimizer()),)}, "did you mean `theta`"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(
    settings: dict[str, Any], words: str, programs: ModuleType, tmp_path: Path
) -> None:
    asked = Settings(device=settings.pop("device_", "cpu"), **settings)
    with pytest.raises(RunError) as error:
        train(programs.GAN, out=tmp_path / "run", settings=asked)
    assert words in str(error.value) and not (tmp_path / "run").exists()


def test_the_command_line_overrides_the_train_block(programs: ModuleType, tmp_path: Path) -> None:
    block = Train(data="nowhere", batch=16, epochs=3, optimizers=(("phi", Optimizer("sgd", 0.5)),))
    asked = Settings(data="digits", steps=2, device="cpu", optimizers=(("theta", Optimizer("rmsprop", 0.1)),))
    train(programs.GAN, out=tmp_path / "run", block=block, settings=asked)
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert (config["data"], config["batch"], config["steps"]) == ("digits", 16, 2)
    assert config["optimizers"]["phi"]["name"] == "sgd" and config["optimizers"]["theta"]["rate"] == 0.1
    assert length(22, True, block, Settings()) == 66 and length(22, True, block, Settings(epochs=1)) == 22
    assert length(22, True, Train(), Settings()) > length(22, False, Train(), Settings()) > 100 * 22
    assert length(937, False, Train(), Settings()) == 9370


def test_an_objective_that_is_not_finite_stops_the_run(programs: ModuleType, tmp_path: Path) -> None:
    broken = programs.VAE.replace("# scale", "").replace(
        "        return (self.p_theta(z).log_prob(x)",
        "        self.count = getattr(self, 'count', 0) + 1\n"
        "        x = x / (0.0 if self.count > 30 else 1.0)\n"
        "        return (self.p_theta(z).log_prob(x)",
    )
    outcome = run(broken, tmp_path / "run", 100)
    assert outcome.reason == "not finite" and "no longer finite" in outcome.message
    state = Run(tmp_path / "run").load()
    assert all(v.isfinite().all() for v in state["program"].values())
    assert (tmp_path / "run/samples.png").exists()


def test_ctrl_c_ends_with_a_checkpoint_and_samples(programs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(programs.GAN)
    code = (
        "import sys; from pathlib import Path; from schematic.runtime.train import train, Settings\n"
        "o = train(Path('program.py').read_text(), out=Path('run'), settings=Settings(steps=10**7, device='cpu'))\n"
        "print(o.reason, o.steps)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    reason, steps = out.split()
    assert process.returncode == 0 and reason == "interrupted"
    assert Run(tmp_path / "run").load()["step"] == int(steps) > 0
    assert (tmp_path / "run/samples.png").exists() and (tmp_path / "run/curves.svg").exists()


# --- the step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GAN", "VAE"])
def test_a_step_reads_nothing_back(name: str, programs: ModuleType) -> None:
    """Under fake tensors there are no values: `.item()` or a branch on one raises."""
    with FakeTensorMode():
        made = trainer(getattr(programs, name), generator=torch.Generator())
        values = step(made, iter([{"image": torch.rand(8, 1, 8, 8)}]))
    assert {v.shape for v in values.values()} == {()}


@pytest.mark.parametrize("name", ["GAN", "VAE"])
def test_a_step_stays_on_the_device_of_its_batch(name: str, programs: ModuleType) -> None:
    """On `meta`, mixing with a CPU tensor raises, and so does reading a value."""
    meta = torch.device("meta")
    made = trainer(getattr(programs, name), meta)
    made = replace(made, generator=None)
    values = step(made, iter([{"image": torch.rand(8, 1, 8, 8, device=meta)}]))
    assert {v.device.type for v in values.values()} == {"meta"}


def test_an_update_moves_its_groups_and_no_other(programs: ModuleType) -> None:
    made = trainer(programs.GAN)
    before = {g: [p.detach().clone() for p in ps] for g, ps in made.parameters.items()}
    only = replace(made, updates=made.updates[:1])
    step(only, iter([{"image": torch.rand(8, 1, 8, 8)}]))
    moved = {
        g: any(not torch.equal(a, b) for a, b in zip(before[g], ps, strict=True)) for g, ps in made.parameters.items()
    }
    assert moved == {"phi": True, "theta": False}
    assert all(p.grad is None for ps in made.parameters.values() for p in ps)


def test_theta_sees_the_new_phi(programs: ModuleType) -> None:
    """Updates are sequential (semantics.md): theta's objective is taken at the phi that has just moved."""
    made, batch = trainer(programs.GAN), {"image": torch.rand(8, 1, 8, 8)}
    old = made.program.objective(made.program.draw(batch, torch.Generator().manual_seed(0)), "theta").detach()
    values = step(made, iter([batch]))
    assert values["theta"] < old  # phi, moved first, is better at telling the same draw from data


def test_repeated_updates_get_fresh_batches_and_draws(programs: ModuleType) -> None:
    text = programs.GAN.replace('(("phi",), ("theta",))', '(("phi",), ("phi",), ("theta",))').replace(
        "REDRAW = (False, False)", "REDRAW = (True, True, False)"
    )
    made = trainer(text)
    assert [(u.fresh, u.redraw) for u in schedule(made.program)] == [(True, True), (True, True), (False, False)]
    step(made, iter([{"image": torch.rand(8, 1, 8, 8)} for _ in range(2)]))


def test_a_parameter_of_two_groups_moves_once_an_update(programs: ModuleType) -> None:
    text = programs.VAE.replace('"eta": ("q_eta",)', '"eta": ("q_eta", "p_theta")')
    alone, shared = trainer(programs.VAE), trainer(text)
    batch = {"image": torch.rand(8, 1, 8, 8)}
    for made in (alone, shared):
        torch.manual_seed(0)
        step(made, iter([batch]))
    for a, b in zip(alone.program.parameters(), shared.program.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["GAN", "VAE"])
def test_training_on_a_gpu(name: str, programs: ModuleType, tmp_path: Path) -> None:
    outcome = train(getattr(programs, name), out=tmp_path / "run", settings=Settings(steps=60, device="cuda"))
    assert outcome.reason == "finished"
    torch.cuda.set_sync_debug_mode("error")
    try:
        made = trainer(getattr(programs, name), torch.device("cuda"), torch.Generator("cuda"))
        step(made, iter([{"image": torch.rand(8, 1, 8, 8, device="cuda")}]))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    sample(tmp_path / "run", 4, device="cpu")


def test_a_model_without_images_gives_an_archive(programs: ModuleType, tmp_path: Path) -> None:
    text = (
        programs.VAE.replace("(1, 8, 8)", "(64,)").replace(".flatten(-3)", "").replace(".to_event(3)", ".to_event(1)")
    )
    flat = text.replace(".unflatten(-1, (64,))", "")
    out = run(flat, tmp_path / "run").run.path
    assert not (out / "samples.png").exists() and not (out / "reconstructions.png").exists()
    with np.load(out / "samples.npz") as values:
        assert values["x"].shape == (64, 64)
    assert sample(out, 5, out=tmp_path / "five.png") == (tmp_path / "five.npz",)

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
from safetensors.torch import load_file
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from schematic.graph.model import Optimizer, Train
from schematic.graph.optimizers import DENSITY
from schematic.runtime.errors import RunError, RunWarning
from schematic.runtime.folder import Run
from schematic.runtime.prepare import Settings, length
from schematic.runtime.program import load_class
from schematic.runtime.sample import reload, sample
from schematic.runtime.schedule import share
from schematic.runtime.step import average, init, schedule, step
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
    "samples",
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
    assert {p.name for p in (tmp_path / "vae").iterdir()} == FILES
    lines = [json.loads(line) for line in (tmp_path / "vae/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 45]
    assert set(lines[0]["objectives"]) == {"theta", "eta"}
    assert lines[-1]["objectives"]["theta"] > lines[0]["objectives"]["theta"]  # it is maximized
    for picture in (tmp_path / "vae/samples.png", *(tmp_path / "vae/samples").iterdir()):
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    config = json.loads((tmp_path / "vae/config.json").read_text())
    assert config["status"] == "finished" and config["batch"] == 64 and config["data"] == "digits"


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


LATE = {
    "the term `late` of θ, η is -inf": "-1 / fine + 0 * self.q_eta.net[2].bias.sum()",
    "the gradient of the term `late` of θ, η is not finite": "(0 * self.q_eta.net[2].bias.sum() + fine).sqrt()",
}


@pytest.mark.parametrize("said", LATE)
def test_what_is_not_finite_stops_the_run_with_its_step_and_its_name(
    said: str, programs: ModuleType, tmp_path: Path
) -> None:
    """From step 36 on `fine` is 0 and no longer 1."""
    broken = (
        programs.VAE.replace(
            "Decoder(), Encoder()\n", "Decoder(), Encoder()\n        self.register_buffer('n', ZERO)\n"
        )
        .replace("ZERO", "torch.zeros(())")
        .replace(
            "        q = self.q_eta(x)\n        noise", "        self.n += 1\n        q = self.q_eta(x)\n        noise"
        )
        .replace(
            '        return {\n            "log p',
            f'        fine = (self.n < 36).to(x.dtype)\n        return {{"late": {LATE[said]},\n            "log p',
        )
    )
    outcome = run(broken, tmp_path / "run", 100, save_every=0.0)
    assert outcome.reason == "not finite" and outcome.steps == 20
    assert outcome.message.startswith(f"stopped: at step 36 {said}; the last good checkpoint, of step 20, is kept")
    state = Run(tmp_path / "run").load()
    assert state["step"] == 20 and all(v.isfinite().all() for v in state["program"].values())
    assert (tmp_path / "run/samples.png").exists()


def test_a_group_whose_gradient_stays_zero_is_told(programs: ModuleType, tmp_path: Path) -> None:
    idle = programs.GAN.replace(
        'return {"fake": 0.5 * F.logsigmoid(self.q_phi(fake)',
        'return {"fake": 0.5 * F.logsigmoid(self.q_phi(fake.detach())',
    )
    with pytest.warns(RunWarning, match="the gradient of θ stays 0") as told:
        run(idle, tmp_path / "long", 140)
    assert len([w for w in told if w.category is RunWarning]) == 1
    with pytest.warns(RunWarning, match="the gradient of θ stays 0"):
        run(idle, tmp_path / "short", 3)


def test_clipping_scales_a_long_gradient_down(programs: ModuleType) -> None:
    batch = {"image": torch.rand(8, 1, 8, 8)}

    def moved(clip: float | None) -> tuple[Tensor, float]:
        made = trainer(programs.VAE)
        rule = Optimizer("sgd", 1.0, clip=clip)
        made = init(made.program, dict.fromkeys(made.program.GROUPS, rule), made.generator)
        before = [p.detach().clone() for p in made.parameters["theta"]]
        norm = step(made, iter([batch]), measured=True).gradients["theta"].item()
        change = [(p.detach() - b).reshape(-1) for p, b in zip(made.parameters["theta"], before, strict=True)]
        return torch.cat(change), norm

    plain, norm = moved(None)
    assert plain.norm().item() == pytest.approx(norm, rel=1e-4)  # an update of rate 1 is the gradient
    assert torch.equal(moved(2 * norm)[0], plain)
    clipped, same = moved(norm / 2)
    assert same == norm and torch.allclose(clipped, plain / 2, rtol=1e-4, atol=1e-7)


def test_a_moving_average_is_what_is_sampled(programs: ModuleType, tmp_path: Path) -> None:
    rule = Optimizer("adam", 1e-2, average=0.9)
    out = run(programs.VAE, tmp_path / "run", 60, optimizers=(("theta", rule),)).run
    state = out.load()
    assert set(state["averages"]) == {n for n in state["program"] if n.startswith("p_theta")}
    weights = load_file(out / "weights.safetensors")
    shown = reload(out.path, "cpu").program.state_dict()
    for name, value in state["program"].items():
        expected = state["averages"].get(name, value)
        assert torch.equal(weights[name], expected) and torch.equal(shown[name], expected)
        assert torch.equal(expected, value) != (name in state["averages"])


def test_a_moving_average_is_the_textbook_one(programs: ModuleType) -> None:
    made = trainer(programs.VAE)
    made = init(made.program, {g: Optimizer("sgd", 1.0, average=0.5) for g in made.program.GROUPS}, made.generator)
    p, (mean, *_) = made.parameters["theta"][0], made.averages["theta"]
    expected = p.detach().clone()
    for n in range(1, 30):
        with torch.no_grad():
            p.fill_(n)
        average(made, n)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * n
    assert torch.allclose(mean, expected)


def test_rates_over_a_run() -> None:
    def rates(**options: Any) -> list[float]:
        return [share(Optimizer(**options), n, 100) for n in (1, 26, 51, 76, 100)]

    assert rates() == [1.0] * 5
    assert rates(schedule="linear") == pytest.approx([1, 1, 1, 0.5, 0.02])
    assert rates(schedule="cosine") == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2, 0], abs=1e-3)
    assert rates(warmup=51) == pytest.approx([1 / 51, 26 / 51, 1, 1, 1])


def test_a_rate_that_a_file_sets_is_constant_and_the_defaults_fall(programs: ModuleType, tmp_path: Path) -> None:
    block = Train(optimizers=(("theta", Optimizer("adam", 1e-2)), ("eta", DENSITY)))
    out = train(programs.VAE, out=tmp_path / "run", block=block, settings=Settings(steps=50, device="cpu")).run
    rates = {g: o["param_groups"][0]["lr"] for g, o in out.load()["optimizers"].items()}
    assert rates == {"theta": 1e-2, "eta": pytest.approx(1e-3 * 0.04)}


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
    assert {v.shape for v in values.objectives.values()} == {()}


@pytest.mark.parametrize("name", ["GAN", "VAE"])
def test_a_step_stays_on_the_device_of_its_batch(name: str, programs: ModuleType) -> None:
    """On `meta`, mixing with a CPU tensor raises, and so does reading a value."""
    meta = torch.device("meta")
    made = trainer(getattr(programs, name), meta)
    made = replace(made, generator=None)
    values = step(made, iter([{"image": torch.rand(8, 1, 8, 8, device=meta)}]))
    assert {v.device.type for v in values.objectives.values()} == {"meta"}


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
    values = step(made, iter([batch])).objectives
    assert values["theta"] < old  # phi, moved first, is better at telling the same draw from data


def test_repeated_updates_get_fresh_batches_and_draws(programs: ModuleType) -> None:
    text = programs.GAN.replace('(("phi",), ("theta",))', '(("phi",), ("phi",), ("theta",))').replace(
        "REDRAW = (False, False)", "REDRAW = (True, True, False)"
    )
    made = trainer(text)
    assert [(u.fresh, u.redraw) for u in schedule(made.program, made.parameters)] == [
        (True, True),
        (True, True),
        (False, False),
    ]
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

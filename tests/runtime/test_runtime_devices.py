"""Devices, precisions and compiled nets; with a GPU the same tests run on it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import schematic as sg
from schematic.graph.model import Optimizer, Train
from schematic.runtime.device import choose
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.precision import networks
from schematic.runtime.prepare import Settings, prepare
from schematic.runtime.step import step
from schematic.runtime.train import train

EXAMPLES = Path(__file__).parents[2] / "examples"
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
DEVICES = ["cpu", GPU]


def asked(steps: int = 20, **more: Any) -> Settings:
    return Settings(steps=steps, tune=False, **more)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("precision", "apart"), [("bf16", 0.1), ("16", 0.1), ("64", 1e-3)])
def test_a_precision_trains_to_the_same_place(
    precision: Any, apart: float, device: str, programs: ModuleType, tmp_path: Path
) -> None:
    plain = train(programs.VAE, out=tmp_path / "plain", settings=asked(device=device, seed=1), progress=False)
    other = train(
        programs.VAE,
        out=tmp_path / precision,
        settings=asked(device=device, seed=1, precision=precision),
        progress=False,
    )
    assert other.reason == "finished"
    dtypes = {v.dtype for v in other.run.load()["program"].values()}
    assert dtypes == {torch.float64 if precision == "64" else torch.float32}  # parameters are not in 16 bits
    if precision != "64":  # the same noise
        assert other.objectives != plain.objectives
        assert other.objectives["theta"] == pytest.approx(plain.objectives["theta"], abs=apart)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_only_nets_are_in_lower_precision(precision: Any, programs: ModuleType) -> None:
    plan = prepare(programs.VAE, Train(), asked(precision=precision, device="cpu"))
    kinds: dict[str, torch.dtype] = {}
    net = plan.program.p_theta.net  # type: ignore[attr-defined]
    net[0].register_forward_hook(lambda m, args, out: kinds.update(inside=out.dtype))
    net.register_forward_hook(lambda m, args, out: kinds.update(outside=out.dtype))
    reading = step(plan.trainer, plan.batches, measured=True)
    inside = torch.bfloat16 if precision == "bf16" else torch.float16
    assert kinds == {"inside": inside, "outside": torch.float32}
    assert {v.dtype for v in (*reading.objectives.values(), *reading.gradients.values())} == {torch.float32}


def test_in_16_bits_a_gradient_that_overflows_is_left_out_and_told_if_it_stays(
    programs: ModuleType, tmp_path: Path
) -> None:
    steep = programs.VAE.replace("log_prob(x).mean(),", "log_prob(x).mean() * 1e4,")
    plan = prepare(steep, Train(), asked(precision="16", device="cpu"))
    before = [p.detach().clone() for p in plan.program.parameters()]
    step(plan.trainer, plan.batches)
    assert plan.trainer.scaler.get_scale() == 2**15  # of 2^16: halved, and nothing has moved
    assert all(torch.equal(a, b) for a, b in zip(before, plan.program.parameters(), strict=True))
    assert train(steep, out=tmp_path / "steep", settings=asked(precision="16", device="cpu")).reason == "finished"
    broken = programs.VAE.replace("log_prob(x).mean(),", "log_prob(x).mean() + (0 * z.mean()).sqrt(),")
    outcome = train(broken, out=tmp_path / "broken", settings=asked(precision="16", device="cpu"), progress=False)
    assert outcome.reason == "not finite" and "the gradient of the term `log p(x | z)`" in outcome.message


@pytest.fixture
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of torch.compile but the code that it writes, which takes a minute."""
    plain = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda net: plain(net, backend="aot_eager"))


def compiled_is_plain(text: str, device: str, tmp_path: Path) -> None:
    plain = train(text, out=tmp_path / "plain", settings=asked(10, device=device), progress=False)
    plan = prepare(text, Train(), asked(10, device=device, compile=True))
    nets = networks(plan.program)
    assert len(nets) >= 2 and all(net._compiled_call_impl is not None for net in nets)
    compiled = train(text, out=tmp_path / "run", settings=asked(10, device=device, compile=True), progress=False)
    assert compiled.objectives == pytest.approx(plain.objectives, rel=1e-3)
    assert compiled.run.load()["program"].keys() == plain.run.load()["program"].keys()


def test_compiled_nets_train_as_plain_ones(without_a_compiler: None, tmp_path: Path) -> None:
    """An adversarial model whose one draw serves two updates."""
    nets = "q_phi = mlp(8)  p_theta = mlp(8)  q_eta = mlp(8)"
    compiled_is_plain(sg.emit(sg.load(EXAMPLES / "infogan.sg", restate=nets)), "cpu", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["infogan", "vae"])
def test_nets_that_are_really_compiled(name: str, device: str, tmp_path: Path) -> None:
    compiled_is_plain(sg.emit(sg.load(EXAMPLES / f"{name}.sg")), device, tmp_path)


def test_what_cannot_be_compiled_is_told(without_a_compiler: None, tmp_path: Path) -> None:
    """A penalty on a gradient's norm takes a derivative of a derivative."""
    nets = "q_phi = mlp(8) divergence wasserstein(penalty: 10)  p_theta = mlp(8)"
    text = sg.emit(sg.load(EXAMPLES / "wgan_gp.sg", restate=nets))
    with pytest.raises(RunError, match=r"torch\.compile: .*double backward"):
        train(text, out=tmp_path / "run", settings=asked(2, batch=4, compile=True, device="cpu"), progress=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [("quantum", "no device `quantum`"), ("meta", "not there"), ("cuda:99", "not there"), ("xpu", "not there")],
)
def test_a_device_that_is_not_there_is_told(name: str, words: str) -> None:
    with pytest.raises(RunError, match=words):
        choose(name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_run_goes_on_on_the_gpu(programs: ModuleType, tmp_path: Path) -> None:
    from schematic.runtime.train import resume

    out = train(
        programs.VAE, out=tmp_path / "run", settings=asked(40, device="cuda", save_every=0.0), progress=False
    ).run
    out.checkpoints()[-1].unlink()
    assert Run(out.path).load()["step"] == 20 and resume(out.path, progress=False).steps == 40


def test_rules_reach_the_optimizers(programs: ModuleType) -> None:
    rules = (("theta", Optimizer("rmsprop", 0.1)), ("eta", Optimizer("sgd", 0.2)))
    plan = prepare(programs.VAE, Train(optimizers=rules), asked(device="cpu"))
    kinds = {g: type(o).__name__ for g, o in plan.trainer.optimizers.items()}
    assert kinds == {"theta": "RMSprop", "eta": "SGD"}

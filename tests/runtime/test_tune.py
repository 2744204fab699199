"""Layers in other forms: the same values and gradients, the same names, and a run that says what it chose."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from schematic.compiler import pipeline
from schematic.graph.model import Optimizer, Train
from schematic.runtime import layers, tune
from schematic.runtime.layers import ChannelsLastConv2d, ChannelsLastConvTranspose2d, Doubling, OneDNNLinear
from schematic.runtime.prepare import Settings
from schematic.runtime.program import instantiate, load_class, partial_fields
from schematic.runtime.step import init, laid_out, step
from schematic.runtime.train import train
from schematic.runtime.tune import Tuning

EXAMPLES = Path(__file__).parents[2] / "examples"
EMITTED = [EXAMPLES / f"{n}.sg" for n in ("vae", "infogan", "aavae", "discrete_vae", "iwae", "wgan_gp", "helmholtz")]
EXACT = {"rtol": 1e-12, "atol": 1e-12}
ROUNDED = {"rtol": 1e-4, "atol": 1e-5}


def alike(plain: nn.Module, form: nn.Module, x: Tensor, **near: float) -> None:
    """Values, every gradient, and the gradients of a gradient's norm."""
    assert list(plain.state_dict()) == list(form.state_dict())
    found = []
    for module in (plain, form):
        at = x.clone().requires_grad_()
        value = module(at)
        moving = [at, *module.parameters()]
        first = torch.autograd.grad(value.square().sum(), moving, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), moving, allow_unused=True)
        once = torch.autograd.grad(module(at).sin().sum(), moving)
        found.append([value, *first, *once, *(torch.zeros(()) if g is None else g for g in second)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there, **near)


def formed(layer: nn.Module, form: type[nn.Module]) -> tuple[nn.Module, nn.Module]:
    import copy

    other = copy.deepcopy(layer)
    other.__class__ = form
    return layer, other


@pytest.mark.skipif(not layers.available(), reason="this torch has no oneDNN product")
@pytest.mark.parametrize("bias", (True, False))
@pytest.mark.parametrize("shape", ((7, 5), (3, 4, 5), (5,), (0, 5)))
def test_onednn_product(shape: tuple[int, ...], bias: bool) -> None:
    plain, form = formed(nn.Linear(5, 6, bias=bias), OneDNNLinear)
    alike(plain, form, torch.randn(shape), **ROUNDED)
    alike(plain.double(), form.double(), torch.randn(shape, dtype=torch.float64), **EXACT)


@pytest.mark.skipif(not layers.available(), reason="this torch has no oneDNN product")
def test_onednn_product_is_used_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 on the CPU; not under autocast, in float64, for tensors without numbers, where torch transforms."""
    calls: list[int] = []
    real = layers.product
    monkeypatch.setattr(layers, "product", lambda *a: calls.append(1) or real(*a))
    _, form = formed(nn.Linear(5, 6), OneDNNLinear)
    x = torch.randn(7, 5)
    form(x.requires_grad_()).sum().backward()
    assert len(calls) == 3  # there, and back to the input and to the weight
    calls.clear()
    with torch.autocast("cpu", torch.bfloat16):
        assert form(x).dtype == torch.bfloat16
    torch.func.vmap(form)(x.detach())
    torch.func.grad(lambda v: form(v).sum())(x.detach())
    assert formed(nn.Linear(5, 6, device="meta"), OneDNNLinear)[1](torch.empty(7, 5, device="meta")).shape == (7, 6)
    form.double()(x.detach().double())
    assert not calls


@pytest.mark.parametrize("scale", (2, (2, 2), 2.0))
@pytest.mark.parametrize("mode", ("nearest", "nearest-exact"))
def test_upsampling_and_convolution_are_one(scale: Any, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.Upsample(scale_factor=scale, mode=mode), nn.Conv2d(3, 4, 3, padding=1),
        nn.Tanh(), nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 3, 1, "same", bias=False), nn.Upsample(scale_factor=2),
    ).double()  # fmt: skip
    calls: list[int] = []
    monkeypatch.setattr(layers, "doubled", lambda *a, real=layers.doubled: calls.append(1) or real(*a))
    for size in ((5, 7), (1, 1), (4, 4)):
        alike(*formed(body, Doubling), torch.randn(3, 2, *size, dtype=torch.float64), **EXACT)
    assert len(calls) == 3 * 2 * 2


@pytest.mark.parametrize(
    "pair",
    (
        (nn.Upsample(scale_factor=3), nn.Conv2d(2, 3, 3, padding=1)),
        (nn.Upsample(size=(8, 8)), nn.Conv2d(2, 3, 3, padding=1)),
        (nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(2, 3, 3, padding=1)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 5, padding=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(2, 4, 3, padding=1, groups=2)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3, 2, 1)),
        (nn.Upsample(scale_factor=2), nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")),
        (nn.Upsample(scale_factor=2), nn.BatchNorm2d(2)),
    ),
)
def test_what_is_not_one(pair: tuple[nn.Module, nn.Module]) -> None:
    assert not layers.pairs(nn.Sequential(*pair))
    alike(*formed(nn.Sequential(*pair).double().eval(), Doubling), torch.randn(2, 2, 4, 4).double(), **EXACT)


@pytest.mark.parametrize(
    ("layer", "form"),
    (
        (nn.Conv2d(3, 4, 4, 2, 1), ChannelsLastConv2d),
        (nn.ConvTranspose2d(3, 4, 4, 2, 1), ChannelsLastConvTranspose2d),
    ),
)
def test_channels_last(layer: nn.Module, form: type[nn.Module]) -> None:
    alike(*formed(layer.double(), form), torch.randn(2, 3, 6, 8, dtype=torch.float64), **EXACT)


def test_gradients_are_laid_out_as_parameters() -> None:
    """torch's fused optimizers read memory as it lies: a gradient in another order would move the wrong elements."""
    parameter = nn.Parameter(torch.randn(4, 3, 2, 2))
    gradient = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    found = laid_out(gradient, parameter)
    assert found is not None and found.stride() == parameter.stride() and torch.equal(found, gradient)
    assert laid_out(None, parameter) is None


# --- programs ---------------------------------------------------------------------------------------------

ALL = Tuning(product=("p_theta.net.0", "p_theta.net.2", "q_phi.net.0", "q_phi.net.2"))
ADAM = Optimizer("adam", 1e-3)


def gan(programs: ModuleType) -> Any:
    return instantiate(load_class(programs.GAN, "GAN"), 0, torch.device("cpu"))


@pytest.mark.skipif(not layers.available(), reason="this torch has no oneDNN product")
def test_a_tuned_program_trains_the_same(programs: ModuleType) -> None:
    batch = {"image": torch.rand(16, 1, 8, 8)}
    found = []
    for tuning in (Tuning(), ALL):
        program = gan(programs)
        tune.apply(program, tuning)
        trainer = init(program, {"phi": ADAM, "theta": ADAM}, torch.Generator().manual_seed(0))
        for _ in range(3):
            step(trainer, repeat(batch))
        found.append(program.state_dict())
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-4)
        assert found[1][name].is_contiguous()


@pytest.fixture
def everything_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "GAIN", float("inf"))


def run(text: str, out: Path, **options: Any) -> dict[str, Any]:
    train(text, out=out, block=Train(data=(("", "digits"),)), settings=Settings(steps=3, **options), progress=False)
    config: dict[str, Any] = json.loads((out / "config.json").read_text())
    return config


@pytest.mark.skipif(not layers.available(), reason="this torch has no oneDNN product")
@pytest.mark.usefixtures("everything_is_faster")
def test_a_run_says_how_it_is_tuned(programs: ModuleType, tmp_path: Path) -> None:
    text = programs.GAN + "\n# a program of this test's own\n"
    tuned = run(text, tmp_path / "tuned")
    plain = run(text, tmp_path / "plain", tune=False)
    assert set(tuned["tuning"]["product"]) == set(ALL.product)
    assert plain["tuning"] == {"product": [], "doubling": [], "channels_last": False}


@pytest.mark.usefixtures("everything_is_faster")
def test_what_was_measured_is_remembered(programs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = run(programs.GAN, tmp_path / "first")
    (kept,) = (tmp_path / "cache/schematic/tuning").iterdir()

    def forbidden(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(tune, "measure", forbidden)
    assert run(programs.GAN, tmp_path / "second")["tuning"] == first["tuning"]
    kept.write_text("{")  # damaged
    with pytest.raises(AssertionError, match="measured again"):
        run(programs.GAN, tmp_path / "third")


def test_measuring_leaves_no_trace(programs: ModuleType) -> None:
    """Parameters, random states and the batches to come are as they were."""
    from schematic.runtime.batches import Batches
    from schematic.runtime.data import load

    generator = torch.Generator().manual_seed(3)
    batches = Batches(load("digits", {"image": (1, 8, 8)}), 16, torch.device("cpu"), generator)
    program = gan(programs)
    before = {n: v.clone() for n, v in program.state_dict().items()}
    states = torch.get_rng_state(), generator.get_state()
    tune.tune(program, batches, {"phi": ADAM, "theta": ADAM}, "a text's digest")
    assert all(torch.equal(v, before[n]) for n, v in program.state_dict().items())
    assert torch.equal(torch.get_rng_state(), states[0]) and torch.equal(generator.get_state(), states[1])


def test_what_is_known_and_not_there_is_left_out(programs: ModuleType) -> None:
    program = gan(programs)
    known = {"product": ["p_theta.net.0", "gone"], "doubling": ["p_theta.net"], "channels_last": 1, "other": 2}
    found = tune.tune(program, None, {}, "", known)  # type: ignore[arg-type]
    assert found == Tuning(product=("p_theta.net.0",) if layers.available() else ())


@pytest.mark.parametrize("name", ("infogan", "hinge_gan", "cyclegan"))
def test_a_step_has_no_graph_break(name: str) -> None:
    """What an emitted program computes in a step is one graph. (Not so torch's own `kl_divergence`, which looks a form
    up by its arguments' classes, and a gradient in an objective.)"""
    program = instantiate(load_class(pipeline.compile(EXAMPLES / f"{name}.sg"), name), 0, torch.device("cpu"))
    tune.apply(program, Tuning(product=tuple(tune.linears(program)), channels_last=True))
    batch = {field: torch.rand(4, *shape) for field, shape in program.FIELDS.items()}

    def objectives(fields: dict[str, Tensor]) -> Tensor:
        draw = program.draw(fields)
        return sum(program.objective(draw, groups[0]) for groups in program.UPDATES)

    found = torch._dynamo.explain(objectives)(batch)
    assert found.graph_break_count == 0, found.break_reasons


@pytest.mark.parametrize("path", EMITTED, ids=lambda p: p.stem)
def test_a_step_reads_nothing_back(path: Path) -> None:
    """Whole steps of emitted programs, tuned, run on tensors without numbers: a value read back would raise."""
    cls: Any = load_class(pipeline.compile(path), path.stem)
    with FakeTensorMode():
        program = cls()
        tune.apply(program, Tuning(product=tuple(tune.linears(program)), channels_last=True))
        batch = {field: torch.rand(4, *shape) for field, shape in program.FIELDS.items()}
        batch |= {f"{field}_observed": torch.ones(4, dtype=torch.bool) for field in partial_fields(program)}
        trainer = init(program, dict.fromkeys(program.GROUPS, ADAM), torch.Generator())
        read = step(trainer, repeat(batch)).objectives
        assert read.keys() == program.GROUPS.keys() and all(v.shape == () for v in read.values())


def test_the_upsampled_kernel_is_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Along each side A w, A = [[0,0,1],[0,1,1],[1,1,0],[1,0,0]]."""
    kernels: list[Tensor] = []
    real: Callable[..., Tensor] = F.conv_transpose2d
    monkeypatch.setattr(F, "conv_transpose2d", lambda x, w, *a, **o: kernels.append(w) or real(x, w, *a, **o))
    layer = nn.Conv2d(2, 3, 3, padding=1)
    layers.doubled(torch.randn(1, 2, 4, 4), layer)
    a = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    torch.testing.assert_close(kernels[0], torch.einsum("sk,oikl,tl->iost", a, layer.weight, a))

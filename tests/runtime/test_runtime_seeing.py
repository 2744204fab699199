"""What is seen of a run: grids as it goes on, walks through the code, TensorBoard, the report."""

from __future__ import annotations

import base64
import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import schematic as sg
from schematic.render.report import command
from schematic.runtime import latent
from schematic.runtime.errors import RunError
from schematic.runtime.folder import Run
from schematic.runtime.prepare import Settings
from schematic.runtime.train import train

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = {"vae": "q_eta = Normal(mlp(16))  p_theta = mlp(16)", "discrete_vae": "p_theta = mlp(16)"}


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Run:
    model = sg.load(EXAMPLES / "vae.sg", restate=SMALL["vae"])
    return sg.train(
        model, data="digits", device="cpu", out=tmp_path_factory.mktemp("runs") / "vae", steps=45, seed=3
    ).run


def test_grids_of_samples_are_kept_as_training_goes_on(vae: Run) -> None:
    grids = sorted((vae / "samples").iterdir())
    assert [p.name for p in grids] == ["000000020.png", "000000040.png", "000000045.png"]
    assert len({p.read_bytes() for p in grids}) == 3
    assert grids[-1].read_bytes() == (vae / "samples.png").read_bytes()  # the same noise, the same parameters


def test_the_code_is_walked_through(vae: Run, tmp_path: Path) -> None:
    assert (vae / "traversal-z.png").exists() and (vae / "interpolation.png").exists()
    discrete = sg.load(EXAMPLES / "discrete_vae.sg", restate=SMALL["discrete_vae"])
    run = sg.train(discrete, data="digits", device="cpu", out=tmp_path / "run", steps=5, batch=8).run
    assert {p.name for p in run.path.glob("traversal-*")} == {"traversal-t.png", "traversal-z.png"}


class Shows(nn.Module):
    """A program whose image shows the code: pixel i is coordinate i."""

    DATA = {"x": "image", "c": "label"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def p_theta(self, z: Tensor, c: Tensor) -> Tensor:
        return torch.cat((z, c), 1).reshape(-1, 1, 2, 3)


TEXT = """model M { x : real(1, 2, 3) = data("image")  c : category(2) = data("label")  z : real(4) ~ Normal(1, 2)
  y : domain(fake, real)  p_theta : z, c, y ==> x  q_phi : x, c ~> y }"""


def test_a_traversal_moves_one_coordinate_and_an_interpolation_meets_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Tensor] = []
    monkeypatch.setattr(latent, "grid", lambda images, columns: shown.append((torch.from_numpy(images), columns)))
    batch = {"image": torch.zeros(16, 1, 2, 3), "label": torch.eye(2).repeat(8, 1)}
    found = latent.pictures(Shows(), sg.parse(TEXT).drawn, batch, 0)  # type: ignore[arg-type]
    assert list(found) == ["traversal-z", "interpolation"]
    (walk, columns), (between, _) = shown  # type: ignore[misc]
    walk, between = walk.reshape(4, columns, 6), between.reshape(8, latent.COLUMNS, 6)
    for row in range(4):
        moved = (walk[row] != walk[row, :1]).any(0)
        assert moved.nonzero().flatten().tolist() == [row]  # neither other coordinates nor the label
        assert walk[row, 0, row] == pytest.approx(1 - 5, abs=0.6) and walk[row, -1, row] == pytest.approx(
            1 + 5, abs=0.6
        )
        assert torch.equal(walk[row, 0, 4:], batch["label"][row])
    norms = between[..., :4].norm(dim=-1)
    assert not torch.allclose(between[:, 0], between[:, -1])
    assert (norms >= torch.minimum(norms[:, :1], norms[:, -1:]) * 0.7).all()  # a straight line would cut the corner
    assert (between[..., 4:] == between[:, :1, 4:]).all()


def test_models_without_a_code_have_no_walks() -> None:
    half = sg.load(EXAMPLES / "cyclegan.sg").drawn
    assert latent.pictures(Shows(), half, {}, 0) == {}  # type: ignore[arg-type]


# --- the report -------------------------------------------------------------------------------------------


def test_the_report_is_one_page_with_everything(vae: Run) -> None:
    figures = [{"name": "a <bound>", "value": -24.01, "before": -62.1, "unit": "nats", "sd": 0.5}]
    (vae / "figures.json").write_text(json.dumps(figures))
    text = sg.report(vae.path).read_text()
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings[0] == "Objectives" and {"Figures", "Samples", "Between two codes"} <= set(headings)
    assert "a &lt;bound&gt;" in text and "-24.01 ± 0.5" in text and "-62.1" in text
    pictures = [base64.b64decode(found) for found in re.findall(r'src="data:image/[^;]+;base64,([^"]+)"', text)]
    for name in ("drawing.svg", "curves.svg", "samples.png", "reconstructions.png", "traversal-z.png"):
        assert (vae / name).read_bytes() in pictures
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)  # nothing from elsewhere
    assert "adam(0.001, 0.9, 0.999, steps: 1, schedule: linear)" in text and vae.program and "model.sg" in text


def test_the_report_says_how_to_repeat_the_run(vae: Run, tmp_path: Path) -> None:
    import shlex

    from schematic.cli.main import cli

    words = shlex.split(command(vae.path, vae.config))
    assert words[:2] == ["schematic", "train"] and "--seed" in words
    again = [*words[1:-1], str(tmp_path / "again")]
    assert cli.main(again, standalone_mode=False) in (0, None)
    assert (tmp_path / "again" / "report.html").exists()
    one, other = vae.load()["program"], Run(tmp_path / "again").load()["program"]
    assert all(torch.equal(v, other[k]) for k, v in one.items())


def test_a_report_of_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run"):
        sg.report(tmp_path)


# --- TensorBoard ------------------------------------------------------------------------------------------


def test_tensorboard_gets_objectives_and_samples(programs: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    accumulator: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    asked = Settings(steps=40, device="cpu", tensorboard=True)
    run = train(programs.GAN, out=tmp_path / "run", settings=asked, progress=False).run
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == {f"{kind}/{g}" for kind in ("objective", "gradient") for g in ("phi", "theta")}
    assert [e.step for e in events.Scalars("objective/phi")] == [20, 40]
    assert tags["images"] == ["samples/x"]
    assert events.Images("samples/x")[-1].encoded_image_string == (run / "samples" / "000000040.png").read_bytes()


def test_a_missing_tensorboard_is_told(programs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RunError, match=r"pip install 'schematic-gm\[tensorboard\]'"):
        train(programs.GAN, out=tmp_path / "run", settings=Settings(steps=1, tensorboard=True))
    assert not (tmp_path / "run").exists()

"""Checkpoints: whole or not at all, read without code; a run that was stopped is the run that was not."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schematic.runtime import checkpoint
from schematic.runtime.errors import RunError, RunWarning
from schematic.runtime.folder import Run
from schematic.runtime.metrics import lines
from schematic.runtime.prepare import Settings
from schematic.runtime.sample import sample
from schematic.runtime.step import step
from schematic.runtime.train import resume, train

ROOT = Path(__file__).parents[2]


def asked(steps: int = 45, **more: Any) -> Settings:
    return Settings(steps=steps, device="cpu", save_every=0.0, **more)


@pytest.fixture
def vae_run(programs: ModuleType, tmp_path: Path) -> Run:
    return train(programs.VAE, out=tmp_path / "vae", settings=asked(), progress=False).run


def same(a: Run, b: Run) -> bool:
    """Whether two runs ended at the same state, bit for bit, and saw the same objectives on the way."""
    states = [{**run.load(), "seconds": 0} for run in (a, b)]
    objectives = [[json.loads(line)["objectives"] for line in (run / "metrics.jsonl").open()] for run in (a, b)]
    weights = [(run / "weights.safetensors").read_bytes() for run in (a, b)]
    return equal(*states) and objectives[0] == objectives[1] and weights[0] == weights[1]


def equal(a: Any, b: Any) -> bool:
    match a:
        case torch.Tensor():
            return torch.equal(a, b)
        case dict():
            return a.keys() == b.keys() and all(equal(v, b[k]) for k, v in a.items())
        case list() | tuple():
            return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


# --- files ------------------------------------------------------------------------------------------------


def test_checkpoints_are_tensors_and_plain_values(vae_run: Run) -> None:
    assert [checkpoint.step_of(p.name) for p in vae_run.checkpoints()] == [40, 45]
    state = torch.load(vae_run.checkpoints()[-1], weights_only=True)
    assert state["step"] == 45 and state["format"] == checkpoint.FORMAT
    assert all(v.isfinite().all() for v in state["program"].values())
    assert {"program", "averages", "optimizers", "batches", "random"} < set(state)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_byte_that_changes_is_seen(data: st.DataObject) -> None:
    name, content = checkpoint.encode({"step": 7, "program": {"w": torch.arange(4.0)}, "averages": {}})
    assert equal(checkpoint.decode(name, content)["program"]["w"], torch.arange(4.0))  # type: ignore[index]
    at, bits = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    damaged = bytearray(content)
    damaged[at] ^= bits
    assert checkpoint.decode(name, bytes(damaged)) is None
    assert checkpoint.decode(name, content[:at]) is None


class Code:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def test_no_code_is_read(tmp_path: Path) -> None:
    torch.save({"format": checkpoint.FORMAT, "step": 1, "program": Code()}, tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    assert checkpoint.decode(f"000000001-{checkpoint._hash(content)}.pt", content) is None


@pytest.mark.parametrize(("format", "words"), [(0, "an older schematic"), (99, "a newer schematic")])
def test_another_format_is_told(format: int, words: str, monkeypatch: pytest.MonkeyPatch, vae_run: Run) -> None:
    state = vae_run.load()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", format)
        vae_run.save({**{k: v for k, v in state.items() if k != "format"}, "step": 46})
    with pytest.raises(RunError, match=words):
        resume(vae_run.path)


@pytest.mark.parametrize("damage", ["truncated", "a byte", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage: str, vae_run: Run, programs: ModuleType, tmp_path: Path
) -> None:
    whole = train(programs.VAE, out=tmp_path / "whole", settings=asked(), progress=False).run
    newest = vae_run.checkpoints()[-1]
    content = bytearray(newest.read_bytes())
    content[random.Random(damage).randrange(len(content))] ^= 1
    newest.write_bytes({"truncated": newest.read_bytes()[:1000], "a byte": bytes(content), "empty": b""}[damage])
    with pytest.warns(RunWarning, match=f"damaged: {newest.name}; going back to the checkpoint of step 40"):
        assert resume(vae_run.path, progress=False).reason == "finished"
    assert same(vae_run, whole)  # and the damaged file is gone
    assert [checkpoint.step_of(p.name) for p in vae_run.checkpoints()] == [40, 45]


def test_no_whole_checkpoint_is_told(vae_run: Run) -> None:
    for path in vae_run.checkpoints():
        path.write_bytes(b"nothing")
    for use in (resume, sample):
        with pytest.raises(RunError, match="every checkpoint is damaged"):
            use(vae_run.path)


def test_metrics_that_were_cut_short_do_no_harm(vae_run: Run) -> None:
    with (vae_run / "metrics.jsonl").open("ab") as file:
        file.write(b'\xff{"step": 1\n[1]\n{"step": 50, "objec')
    assert [line["step"] for line in lines(vae_run)] == [20, 40, 45]
    assert resume(vae_run.path, progress=False).reason == "finished"


def test_a_run_without_a_checkpoint_begins_again(vae_run: Run, programs: ModuleType, tmp_path: Path) -> None:
    whole = train(programs.VAE, out=tmp_path / "whole", settings=asked(), progress=False).run
    for path in vae_run.checkpoints():
        path.unlink()
    assert resume(vae_run.path, progress=False).steps == 45 and same(vae_run, whole)


def test_what_a_run_was_trained_on_is_checked(vae_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = vae_run.program
    (vae_run / "program.py").write_text(text + "\n")
    with pytest.raises(RunError, match="no longer what was trained"):
        resume(vae_run.path)
    (vae_run / "program.py").write_text(text)
    config = vae_run.config
    vae_run.configure({name: value for name, value in config.items() if name != "seed"})
    with pytest.raises(RunError, match="of a version with other settings"):
        resume(vae_run.path)
    vae_run.configure({**config, "sets": {"": "3 images"}})
    with pytest.raises(RunError, match=r"the data of .* have changed"):
        resume(vae_run.path)


# --- the disk ---------------------------------------------------------------------------------------------


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_run_and_leaves_a_checkpoint(
    programs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third checkpoint does not fit any more."""
    plain = Run.save

    def save(run: Run, state: Any) -> None:
        with monkeypatch.context() as patch:
            if state["step"] > 20:
                patch.setattr(os, "fsync", full)
            plain(run, state)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save)
        with pytest.raises(RunError, match=r"(?i)no space left.*checkpoint of step 20 is whole"):
            train(programs.VAE, out=tmp_path / "run", settings=asked(), progress=False)
    run, whole = Run(tmp_path / "run"), train(programs.VAE, out=tmp_path / "whole", settings=asked()).run
    assert run.load()["step"] == 20 and not list((run / "checkpoints").glob(".*"))
    assert resume(run.path, progress=False).reason == "finished" and same(run, whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_fills_up(small_disk: Path, vae_run: Run, programs: ModuleType) -> None:
    """There is room for one checkpoint and a half."""
    size = vae_run.checkpoints()[-1].stat().st_size
    (small_disk / "other").write_bytes(b"0" * (2**20 - 2**16 - 3 * size // 2))
    with pytest.raises(RunError, match=r"No space left.*checkpoint of step (0|20) is whole"):
        train(programs.VAE, out=small_disk / "run", settings=asked(), progress=False)
    (small_disk / "other").unlink()
    assert resume(small_disk / "run", progress=False).steps == 45


def test_a_disk_that_is_full_from_the_start(small_disk: Path, programs: ModuleType) -> None:
    (small_disk / "other").write_bytes(b"0" * 1_040_000)
    with pytest.raises(RunError, match="No space left"):
        train(programs.VAE, out=small_disk / "run", settings=asked(), progress=False)


# --- stopped at any moment ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GAN", "VAE"])
def test_an_interrupted_run_is_the_run_that_was_not(
    name: str, programs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = getattr(programs, name)
    whole = train(text, out=tmp_path / "whole", settings=asked(60), progress=False).run
    with monkeypatch.context() as patch:
        patch.setattr("schematic.runtime.train.step", interrupting(25))
        outcome = train(text, out=tmp_path / "parts", settings=asked(60), progress=False)
    assert outcome.reason == "interrupted" and outcome.steps == 25 and "--resume" in outcome.message
    assert resume(tmp_path / "parts", progress=False).reason == "finished"
    parts = Run(tmp_path / "parts")
    assert [line["step"] for line in lines(parts)] == [20, 25, 40, 60]
    assert equal(whole.load()["program"], parts.load()["program"])


def interrupting(at: int) -> Any:
    """`step`, with Ctrl-C pressed during the step of this number."""
    taken = 0

    def stepping(*arguments: Any, **options: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == at:
            signal.raise_signal(signal.SIGINT)
        return step(*arguments, **options)

    return stepping


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from schematic.runtime.errors import RunError
from schematic.runtime.prepare import Settings
from schematic.runtime.train import resume, train

torch.set_num_threads(1)
steps, times, seed, text = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path("program.py").read_text()


def go_on(run):
    try:
        resume(run, progress=False)
    except RunError:  # killed before there was a run
        train(text, out=run, settings=Settings(steps=steps, device="cpu", save_every=0.0), progress=False)


def child(run):
    pid = os.fork()
    if not pid:
        go_on(run)
        os._exit(0)
    return pid


begun = time.monotonic()
assert os.waitpid(child(Path("whole")), 0)[1] == 0
seconds, moments, met = time.monotonic() - begun, random.Random(seed), 0
for _ in range(times):
    pid = child(Path("killed"))
    time.sleep(moments.uniform(0, 1.5 * seconds / times))
    os.kill(pid, signal.SIGKILL)
    met += os.waitpid(pid, 0)[1] == signal.SIGKILL
assert os.waitpid(child(Path("killed")), 0)[1] == 0
print(met)
"""


def kill_at_random(text: str, folder: Path, times: int, steps: int, seed: int) -> int:
    """How many of `times` kill -9, at random moments, met a run at work; it ends as the run that was not killed."""
    (folder / "program.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED, str(steps), str(times), str(seed)]
    found = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    whole, killed = Run(folder / "whole"), Run(folder / "killed")
    assert whole.config["status"] == "finished" == killed.config["status"] and same(whole, killed)
    return int(found.stdout)


def test_a_killed_run_ends_as_if_it_had_not_been(programs: ModuleType, tmp_path: Path) -> None:
    assert kill_at_random(programs.GAN, tmp_path, 5, 200, seed=0) == 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_run_killed_fifty_times(seed: int, programs: ModuleType, tmp_path: Path) -> None:
    """Ten runs, killed ten times each: `pytest -m slow tests/runtime/test_runtime_checkpoints.py`."""
    text = (programs.GAN, programs.VAE)[seed % 2]
    assert kill_at_random(text, tmp_path, 10, 1000, seed) > 5


# --- weights ----------------------------------------------------------------------------------------------


ALONE = """
import sys
sys.modules["schematic"] = None  # importing it raises
import torch
from safetensors.torch import load_file
from program import VAE
vae = VAE()
print(vae.load_state_dict(load_file("weights.safetensors")))
torch.manual_seed(3)
torch.save(vae.sample(4)["x"], "alone.pt")
"""


def test_weights_load_into_the_emitted_class_without_schematic(vae_run: Run, tmp_path: Path) -> None:
    from schematic.runtime.sample import reload

    found = subprocess.run([sys.executable, "-c", ALONE], cwd=vae_run.path, capture_output=True, text=True)
    assert found.returncode == 0 and "All keys matched" in found.stdout, found.stderr
    torch.manual_seed(3)
    expected = reload(vae_run.path, "cpu").program.sample(4)["x"]
    assert torch.equal(torch.load(vae_run / "alone.pt"), expected)

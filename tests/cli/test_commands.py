"""What the commands print, write and exit with."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

import schematic.cli.main as entry
from schematic.cli.front import PICTURES, STAGES
from schematic.cli.main import cli
from schematic.render.drawing import FORMATS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GOOD, BAD = EXAMPLES / "vae.sg", "model M {\n  x : rael(3)\n  q_a : x, w ~> y\n}\n"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Result:
    exit_code: int
    stdout_bytes: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode()


def run(*arguments: str | Path, stdin: str = "") -> Result:
    """The command in this process, with streams of its own."""
    with CliRunner().isolation(input=stdin) as (out, err, _):
        code = entry.run([str(a) for a in arguments])
        return Result(code, out.getvalue(), err.getvalue().decode())


def whole(*arguments: str | Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "schematic", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **settings)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.sg"
    path.write_text(BAD)
    return path


# --- exit codes, streams -------------------------------------------------------------------------------------------


def test_a_good_file_is_silent() -> None:
    result = whole("check", GOOD)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_errors_go_to_stderr_with_their_places(bad: Path) -> None:
    result = whole("check", bad)
    assert result.returncode == 1 and result.stdout == ""
    heads = [line for line in result.stderr.splitlines() if line.startswith(f"{bad}:")]
    assert heads[0].startswith(f"{bad}:2:7: error[SG102]") and len(heads) >= 2
    assert "Traceback" not in result.stderr and "\x1b" not in result.stderr


@pytest.mark.parametrize("command", ["compile", "render", "derive", "swap", "train"])
def test_every_command_tells_the_same_errors(command: str, bad: Path) -> None:
    result = whole(command, bad)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == whole("check", bad).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "no_such.sg"),
        ("chekc", GOOD),
        ("compile", GOOD, "--stage", "no"),
        ("render", GOOD, "-o", "a.bmp"),
    ],
)
def test_usage_is_2(arguments: tuple[str | Path, ...]) -> None:
    result = whole(*arguments)
    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr


def test_check_as_json(bad: Path) -> None:
    result = run("check", bad, "--json")
    first, *rest = json.loads(result.stdout)
    assert result.exit_code == 1 and result.stderr == "" and rest
    assert (first["code"], first["line"], first["column"], first["severity"]) == ("SG102", 2, 7, "error")
    assert json.loads(run("check", GOOD, "--json").stdout) == []


def test_check_takes_many_files_and_reports_all(bad: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sg"
    other.write_text(BAD)
    result = run("check", bad, GOOD, other)
    assert result.exit_code == 1 and str(bad) in result.stderr and str(other) in result.stderr


def test_with_restates_and_model_picks(tmp_path: Path) -> None:
    two = tmp_path / "two.sg"
    path = os.path.relpath(EXAMPLES / "infogan.sg", tmp_path)
    two.write_text(f'use "{path}"\nmodel A = InfoGAN without q_eta\nmodel B = InfoGAN\n')
    assert "class B(" in run("compile", two).stdout
    assert "class A(" in run("compile", two, "--model", "A").stdout
    assert run("compile", two, "--model", "C").exit_code == 1
    assert "(1, 28, 28)" in run("compile", two, "--with", 'x : unit(1, 28, 28) = data("image")').stdout
    assert "--with:1:5: error" in run("compile", two, "--with", "x : rael").stderr


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    assert all(f"  {name} " in text for name in cli.commands)
    assert run("--version").stdout.startswith("schematic, version ")


# --- results -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_compile_prints_every_stage_the_same_twice(stage: str) -> None:
    first, second = run("compile", GOOD, "--stage", stage), run("compile", GOOD, "--stage", stage)
    assert first.exit_code == 0 and first.stdout and first.stdout == second.stdout


@pytest.mark.parametrize("kind", PICTURES)
def test_render_writes_every_format(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"vae.{kind}"
    assert run("render", GOOD, "-o", path).exit_code == 0
    begins = {"svg": b"<", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "tex": b"\\"}[kind]
    assert begins in path.read_bytes()[:80]
    assert run("render", EXAMPLES / "gan.sg", "-o", path).exit_code == 0  # ours, so it is replaced


def test_render_knows_all_formats() -> None:
    assert PICTURES == FORMATS


@pytest.mark.parametrize(
    ("flag", "begins"), [(None, "VAE"), ("--latex", "\\documentclass"), ("--html", "<!doctype html>")]
)
def test_derive_prints_its_forms(flag: str | None, begins: str) -> None:
    result = run("derive", GOOD, *([flag] if flag else []))
    assert result.exit_code == 0 and result.stdout.lower().startswith(begins.lower())


def test_derive_as_json() -> None:
    found = json.loads(run("derive", GOOD, "--json").stdout)
    (objective,) = found["objectives"]
    assert objective["groups"] == ["theta", "eta"] and objective["steps"] and found["assumptions"]
    assert "KL" in objective["text"] and "\\mathrm{KL}" in objective["latex"]


def test_results_are_not_written_over_somebodys_file(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("mine\n")
    refused = run("compile", GOOD, "-o", path)
    assert refused.exit_code == 2 and "--force" in refused.stderr and path.read_text() == "mine\n"
    assert run("compile", GOOD, "-o", path, "--force").exit_code == 0
    assert run("compile", EXAMPLES / "gan.sg", "-o", path).exit_code == 0
    assert path.read_bytes() == run("compile", EXAMPLES / "gan.sg", "-o", "-").stdout_bytes


def test_swap_is_an_involution(tmp_path: Path) -> None:
    once, twice = tmp_path / "once.sg", tmp_path / "twice.sg"
    assert run("swap", EXAMPLES / "infogan.sg", "-o", once).exit_code == 0
    assert "~~>" in once.read_text() and "assumes:" in run("swap", EXAMPLES / "infogan.sg").stderr
    assert run("swap", once, "-o", twice).exit_code == 0
    plain = run("swap", EXAMPLES / "infogan.sg", "x", "z").stdout
    assert run("swap", twice, "x", "z").stdout == plain
    assert run("swap", once, "x").exit_code == 2
    assert "SG301" in run("check", once, "--with", "q_fi = mlp(3)").stderr


# --- fmt -----------------------------------------------------------------------------------------------------------


def test_fmt_lays_out_in_place_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    path = tmp_path / "m.sg"
    path.write_bytes(b"\xef\xbb\xbfmodel M{x:real(3)=data # why\r\np_a : -> x}")
    assert run("fmt", "--check", path).exit_code == 1
    assert run("fmt", path).exit_code == 0
    text = path.read_text()
    assert "# why" in text and "\r" not in text
    assert run("fmt", "--check", path).exit_code == 0 and run("fmt", path).stderr == ""
    assert run("fmt", "-", stdin=text).stdout == text


def test_fmt_leaves_a_file_with_errors_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sg"
    path.write_text("model M { x : ; }")
    result = run("fmt", path)
    assert result.exit_code == 1 and "SG" in result.stderr and path.read_text() == "model M { x : ; }"


# --- the process ---------------------------------------------------------------------------------------------------

LIGHT = {"check": (), "compile": (), "derive": (), "render": (), "swap": (), "fmt": ("--check",)}


@pytest.mark.parametrize("command", LIGHT)
def test_front_end_commands_never_import_torch(command: str) -> None:
    code = (
        "import sys\nfrom schematic.cli.main import run\n"
        "run(sys.argv[1:])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", code, command, *LIGHT[command], str(GOOD)]
    seen = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, check=True).stderr
    assert not {"torch", "pyro", "networkx"} & set(seen.split())


def test_check_is_fast() -> None:
    """0.3 s as a whole process on an idle machine. Here its CPU time has a coarse bound, best of five."""

    def seconds() -> float:
        before = os.times()
        whole("check", GOOD)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(5)) < 0.5


def test_an_internal_error_takes_the_blame(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("schematic.compiler.pipeline.check", fails)
    assert entry.run(["check", str(GOOD)]) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "our fault" in said
    kept = Path(said.split("the traceback is in ")[1].strip().rstrip("."))
    assert "ZeroDivisionError: inside" in kept.read_text()
    kept.unlink()


def test_a_reader_that_goes_away_is_quiet() -> None:
    command = f"{sys.executable} -m schematic compile {GOOD} --stage ast | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT)
    assert result.stderr == "" and result.stdout.count("\n") == 1


def test_ctrl_c_ends_training_with_a_checkpoint(tmp_path: Path) -> None:
    arguments = ["train", str(EXAMPLES / "vae_direct.sg"), "--out", str(tmp_path / "run")]
    command, pipe = [sys.executable, "-m", "schematic", *arguments], subprocess.PIPE
    with subprocess.Popen(command, stderr=pipe, stdout=pipe, text=True, env=ENVIRONMENT) as process:
        deadline = time.monotonic() + 60
        metrics = tmp_path / "run" / "metrics.jsonl"
        while not (metrics.exists() and metrics.read_bytes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out.startswith("interrupted:") and "Traceback" not in err
    assert list((tmp_path / "run" / "checkpoints").glob("*.pt"))


def test_train_then_sample(tmp_path: Path) -> None:
    result = run("train", EXAMPLES / "vae_direct.sg", "--steps", "3", "--out", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["steps"] == 3 and summary["reason"] == "finished" and set(summary["objectives"]) == {"theta", "eta"}
    again = run("train", "--resume", tmp_path / "run", "--json")
    assert json.loads(again.stdout)["steps"] == 3
    picture = tmp_path / "digits.png"
    assert run("sample", tmp_path / "run", "-n", "4", "-o", picture).stdout.strip() == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("check", tmp_path / "run" / "model.sg").exit_code == 0


def test_what_is_wrong_with_a_run_is_said_without_a_traceback(tmp_path: Path) -> None:
    result = run("sample", tmp_path)
    assert result.exit_code == 1 and "not a run" in result.stderr
    data = run("train", EXAMPLES / "vae_direct.sg", "--data", "no_such_set", "--out", tmp_path / "run")
    assert data.exit_code == 1 and "no_such_set" in data.stderr
    assert run("train", GOOD, "--epochs", "1", "--steps", "1").exit_code == 2
    assert run("train").exit_code == 2
    refused = run("train", "--resume", tmp_path, "--steps", "3")
    assert refused.exit_code == 2 and "leave out --steps" in refused.stderr
    assert "not a run" in run("train", "--resume", tmp_path).stderr

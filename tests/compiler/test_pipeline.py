"""The order of the stages: what `check` tells, what `compile` refuses, every stage as text."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from schematic.compiler import pipeline
from schematic.core.diagnostics import SchematicError

GOOD = 'model M { x : unit(3) = data("image")  z : real(2) ~ Normal(0, 1)  p_theta : z -> x  q_eta : x --> z }\n'
WAITS = GOOD + "model I = M { h[1..3] : real(2)  p_xi : z -> h[1] }\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.sg"
    path.write_text(GOOD)
    return path


def test_a_good_file_has_nothing_wrong(file: Path) -> None:
    assert not list(pipeline.check(file))


@pytest.mark.parametrize("stage", ("ast", "graph", "objectives", "plan", "python"))
def test_every_stage_has_a_text(file: Path, stage: str) -> None:
    text = pipeline.compile(file, stage=stage)  # type: ignore[arg-type]
    assert text.endswith("\n") and text == pipeline.compile(file, stage=stage)  # type: ignore[arg-type]


def test_what_is_not_compiled_yet_is_a_warning_then_an_error(file: Path) -> None:
    file.write_text(WAITS)
    told = list(pipeline.check(file))
    assert [(d.code, d.severity) for d in told] == [("SG601", "warning")]
    with pytest.raises(SchematicError) as found:
        pipeline.compile(file)
    assert [(d.code, d.severity) for d in found.value.diagnostics] == [("SG601", "error")]
    assert pipeline.compile(file, model="M")
    assert pipeline.compile(file, stage="graph")


def test_every_model_of_a_file_is_checked(file: Path) -> None:
    file.write_text("model A { x : real(2) = data  z : real(2)  p_theta : z -> x }\n" + GOOD)
    assert pipeline.check(file).failed
    assert not pipeline.check(file, model="M").failed


def test_restated_and_named_models_say_so_in_their_header(file: Path) -> None:
    code = pipeline.compile(file, model="M", restate="z : real(5) ~ Normal(0, 1)")
    assert "(batch, 5)" in code and "--with 'z : real(5) ~ Normal(0, 1)'" in code.splitlines()[2]


def test_the_hash_is_of_the_text_wherever_it_lies(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "n.sg"
    other.write_text(GOOD)
    hashes = {pipeline.compile(p).splitlines()[1] for p in (file, other)}
    assert len(hashes) == 1
    other.write_text(GOOD + "# a word more\n")
    assert pipeline.compile(other).splitlines()[1] not in hashes


def test_a_model_without_data_is_told(file: Path) -> None:
    file.write_text(
        "model G { x : real(2) ~ Normal(0, 1)  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)"
        "  p_theta : z, y ==> x  q_phi : x ~> y }"
    )
    assert [d.code for d in pipeline.check(file) if d.severity == "error"] == ["SG420"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for stage in ("ast", "python"):
        with pytest.raises(SchematicError):
            pipeline.compile(tmp_path / "none.sg", stage=stage)  # type: ignore[arg-type]
    assert pipeline.check(tmp_path / "none.sg").failed


def test_the_stages_import_no_torch(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from schematic.compiler import pipeline;"
        f"pipeline.compile(Path({str(file)!r}));"
        "assert not {'torch', 'networkx', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_bytes_do_not_depend_on_the_hash_seed(file: Path) -> None:
    command = [sys.executable, "-m", "schematic", "compile", str(file)]
    seeds = ({"PYTHONHASHSEED": str(s), "PYTHONPATH": "."} for s in (1, 2, 3))
    texts = {subprocess.run(command, check=True, capture_output=True, env=e).stdout for e in seeds}
    assert len(texts) == 1 and ast.parse(texts.pop())

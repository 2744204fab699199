"""The emitted program as a program: devices, determinism, names, the text itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from torch._subclasses.fake_tensor import FakeTensorMode

from schematic.compiler import pipeline
from schematic.compiler.emit import Header, emit
from schematic.compiler.emit_text import checked, comment, doc, local, quoted

EXAMPLES = sorted(Path("examples").glob("*.sg"))


def step(p: Any, data: dict[str, torch.Tensor]) -> None:
    for groups, fresh in zip(p.UPDATES, p.REDRAW, strict=True):
        draw = p.draw(data) if fresh else draw  # noqa: F821
        moved = [q for g in groups for q in p.parameters_of(g)]
        torch.autograd.grad(p.objective(draw, groups[0]), moved)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_stay_on_their_device_and_read_nothing_back(path: Path, batch: Any) -> None:
    """On `meta` a tensor of another device or a value that is read back raises."""
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(pipeline.compile(path), "emitted.py", "exec"), scope)
    (cls,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
    p = cls().double().to("meta")
    data = batch(p, n=4, device="meta")
    step(p, data)
    given = {v: data[p.DATA[v]] for v in p.CONDITIONS}
    assert p.sample(4, **given)
    if hasattr(p, "infer"):
        assert p.infer(**{v: data[f] for v, f in p.DATA.items()})


def test_a_step_runs_without_numbers(program: Any, batch: Any) -> None:
    """Fake tensors: a branch on a value, or `.item()`, raises."""
    p = program(
        'model M { x : binary(3) = data("image")  t : category(3) ~ Categorical  h : binary(7) ~ Bernoulli(0.5)'
        "  p_theta : t, h -> x  q_eta.t : x --> t gradient reinforce  q_eta.h : x --> h }"
    )
    with FakeTensorMode(allow_non_fake_inputs=True):
        step(p, batch(p))


def test_the_generator_drives_all_randomness(program: Any, batch: Any) -> None:
    p = program(
        'model M { x : real(3) = data("image")  z : real(2) ~ Laplace(0, 1)  t : category(3) ~ Categorical'
        "  h : binary(7) ~ Bernoulli(0.5)  p_theta : z, t, h -> x  q_eta.z : x --> z = Laplace(mlp(3))"
        "  q_eta.t : x --> t gradient gumbel(1)  q_eta.h : x --> h gradient straight_through }"
    )
    one = batch(p)
    a, b, c = (p.draw(one, torch.Generator().manual_seed(s))["data"] for s in (1, 1, 2))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in "zth")
    samples = [p.sample(5, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert all(torch.equal(samples[0][k], samples[1][k]) for k in samples[0])
    assert not torch.equal(samples[0]["x"], samples[2]["x"])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_read_well(path: Path) -> None:
    code = pipeline.compile(path)
    assert code == pipeline.compile(path)
    tree = ast.parse(code)
    assert all(len(line) <= 120 and line == line.rstrip() for line in code.splitlines())
    imported = {n.name.split(".")[0] for i in ast.walk(tree) if isinstance(i, ast.Import) for n in i.names}
    imported |= {i.module.split(".")[0] for i in ast.walk(tree) if isinstance(i, ast.ImportFrom) and i.module}
    assert imported <= {"torch", "pyro", "math", "collections"}
    for node in tree.body:  # no helper that is not used
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not any(
            isinstance(b, ast.Assign) and getattr(b.targets[0], "id", "") == "UPDATES" for b in node.body
        ):
            assert len(re.findall(rf"\b{node.name}\b", code)) > 1, node.name
    assert "schematic" not in "\n".join(code.splitlines()[3:])


class Program(SingleFileSnapshotExtension):
    """One text file a program, not collected as a test."""

    _write_mode = WriteMode.TEXT
    file_extension = "py.txt"


@pytest.mark.parametrize("name", ("gan", "vae", "aavae", "discrete_vae", "binary_vae"))
def test_golden(name: str, snapshot: Any) -> None:
    """The text after the nets, without Pyro's programs, which have tests of their own."""
    code = pipeline.compile(Path("examples") / f"{name}.sg")
    before, _, after = code[code.index("class Conditional(") :].partition("    def model(")
    assert before + after[after.index("    @torch.no_grad()") :] == snapshot(extension_class=Program)


# --- names --------------------------------------------------------------------------------------------------


WORDS = ("class", "None", "self", "torch", "generator", "batch", "draw", "n", "F", "dist", "like", "first", "print")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_python_can_name_anything(word: str, emitted: Any, batch: Any) -> None:
    """Variables, domains, groups, nets and models have names of their own: Python's and the program's do no harm."""
    text = f"""
    model {word} {{
      {word} : unit(2) = data("it's a \\ field")  z : real(2) ~ Normal(0, 1)  y : domain({word}, real)
      p_theta : z, y ==> {word} = mlp(3)  q_phi : {word} ~> y = mlp(3)  q_eta : {word}, y -> z = mlp(3)
    }}"""
    for code in (emitted(text), emitted(text + f" model B = perfect(swap_arrows({word}), q_phi)")):
        scope: dict[str, Any] = {"__name__": "emitted"}
        exec(compile(code, "emitted.py", "exec"), scope)
        (cls,) = (c for c in scope.values() if hasattr(c, "UPDATES"))
        p = cls().double()
        assert tuple(p.FIELDS) == ("it's a \\ field",)
        step(p, batch(p))
        assert p.sample(3).keys() == {"z", word}


@pytest.mark.parametrize("name", ("MLP", "Net", "Conditional", "PTheta", "prod", "Tensor", "Shape", "OneHot", "p_z"))
def test_a_model_may_be_called_like_a_part_of_the_program(name: str, program: Any, batch: Any) -> None:
    p = program(
        f'model {name} {{ x : unit(2) = data("image")  z : real(2) ~ Normal(0, 1)'
        "  p_theta : z -> x = mlp(3)  q_eta : x --> z = mlp(3) }"
    )
    step(p, batch(p))


def test_text_of_a_file_stays_text() -> None:
    nasty = 'a"""\n\\import os\r\u2028#\x00\x0c'
    assert "\n" not in comment(nasty) and "\r" not in comment(nasty) and comment(nasty).startswith("# ")
    assert ast.literal_eval(quoted(nasty)) == nasty and ast.literal_eval(quoted('it"s')) == 'it"s'
    assert '"' not in doc(nasty) and "\\" not in doc(nasty) and "\n" not in doc(nasty)
    for name in ("x y", "x;y", "", "1x", "é", "x\n"):
        with pytest.raises(ValueError, match="identifier"):
            checked(name)
    assert local("class") == "class_" and local("x") == "x"


def test_a_header_cannot_hold_code(emitted: Any) -> None:
    from schematic.compiler.objectives import objectives
    from schematic.compiler.plan import plan
    from schematic.core.diagnostics import Report
    from schematic.graph.build import parse

    text = 'model M { x : unit(2) = data("image")  z : real(2) ~ Normal(0, 1)  p_theta : z -> x  q_eta : x --> z }'
    report = Report()
    model = parse(text, report, path='a"""\nimport evil\n.sg')
    assert model is not None
    planned = plan(model, objectives(model, report), report)
    code = emit(planned, Header('a"""\nimport evil\n.sg', "x\nimport evil", "0\rimport evil", "c\nimport evil"))
    names = {n.name for i in ast.walk(ast.parse(code)) if isinstance(i, ast.Import) for n in i.names}
    assert "evil" not in names


def test_a_program_that_draws_no_data_takes_its_batch_size_from_the_records(program: Any, batch: Any) -> None:
    p = program(
        'model M { x : unit(2) = data("image")  z : real(2) ~ Normal(0, 1)  y : domain(fake, real)'
        "  p_theta : z, y ==> x = mlp(3)  q_phi : x ~> y = mlp(3) fixed }"
    )
    assert p.UPDATES == (("theta",),) and p.FIELDS == {"image": (2,)}
    assert p.draw(batch(p, n=7))["fake"]["x"].shape == (7, 2)

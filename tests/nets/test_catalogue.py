"""The catalogue alone: what it says about arguments, options and defaults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from schematic.nets import catalogue

IMAGE, VECTOR = (1, 8, 8), (5,)


@pytest.mark.parametrize(
    ("kind", "args", "options", "words"),
    [
        ("mlp", (0,), (), "`mlp` takes positive whole numbers, not 0: `mlp(400, 400)`"),
        ("mlp", ("a",), (), '`mlp` takes positive whole numbers, not "a": `mlp(400, 400)`'),
        ("mlp", (2.5,), (), "`mlp` takes positive whole numbers, not 2.5: `mlp(400, 400)`"),
        ("mlp", (-1,), (), "`mlp` takes positive whole numbers, not -1: `mlp(400, 400)`"),
        ("mlp", (10**9,), (), "1000000000 is too wide for a layer of `mlp`"),
        ("linear", (3,), (), "`linear` takes no number, not 1: `linear`"),
        ("dcgan", (3, 4), (), "`dcgan` takes one number, not 2: `dcgan(64)`"),
        ("resnet", (64,), (("block", 3),), "`resnet` has no option `block`; its option is `blocks`"),
        ("mlp", (64,), (("blocks", 3),), "`mlp` has no option `blocks`; it has no options"),
        ("resnet", (64,), (("blocks", 3), ("blocks", 4)), "`blocks` is given twice"),
        ("resnet", (64,), (("blocks", -1),), "`blocks` of `resnet` is a whole number from 0 to 1000, not -1"),
        ("conv", (8,), (("kernel", 4),), "`kernel` of `conv` is odd, not 4"),
        ("nope", (), (), "there is no network `nope`"),
    ],
)
def test_what_is_wrong_with_arguments(
    kind: str, args: tuple[int, ...], options: tuple[tuple[str, int], ...], words: str
) -> None:
    assert catalogue.problem(kind, args, options, (IMAGE,), IMAGE).startswith(words)


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "kinds", "words"),
    [
        ("dcgan", (VECTOR,), (), ("real",), "`dcgan` needs an image"),
        ("conv", (VECTOR,), IMAGE, ("real",), "`conv` reads an image"),
        ("table", (VECTOR,), (), ("real",), "`table` has an entry for every value of its parents, and a parent"),
        ("table", ((40,),), (3,), ("binary",), "`table` would have over 1,000,000,000,000 entries"),
        ("table", ((30,),), (1,), ("binary",), "`table` would have 1,073,741,824 entries"),
    ],
)
def test_what_is_wrong_with_ends(
    kind: str, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], kinds: tuple[str, ...], words: str
) -> None:
    assert catalogue.problem(kind, (), (), inputs, output, kinds).startswith(words)


@pytest.mark.parametrize(
    ("inputs", "output", "kinds", "target", "expected"),
    [
        ((IMAGE,), IMAGE, ("unit",), "unit", ("resnet", (64,))),
        ((VECTOR,), IMAGE, ("real",), "unit", ("dcgan", (64,))),
        ((IMAGE, VECTOR), (), ("unit", "real"), "domain", ("dcgan", (64,))),
        (((4, 4, 3),), VECTOR, ("category",), "category", ("mlp", (400, 400))),
        ((VECTOR,), (4,), ("category",), "category", ("table", ())),
        (((10,),), (4,), ("binary",), "binary", ("table", ())),
        (((10,),), (5,), ("binary",), "binary", ("mlp", (400, 400))),
        ((VECTOR,), (4,), ("real",), "category", ("mlp", (400, 400))),
        ((), (4,), (), "binary", ("table", ())),
        ((), (4,), (), "real", ("mlp", (400, 400))),
    ],
)
def test_default_nets(
    inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], kinds: tuple[str, ...], target: str, expected: object
) -> None:
    """4096 entries are a table (2^10 x 4), 5120 are not."""
    assert catalogue.default(inputs, output, kinds, target) == expected


def test_no_torch() -> None:
    code = "import sys, schematic.nets.source as s; s.source(s.NETS); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

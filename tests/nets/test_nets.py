"""Every built-in network between random ends: what the catalogue says, what constructs, what comes out."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from schematic.nets import catalogue, source
from schematic.nets.catalogue import NETS

EMITTED: dict[str, object] = {}
exec("\n".join((*source.imports([*NETS, "Chain"]), source.source([*NETS, "Chain"]))), EMITTED)

small = st.integers(1, 9)
vectors = st.one_of(st.just(()), st.tuples(st.integers(1, 5)), st.tuples(st.integers(1, 3), st.integers(1, 3)))
images = st.tuples(st.integers(1, 3), small, small)
shapes = st.one_of(vectors, images)
ends = st.tuples(st.sampled_from(sorted(NETS)), st.lists(shapes, max_size=2).map(tuple), shapes)


def arguments(kind: str) -> tuple[tuple[int, ...], tuple[tuple[str, int], ...]]:
    """Small arguments, so that tests stay fast."""
    values = {"mlp": (6, 5), "conv": (4, 6)}.get(kind, (4,) if NETS[kind].default else ())
    return values, (("blocks", 1),) if kind == "resnet" else ()


def finite(inputs: tuple[tuple[int, ...], ...]) -> tuple[str, ...]:
    return tuple("category" if shape else "binary" for shape in inputs)


def make(kind: str, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> nn.Module:
    """The network as an emitted program constructs it, in float64."""
    args, options = arguments(kind)
    assume(not catalogue.problem(kind, args, options, inputs, output, finite(inputs)))
    assume(kind != "table" or catalogue.entries(inputs, output, finite(inputs)) <= 20_000)
    net = eval(source.construct(kind, args, options, inputs, output, finite(inputs)), EMITTED)
    assert isinstance(net, nn.Module)
    return net.double()


def values(inputs: tuple[tuple[int, ...], ...], leading: tuple[int, ...]) -> list[Tensor]:
    return [torch.rand(*leading, *shape, dtype=torch.float64) for shape in inputs]


@settings(max_examples=60, deadline=None)
@given(ends)
def test_shapes_and_leading_axes(end: tuple[str, tuple[tuple[int, ...], ...], tuple[int, ...]]) -> None:
    """Leading axes broadcast, and the result is the one of a loop over them."""
    kind, inputs, output = end
    net = make(kind, inputs, output)
    leads = [(2, 1, 3), (4, 1)]
    parents = [torch.rand(*leads[i % 2], *shape, dtype=torch.float64) for i, shape in enumerate(inputs)]
    batch = () if inputs else (2, 3)
    whole = net(*parents, batch=batch)
    leading = (2, 4, 3) if len(inputs) == 2 else (2, 1, 3) if inputs else (2, 3)
    assert whole.shape == (*leading, *output)
    assert whole.dtype == torch.float64
    full = [p.expand(*leading, *shape) for p, shape in zip(parents, inputs, strict=True)]
    for place in product(*map(range, leading)):
        torch.testing.assert_close(whole[place], net(*(p[place] for p in full)))


@settings(max_examples=60, deadline=None)
@given(ends)
def test_shared_body_and_head(end: tuple[str, tuple[tuple[int, ...], ...], tuple[int, ...]]) -> None:
    """A body and a head constructed apart are the whole network, and `features` tells the shape between them."""
    kind, inputs, output = end
    net = make(kind, inputs, output)
    args, options = arguments(kind)
    body = eval(source.construct_body(kind, args, options, inputs, finite(inputs)), EMITTED).double()
    head = eval(source.construct_head(kind, args, options, "body", output), {**EMITTED, "body": body}).double()
    body.load_state_dict(net.body.state_dict())
    head.load_state_dict(net.head.state_dict())
    parents, batch = values(inputs, (3,)), () if inputs else (3,)
    features = body(*parents, batch=batch)
    assert features.shape == (3, *catalogue.features(kind, args, options, inputs, finite(inputs)))
    assert body.features == features.shape[1:]
    assert torch.equal(head(features), net(*parents, batch=batch))


@settings(max_examples=40, deadline=None)
@given(ends)
def test_meta_device_and_gradients(end: tuple[str, tuple[tuple[int, ...], ...], tuple[int, ...]]) -> None:
    """Every tensor is made on the inputs' device, nothing is read back, and every parameter gets a gradient."""
    kind, inputs, output = end
    net = make(kind, inputs, output)
    parents, batch = values(inputs, (3,)), () if inputs else (3,)
    net(*parents, batch=batch).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    meta = net.to("meta")
    assert meta(*(p.to("meta") for p in parents), batch=batch).device.type == "meta"


@settings(max_examples=60, deadline=None)
@given(ends)
def test_problem_agrees_with_construction(end: tuple[str, tuple[tuple[int, ...], ...], tuple[int, ...]]) -> None:
    """What the catalogue refuses for its shapes is exactly what no network of that kind is for."""
    kind, inputs, output = end
    args, options = arguments(kind)
    problem = catalogue.problem(kind, args, options, inputs, output, ("real",) * len(inputs))
    has_image = any(len(s) == 3 for s in inputs), any(len(s) == 3 for s in (*inputs, output))
    fits = {
        "conv": has_image[0], "patchgan": has_image[0], "dcgan": has_image[1], "resnet": has_image[1],
        "table": not inputs,
    }  # fmt: skip
    assert (problem == "") == fits.get(kind, True)


def count(kind: str, args: tuple[int, ...], inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...]) -> int:
    kinds = ("category",) * len(inputs)
    net = eval(source.construct(kind, args, (), inputs, output, kinds), EMITTED)
    return sum(p.numel() for p in net.parameters())


def test_parameter_counts() -> None:
    assert count("mlp", (400, 400), ((10,), (6,)), (2, 3)) == 16 * 400 + 400 + 400 * 400 + 400 + 400 * 6 + 6
    assert count("linear", (), ((1, 8, 8), ()), (5,)) == 65 * 5 + 5
    assert count("table", (), ((3,), (2, 4)), (5,)) == 3 * 4**2 * 5
    assert count("conv", (8,), ((1, 8, 8),), (10,)) == 9 * 8 + 8 + 8 * 16 * 10 + 10


def test_table_is_a_table() -> None:
    """One-hot parents and bits read one row; points of the simplex give the expectation over rows."""
    bits = (False, True)
    table = eval(f"Table(inputs=((3,), (2,)), output=(4,), bits={bits})", EMITTED).double()
    eye = torch.eye(3, dtype=torch.float64)
    rows = table.head.entries.reshape(3, 2, 2, 4)
    for k, a, b in product(range(3), range(2), range(2)):
        torch.testing.assert_close(table(eye[k], torch.tensor([a, b], dtype=torch.float64)), rows[k, a, b])
    p, q = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64), torch.tensor([0.25, 0.75], dtype=torch.float64)
    off = torch.stack((1 - q, q), -1)
    torch.testing.assert_close(table(p, q), torch.einsum("k,a,b,kabo->o", p, off[0], off[1], rows))


def test_chain_of_bodies() -> None:
    """`D then mlp(128)`: the second takes the first's features, and the first is shared."""
    body = eval(source.construct_body("dcgan", (4,), (), ((1, 8, 8),)), EMITTED)
    scope = {**EMITTED, "D": body}
    chain = eval(f"Chain(D, {source.construct_body('mlp', (8,), (), '(D.features,)')})", scope)
    net = eval(f"Net(chain, {source.construct_head('mlp', (8,), (), 'chain', (10,))})", {**scope, "chain": chain})
    x = torch.rand(2, 5, 1, 8, 8)
    assert net(x).shape == (2, 5, 10)
    assert torch.equal(net.body(x), chain.second(body(x)))


@pytest.mark.parametrize("kind", sorted(NETS))
def test_source_stands_alone(kind: str) -> None:
    """The copied text needs only its own imports, names torch alone, and is the module's own code."""
    text = "\n".join((*source.imports([kind]), source.source([kind])))
    assert "schematic" not in text and "type: ignore" not in text
    scope: dict[str, object] = {}
    exec(compile(text, kind, "exec"), scope)
    assert NETS[kind].class_name in scope


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (8, 8), (28, 28), (32, 32), (33, 17)])
@pytest.mark.parametrize("kind", ["dcgan", "resnet", "patchgan", "conv"])
def test_every_image_size(kind: str, size: tuple[int, int]) -> None:
    args, options = arguments(kind)
    image = (2, *size)
    for inputs, output in ((((3,),), image), ((image,), image), ((image, (3,)), ()), ((image, (1, 4, 4)), (5,))):
        if not catalogue.problem(kind, args, options, inputs, output):
            net = eval(source.construct(kind, args, options, inputs, output), EMITTED)
            assert net(*(torch.rand(2, *s) for s in inputs)).shape == (2, *output)

"""What can be said of a source, and what its options do to the records."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from schematic.runtime.data import load, sources
from schematic.runtime.errors import RunError
from schematic.runtime.reading import read
from schematic.runtime.sources import OPTIONS, Source, bindings, bound, parse
from schematic.runtime.transforms import transform

GOOD = st.builds(
    Source,
    kind=st.just("npz"),
    path=st.sampled_from([Path("/data/a.npz"), Path("/data/b,c=d.npz")]),
    arrays=st.sampled_from([(), (("image", "a"),), (("image", "a"), ("label", "b"))]),
    steps=st.lists(st.sampled_from([("crop", "20"), ("crop", "square"), ("resize", "16x12"), ("channels", "3")])).map(
        tuple
    ),
    white=st.sampled_from([0.0, 16.0]),
    binarize=st.sampled_from(["", "fixed", "dynamic"]),
    labels=st.sampled_from(["", "1%", "0.5%", "600"]),
    validation=st.sampled_from(["", "10%"]),
    seed=st.integers(0, 9),
)


@given(GOOD)
def test_a_source_is_read_as_it_is_written(source: Source) -> None:
    assert parse(str(source)) == source
    assert bound(["a", "b"], (("a", str(source)), ("b", "digits"))) == {"a": str(source), "b": "digits"}
    if "," not in str(source):
        assert bound(["a", "b"], f"a={source},b=digits") == {"a": str(source), "b": "digits"}


BAD = {
    "digits#crop": "no option",
    "digits#=3": "no option",
    "digits#crop=": "no option",
    "digits#crop=0": "write 20",
    "digits#crop=8x": "write 20",
    "digits#resize=square": "write 16",
    "digits#channels=2": "1 or 3",
    "digits#labels=-1": "a share",
    "digits#labels=1%#labels=2%": "twice",
    "digits#seed=x": "whole number",
    "digits#binarize=yes": "fixed or dynamic",
    "digits#white=0": "means 1",
    "digits#crp=8": "did you mean `crop`",
    "npz:a.npz#image=x,label=y": "#NAME=VALUE",
    "idx:": "names no folder",
    "npz:": "names no file",
    "cifar:folder": "did you mean `cifar10`",
    "": "no data set",
}


@pytest.mark.parametrize("text", BAD)
def test_slips_are_told(text: str) -> None:
    with pytest.raises(RunError) as error:
        parse(text)
    assert BAD[text] in str(error.value)


@given(st.text(max_size=30))
@example("~0")
@example("a" * 999)
@example("npz:\0")
def test_no_text_makes_a_traceback(text: str) -> None:
    for say in (lambda: parse(text), lambda: bindings(text, ["a", "b"]), lambda: bindings(f"a={text}", ["a"])):
        with suppress(RunError):
            say()


def test_the_command_line_overrides_the_block_set_by_set() -> None:
    assert bound(["a", "b"], (("a", "cats"), ("b", "dogs")), "b=digits") == {"a": "cats", "b": "digits"}
    assert bound([""], "mnist", None) == {"": "mnist"} and bound(["", "a"], "mnist") == {"": "mnist", "a": "a"}
    assert bound(["a"], "mnist") == {"a": "mnist"} and bound([""]) == {"": "digits"}
    for data, words in (("digits", "one source"), ("a=x,a=y", "bound twice"), ("a=x,c=y", "no set `c`")):
        with pytest.raises(RunError, match=words):
            bindings(data, ["a", "b"])


def test_labels_and_binarize_are_for_the_sets_that_can_have_them() -> None:
    fields, kinds = {"a/image": (1, 8, 8), "b/label": (10,)}, {"a/image": "unit", "b/label": "category"}
    both = "a=digits,b=digits"
    assert sources(fields, kinds, ["b/label"], both, labels="1%", binarize="fixed") == (
        ("a", "digits#binarize=fixed"),
        ("b", "digits#labels=1%"),
    )
    for asked, words in (({"labels": "1%"}, "partial"), ({"labels": "x"}, "a share"), ({"binarize": "x"}, "fixed")):
        with pytest.raises(RunError, match=words):
            sources(fields, kinds, [], both, **asked)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="no binary or unit"):
        sources({"b/label": (10,)}, kinds, [], "digits", binarize="fixed")
    for option, words in (("labels=1%", "no `partial` field"), ("binarize=fixed", "no binary or unit")):
        with pytest.raises(RunError, match=words):
            load(f"digits#{option}", {"label": (10,)}, {"label": "category"})


# --- images ---------------------------------------------------------------------------------------------------


def test_a_crop_is_the_middle_of_every_image() -> None:
    images = np.arange(2 * 6 * 8).reshape(2, 6, 8)
    assert (transform(images, (("crop", "2x4"),), "")[:, 0] == images[:, 2:4, 2:6]).all()
    assert (transform(images, (("crop", "square"),), "")[:, 0] == images[:, :, 1:7]).all()
    with pytest.raises(RunError, match="images of 6x8, smaller than a crop of 7x7"):
        transform(images, (("crop", "7"),), "")


@given(st.integers(1, 4), st.sampled_from([np.uint8, np.float32]), st.integers(0, 9))
def test_shrinking_by_a_whole_factor_keeps_the_mean_and_constants(factor: int, dtype: type, seed: int) -> None:
    """A triangle filter is symmetric: what it shrinks by a whole number keeps constants, and a ramp's inner values."""
    flat = np.full((1, 8 * factor, 8 * factor), 7, dtype)
    small = transform(flat, (("resize", "8"),), "")
    assert small.dtype == dtype and small.shape == (1, 1, 8, 8) and (small == 7).all()
    ramp = np.broadcast_to(np.arange(8.0 * factor), (1, 8 * factor, 8 * factor)).astype(np.float32)
    inner = transform(ramp, (("resize", "8"),), "")[0, 0, 4, 2:6]
    np.testing.assert_allclose(inner, (np.arange(2, 6) + 0.5) * factor - 0.5, rtol=1e-5)
    values = np.random.default_rng(seed).random((3, 9, 7)).astype(np.float32)
    resized = transform(values, (("resize", f"{factor + 3}x5"),), "")
    assert resized.shape == (3, 1, factor + 3, 5) and resized.min() >= values.min() and resized.max() <= values.max()


def test_channels_are_made_and_taken() -> None:
    grey = np.arange(20, dtype=np.uint8).reshape(1, 5, 4)
    colour = transform(grey, (("channels", "3"),), "")
    assert colour.shape == (1, 3, 5, 4) and (transform(colour, (("channels", "1"),), "")[:, 0] == grey).all()
    pure = np.eye(3, dtype=np.float32)[:, :, None, None]  # a red, a green and a blue pixel
    assert transform(pure, (("channels", "1"),), "").ravel() == pytest.approx([0.299, 0.587, 0.114])
    last = transform(colour.transpose(0, 2, 3, 1), (("crop", "5x4"),), "")
    assert (last == colour).all()


def test_steps_are_taken_in_their_order(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 6), np.uint8)
    np.savez(tmp_path / "a.npz", image=images, label=np.arange(10), size=np.ones((10, 2)))
    source = parse(f"npz:{tmp_path}/a.npz#crop=4#resize=2")
    by_hand = images[:, 1:5, 1:5].astype(np.float32)
    raw = read(source, ["image", "label", "size"], ["label"])
    assert raw.train["image"].shape == (8, 1, 2, 2) and raw.train["size"].shape == (8, 2)
    assert raw.train["image"].dtype == np.uint8
    whole = torch.nn.functional.interpolate(torch.from_numpy(by_hand)[:, None], (2, 2), mode="bilinear", antialias=True)
    assert set(map(bytes, raw.train["image"])) <= set(map(bytes, whole.round().numpy().astype(np.uint8)))
    (fitted,) = load(str(source), {"image": (1, 2, 2)}, {"image": "unit"})
    assert 0 < fitted.train["image"].max() <= 1
    with pytest.raises(RunError, match="no images to crop"):
        read(parse(f"npz:{tmp_path}/a.npz#crop=4"), ["size"])


def test_a_shape_that_does_not_fit_says_which_options_would(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.zeros((10, 32, 32, 3), np.uint8))
    with pytest.raises(RunError, match=r"declare unit\(3, 32, 32\); or change the images, #resize=16#channels=1 after"):
        load(f"npz:{tmp_path}/a.npz", {"image": (1, 16, 16)}, {"image": "unit"})


def test_white_is_told_or_asked_for(tmp_path: Path) -> None:
    for top, white in ((1, 1.0), (255, 255.0), (200, 255.0)):
        np.savez(tmp_path / "a.npz", image=np.full((10, 4), top))
        (fitted,) = load(f"npz:{tmp_path}/a.npz", {"image": (4,)}, {"image": "unit"})
        assert fitted.train["image"].unique().tolist() == pytest.approx([top / white])
    np.savez(tmp_path / "a.npz", image=np.full((10, 4), 16))
    with pytest.raises(RunError, match="from 16 to 16: which of them means 1"):
        load(f"npz:{tmp_path}/a.npz", {"image": (4,)}, {"image": "unit"})
    (fitted,) = load(f"npz:{tmp_path}/a.npz#white=16", {"image": (4,)}, {"image": "unit"})
    assert (fitted.train["image"] == 1).all()


# --- splits ---------------------------------------------------------------------------------------------------


def rows(part: np.ndarray) -> set[int]:
    return set(part.ravel().tolist())


@pytest.mark.parametrize(("share", "size"), [("10%", 8), ("15", 15)])
def test_a_validation_split_is_held_out_of_the_training_records(share: str, size: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", v=np.arange(100), w=-np.arange(100))
    place = f"npz:{tmp_path}/a.npz"
    raw = read(parse(f"{place}#validation={share}"), ["v", "w"])
    parts = [rows(raw.train["v"]), rows(raw.validation["v"]), rows(raw.test["v"])]
    assert [len(p) for p in parts] == [80 - size, size, 20] and len(set.union(*parts)) == 100
    assert all((arrays["v"] == -arrays["w"]).all() for _, arrays in raw.splits())
    assert rows(raw.test["v"]) == rows(read(parse(place), ["v"]).test["v"])
    assert rows(raw.test["v"]) != rows(read(parse(f"{place}#seed=1"), ["v"]).test["v"])
    (fitted,) = load(f"{place}#validation={share}", {"v": ()})
    assert len(fitted.validation["v"]) == size and f"{size} validation" in str(fitted)
    for bad in ("0%", "100%", "80", "200"):
        with pytest.raises(RunError, match="validation"):
            read(parse(f"{place}#validation={bad}"), ["v"])


def test_an_official_split_is_kept(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train_images=np.zeros((5, 2)), val_images=np.ones((3, 2)), test_images=np.ones((2, 2)))
    raw = read(parse(f"npz:{tmp_path}/a.npz"), ["image"])
    assert [len(part["image"]) for _, part in raw.splits()] == [5, 3, 2]
    with pytest.raises(RunError, match="comes with a validation split"):
        read(parse(f"npz:{tmp_path}/a.npz#validation=1"), ["image"])


def test_every_option_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs/data.md").read_text()
    assert [name for name in OPTIONS if f"| `#{name}=" not in page] == []

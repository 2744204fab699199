"""Sources and fields: what fits is fitted, what does not is told with the set, the field and the file."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schematic.runtime.batches import Batches
from schematic.runtime.data import DataSet, load, place
from schematic.runtime.errors import RunError
from schematic.runtime.fields import Field, fit
from schematic.runtime.idx import decode
from schematic.runtime.reading import read
from schematic.runtime.sources import bindings, bound, parse

IMAGE = {"image": (1, 8, 8)}
BOTH = {"image": (1, 8, 8), "label": (10,)}
KINDS = {"image": "unit", "label": "category"}
CPU = torch.device("cpu")


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A folder in MNIST's official form: 50 + 20 images of 8x8, the training part gzipped."""
    random = np.random.default_rng(0)
    for split, n in (("train", 50), ("t10k", 20)):
        for name, array in (
            ("images-idx3", random.integers(0, 256, (n, 8, 8))),
            ("labels-idx1", np.arange(n) % 10),
        ):
            data, file = idx_bytes(array), tmp_path / "mnist" / f"{split}-{name}-ubyte"
            file.parent.mkdir(exist_ok=True)
            if split == "train":
                file.with_name(file.name + ".gz").write_bytes(gzip.compress(data))
            else:
                file.write_bytes(data)
    return tmp_path / "mnist"


def test_digits_are_split_once_and_for_all() -> None:
    (digits,) = load("digits", BOTH, KINDS)
    assert digits.train["image"].shape == (1437, 1, 8, 8)
    assert digits.test["label"].shape == (360, 10)
    assert digits.train["image"].min() == 0 and digits.train["image"].max() == 1
    assert (digits.train["label"].sum(-1) == 1).all()
    train, test = ({i.numpy().tobytes() for i in part["image"]} for part in (digits.train, digits.test))
    assert train.isdisjoint(test)
    again = load("digits", BOTH, KINDS)[0]
    assert all(torch.equal(digits.train[f], again.train[f]) for f in BOTH)


def test_image_and_label_of_a_record_stay_together() -> None:
    raw = np.load(Path(__file__).parents[2] / "schematic/data/digits.npz")
    label_of = {
        (im / np.float32(16)).astype(np.float32).tobytes(): int(c)
        for im, c in zip(raw["image"], raw["label"], strict=True)
    }
    (digits,) = load("digits", BOTH, KINDS)
    batch = next(Batches([digits], 64, CPU, torch.Generator().manual_seed(3)))
    for image, label in zip(batch["image"], batch["label"], strict=True):
        assert label_of[image.numpy().tobytes()] == int(label.argmax())


def test_one_data_set_is_found_by_every_way_of_naming_it(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mnist.parent)
    (mnist.parent / "data").mkdir()
    (mnist.parent / "data" / "copy").symlink_to(mnist)
    monkeypatch.setenv("SCHEMATIC_DATA", str(mnist.parent))
    found = [load(s, BOTH, KINDS)[0] for s in (str(mnist), f"idx:{mnist}", "mnist", "copy")]
    for a in found[1:]:
        assert all(torch.equal(a.test[f], found[0].test[f]) for f in BOTH)
    assert found[0].train["image"].shape == (50, 1, 8, 8) and found[0].test["image"].shape == (20, 1, 8, 8)


def test_channels_last_and_renamed_arrays(tmp_path: Path) -> None:
    file = tmp_path / "zoo.npz"
    a = np.arange(10 * 4 * 6 * 3, dtype=np.uint8).reshape(10, 4, 6, 3)
    np.savez(file, a_train=a, a_test=a[:2])
    (zoo,) = load(f"zoo=npz:{file}#image=a", {"zoo/image": (3, 4, 6)}, {"zoo/image": "unit"})
    expected = torch.from_numpy(a).permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(zoo.train["zoo/image"], expected) and len(zoo.test["zoo/image"]) == 2


def test_sets_are_bound_by_name_and_drawn_independently(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", image=np.arange(40, dtype=np.float32).reshape(40, 1))
    fields, kinds = {"h/image": (1,), "z/image": (1,)}, {"h/image": "real", "z/image": "real"}
    sets = load(f"h=npz:{tmp_path}/a.npz,z=npz:{tmp_path}/b.npz", fields, kinds)
    batch = next(Batches(sets, 16, CPU, torch.Generator().manual_seed(0)))
    assert set(batch) == set(fields) and not torch.equal(batch["h/image"], batch["z/image"])
    assert bindings("h=digits,z=npz:x,y.npz#image=a#label=b", ["h", "z"]) == {
        "h": "digits",
        "z": "npz:x,y.npz#image=a#label=b",
    }
    assert bound(["h", "z"], "h=cats,z=dogs", (("h", "digits"),)) == {"h": "digits", "z": "dogs"}
    assert bound(["h", "z"], (("h", "digits"),)) == {"h": "digits", "z": "z"}


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_an_epoch_sees_every_record_once_but_the_last_partial_batch(records: int, batch: int, seed: int) -> None:
    batch = min(batch, records)
    values = {"v": torch.arange(records).float()[:, None]}
    batches = Batches([DataSet("", "set", values, values)], batch, CPU, torch.Generator().manual_seed(seed))
    for _ in range(2):
        seen = torch.cat([next(batches)["v"] for _ in range(batches.per_epoch)]).flatten().tolist()
        assert len(seen) == records // batch * batch == len(set(seen))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20))
def test_class_numbers_become_one_hot(numbers: list[int]) -> None:
    for dtype in (np.uint8, np.int64, np.float32):
        one_hot = fit(np.array(numbers, dtype), Field("label", (7,), "category"), "set")
        assert one_hot.argmax(-1).tolist() == numbers and one_hot.sum().item() == len(numbers)
        assert torch.equal(fit(one_hot.numpy(), Field("label", (7,), "category"), "set"), one_hot)


BAD_FIELDS = {
    "shape": (np.zeros((5, 9, 9)), Field("image", (1, 8, 8), "unit"), "has shape (9, 9); the model wants (1, 8, 8)"),
    "range": (np.full((5, 2), 3.0), Field("image", (2,), "unit"), "unit, from 0 to 1; record 0 has 3"),
    "grey": (np.full((5, 2), 0.5), Field("image", (2,), "binary"), "binary, 0 or 1; record 0 has 0.5"),
    "nan": (np.array([[0.0], [np.nan]]), Field("v", (1,), "real"), "real, finite; record 1 has nan"),
    "classes": (np.array([0, 12]), Field("label", (10,), "category"), "classes 0 to 12"),
    "negative": (np.array([-1, 2]), Field("label", (10,), "category"), "classes -1 to 2"),
    "soft": (np.full((3, 2), 0.5), Field("label", (2,), "category"), "neither class numbers nor one-hot"),
    "text": (np.array(["a", "b"]), Field("label", (2,), "category"), "not numbers"),
    "empty": (np.zeros((0, 2)), Field("v", (2,), "real"), "no records"),
    "scalar": (np.zeros(()), Field("v", (), "real"), "no records"),
}


@pytest.mark.parametrize("case", BAD_FIELDS)
def test_what_does_not_fit_is_told(case: str) -> None:
    array, field, words = BAD_FIELDS[case]
    with pytest.raises(RunError) as error:
        fit(array, field, "set zoo (zoo.npz)")
    assert words in str(error.value) and f"zoo.npz): field `{field.name}`" in str(error.value)


def corrupt(kind: str, folder: Path) -> str:
    """A source with one thing wrong with it."""
    file = folder / "bad.npz"
    np.savez(file, image=np.zeros((20, 8, 8), np.uint8), label=np.zeros(20, np.int64))
    match kind:
        case "truncated":
            file.write_bytes(file.read_bytes()[:200])
        case "garbage":
            file.write_bytes(b"not a zip file at all")
        case "empty":
            file.write_bytes(b"")
        case "pickled":
            np.savez(file, image=np.array([{"a": 1}], dtype=object), label=np.zeros(1))
        case "array":
            np.save(folder / "bad.npy", np.zeros(3))
            (folder / "bad.npy").rename(file)
        case "field":
            np.savez(file, picture=np.zeros((20, 8, 8)), label=np.zeros(20, np.int64))
        case "counts":
            np.savez(file, image=np.zeros((20, 8, 8)), label=np.zeros(19, np.int64))
        case "flipped":
            data = bytearray(file.read_bytes())
            data[60:90] = bytes(30)
            file.write_bytes(bytes(data))
        case "missing":
            file.unlink()
    return str(file)


@pytest.mark.parametrize(
    "kind", ["truncated", "garbage", "empty", "pickled", "array", "field", "counts", "flipped", "missing"]
)
def test_damaged_npz_files_are_told(kind: str, tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        load(f"npz:{corrupt(kind, tmp_path)}", BOTH, KINDS)
    assert "bad.npz" in str(error.value)


@pytest.mark.parametrize("kind", ["magic", "short", "long", "gzip", "header", "missing"])
def test_damaged_idx_files_are_told(kind: str, mnist: Path) -> None:
    file = mnist / "t10k-images-idx3-ubyte"
    data = file.read_bytes()
    match kind:
        case "magic":
            file.write_bytes(b"PK" + data[2:])
        case "short":
            file.write_bytes(data[:-5])
        case "long":
            file.write_bytes(data + b"x")
        case "header":
            file.write_bytes(data[:9])
        case "gzip":
            file.unlink()
            file = mnist / "t10k-images-idx3-ubyte.gz"
            file.write_bytes(gzip.compress(data)[:-20])
        case "missing":
            file = mnist / "train-labels-idx1-ubyte.gz"
            file.unlink()
    with pytest.raises(RunError) as error:
        load(str(mnist), BOTH, KINDS)
    assert file.name in str(error.value)


@given(st.binary(max_size=60))
def test_no_bytes_make_a_traceback(data: bytes) -> None:
    try:
        decode(data, Path("x"))
    except RunError:
        return


@pytest.mark.parametrize(
    "source", ["digit", "nowhere.npz", "idx:nowhere", "npz:nowhere.npz", "horses=digits", "a=,b=c"]
)
def test_sources_that_are_not_there(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError):
        load(source, IMAGE, KINDS)


def test_idx_fields_are_image_and_label(mnist: Path) -> None:
    with pytest.raises(RunError, match="no field `mask`"):
        read(parse(str(mnist)), ["mask"])
    assert read(parse(str(mnist)), ["label"]).test["label"].tolist() == [i % 10 for i in range(20)]


def test_every_set_that_is_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        load(f"a=npz:{tmp_path}/a.npz,b=npz:{tmp_path}/b.npz", {"a/image": (1,), "b/image": (1,)})
    assert "a.npz" in str(error.value) and "b.npz" in str(error.value)


def test_a_batch_larger_than_the_set() -> None:
    digits = load("digits", IMAGE, KINDS)
    with pytest.raises(RunError, match="1437 training records"):
        Batches(digits, 2000, CPU, torch.Generator())


def test_data_live_on_the_device_when_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = load("digits#labels=10%#validation=10%", BOTH, KINDS, ["label"])
    (moved,) = place(sets, torch.device("meta"))
    parts = [tensor for part in (moved.train, moved.validation, moved.test) for tensor in part.values()]
    assert len(parts) == 9 and all(tensor.device.type == "meta" for tensor in parts)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
    (stayed,) = place(sets, torch.device("cuda"))
    assert stayed.train["image"].device == CPU

"""Files in the official formats, written here by the words of their descriptions: CIFAR-10, SVHN, pictures, `.npz`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from schematic.runtime import mat
from schematic.runtime.data import load
from schematic.runtime.errors import RunError
from schematic.runtime.npz import find
from schematic.runtime.reading import read
from schematic.runtime.sources import parse

COLOUR = {"image": (3, 32, 32), "label": (10,)}
KINDS = {"image": "unit", "label": "category"}


def colours(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, 32, 32), np.uint8)


def told(source: str, *words: str, fields: dict[str, tuple[int, ...]] = COLOUR) -> None:
    """The source is refused, in these words."""
    with pytest.raises(RunError) as error:
        load(f"s={source}", {f"s/{f}": shape for f, shape in fields.items()}, {f"s/{f}": k for f, k in KINDS.items()})
    assert all(word in str(error.value) for word in ("set `s`", *words)), str(error.value)


# --- CIFAR-10 -------------------------------------------------------------------------------------------------


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Six files of 4 records: <1 x label><3072 x pixel>, red before green before blue, row by row."""
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = colours(4, i).reshape(4, -1)
        labels = (np.arange(4, dtype=np.uint8)[:, None] + i) % 10
        (tmp_path / f"{name}.bin").write_bytes(np.hstack([labels, images]).astype(np.uint8).tobytes())
    return tmp_path


def test_cifar10_is_read_by_name_and_by_sight(cifar: Path) -> None:
    for source in (f"cifar10:{cifar}", str(cifar)):
        (found,) = load(source, COLOUR, KINDS)
        assert found.train["image"].shape == (20, 3, 32, 32) and found.test["image"].shape == (4, 3, 32, 32)
        assert torch.equal(found.train["image"][4:8], torch.from_numpy(colours(4, 1)).float() / 255)
        assert found.train["label"].argmax(1).tolist() == [(j + i) % 10 for i in range(5) for j in range(4)]


@pytest.mark.parametrize("kind", ["short", "empty", "missing", "label", "python", "folder", "field"])
def test_damaged_cifar10_files_are_told(kind: str, cifar: Path) -> None:
    file = cifar / "data_batch_3.bin"
    match kind:
        case "short":
            file.write_bytes(file.read_bytes()[:-7])
            told(f"cifar10:{cifar}", file.name, "12285 bytes", "`image`")
        case "empty":
            file.write_bytes(b"")
            told(f"cifar10:{cifar}", file.name, "0 bytes")
        case "missing":
            file.unlink()
            told(f"cifar10:{cifar}", file.name, "No such file")
        case "label":
            file.write_bytes(b"\x63" + file.read_bytes()[1:])
            told(f"cifar10:{cifar}", file.name, "field `label` has classes 0 to 9; record 0 has 99")
        case "python":
            (cifar / "data_batch_1.bin").rename(cifar / "data_batch_1")
            told(f"cifar10:{cifar}", "pickled", "binary version")
        case "folder":
            told(f"cifar10:{cifar}/nowhere", "data_batch_1.bin")
        case "field":
            told(f"cifar10:{cifar}", "no field `mask`", fields={"mask": (1,)})


# --- SVHN -----------------------------------------------------------------------------------------------------


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name: str, array: np.ndarray, order: str = "<", small: bool = False) -> bytes:
    """A miMATRIX element of a uint8 array: flags (class 9), dimensions, name, column-major values."""
    flags = element(6, struct.pack(f"{order}II", 9, 0), order)
    dimensions = element(5, struct.pack(f"{order}{array.ndim}i", *array.shape), order)
    title = element(1, name.encode(), order)
    if small:  # a name of at most four bytes may stand in its tag
        title = struct.pack(f"{order}I", len(name) << 16 | 1) + name.encode().ljust(4, b"\0")
    return element(14, flags + dimensions + title + element(2, array.astype(np.uint8).tobytes(order="F"), order), order)


def matfile(*elements: bytes, order: str = "<") -> bytes:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    return head + b"".join(elements)


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return struct.pack("<II", 15, len(packed)) + packed


@pytest.fixture
def svhn(tmp_path: Path) -> Path:
    """X (32, 32, 3, n) of bytes and y (n, 1) of 1 to 10, compressed, as the set's own files have them."""
    for seed, (name, n) in enumerate({"train": 12, "test": 5}.items()):
        images, labels = colours(n, seed).transpose(2, 3, 1, 0), np.arange(n)[:, None] % 10 + 1
        parts = [compressed(matrix("X", images)), compressed(matrix("y", labels, small=True))]
        (tmp_path / f"{name}_32x32.mat").write_bytes(matfile(*parts))
    return tmp_path


def test_svhn_is_read_by_name_and_by_sight(svhn: Path) -> None:
    for source in (f"svhn:{svhn}", str(svhn)):
        (found,) = load(source, COLOUR, KINDS)
        assert torch.equal(found.train["image"], torch.from_numpy(colours(12)).float() / 255)
        assert found.train["label"].argmax(1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
        assert torch.equal(found.test["image"], torch.from_numpy(colours(5, 1)).float() / 255)


def rewritten(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


@pytest.mark.parametrize("kind", ["short", "zlib", "hdf5", "garbage", "missing", "array", "class", "shape", "count"])
def test_damaged_svhn_files_are_told(kind: str, svhn: Path) -> None:
    file, images, labels = svhn / "test_32x32.mat", colours(4).transpose(2, 3, 1, 0), np.ones((4, 1))
    match kind:
        case "short":
            rewritten(file, lambda data: data[:-30])
            told(f"svhn:{svhn}", file.name, "truncated or corrupt")
        case "zlib":
            rewritten(file, lambda data: data[:200] + bytes(50) + data[250:])
            told(f"svhn:{svhn}", file.name, "truncated or corrupt")
        case "hdf5":
            rewritten(file, lambda data: b"MATLAB 7.3 MAT-file" + data[19:])
            told(f"svhn:{svhn}", file.name, "version 7.3")
        case "garbage":
            file.write_bytes(b"no .mat file" * 20)
            told(f"svhn:{svhn}", file.name, "no header")
        case "missing":
            file.unlink()
            told(f"svhn:{svhn}", file.name, "no such file")
        case "array":
            file.write_bytes(matfile(matrix("X", images)))
            told(f"svhn:{svhn}", file.name, "no array `y` for field `label` (arrays: X)")
        case "class":
            file.write_bytes(matfile(matrix("X", images), matrix("y", labels * 11)))
            told(f"svhn:{svhn}", file.name, "field `label` has classes 1 to 10", "record 0 has 11")
        case "shape":
            file.write_bytes(matfile(matrix("X", images.transpose(3, 0, 1, 2)), matrix("y", labels)))
            told(f"svhn:{svhn}", file.name, "field `image` is uint8 of shape (4, 32, 32, 3)")
        case "count":
            file.write_bytes(matfile(matrix("X", images), matrix("y", labels[1:])))
            told(f"svhn:{svhn}", "different numbers of records in the test split: `image` 4, `label` 3")


@given(
    st.sampled_from(["u1", "i2", "u4", "f4", "f8", "i8"]),
    st.lists(st.integers(1, 4), min_size=2, max_size=4),
    st.booleans(),
    st.integers(0, 99),
)
def test_mat_files_of_another_writer_are_read(dtype: str, shape: list[int], packed: bool, seed: int) -> None:
    """SciPy's writer as the second opinion; text, structures and complex numbers beside the arrays are passed over."""
    from io import BytesIO

    array = np.random.default_rng(seed).integers(0, 99, shape).astype(dtype)
    file = BytesIO()
    others = {"text": "words", "thing": {"a": 1.0}, "z": np.ones((2, 2)) * 1j}
    savemat(file, {"a_long_name": array, **others, "b": array}, do_compression=packed)
    found = mat.decode(file.getvalue())
    assert set(found) == {"a_long_name", "b"}
    assert all(values.dtype == dtype and (values == array).all() for values in found.values())


def test_mat_files_of_the_other_byte_order_are_read() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert (mat.decode(matfile(matrix("a", array, ">"), order=">"))["a"] == array).all()


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(1, 8))
def test_no_damage_to_a_mat_file_makes_a_traceback(data: bytes, at: int, length: int) -> None:
    whole = matfile(compressed(matrix("y", np.ones((4, 1)))), matrix("z", np.ones((2, 3))))
    for bad in (data, matfile(data), whole[:at] + data[:length] + whole[at + length :], whole[:at]):
        with suppress(ValueError, zlib.error, struct.error):
            mat.decode(bad)


# --- pictures -------------------------------------------------------------------------------------------------


def picture(path: Path, array: np.ndarray, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(path)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Two classes of ten colour pictures, 6 high and 4 wide."""
    values = np.random.default_rng(0).integers(0, 256, (20, 6, 4, 3), np.uint8)
    for i, array in enumerate(values):
        picture(tmp_path / ("cat", "dog")[i % 2] / f"{i:02}.png", array)
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "cat" / ".hidden.png").write_text("not a picture")
    return tmp_path


def test_class_folders_give_labels(zoo: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (20, 6, 4, 3), np.uint8)
    kind_of = {value.transpose(2, 0, 1).tobytes(): i % 2 for i, value in enumerate(values)}
    for source in (f"images:{zoo}", str(zoo)):
        raw = read(parse(source), ["image", "label"])
        assert raw.train["image"].shape == (16, 3, 6, 4) and len(raw.test["label"]) == 4
        for _, part in raw.splits():
            assert [kind_of[i.tobytes()] for i in part["image"]] == part["label"].tolist()
    (found,) = load(f"images:{zoo}", {"image": (3, 6, 4), "label": (2,)}, KINDS)
    assert found.train["image"].max() <= 1 and len(found.train["label"]) == 16


def test_folders_of_splits_and_numbered_classes(tmp_path: Path) -> None:
    for split, n in (("train", 12), ("val", 3), ("test", 2)):
        for i in range(n):
            picture(tmp_path / split / str(i) / "p.png", np.full((4, 4), i * 9, np.uint8), "L")
    raw = read(parse(f"images:{tmp_path}"), ["image", "label"])
    assert sorted(raw.train["label"].tolist()) == list(range(12)) and raw.train["image"].shape == (12, 1, 4, 4)
    assert (raw.train["image"][:, 0, 0, 0] == raw.train["label"] * 9).all()  # class 10 follows 9, not 1
    assert raw.validation["label"].tolist() == [0, 1, 2] and raw.test["label"].tolist() == [0, 1]


def test_pictures_without_classes_of_any_size_and_mode(tmp_path: Path) -> None:
    for i, mode in enumerate(("L", "RGB", "RGBA", "P", "1") * 2):
        picture(tmp_path / f"{i}.{'gif' if mode == 'P' else 'png'}", np.full((5 + i, 9, 3), 255, np.uint8), mode)
    told(f"images:{tmp_path}", "different sizes", "5x9", "#crop=square", fields={"image": (3, 8, 8)})
    raw = read(parse(f"images:{tmp_path}#crop=square#resize=8"), ["image"])
    assert raw.train["image"].shape == (8, 3, 8, 8) and (raw.train["image"] == 255).all()
    told(f"images:{tmp_path}#resize=8", "a folder for each class", fields={"label": (2,)})


@pytest.mark.parametrize("kind", ["truncated", "text", "deep", "loose", "unknown", "none", "sizes", "missing"])
def test_damaged_folders_of_pictures_are_told(kind: str, zoo: Path) -> None:
    file, fields = zoo / "cat" / "02.png", {"image": (3, 6, 4), "label": (2,)}
    match kind:
        case "truncated":
            file.write_bytes(file.read_bytes()[:60])
            told(f"images:{zoo}", str(file), "field `image`", fields=fields)
        case "text":
            file.write_text("no picture")
            told(f"images:{zoo}", str(file), "field `image`", fields=fields)
        case "deep":
            Image.fromarray(np.full((6, 4), 999, np.uint16)).save(file)
            told(f"images:{zoo}", str(file), "more than 8 bits", fields=fields)
        case "loose":
            file.rename(zoo / "loose.png")
            told(f"images:{zoo}", "loose.png", "in no class's folder", fields=fields)
        case "unknown":
            (zoo / "train").mkdir()
            for name in ("cat", "dog"):
                (zoo / name).rename(zoo / "train" / name)
            picture(zoo / "test" / "cow" / "1.png", np.zeros((6, 4, 3), np.uint8))
            told(f"images:{zoo}", "no class `cow`", fields=fields)
        case "none":
            (zoo / "empty").mkdir()
            told(f"images:{zoo}/empty", "no pictures", fields={"image": (3, 6, 4)})
        case "sizes":
            picture(file, np.zeros((7, 4, 3), np.uint8))
            told(f"images:{zoo}", str(file), "7x4", fields=fields)
        case "missing":
            told(f"images:{zoo}/nowhere", "no such folder", fields=fields)


def test_without_pillow_a_word_says_what_to_install(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    told(f"images:{zoo}", "pip install pillow", fields={"image": (3, 6, 4)})


# --- .npz -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "field", "name", "found"),
    [
        (["x_train", "y_train", "x_test", "y_test"], "image", "", {"train": "x_train", "test": "x_test"}),
        (["x_train", "y_train", "x_test", "y_test"], "label", "", {"train": "y_train", "test": "y_test"}),
        (["X", "Y"], "label", "", {"train": "Y"}),
        (["train_images", "val_images"], "image", "", {"train": "train_images", "validation": "val_images"}),
        (["a_train", "a_test", "b_train"], "image", "a", {"train": "a_train", "test": "a_test"}),
        (["data", "target"], "image", "", {"train": "data"}),
        (["x", "image"], "image", "", {"train": "image"}),
        (["A", "a"], "image", "A", {"train": "A"}),
        (["arr_0"], "image", "arr_0", {"train": "arr_0"}),
        (["mask"], "mask", "", {"train": "mask"}),
    ],
)
def test_the_array_of_a_field(arrays: list[str], field: str, name: str, found: dict[str, str]) -> None:
    assert find(field, name, arrays, "f.npz") == found


def test_fields_that_lack_a_split_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.zeros((9, 2)), x_test=np.zeros((3, 2)), y=np.zeros(9, int))
    told(f"npz:{tmp_path}/a.npz", "a.npz: field `label` has no test part", fields={"image": (2,), "label": (2,)})


def test_options_name_arrays_of_fields_that_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 2)))
    told(f"npz:{tmp_path}/a.npz#imag=x", "`#imag=`", "did you mean `image`", fields={"image": (2,)})
    told(f"npz:{tmp_path}/a.npz#image=y", "no array for field `y` (arrays: x)", fields={"image": (2,)})
    np.savez(tmp_path / "a.npz", x=np.array(["a"] * 9))
    told(f"npz:{tmp_path}/a.npz#resize=2", "field `image` holds <U1, not numbers", fields={"image": (2,)})


# --- EMNIST ---------------------------------------------------------------------------------------------------


def test_kin_of_mnist_have_names_of_their_own(tmp_path: Path) -> None:
    def write(name: str, array: np.ndarray) -> None:
        head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (tmp_path / name).write_bytes(head + array.astype(np.uint8).tobytes())

    for split in ("train", "test"):
        write(f"emnist-digits-{split}-images-idx3-ubyte", np.zeros((6, 4, 4)))
        write(f"emnist-digits-{split}-labels-idx1-ubyte", np.arange(6))
    assert read(parse(str(tmp_path)), ["image", "label"]).test["label"].tolist() == list(range(6))
    write("emnist-letters-train-images-idx3-ubyte", np.zeros((6, 4, 4)))
    told(str(tmp_path), "which of emnist-digits-train-images-idx3-ubyte, emnist-letters-", fields={"image": (1, 4, 4)})

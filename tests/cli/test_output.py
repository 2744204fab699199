"""Results go out whole, and never over somebody's work."""

import os
import stat
import struct
import zlib
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schematic.cli.output import COMMENTS, PNG_END, deliver, seal, sealed, write

SUFFIXES = [*COMMENTS, ".png"]
PNG = b"\x89PNG\r\n\x1a\n" + b"body" + PNG_END


def chunks(png: bytes) -> list[bytes]:
    """The types of a PNG's chunks after its 8 magic bytes; asserts their checksums."""
    at, found = png.index(PNG_END) if b"tEXt" not in png else png.index(b"tEXt") - 4, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        assert png[at + 8 + length : at + 12 + length] == struct.pack(">I", zlib.crc32(body))
        found.append(body[:4])
        at += 12 + length
    return found


@given(st.sampled_from(list(COMMENTS)), st.binary(), st.integers(0, 10_000), st.integers(1, 255))
def test_a_seal_holds_until_a_byte_changes(suffix: str, data: bytes, place: int, flip: int) -> None:
    whole = seal(data, suffix)
    assert sealed(whole, suffix)
    edited = bytearray(whole)
    edited[place % len(edited)] ^= flip
    assert not sealed(bytes(edited), suffix)
    assert not sealed(whole + b"more", suffix)


def test_a_sealed_png_is_a_png() -> None:
    whole = seal(PNG, ".png")
    assert chunks(whole) == [b"tEXt", b"IEND"]
    assert sealed(whole, ".png") and not sealed(PNG, ".png")
    assert not sealed(whole.replace(b"body", b"bodi"), ".png")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_ours_are_replaced(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"result{suffix}"
    for result in (PNG, PNG.replace(b"body", b"news")):
        deliver(result, str(path), suffix=suffix, force=False)
        assert path.read_bytes() == seal(result, suffix)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".txt", ".json"])
def test_other_files_stay_without_force(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"result{suffix}"
    path.write_bytes(b"mine")
    with pytest.raises(click.UsageError, match="--force"):
        deliver(PNG, str(path), suffix=suffix, force=False)
    assert path.read_bytes() == b"mine"
    deliver(PNG, str(path), suffix=suffix, force=True)
    assert path.read_bytes() == seal(PNG, suffix)


def test_an_edited_file_is_somebodys(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    deliver("x = 1\n", str(path), suffix=".py", force=False)
    path.write_text(path.read_text().replace("1", "2"))
    with pytest.raises(click.UsageError, match="edited since"):
        deliver("x = 3\n", str(path), suffix=".py", force=False)


def test_what_is_the_same_may_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "derivation.txt"
    for _ in range(2):
        deliver("L = 0\n", str(path), suffix=".txt", force=False)
    assert path.read_text() == "L = 0\n"


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="cannot be written"):
        deliver("x", str(tmp_path / "no" / "such.py"), suffix=".py", force=False)
    with pytest.raises(click.UsageError, match="is a folder"):
        deliver("x", str(tmp_path), suffix=".py", force=False)


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"old")

    def fails(*_: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk"):
        write(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.py"]


def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "a.py", tmp_path / "link.py"
    path.write_bytes(b"old")
    path.chmod(0o751)
    link.symlink_to(path)
    write(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o751

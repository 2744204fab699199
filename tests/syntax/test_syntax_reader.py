"""Reading files: any line ends, a byte-order mark; and what is said of files that are not text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schematic.core.diagnostics import Diagnostic, Report
from schematic.core.source import Source
from schematic.syntax.parser import parse
from schematic.syntax.reader import read_source


def refused(path: Path) -> Diagnostic:
    found = read_source(path)
    assert isinstance(found, Diagnostic)
    return found


@pytest.mark.parametrize("raw", [b"a\nb\n", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n", b"a\rb\r"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.sg"
    path.write_bytes(raw)
    assert read_source(path) == Source(str(path), "a\nb\n")


def test_a_missing_file(tmp_path: Path) -> None:
    found = refused(tmp_path / "none.sg")
    assert found.code == "SG032"
    assert found.render() == f"{tmp_path}/none.sg:1:1: error[SG032]: there is no file `{tmp_path}/none.sg`"


def test_a_directory(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "SG032"
    assert "is a directory" in refused(tmp_path).message


def test_a_name_that_is_none() -> None:
    assert refused(Path("a\0b.sg")).code == "SG032"
    assert refused(Path("x" * 5000)).code == "SG032"
    refused(Path(os.fsdecode(b"\xff.sg"))).render().encode("utf-8")


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.sg"
    path.write_bytes("model é {\n  secret ".encode() + b"\xff\xfe hidden\n}")
    found = refused(path)
    assert found.code == "SG033"
    assert found.message == "this file is not UTF-8 text: byte 21 is 0xFF"
    assert found.render().startswith(f"{path}:2:10: error[SG033]")
    assert "secret" not in found.render() and "hidden" not in found.render()


def test_utf16(tmp_path: Path) -> None:
    path = tmp_path / "a.sg"
    path.write_bytes("model M { }".encode("utf-16"))
    assert "UTF-16" in refused(path).help


@pytest.mark.parametrize("text", ["user: root\npassword: hunter2!'$\n", "root hunter2\n", "model A = root hunter2 'a"])
def test_a_used_file_that_is_not_of_the_language_is_not_shown(text: str) -> None:
    report = Report()
    parse(Source("secrets.sg", text), report, shown=False)
    (found,) = report
    assert found.code == "SG039"
    assert found.render().startswith("secrets.sg:1:")
    assert "hunter2" not in found.render() and "root" not in found.render()


def test_a_used_file_with_other_errors_is_shown() -> None:
    report = Report()
    parse(Source("b.sg", "model M { x : }"), report, shown=False)
    assert [d.code for d in report] == ["SG038"]

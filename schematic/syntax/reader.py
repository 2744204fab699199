"""Files to source texts. What cannot be read as text is told by name and place, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

from schematic.core.diagnostics import Diagnostic, error
from schematic.core.source import Source, Span


def read_source(path: str | os.PathLike[str]) -> Source | Diagnostic:
    """The text of a file: UTF-8, with or without a byte-order mark, line ends of any system.

    A Diagnostic (SG032, SG033) if there is no such file, it is a directory, it may not be read or it is not UTF-8.
    """
    name = os.fspath(path)
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        return _unread(name, f"there is no file `{_printable(name)}`")
    except IsADirectoryError:
        return _unread(name, f"`{_printable(name)}` is a directory", "name a file in it")
    except PermissionError:
        return _unread(name, f"`{_printable(name)}` may not be read: permission denied")
    except (OSError, ValueError, MemoryError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        return _unread(name, f"`{_printable(name)}` cannot be read: {reason.lower()}")
    return decode(_printable(name), raw)


def decode(name: str, raw: bytes) -> Source | Diagnostic:
    """Bytes as a source text of that name."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        return error("SG033", *_bad_byte(name, raw, problem.start))
    return Source(name, text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def _bad_byte(name: str, raw: bytes, at: int) -> tuple[Span, str, str]:
    """The place of the first byte that is not UTF-8, in a source that keeps the lines but not what stands on them."""
    before = raw[:at].decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    blank = "\n" * before.count("\n") + " " * (len(before) - before.rfind("\n") - 1) + " "
    words = f"this file is not UTF-8 text: byte {at + 1} is 0x{raw[at]:02X}"
    help = "save it as UTF-8"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        help = "it looks like UTF-16: save it as UTF-8"
    elif b"\0" in raw[:1024]:
        help = "is this a .sg file? it holds binary data"
    return Span(Source(name, blank), len(blank) - 1, len(blank)), words, help


def _unread(name: str, words: str, help: str = "") -> Diagnostic:
    return error("SG032", Span(Source(_printable(name), ""), 0, 0), words, help)


def _printable(name: str) -> str:
    """A path as it can be printed: file names need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")

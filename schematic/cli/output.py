"""Where results go: to stdout, or to a file that is written whole or not at all, and never over somebody's work.

A file that a command writes ends in a seal: a comment with the hash of all that stands above it. Whoever edits the
file breaks the seal, and the file is theirs from then on: only `--force` writes over it. Formats without comments
(plain text, JSON) carry no seal, so an existing file of theirs is replaced by the very same bytes or not at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

COMMENTS = {
    ".py": "# %s\n",
    ".sg": "# %s\n",
    ".svg": "<!-- %s -->\n",
    ".html": "<!-- %s -->\n",
    ".tex": "%% %s\n",
    ".dot": "// %s\n",
    ".pdf": "%% %s\n",
}
SEAL = "written by schematic, unedited: %s"
PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


def seal(data: bytes, suffix: str) -> bytes:
    """The data with its seal, in the comment syntax of the format that the suffix names; as they are without one."""
    words = SEAL % hashlib.sha256(data).hexdigest()[:32]
    if suffix == ".png" and data.endswith(PNG_END):
        body = b"tEXt" + b"Comment\0" + words.encode()
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[: -len(PNG_END)] + chunk + PNG_END
    if suffix in COMMENTS:
        return data + (COMMENTS[suffix] % words).encode()
    return data


def sealed(data: bytes, suffix: str) -> bool:
    """Whether the data end in an unbroken seal."""
    mark = re.escape(SEAL.encode()).replace(b"%s", b"[0-9a-f]{32}")
    found = list(re.finditer(mark, data))
    if not found:
        return False
    if suffix == ".png":
        start = found[-1].start() - len(b"0000tEXtComment\0")
        return start >= 0 and seal(data[:start] + PNG_END, suffix) == data
    start = found[-1].start() - COMMENTS.get(suffix, "%s").replace("%%", "%").index("%s")
    return start >= 0 and seal(data[:start], suffix) == data


def deliver(result: str | bytes, target: str | None, *, suffix: str, force: bool) -> None:
    """Sends a result, sealed, to stdout (target None or "-") or to the file `target`.

    Raises: click.UsageError when the file was not written by schematic, or was edited since, or cannot be written.
    """
    data = seal(result.encode() if isinstance(result, str) else result, suffix)
    if target is None or target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.is_dir():
        raise click.UsageError(f"`{target}` is a folder; name a file in it")
    with writing(target):
        old = path.read_bytes() if path.is_file() else None
        if old is not None and old != data and not force and not sealed(old, suffix):
            raise click.UsageError(
                f"`{target}` exists, and schematic did not write it, or it was edited since. `--force` writes over it"
            )
        if old != data:
            write(path, data)


@contextmanager
def writing(target: str) -> Iterator[None]:
    """A file that cannot be written is the command line's fault. Raises: click.UsageError."""
    try:
        yield
    except OSError as problem:
        raise click.UsageError(f"`{target}` cannot be written: {problem.strerror or problem}") from problem


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; keeps its mode, follows a link. Raises OSError."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(data)  # a device, a pipe
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

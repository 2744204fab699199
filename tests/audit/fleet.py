"""Audits in a row from one process that has torch already: each in a fork of it, as alone as in `schematic audit`.

`python fleet.py` reads lines, each a question's file and an answer's, and says each answer's name when it is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Data = dict[str, Any]


class Fleet:
    """The process, and what it is asked."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.count = 0

    def ask(self, question: Data) -> Data:
        """The worker's answer, whatever it is."""
        self.count += 1
        asked, answer = (Path(self.folder.name, f"{kind}{self.count}.json") for kind in ("question", "answer"))
        asked.write_text(json.dumps(question))
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{asked}\t{answer}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        found: Data = json.loads(answer.read_text())
        return found

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


def serve() -> None:
    import pyro  # noqa: F401
    import torch.fx.experimental.symbolic_shapes  # noqa: F401

    from schematic.audit import worker

    for line in sys.stdin:
        asked, answer = map(Path, line.rstrip("\n").split("\t"))
        child = os.fork()
        if child == 0:
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silence, stream)
            worker.main(asked, answer)
            os._exit(0)
        os.waitpid(child, 0)
        print(answer, flush=True)


if __name__ == "__main__":
    serve()

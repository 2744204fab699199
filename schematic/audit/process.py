"""The user's code in a process of its own: started, watched, and what became of it in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Data = dict[str, Any]

LAST = 6  # lines of what their code printed that are shown when it stops


@dataclass(frozen=True)
class Stopped(Exception):
    """There is no verdict: what happened, where in the user's file, and what to do."""

    message: str
    line: tuple[str, int] | None = None
    help: str = ""

    def __str__(self) -> str:
        where = f"{self.line[0]}:{self.line[1]}: " if self.line else ""
        return f"{where}{self.message}" + (f"\n  help: {self.help}" if self.help else "")


def asked(task: str, question: Data, limit: float) -> Data:
    """The worker's answer to a question. `task`: "audit" or "init".

    The process works in an empty folder that is removed afterwards, writes no bytecode beside the user's files, sees no
    accelerator, and is stopped after `limit` seconds. Raises: Stopped.
    """
    with tempfile.TemporaryDirectory(prefix="schematic-audit-") as folder:
        paths = [Path(folder, name) for name in ("question.json", "answer.json", "printed.txt")]
        Path(folder, "work").mkdir()
        paths[0].write_text(json.dumps({**question, "task": task}))
        with paths[2].open("w") as printed:
            code = _run(paths, Path(folder, "work"), printed, limit)
        said = paths[2].read_text(errors="replace").strip().splitlines()[-LAST:]
        if code is None:
            help = 'keep training out of the import (`if __name__ == "__main__":`), or give it longer with --time'
            raise Stopped(f"your code was still running after {limit:g} seconds", help=help)
        if not paths[1].exists():
            told = "".join(f"\n    {line}" for line in said)
            help = "a call of exit(), or a crash inside a library, where the file is imported or a loss runs"
            raise Stopped(f"your code ended the process (exit code {code}) before there was a verdict{told}", help=help)
        answer: Data = json.loads(paths[1].read_text())
    if "internal" in answer:
        raise RuntimeError(f"{answer['internal']}\n{answer['traceback']}")
    if "error" in answer:
        line = answer.get("line")
        raise Stopped(answer["error"], (line[0], line[1]) if line else None, answer.get("help", ""))
    return answer


def _run(paths: list[Path], work: Path, printed: Any, limit: float) -> int | None:
    """The exit code; None if it was stopped."""
    package = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((package, *filter(None, [os.environ.get("PYTHONPATH")]))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "schematic.audit.worker", *map(str, paths[:2])]
    try:
        done = subprocess.run(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=printed,
                              stderr=subprocess.STDOUT, timeout=limit)  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    return done.returncode

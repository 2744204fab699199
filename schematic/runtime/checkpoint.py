"""Checkpoints as files: what a run is at one step, in tensors and plain values, named by the hash of its content.

`000000120-1f0c2a9b77d4e35a.pt` is step 120; the digits are the first of the content's SHA-256, as in the names of
torch.hub. A file whose content does not have its name's hash is damaged. No pickled code is ever read.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from schematic.runtime.errors import RunError

FORMAT = 1  # of a checkpoint's content; another one is refused in words
_NAME = re.compile(r"(\d{9,})-([0-9a-f]{16})\.pt")

State = dict[str, Any]


def encode(state: Mapping[str, Any]) -> tuple[str, bytes]:
    """The file of a state, `step` among it: its name and its content."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    content = buffer.getvalue()
    return f"{state['step']:09d}-{_hash(content)}.pt", content


def step_of(name: str) -> int | None:
    """The step that a file's name tells; None for a file that is no checkpoint."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def decode(name: str, content: bytes) -> State | None:
    """The state in a checkpoint's file, its tensors on the CPU; None where the file is damaged.

    Raises RunError where it is whole, and of another format.
    """
    found = _NAME.fullmatch(name)
    if found is None or _hash(content) != found[2]:
        return None
    try:
        state: State = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        kind = state["format"]
    except Exception:  # torch raises half a dozen kinds for what is no file of tensors
        return None
    if kind != FORMAT:
        age = "a newer" if isinstance(kind, int) and kind > FORMAT else "an older"
        raise RunError(
            f"{name} is a checkpoint of format {kind}, of {age} schematic; this one reads format {FORMAT}",
            "go on with the version of schematic that config.json names",
        )
    return state


def weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The program's parameters and buffers: of parameters that have a moving average, that."""
    return {**state["program"], **state["averages"]}


def safetensors_of(state: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """The same as a .safetensors file, which `load_state_dict` of the emitted class takes, without schematic.

    `about` is its metadata, as JSON in one entry, since the library writes several in any order.
    """
    apart = {name: value.detach().clone().contiguous() for name, value in weights(state).items()}
    return safetensors.torch.save(apart, {"schematic": json.dumps(dict(about))})


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]

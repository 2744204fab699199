"""A run's objectives and samples for TensorBoard, which is an extra: `pip install 'schematic-gm[tensorboard]'`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schematic.runtime.errors import RunError
from schematic.runtime.metrics import Means


class Board:
    """Event files in a folder; what they hold of steps after `start` is taken back."""

    def __init__(self, folder: Path, start: int) -> None:
        self._writer: Any = _writer()(str(folder), purge_step=start + 1)

    def values(self, step: int, means: Means) -> None:
        """The objectives, in nats per example, and the gradients' norms."""
        for kind, values in (("objective", means.objectives), ("gradient", means.gradients)):
            for group, value in values.items():
                self._writer.add_scalar(f"{kind}/{group}", value, step)

    def picture(self, step: int, name: str, png: bytes) -> None:
        """A PNG picture of a variable."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(encoded_image_string=png)
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=f"samples/{name}", image=image)]), step)

    def close(self) -> None:
        self._writer.close()


def check() -> None:
    """Raises RunError where TensorBoard is not installed."""
    _writer()


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        help = "pip install 'schematic-gm[tensorboard]'"
        raise RunError("--tensorboard: the package tensorboard is not installed", help) from None
    return SummaryWriter

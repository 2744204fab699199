"""What a training script imports beside torch, where it is not installed: data sets, pictures, progress bars, logs.

None of it makes a loss. A stand-in can be called, asked for anything and looped over, which gives nothing.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

BESIDE = (
    "torchvision", "torchaudio", "tqdm", "matplotlib", "PIL", "cv2", "imageio", "skimage", "sklearn", "scipy", "pandas",
    "seaborn", "wandb", "tensorboard", "tensorboardX", "visdom", "torchsummary", "torchinfo", "torchmetrics", "h5py",
    "mlflow", "accelerate", "datasets", "hydra", "omegaconf", "yaml", "IPython", "ignite",
)  # fmt: skip


class StandIn:
    """Anything: called or asked, it gives itself; looped over, what it was given first, as a progress bar does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args

    def __call__(self, *args: Any, **kwargs: Any) -> StandIn:
        return StandIn(*args)

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.args[0]) if self.args and hasattr(self.args[0], "__iter__") else iter(())

    def __len__(self) -> int:
        return 1024

    def __getitem__(self, key: Any) -> StandIn:
        return StandIn()

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *args: Any) -> None: ...


class StandInModule(ModuleType):
    """A module of which everything can be imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (StandIn,), {}) if name[:1].isupper() else StandIn()


class Finder:
    """Makes modules of the packages in BESIDE that are asked for after every other finder has given up."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> Any:
        if name.split(".")[0] in BESIDE:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: Any) -> ModuleType:
        return StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None: ...


def install() -> None:
    """From now on, in this process."""
    sys.meta_path.append(Finder())

"""schematic: from the drawing of a deep generative model to its objectives, its code and its training.

    import schematic as sg
    vae = sg.perfect(sg.swap_arrows(sg.load("infogan.sg")), "q_phi")
    for objective in sg.objectives(vae):
        print(objective)

Names are looked up in `schematic.api` when they are first used, so that the command line starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from schematic.core.version import VERSION as __version__

if TYPE_CHECKING:
    from schematic.api import (
        Model,
        Objective,
        activate,
        emit,
        importance,
        load,
        objectives,
        parse,
        perfect,
        rename,
        render,
        report,
        resume,
        swap,
        swap_arrows,
        train,
        wake_sleep,
        without,
    )
    from schematic.core.diagnostics import SchematicError

__all__ = [
    "Model",
    "Objective",
    "SchematicError",
    "__version__",
    "activate",
    "emit",
    "importance",
    "load",
    "objectives",
    "parse",
    "perfect",
    "rename",
    "render",
    "report",
    "resume",
    "swap",
    "swap_arrows",
    "train",
    "wake_sleep",
    "without",
]


# A package binds its parts by their names when they are first imported. That has to be over before `schematic.render`
# can be the function; the room of that name is reached by `from schematic.render import ...` alone.
import_module("schematic.render")
del globals()["render"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `schematic` has no attribute `{name}`")
    from schematic import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__

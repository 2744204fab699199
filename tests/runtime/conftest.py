from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def programs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runtime_programs", Path(__file__).with_name("programs.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

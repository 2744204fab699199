"""One process for all audits of these tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fleet import Fleet


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    found = Fleet()
    yield found
    found.close()

"""Small videos encoded on the spot, and the real ones where they are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def real_folder(shared_data: Path) -> Callable[[str], Path]:
    """A folder of real videos by its name; skips where there is none."""
    return lambda name: shared_data / name

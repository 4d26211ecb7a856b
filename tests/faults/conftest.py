from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Driver


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds all studies: they share clips, scorer and MLflow's store, as a user's do."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def start() -> Iterator[Callable[..., Driver]]:
    """Starts drivers; none outlives the test."""
    drivers: list[Driver] = []

    def begin(out: Path, *arguments: str, line: str = "", **options: tuple[str, ...]) -> Driver:
        drivers.append(Driver.typed(line, out) if line else Driver(out, *arguments, **options))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.end()

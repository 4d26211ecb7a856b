"""Scenes are played side by side, and a test looks at what its scene left.

A study waits for its processes most of the time, so a machine has room for several. What happens to a study is a
function, a scene; `@pytest.mark.plays(scene=...)` names it at the tests that look at it, and they get what it returned
as `played`. What a scene asserts on the way fails all of its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sweeps.config.load import load
from tests.faults.harness import TINY, Driver, Start
from tsvan.data.standin import drawing
from tsvan.scoring.training import train_or_load

SIDE_BY_SIDE = 3

Scene = Callable[[Path, Start], Any]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plays(scene=...): looks at what a scene left")


class Stage:
    """Where scenes are played.

    Args:
        scenes: to play.
        runs: folder that holds their studies.
    """

    def __init__(self, scenes: list[Scene], runs: Path) -> None:
        self._runs, self._closed = runs, False
        self._drivers: list[Driver] = []
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE)
        self._played: dict[Scene, Future[Any]] = {scene: self._pool.submit(self._play, scene) for scene in scenes}

    def of(self, scene: Scene) -> Any:
        """What a scene returned; waits for its end, and raises what it raised."""
        return self._played[scene].result()

    def close(self) -> None:
        """Nothing stays, however the tests ended."""
        self._closed = True
        for driver in list(self._drivers):
            driver.end()
        self._pool.shutdown(cancel_futures=True)

    def _play(self, scene: Scene) -> Any:
        drivers: list[Driver] = []

        def start(*arguments: Any, **options: Any) -> Driver:
            assert not self._closed, "the tests are over"
            drivers.append(begin(*arguments, **options))
            self._drivers.append(drivers[-1])
            return drivers[-1]

        try:
            return scene(self._runs, start)
        finally:
            for driver in drivers:
                driver.end()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds most studies: they share clips, scorer and MLflow's store, as a user's do."""
    folder = tmp_path_factory.mktemp("runs")
    store = drawing.draw("weizmann", folder / "stores" / "weizmann-standin-small", size="small")
    train_or_load(store, load("weizmann", "smoke", TINY)[0].scorer, store.path / "scorers")
    return folder


@pytest.fixture(scope="session", autouse=True)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Plays the scenes of the selected tests from now on, beside the tests that need none."""
    marks = [mark for item in request.session.items for mark in item.iter_markers("plays")]
    scenes = list(dict.fromkeys(mark.kwargs["scene"] for mark in marks))
    stage = Stage(scenes, request.getfixturevalue("runs") if scenes else Path())
    yield stage
    stage.close()


@pytest.fixture
def played(request: pytest.FixtureRequest, stage: Stage) -> Any:
    """What the test's scene returned."""
    mark = request.node.get_closest_marker("plays")
    assert mark is not None
    return stage.of(mark.kwargs["scene"])


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts drivers; none outlives the test."""
    drivers: list[Driver] = []

    def started(*arguments: Any, **options: Any) -> Driver:
        drivers.append(begin(*arguments, **options))
        return drivers[-1]

    yield started
    for driver in drivers:
        driver.end()


def begin(out: Path, *arguments: str, line: str = "", **options: Any) -> Driver:
    """A driver with arguments of its own, or with a `line` that a terminal showed."""
    return Driver.typed(line, out) if line else Driver(out, *arguments, **options)

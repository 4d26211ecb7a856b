"""The page of a study at work."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sweeps.config.schema import SweepConfig
from sweeps.report import live_page
from sweeps.report.live_page import LivePage
from sweeps.report.plotted import PlottedStudy
from sweeps.state.job import Outcome
from sweeps.state.paths import StudyPaths
from tests.sweeps.studies import job_maker
from tsvan import video
from tsvan.journal import Journal

PARAMS = {"lambda2": 5.0, "ngf": 16, "content_dim": 256, "lambda5_lower": 2.0, "lambda5_ratio": 7.0}
PATIENCE_S = 60.0


def score(config: SweepConfig, paths: StudyPaths, number: int, value: float, end: bool = True) -> None:
    job = job_maker(config, paths)(number, PARAMS)
    job.write()
    Journal(job.paths.metrics).append(100, "score", {"inception_score": value})
    if end:
        Outcome("complete", 100, {"inception_score": value}, seconds=60.0).write(job.paths)


def until(there: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not there():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def page(config: SweepConfig, paths: StudyPaths, said: list[str]) -> LivePage:
    return LivePage(config, paths, lambda: "Stage 3 sweep: 1 of 6 ended, about 5 min left", said.append)


def test_the_page_is_there_from_the_first_score_on(
    config: SweepConfig, paths: StudyPaths, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_page, "_LEAST_S", 0.0)
    monkeypatch.setattr(live_page, "_SHARE", 0)
    score(config, paths, 0, 1.25, end=False)
    page.renew()
    until(paths.page.exists)
    text = paths.page.read_text()
    assert "no trial is complete yet" in text
    assert "about 5 min left" in text
    assert 'http-equiv="refresh"' in text

    score(config, paths, 0, 1.25)
    score(config, paths, 1, 1.75)
    clip = np.zeros((10, 32, 32, 3), np.uint8)
    video.write_mp4(paths.trial(1).samples / "iter-0000100.mp4", clip)
    page.renew()
    until(lambda: "trial 1: inception_score 1.75" in paths.page.read_text())
    text = paths.page.read_text()
    assert "Samples of trial 1 after 100 iterations" in text
    assert "data:video/mp4;base64," in text
    assert "Score by setting" in text
    page.close()


def test_before_a_score_there_is_no_page(
    config: SweepConfig, paths: StudyPaths, page: LivePage
) -> None:
    page.renew()
    page.close()
    assert not paths.page.exists()


def test_what_goes_wrong_is_said_once_and_ends_nothing(
    config: SweepConfig, paths: StudyPaths, page: LivePage, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_page, "_LEAST_S", 0.0)
    monkeypatch.setattr(live_page, "_SHARE", 0)
    asked: list[Path] = []

    def full(paths: StudyPaths, *_: object) -> None:
        asked.append(paths.root)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live_page, "read_trials", full)
    for count in (1, 2):
        page.renew()
        until(lambda count=count: len(asked) == count)
    page.close()
    assert said == ["  warning: report.html can't be renewed: [Errno 28] No space left on device"]


def test_scores_in_quick_succession_are_one_page(
    config: SweepConfig, paths: StudyPaths, page: LivePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(live_page, "_LEAST_S", 3600.0)

    def read(paths: StudyPaths, *_: object) -> PlottedStudy:
        asked.append(paths.root)
        return PlottedStudy(config)

    monkeypatch.setattr(live_page, "read_trials", read)
    for _ in range(100):
        page.renew()
        time.sleep(0.001)
    until(lambda: asked)
    page.close()
    assert len(asked) == 1

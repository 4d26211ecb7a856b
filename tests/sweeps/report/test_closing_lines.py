"""The last lines that a study prints."""

from __future__ import annotations

from sweeps.config.load import load
from sweeps.report.stage import _closing_lines
from sweeps.state.paths import StudyPaths
from tests.sweeps.report.final_results import final

CONFIG = load("weizmann", "smoke", ["objective=inception_score"])[0]


def closing(source: str, paths: StudyPaths) -> str:
    summary = {"trials": [], "near_best": None, "data_source": source, "final": {"looks": 1, "choices": 1}}
    return "\n".join(_closing_lines(final(), CONFIG, paths, summary))


def test_a_study_of_stand_ins_says_how_to_go_on_with_videos(paths: StudyPaths) -> None:
    command = "python tune_runner.py --dataset weizmann --data-root DIR --preset dev --dry-run"
    assert closing("synthetic", paths).endswith(f"with your own videos in DIR: {command}")


def test_a_study_of_videos_does_not_ask_for_them(paths: StudyPaths) -> None:
    assert "your own videos" not in closing("real", paths)

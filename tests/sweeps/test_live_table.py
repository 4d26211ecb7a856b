from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from sweeps.config.schema import Objective, SweepConfig
from sweeps.live_table import LiveTable
from sweeps.state.job import Outcome, Point
from sweeps.state.paths import StudyPaths
from tests.sweeps.studies import job_maker
from tsvan.journal import Journal


def play(config: SweepConfig, paths: StudyPaths, terminal: bool) -> str:
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, highlight=False)
    live_table = LiveTable(Objective("inception_score"), console)
    make = job_maker(config, paths)
    live_table.begin("3 sweep: 2 trials", total=2)
    for number, score in ((0, 1.5), (1, 2.5)):
        job = make(number, {"lambda2": 5.0})
        live_table.started(job)
        live_table.scored(job, Point(50, {"inception_score": score}))
        Journal(job.paths.metrics).append(60, "train", {"loss": 1.0})
        if terminal:
            console.print(live_table._table())
        live_table.ended(job, Outcome("complete", 100, {"inception_score": score}))
    live_table.end()
    return text.getvalue()


def test_in_a_pipe_there_are_plain_lines(config: SweepConfig, paths: StudyPaths) -> None:
    lines = play(config, paths, terminal=False).splitlines()
    assert lines[0] == "3 sweep: 2 trials"
    assert lines[1] == "  trials/000 begins: ngf16 z512 λ2=5 λ5=2→20"
    assert lines[2].startswith("  trials/000 complete at iteration 100: inception_score 1.5 [1/2, about")
    assert lines[4].endswith("[2/2, took 0 s]")
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_there_is_one_table(config: SweepConfig, paths: StudyPaths) -> None:
    text = play(config, paths, terminal=True)
    for words in ("settings", "60/100", "running", "about ", "best so far trials/000: 1.5"):
        assert words in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (80, 6)])
def test_the_table_fits_a_terminal_with_its_newest_rows_and_the_time_left(
    width: int, height: int, config: SweepConfig, paths: StudyPaths
) -> None:
    console = Console(file=StringIO(), force_terminal=True, width=width, height=height, highlight=False)
    live_table = LiveTable(Objective("frechet_distance", "minimize"), console)
    make = job_maker(config, paths)
    live_table.begin("3 sweep: 30 trials", total=30)
    for number in range(30):
        live_table.started(make(number, {"lambda2": 5.123}))
    lines = ["".join(part.text for part in line).rstrip() for line in console.render_lines(live_table._table())]
    live_table.end()
    assert len(lines) < height
    assert lines[0].split() == ["trial", "settings", "iteration", "frechet_distance", "state"]
    assert any(line.startswith("trials/029") and "0/100" in line and line.endswith("running") for line in lines)
    assert lines[-1].strip() == "time left not known yet"
    assert "…" not in "".join(lines)


def test_a_terminal_breaks_what_is_told_of_an_end_between_words(config: SweepConfig, paths: StudyPaths) -> None:
    text = StringIO()
    console = Console(file=text, force_terminal=True, width=40, color_system=None, highlight=False)
    live_table = LiveTable(Objective("frechet_distance", "minimize"), console)
    job = job_maker(config, paths)(0, {"lambda2": 5.0})
    live_table.started(job)
    begun = len(text.getvalue())
    live_table.ended(job, Outcome("failed", 60, {}, "a reason of a good many words, each of which stays whole"))
    lines = text.getvalue()[begun:].splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 40
    assert " ".join(line.strip() for line in lines).count("a good many words, each of which stays whole") == 1
    command = "python tune_runner.py --dataset weizmann --out " + "a" * 60
    live_table.say(command)
    assert command in text.getvalue()


def test_a_trial_that_was_stopped_early_says_so_once(config: SweepConfig, paths: StudyPaths) -> None:
    text = StringIO()
    live_table = LiveTable(Objective("inception_score"), Console(file=text))
    job = job_maker(config, paths)(0, {"lambda2": 5.0})
    live_table.started(job)
    live_table.ended(job, Outcome("pruned", 60, {"inception_score": 1.5}, "stopped early at iteration 60"))
    assert "trials/000 pruned at iteration 60: inception_score 1.5 [" in text.getvalue()

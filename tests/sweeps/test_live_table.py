from __future__ import annotations

from io import StringIO

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

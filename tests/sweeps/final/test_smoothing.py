from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sweeps.config.load import load
from sweeps.config.schema import Objective, Prior, SweepConfig
from sweeps.final import reruns
from sweeps.final.candidates import best_candidates, published_candidate, shortlist
from sweeps.final.smoothing import FEWEST, coordinates, ranked, smoothed
from sweeps.final.stage import final_stage
from sweeps.report.tables import shortlist_table
from sweeps.search.storage import load_study
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish
from tests.sweeps.studies import open_queue

LINE = {"lambda2": Prior(low=0, high=10)}


def on_a_line(noise: float, count: int = 20, lucky: int | None = None) -> tuple[dict[int, Any], dict[int, float]]:
    """Scores along a hill with its top at 5, one of them far too good by luck."""
    draws = np.random.default_rng(0)
    params = {n: {"lambda2": 10 * n / (count - 1)} for n in range(count)}
    scores = {n: -abs(params[n]["lambda2"] - 5) + noise * draws.normal() for n in params}
    if lucky is not None:
        scores[lucky] += 6.0
    return params, scores


def test_a_lucky_score_far_from_good_ones_does_not_rank_first() -> None:
    params, scores = on_a_line(0.1, lucky=1)
    found = smoothed(params, scores, LINE)
    assert found is not None
    assert max(scores, key=lambda n: scores[n]) == 1
    order = ranked(found, Objective("inception_score"))
    assert order[0] in range(8, 12)
    assert 1 not in order[:4]
    assert found[1].mean < found[1].score - 2
    assert all(one.low < one.mean < one.high for one in found.values())


def test_where_less_is_better_the_least_mean_ranks_first() -> None:
    params, scores = on_a_line(0.1)
    found = smoothed(params, {n: -score for n, score in scores.items()}, LINE)
    assert found is not None
    assert ranked(found, Objective("kernel_distance", "minimize"))[0] in range(8, 12)


def test_too_few_trials_or_equal_scores_have_no_process() -> None:
    params, scores = on_a_line(0.1, FEWEST - 1)
    assert smoothed(params, scores, LINE) is None
    params, scores = on_a_line(0.0, FEWEST)
    assert smoothed(params, dict.fromkeys(scores, 1.0), LINE) is None
    assert smoothed(params, scores, {}) is None
    assert smoothed(params, scores, LINE) is not None


def test_settings_lie_in_the_unit_cube_each_by_what_is_near_it() -> None:
    space = {
        "lr": Prior(low=1e-4, high=1e-2, log=True),
        "ngf": Prior(values=(64, 16, 32)),
        "kernel_layers": Prior(values=(4, 1), ordered=True),
        "precision": Prior(values=("fp32", "bf16")),
        "lambda2": Prior(low=3, high=3),
    }
    point = {"lr": 1e-3, "ngf": 32, "kernel_layers": 1, "precision": "bf16", "lambda2": 3}
    assert coordinates(point, space) == pytest.approx([0.5, 0.5, 1.0, 0.0, 0.5**0.5, 0.0])


def hill(paths: StudyPaths, trials: int, lucky: float = 3.0) -> tuple[SweepConfig, Job]:
    """A swept study over λ2, whose scores are a hill, but for one that is lucky."""
    overrides = [
        "space=null", "space.lambda2={low: 0, high: 10}", f"trials={trials}", "budget.iterations=100",
        "objective=inception_score", "sampler=random", "final.confirm={top_k: 4, seeds: 3}", "final.report.seeds=2",
    ]  # fmt: skip
    config = load("weizmann", "smoke", overrides)[0]
    queue = open_queue(config, paths)
    while (job := queue.next()) is not None:
        drawn = job.config["loss"]["lambda2"]
        finish(queue, job, "complete", lucky if job.number == 2 else -abs(drawn - 5))
        last = job
    return config, last


def test_candidates_are_the_likeliest_and_the_best_single_score_is_one_where_trials_are_few(paths: StudyPaths) -> None:
    config, _ = hill(paths, 20)
    study = load_study(paths)
    assert best_candidates(config, study, 1)[0].trial == 2
    likely = shortlist(config, study, 4)
    assert [one.smoothed is not None for one in likely] == [True] * 4
    assert len({one.key for one in likely}) == 4
    means = [one.smoothed.mean for one in likely if one.smoothed is not None]
    assert means == sorted(means, reverse=True)
    few = StudyPaths(paths.root / "few")
    few.root.mkdir()
    config, _ = hill(few, 5)
    assert [one.trial for one in shortlist(config, load_study(few), 1)] == [2]
    assert shortlist(config, load_study(few), 1)[0].smoothed is None


def test_the_final_stage_confirms_the_likeliest_and_the_published_row_and_the_report_says_why(
    paths: StudyPaths,
) -> None:
    config, template = hill(paths, 20)
    stages: list[tuple[str, str]] = []

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            stages.append((job.stage, job.name.split("-")[1]))
            job.write()
            drawn = job.config["loss"]["lambda2"]
            Outcome("complete", 100, {"inception_score": -abs(drawn - 5) + 0.01 * job.number}).write(job.paths)

    result = final_stage(config, None, template, 10, paths, run, lambda line: pytest.fail(line))
    assert result is not None
    published = published_candidate(config, load_study(paths)).key
    confirmed = {key for stage, key in stages if stage == "confirm"}
    assert len(confirmed) == 5
    assert published in confirmed
    assert sum(stage == "confirm" for stage, _ in stages) == 15
    assert result.winner.key == next(iter(result.confirm)) != published
    assert result.winner.trial != 2  # whose single score was the best by far
    rows = [line for line in shortlist_table(result, "inception_score") if line.startswith("| ")]
    assert len(rows) == 7
    assert rows[0] == "| candidate | key | inception_score, one seed | mean | 95% of the mean | confirmed |"
    assert all(cell.strip() not in ("", "-") for row in rows[2:] for cell in row.split("|")[1:-1])
    assert "Gaussian process" in shortlist_table(result, "inception_score")[0]


def test_where_the_published_row_alone_is_complete_nothing_is_confirmed(paths: StudyPaths) -> None:
    config, template = hill(paths, 1)
    stages: list[str] = []

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            stages.append(job.stage)
            job.write()
            Outcome("complete", 100, {"inception_score": 1.0}).write(job.paths)

    result = final_stage(config, None, template, 10, paths, run, lambda line: pytest.fail(line))
    assert result is not None
    assert (result.same, stages) == (True, ["report", "report"])


def test_paper_confirms_and_short_presets_do_not() -> None:
    found = {preset: load("vox", preset)[0].final.confirm for preset in ("paper", "dev", "smoke", "demo")}
    assert {preset: confirm.top_k for preset, confirm in found.items()} == {"paper": 4, "dev": 1, "smoke": 1, "demo": 1}
    assert found["paper"].seeds == 3
    off = replace(load("vox")[0].final.confirm, top_k=1)
    assert load("vox", "paper", ["final.confirm.top_k=1"])[0].final.confirm == off

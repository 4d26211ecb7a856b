from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.final import reruns
from sweeps.final.candidates import Candidate, best_candidates, candidate_from_file, from_sweep, published_candidate
from sweeps.final.seed_noise import study_noise
from sweeps.search.storage import load_study
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import job_maker, open_queue
from tsvan.validation import UserError


def swept(config: SweepConfig, paths: StudyPaths) -> Job:
    """A study whose last trial is best; returns a job to make others from."""
    queue = open_queue(config, paths)
    while (job := queue.next()) is not None:
        finish(queue, job, "complete", float(job.number))
        last = job
    return last


def run_all(scores: dict[str, list[float]]) -> reruns.RunJobs:
    """Completes each job with the next score of its config."""

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            job.write()
            value = scores[job.name.split("-")[1]].pop(0)
            Outcome("complete", job.save_at[-1], {"inception_score": value}, num_clips=9).write(job.paths)

    return run


def test_winner_and_rival_get_the_same_fresh_seeds_and_the_report_group(config: SweepConfig, paths: StudyPaths) -> None:
    config = replace(config, final=replace(config.final, report=replace(config.final.report, seeds=3)))
    template = swept(config, paths)
    study = load_study(paths)
    winner, rival = best_candidates(config, study, 1)[0], published_candidate(config, study)
    assert (winner.trial, rival.trial) == (5, 0)
    scores = {winner.key: [5.0, 6.0, 7.0], rival.key: [4.0, 4.0, 4.0]}
    result = reruns.evaluate(winner, rival, config, template, paths, run_all(scores))
    assert result.winner.seeds == result.published.seeds
    swept_seeds = {trial.user_attrs["train_seed"] for trial in study.trials}
    assert not swept_seeds & set(result.winner.seeds)
    # Differences 1, 2, 3: mean 2, half width 2.48414.
    difference = result.differences["inception_score"]
    assert difference.mean == 2.0
    assert difference.low == pytest.approx(-0.48414, abs=1e-5)
    assert result.verdict.startswith("no evidence")
    job = json.loads((paths.final(f"report-{winner.key}-0").job).read_text())
    assert (job["group"], job["score_at"]) == ("report", [100])
    assert result.winner.sweep_values == {"inception_score": 5.0}
    # The same again runs nothing.
    assert reruns.evaluate(winner, rival, config, template, paths, run_all({})) == result
    assert len(json.loads(paths.choice.read_text())) == 1
    assert Path(job["seal"]) == paths.choice
    written = {role["hash"] for role in json.loads(paths.choice.read_text())[0].values()}
    assert written == {winner.config.settings_hash, rival.config.settings_hash}


def test_equal_settings_share_their_runs(config: SweepConfig, paths: StudyPaths) -> None:
    template = swept(config, paths)
    rival = published_candidate(config, load_study(paths))
    winner = replace(rival, role="best")
    result = reruns.evaluate(winner, rival, config, template, paths, run_all({rival.key: [4.0]}))
    assert result.same
    assert "keep it" in result.verdict
    assert result.winner.scores == result.published.scores


def test_a_seed_that_failed_is_named_and_not_counted(config: SweepConfig, paths: StudyPaths) -> None:
    template = swept(config, paths)
    study = load_study(paths)
    winner, rival = best_candidates(config, study, 1)[0], published_candidate(config, study)

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            job.write()
            bad = winner.key in job.name
            Outcome("diverged" if bad else "complete", 5, {"inception_score": 1.0}, "nan" if bad else "").write(
                job.paths
            )

    result = reruns.evaluate(winner, rival, config, template, paths, run)
    assert list(result.winner.failed.values()) == ["diverged: nan"]
    assert result.winner.completed == []
    assert [folder.folder.name for folder in result.published.completed] == [f"report-{rival.key}-0"]
    assert result.winner.scores == {}
    assert result.differences == {}


def test_calibration_trains_the_published_row_and_scores_it_as_a_trial(
    config: SweepConfig, paths: StudyPaths
) -> None:
    config = replace(config, calibrate=replace(config.calibrate, seeds=3))
    row = published_candidate(config, None)
    template = job_maker(config, paths)(0, {})
    reruns.calibrate(row, config, template, paths, run_all({row.key: [1.0, 2.0, 3.0]}))
    jobs = [json.loads(file.read_text()) for file in paths.root.glob(f"final/calibrate-{row.key}-*/job.json")]
    assert len({job["config"]["seed"] for job in jobs}) == 3
    assert {(job["group"], job["seal"]) for job in jobs} == {("validation", "")}
    noise = study_noise(paths, "inception_score", template.num_clips)
    assert noise is not None
    assert (noise.std, noise.dof) == (1.0, 2)
    assert study_noise(paths, "inception_score", 9_000) is None  # a group of another size


def test_the_noise_of_the_confirm_stages_seeds_serves_where_nothing_was_calibrated(
    config: SweepConfig, paths: StudyPaths
) -> None:
    template = swept(config, paths)
    assert study_noise(paths, "inception_score", template.num_clips) is None
    candidates = best_candidates(config, load_study(paths), 2)
    scores = {candidates[0].key: [1.0, 2.0, 3.0], candidates[1].key: [12.0, 10.0, 14.0]}
    reruns.confirm(candidates, config, template, paths, run_all(scores))
    noise = study_noise(paths, "inception_score", template.num_clips)
    assert noise is not None
    # (2 x 1 + 2 x 4) / 4 = 2.5: the spread within each config, not between them; the seeds are the same.
    assert (noise.std**2, noise.dof) == (pytest.approx(2.5), 2)


def test_confirm_ranks_on_its_own_group(config: SweepConfig, paths: StudyPaths) -> None:
    template = swept(config, paths)
    candidates = best_candidates(config, load_study(paths), 2)
    scores = {candidates[0].key: [1.0, 1.0, 1.0], candidates[1].key: [2.0, 2.0, 2.0]}
    ranked, means = reruns.confirm(candidates, config, template, paths, run_all(scores))
    assert [candidate.key for candidate in ranked] == [candidates[1].key, candidates[0].key]
    assert list(means.values()) == [2.0, 1.0]
    assert json.loads(paths.final(f"confirm-{ranked[0].key}-0").job.read_text())["group"] == "confirm"


def test_a_config_that_fails_with_some_seeds_ranks_below_one_that_does_not(
    config: SweepConfig, paths: StudyPaths
) -> None:
    template = swept(config, paths)
    fragile, sound = best_candidates(config, load_study(paths), 2)

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            job.write()
            bad = fragile.key in job.name
            state = "diverged" if bad and job.number == 0 else "complete"
            Outcome(state, 100, {"inception_score": 9.0 if bad else 1.0}).write(job.paths)

    ranked, _ = reruns.confirm([fragile, sound], config, template, paths, run)
    assert [candidate.key for candidate in ranked] == [sound.key, fragile.key]


@pytest.mark.parametrize(
    "text", ["lambda2: 4.5\nngf: 32\n", "dataset: weizmann\nloss: {lambda2: 4.5}\nmodel: {ngf: 32}\n"]
)
def test_a_chosen_config_is_read_flat_or_nested(config: SweepConfig, tmp_path: Path, text: str) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text(text)
    chosen = candidate_from_file(config, file)
    assert (chosen.config.loss.lambda2, chosen.config.model.ngf) == (4.5, 32)
    assert chosen.config.schedule == config.base.schedule


def test_a_partial_file_is_laid_over_the_studys_base(config: SweepConfig, tmp_path: Path) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text("seed: 9\nloss: {lambda2: 4.5}\nschedule: {iterations: 7, ramp_start: 0.2}\n")
    chosen, base = candidate_from_file(config, file).config, config.base
    assert chosen.loss == replace(base.loss, lambda2=4.5)
    assert chosen.model == base.model
    assert chosen.schedule == replace(base.schedule, ramp_start=0.2)
    assert (chosen.optimiser.batch_size, chosen.seed) == (base.optimiser.batch_size, 0)


def test_what_the_study_decides_is_not_taken_from_a_flat_file(config: SweepConfig, tmp_path: Path) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text("lambda2: 4.5\niterations: 7\nbatch_size: 64\nseed: 3\n")
    chosen = candidate_from_file(config, file).config
    assert chosen == config.base.with_settings({"lambda2": 4.5})


def test_a_chosen_config_that_the_sweep_tried_shows_its_value(
    config: SweepConfig, paths: StudyPaths, tmp_path: Path
) -> None:
    swept(config, paths)
    study = load_study(paths)
    found = from_sweep(candidate_from_file(config, paths.trial(3).config), config, study)
    assert (found.role, found.trial, found.sweep_values) == ("chosen", 3, {"inception_score": 3.0})


def test_a_setting_that_is_no_name_is_refused(config: SweepConfig, tmp_path: Path) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text("1: 3\n")
    with pytest.raises(UserError, match="a setting's name must be text, got 1"):
        candidate_from_file(config, file)


def test_a_chosen_config_of_another_dataset_is_refused(config: SweepConfig, tmp_path: Path) -> None:
    file = tmp_path / "chosen.yaml"
    file.write_text("dataset: vox\nloss: {lambda2: 4.5}\n")
    with pytest.raises(UserError, match="for 'vox', not for 'weizmann'"):
        candidate_from_file(config, file)


def test_keys_tell_settings_apart_and_not_seeds(config: SweepConfig, paths: StudyPaths) -> None:
    base = config.base
    one, other = Candidate("best", base, ""), Candidate("published", replace(base, seed=9), "")
    assert one.key == other.key
    assert Candidate("best", base.with_settings({"lambda2": 3.3}), "").key != one.key
    assert job_maker(config, paths)(0, {}).config["seed"] != 0


def test_the_best_is_by_direction(paths: StudyPaths) -> None:
    config = load("vox", "smoke", ["trials=3", "objective=kernel_distance"])[0]
    queue = open_queue(config, paths)
    for value in (3.0, 1.0, 2.0):
        finish(queue, take(queue), "complete", value)
    assert [candidate.trial for candidate in best_candidates(config, load_study(paths), 2)] == [1, 2]


def test_runs_that_ended_before_are_known_and_not_run_again(config: SweepConfig, paths: StudyPaths) -> None:
    template = swept(config, paths)
    study = load_study(paths)
    winner, rival = best_candidates(config, study, 1)[0], published_candidate(config, study)
    reruns.evaluate(winner, rival, config, template, paths, run_all({winner.key: [5.0], rival.key: [4.0]}))
    queues: list[reruns.JobList] = []
    reruns.evaluate(winner, rival, config, template, paths, queues.append)
    assert queues[0].waiting == ()
    assert [(job.group, outcome.values["inception_score"]) for job, outcome in queues[0].ended] == [
        ("report", 5.0),
        ("report", 4.0),
    ]


def test_more_trials_run_the_final_stage_again_only_for_another_winner(
    config: SweepConfig, paths: StudyPaths
) -> None:
    template = swept(config, paths)
    rival = published_candidate(config, load_study(paths))

    def final_runs(config: SweepConfig, scores: dict[str, list[float]]) -> tuple[list[str], str]:
        begun: list[str] = []

        def run(jobs: reruns.JobList) -> None:
            for job in jobs.waiting:
                job.write()
                begun.append(job.name.split("-")[1])
                value = scores[job.name.split("-")[1]].pop(0)
                Outcome("complete", job.save_at[-1], {"inception_score": value}, num_clips=9).write(job.paths)

        best = best_candidates(config, load_study(paths), 1)[0]
        return begun, reruns.evaluate(best, rival, config, template, paths, run).winner.origin

    first = best_candidates(config, load_study(paths), 1)[0]
    assert final_runs(config, {first.key: [5.0], rival.key: [4.0]}) == ([first.key, rival.key], "trial 5")
    same = ["budget.iterations=100", "objective=inception_score"]
    worse, better = (load("weizmann", "smoke", [f"trials={n}", *same])[0] for n in (7, 8))
    queue = open_queue(worse, paths)
    finish(queue, take(queue), "complete", 0.5)
    assert queue.next() is None
    assert final_runs(worse, {}) == ([], "trial 5")  # `report` is never scored twice for one config
    queue = open_queue(better, paths)
    finish(queue, take(queue), "complete", 9.0)
    winner = best_candidates(better, load_study(paths), 1)[0]
    assert final_runs(better, {winner.key: [6.0]}) == ([winner.key], "trial 7")
    assert len(json.loads(paths.choice.read_text())) == 2  # both looks at `report` stay on record


def test_values_belong_to_their_seeds_also_when_one_failed(config: SweepConfig, paths: StudyPaths) -> None:
    config = replace(config, final=replace(config.final, report=replace(config.final.report, seeds=3)))
    template = swept(config, paths)
    study = load_study(paths)
    winner, rival = best_candidates(config, study, 1)[0], published_candidate(config, study)

    def run(jobs: reruns.JobList) -> None:
        for job in jobs.waiting:
            job.write()
            bad = winner.key in job.name and job.number == 0
            values, reason = {"inception_score": 9.0 + job.number}, "nan" if bad else ""
            Outcome("diverged" if bad else "complete", 100, values, reason).write(job.paths)

    result = reruns.evaluate(winner, rival, config, template, paths, run)
    seeds = result.winner.seeds
    assert result.winner.by_seed("inception_score") == {seeds[1]: 10.0, seeds[2]: 11.0}
    assert [folder.folder.name[-1] for folder in result.winner.completed] == ["1", "2"]
    assert result.differences["inception_score"].values == [0.0, 0.0]
    assert result.verdict == "no evidence; keep the published setting: 1 of 3 seeds of the best config failed"


def test_more_seeds_after_a_look_are_another_choice(config: SweepConfig, paths: StudyPaths) -> None:
    template = swept(config, paths)
    study = load_study(paths)
    winner, rival = best_candidates(config, study, 1)[0], published_candidate(config, study)
    for seeds in (1, 1, 2):
        more = replace(config, final=replace(config.final, report=replace(config.final.report, seeds=seeds)))
        scores = {winner.key: [5.0], rival.key: [4.0]} if seeds == 2 or not paths.choice.exists() else {}
        reruns.evaluate(winner, rival, more, template, paths, run_all(scores))
    assert [entry["winner"]["seeds"] for entry in json.loads(paths.choice.read_text())] == ["1", "2"]

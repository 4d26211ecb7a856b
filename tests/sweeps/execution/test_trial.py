"""One job with the real trainer: interrupted, gone on with, refused. `test_smoke_study` has its scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sweeps.execution.trial import _open, train_and_score
from sweeps.state.job import SCORE, SYSTEM, Interrupted, Job, Outcome, spent
from tsvan.checkpoint import NewerFormat, newest
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.files import hash_file
from tsvan.journal import Journal
from tsvan.validation import UserError


@pytest.fixture
def job(tmp_path: Path, tiny_config: TrainConfig, weizmann_store: ClipStore) -> Job:
    job = Job(
        name="trials/003",
        number=3,
        folder=str(tmp_path / "003"),
        config=tiny_config.to_dict(),
        store=str(weizmann_store.path),
        store_hash=weizmann_store.content_hash,
        scorer="",
        scorer_config={},
        group="validation",
        num_clips=8,
        save_at=(4, 8, 12, 16),
        score_at=(),
        objectives=("inception_score",),
        device="cpu",
    )
    job.write()
    return job


def stop_after(count: int) -> list[bool]:
    """Answers to `stop`: no, `count` times, then yes."""
    return [False] * count + [True]


def run(job: Job, answers: list[bool] | None = None) -> None:
    left = iter(answers or [])
    assert list(train_and_score(job, lambda: next(left, False))) == []


def outcome(job: Job) -> Outcome:
    found = Outcome.read(job.paths)
    assert found is not None
    return found


def weights(job: Job) -> dict[str, torch.Tensor]:
    found = newest(job.paths.checkpoints)
    assert found is not None
    return found.networks


def test_an_interrupted_job_goes_on_says_so_and_ends_as_an_unbroken_one(job: Job, tmp_path: Path) -> None:
    for count in (5, 3):
        with pytest.raises(Interrupted):
            run(job, stop_after(count))
    assert Outcome.read(job.paths) is None
    before = spent(job.paths)
    run(job)
    assert outcome(job).state == "complete"
    assert outcome(job).seconds > before > 0
    notes = job.paths.notes.read_text()
    assert [f"going on from iteration {i} " in notes for i in (6, 10)] == [True, True]
    whole = replace(job, folder=str(tmp_path / "whole"))
    run(whole)
    assert all(weights(job)[name].equal(value) for name, value in weights(whole).items())
    assert len(list_checkpoints(job.paths.checkpoints)) == 1
    kept = newest(job.paths.checkpoints)
    assert kept is not None
    assert (kept.iteration, kept.optimisers) == (16, {})


def test_every_checkpoint_says_how_busy_the_machine_was_once(job: Job) -> None:
    with pytest.raises(Interrupted):
        run(job, stop_after(5))
    run(job)
    lines = [line for line in Journal(job.paths.metrics).lines() if line["kind"] == SYSTEM]
    assert [line["iteration"] for line in lines] == [4, 6, 8, 12, 16]
    values = lines[-1]["values"]
    assert 0 <= values["system/cpu_utilization_percentage"] <= 100
    assert values["system/process_memory_megabytes"] > 50


def test_a_job_on_a_gpu_is_held_to_its_share_and_its_peak_is_its_own(
    job: Job, weizmann_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    monkeypatch.setattr("sweeps.execution.trial.pick_device", lambda name: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, device: held.append(share))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: held.append(0.0))
    shared = replace(job, memory_share=0.25)
    for each in (shared, replace(shared, larger_share=True), shared):  # one process runs many
        _open(each, weizmann_store)
    assert held == [0.25, 0.0, 1.0, 0.0, 0.25, 0.0]


def test_the_sealed_group_is_not_scored_for_a_config_that_was_not_written_down(job: Job) -> None:
    final = replace(job, name="final/report-x-0", group="report", score_at=(16,), seal=str(job.paths.folder / "none"))
    run(final)
    assert (outcome(final).state, outcome(final).values) == ("failed", {})
    assert "'report' is sealed" in outcome(final).reason
    assert not final.paths.looks.exists()
    assert not final.paths.scores.exists()


def test_a_death_between_the_last_checkpoint_and_the_end_is_made_good(job: Job) -> None:
    run(job)
    job.paths.outcome.unlink()  # the networks alone are left, without an end
    before = weights(job)
    run(job)
    assert outcome(job).state == "complete"
    assert all(before[name].equal(value) for name, value in weights(job).items())


def test_a_damaged_checkpoint_is_passed_over_with_a_note(job: Job) -> None:
    with pytest.raises(Interrupted):
        run(job, stop_after(9))
    list_checkpoints(job.paths.checkpoints)[0].write_bytes(b"cut")
    run(job)
    notes = job.paths.notes.read_text().splitlines()
    assert "is damaged" in notes[0]
    assert "going on from iteration 8 " in notes[1]


def test_without_one_good_checkpoint_it_fails_and_never_starts_at_0(job: Job) -> None:
    with pytest.raises(Interrupted):
        run(job, stop_after(9))
    Journal(job.paths.metrics).append(8, SCORE, {"inception_score": 2.0})
    for file in list_checkpoints(job.paths.checkpoints):
        file.write_bytes(b"cut")
    run(job)
    assert (outcome(job).state, outcome(job).iteration, outcome(job).values) == ("failed", 8, {"inception_score": 2.0})
    assert "none of the 2 checkpoints" in outcome(job).reason


def test_clips_that_are_gone_or_others_are_nobodys_failure(job: Job, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clip store"):
        run(replace(job, store=str(tmp_path / "away")))
    with pytest.raises(UserError, match="has changed since the study began"):
        run(replace(job, store_hash="x"))
    assert Outcome.read(job.paths) is None


def test_a_checkpoint_of_a_later_version_is_nobodys_failure(job: Job) -> None:
    job.paths.checkpoints.mkdir()
    file = job.paths.checkpoints / "new"
    torch.save({"format": 99}, file)
    file.rename(file.with_name(f"000000004.{hash_file(file)[:16]}.pt"))
    with pytest.raises(NewerFormat, match="a later version wrote it"):
        run(job)
    assert Outcome.read(job.paths) is None

"""What stays on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.space import largest
from sweeps.state.job import Outcome, State
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.retention import delete_unfinished_checkpoints, drop_optimizer_state, remove_leftovers, size_bound
from tsvan.__main__ import main
from tsvan.checkpoint import newest
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.trainer import Trainer

Train = Callable[[TrialPaths, int], None]


@pytest.fixture
def train(tiny_config: TrainConfig, weizmann_store: ClipStore) -> Train:
    """Train a run to an iteration, with a checkpoint there and one before it."""

    def run(folder: TrialPaths, until: int) -> None:
        trainer = Trainer.open(tiny_config, weizmann_store, folder.folder, "cpu", lambda line: None)
        for target in (until - 1, until):
            for _ in trainer.run(target):
                pass
            trainer.save()

    return run


def end(folder: TrialPaths, state: State) -> None:
    Outcome(state, 3, {}, "" if state == "complete" else "why").write(folder)


def test_an_ended_run_keeps_its_newest_networks_alone(paths: StudyPaths, train: Train, tmp_path: Path) -> None:
    folder = paths.trial(0)
    train(folder, 3)
    before = newest(folder.checkpoints)
    assert before is not None
    size = list_checkpoints(folder.checkpoints)[0].stat().st_size
    drop_optimizer_state(folder)
    (file,) = list_checkpoints(folder.checkpoints)
    after = newest(folder.checkpoints)
    assert after is not None
    assert (after.iteration, after.optimisers) == (3, {})
    assert all(after.networks[name].equal(value) for name, value in before.networks.items())
    assert file.stat().st_size < size - 40_000  # the moments of two iterations of pre-training
    when = file.stat().st_mtime_ns
    drop_optimizer_state(folder)  # again changes nothing
    assert list_checkpoints(folder.checkpoints) == [file]
    assert file.stat().st_mtime_ns == when
    out = tmp_path / "clips"
    assert main(["sample", "--checkpoint", str(folder.folder), "--out", str(out), "--label", "walk"]) == 0
    assert len(list(out.glob("walk-*.mp4"))) == 2


def test_of_a_damaged_newest_checkpoint_the_one_before_is_kept(paths: StudyPaths, train: Train) -> None:
    folder = paths.trial(0)
    train(folder, 3)
    list_checkpoints(folder.checkpoints)[0].write_bytes(b"cut")
    drop_optimizer_state(folder)
    kept = newest(folder.checkpoints)
    assert kept is not None
    assert kept.iteration == 2
    assert len(list_checkpoints(folder.checkpoints)) == 1


def test_where_no_checkpoint_is_good_all_are_left_to_look_at(paths: StudyPaths, train: Train) -> None:
    folder = paths.trial(0)
    train(folder, 3)
    for file in list_checkpoints(folder.checkpoints):
        file.write_bytes(b"cut")
    drop_optimizer_state(folder)
    assert len(list_checkpoints(folder.checkpoints)) == 2


def test_after_the_sweep_only_complete_trials_keep_checkpoints(paths: StudyPaths) -> None:
    states: tuple[State, ...] = ("complete", "pruned", "diverged", "failed")
    for number, state in enumerate(states):
        folder = paths.trial(number)
        folder.checkpoints.mkdir(parents=True)
        (folder.checkpoints / "000000003.0123456789abcdef.pt").touch()
        end(folder, state)
    unfinished = paths.trial(4)
    unfinished.checkpoints.mkdir(parents=True)
    (unfinished.checkpoints / "000000003.0123456789abcdef.pt").touch()
    delete_unfinished_checkpoints(paths)
    left = [len(list_checkpoints(paths.trial(number).checkpoints)) for number in range(5)]
    assert left == [1, 0, 0, 0, 1]


def test_half_written_files_of_the_dead_are_removed_and_nothing_else(paths: StudyPaths) -> None:
    folder, rerun = paths.trial(7), paths.final("report-0123abcd-0")
    for place in (paths.root, folder.folder, folder.checkpoints, rerun.checkpoints):
        place.mkdir(parents=True, exist_ok=True)
        (place / ".summary.json.77.tmp").write_bytes(b"half")
        (place / "kept.json").touch()
    (paths.ray / "jobs").mkdir(parents=True)
    assert remove_leftovers(paths) == (4, 16)
    assert not paths.ray.exists()
    assert sorted(file.name for file in paths.root.rglob("*") if file.is_file()) == ["kept.json"] * 4


def test_the_bound_counts_the_weights(tiny_config: TrainConfig, train: Train, paths: StudyPaths) -> None:
    train(paths.trial(0), 3)
    full = max(file.stat().st_size for file in list_checkpoints(paths.trial(0).checkpoints))
    drop_optimizer_state(paths.trial(0))
    alone = list_checkpoints(paths.trial(0).checkpoints)[0].stat().st_size
    bound = size_bound(tiny_config, 10, trials=5, reruns=2, scores=10, at_once=2)
    assert alone <= bound.networks <= alone + 2**21
    assert bound.running >= 3 * full
    assert bound.total == 7 * bound.networks + 2 * bound.running + bound.records


def test_the_bound_of_files_has_room_for_every_file_that_a_run_can_have(
    paths: StudyPaths, tiny_config: TrainConfig
) -> None:
    named = [name for name, value in vars(TrialPaths).items() if isinstance(value, property)]
    folders = {"checkpoints", "samples"}
    assert folders < set(named)
    one, two = (size_bound(tiny_config, 10, trials, 0, 10, 1).files for trials in (1, 2))
    # Beside the files with names a score has two, and a run two checkpoints and a temporary file.
    assert two - one == len(set(named) - folders) + 1 + 2 * 10 + 2


def test_the_bound_is_that_of_the_widest_networks_of_the_space() -> None:
    # Weights of ngf 64, z_c 1024 with ten classes: 172,324,940, counted on the built networks.
    found = size_bound(largest(load("weizmann")[0]), 10, 32, 10, 10, 1)
    assert found.networks == pytest.approx(4 * 172_324_940, rel=0.01)
    assert found.running == 9 * found.networks

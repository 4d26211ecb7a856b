from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.config.load import asked_keys, load
from sweeps.config.same_study import check_same, continued
from sweeps.config.schema import Objective, SweepConfig
from sweeps.scorer import check_same_scorer
from sweeps.state.lock import driver_of, only_driver
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord, original, read_record, write_record
from sweeps.state.signals import StopSignals, StudyInterrupted
from tests.sweeps.studies import open_queue
from tsvan.validation import UserError


def record(*overrides: str) -> StudyRecord:
    config = load("weizmann", "smoke", list(overrides))[0]
    return StudyRecord("abc", config.to_dict(), "/store", "123", "synthetic")


def test_more_trials_seeds_and_other_machines_may_go_on(paths: StudyPaths) -> None:
    config = load("weizmann", "smoke", ["trials=9", "final.report.seeds=4", "resources.workers=3"])[0]
    check_same(record(), config, paths)


@pytest.mark.parametrize(
    "override", ["budget.iterations=60", "seed=3", "space.lambda2.high=9", "train.mask=false", "sampler.kind=random"]
)
def test_what_would_make_trials_incomparable_is_refused_by_name(paths: StudyPaths, override: str) -> None:
    key = override.split("=")[0].replace("train.", "fixed.")
    with pytest.raises(UserError, match=key):
        check_same(record(), load("weizmann", "smoke", [override])[0], paths)


OTHER_DEFAULTS = ["fixed.kernel_init=published", "scheduler.reduction=3", "space.ngf.values=[16]"]
"""What an earlier version may have shipped."""


def test_a_default_that_changed_since_a_study_began_is_kept_and_said(paths: StudyPaths) -> None:
    now = load("weizmann", "smoke")[0]
    before = load("weizmann", "smoke", OTHER_DEFAULTS)
    old = StudyRecord("abc", before[0].to_dict(), "/store", "123", "synthetic")
    config, kept = continued(old, load("weizmann", "smoke", ["trials=9"])[0], ["trials"], paths)
    assert config.to_dict() == {**before[0].to_dict(), "trials": 9}
    assert config.fixed["kernel_init"] != now.fixed["kernel_init"]
    assert any("keeps fixed.kernel_init=published from when it began" in line for line in kept)
    assert {line.split("=")[0].split()[-1] for line in kept} == {
        "fixed.kernel_init", "scheduler.reduction", "space.ngf.values",
    }


@pytest.mark.parametrize(
    "override",
    ["train.kernel_init=identity", "scheduler.reduction=4", "space.ngf={values: [32]}", "space.ngf.values=[32]"],
)
def test_a_changed_default_that_is_asked_for_is_refused(paths: StudyPaths, override: str) -> None:
    before = load("weizmann", "smoke", OTHER_DEFAULTS)
    old = StudyRecord("abc", before[0].to_dict(), "/store", "123", "synthetic")
    with pytest.raises(UserError, match="would not be comparable"):
        continued(old, load("weizmann", "smoke", [override])[0], asked_keys([override], None), paths)


def test_another_preset_is_refused_by_its_name(paths: StudyPaths) -> None:
    with pytest.raises(UserError, match="preset=smoke, now preset=dev"):
        continued(record(), load("weizmann", "dev")[0], [], paths)


@pytest.mark.parametrize("key", ["scoring.i3d", "scoring.batch_size", "calibrate", "scheduler.kind", "trials"])
def test_a_study_begun_before_a_key_existed_goes_on_with_that_keys_default(paths: StudyPaths, key: str) -> None:
    old = record()
    *sections, name = key.split(".")
    values = old.config
    for section in sections:
        values = values[section]
    del values[name]
    check_same(old, load("weizmann", "smoke")[0], paths)


def test_a_key_of_a_later_version_is_named(paths: StudyPaths) -> None:
    later = record()
    later.config["warp"] = 9
    with pytest.raises(UserError, match=r"study\.yaml: unknown key 'warp'"):
        check_same(later, load("weizmann", "smoke")[0], paths)


def test_a_second_driver_is_refused_and_the_first_ones_stop_file_is_cleared(paths: StudyPaths) -> None:
    paths.stop.touch()
    with only_driver(paths):
        assert not paths.stop.exists()
        with pytest.raises(UserError, match=f"process {os.getpid()}"), only_driver(paths):
            pass
    with only_driver(paths):
        pass


def test_a_confirm_stage_that_became_the_default_is_not_added_to_a_study_unless_it_is_asked_for(
    paths: StudyPaths,
) -> None:
    begun = StudyRecord("abc", load("weizmann", "paper", ["final.confirm.top_k=1"])[0].to_dict(), "/s", "1", "raw")
    plain, asked = ["final.report.seeds=7"], ["final.confirm.top_k=3"]
    kept = continued(begun, load("weizmann", "paper", plain)[0], asked_keys(plain, None), paths)[0].final
    assert (kept.confirm.top_k, kept.report.seeds) == (1, 7)
    new = continued(begun, load("weizmann", "paper", asked)[0], asked_keys(asked, None), paths)[0].final
    assert new.confirm.top_k == 3


def test_keywords_of_a_sampler_that_are_asked_for_must_be_the_studys(paths: StudyPaths) -> None:
    begun = record("sampler={kind: gp, deterministic_objective: true}")
    other = ["sampler.deterministic_objective=false"]
    with pytest.raises(UserError, match="would not be comparable"):
        continued(begun, load("weizmann", "smoke", ["sampler.kind=gp", *other])[0], asked_keys(other, None), paths)


def test_a_study_keeps_the_objective_that_auto_came_to(paths: StudyPaths) -> None:
    begun = record("objective=frechet_distance")
    config, kept = continued(begun, load("weizmann", "smoke")[0], [], paths)
    assert (config.objective, kept) == (Objective("frechet_distance", "minimize"), [])
    asked = ["objective=auto"]
    assert continued(begun, load("weizmann", "smoke", asked)[0], asked_keys(asked, None), paths)[1] == []
    other = ["objective=kernel_distance"]
    with pytest.raises(UserError, match=r"objective\.metric=frechet_distance, now objective\.metric=kernel_distance"):
        continued(begun, load("weizmann", "smoke", other)[0], asked_keys(other, None), paths)


def test_a_study_begun_before_the_second_head_goes_on_with_the_scorer_that_it_had(paths: StudyPaths) -> None:
    old = record("objective=inception_score")
    del old.config["scoring"]["heads"]
    config, kept = continued(old, load("weizmann", "smoke")[0], [], paths)
    assert config.scorer.heads == "published"
    assert config.objective.metric == "inception_score"
    assert [line for line in kept if "heads" in line] == [
        "the study keeps scoring.heads=published from when it began; a new one would have timed"
    ]


def test_another_scorer_is_refused_and_the_first_one_remembered(paths: StudyPaths) -> None:
    before = json.dumps({"hash": "a" * 64, "folder": "/store/scorers"})
    check_same_scorer(paths, "b" * 64)  # the first one
    paths.stages.mkdir()
    paths.scorer_result.write_text(before)
    check_same_scorer(paths, "a" * 64)
    with pytest.raises(UserError, match=r"scored by scorer aaaaaaaaaaaa of /store/scorers, now it is bbbbbbbbbbbb"):
        check_same_scorer(paths, "b" * 64)
    assert paths.scorer_result.read_text() == before


def test_a_study_that_lost_its_record_is_not_begun_anew(config: SweepConfig, paths: StudyPaths) -> None:
    assert read_record(paths) is None
    assert open_queue(config, paths).next() is not None
    with pytest.raises(UserError, match=r"holds trials but no study\.yaml; restore it"):
        read_record(paths)


def test_who_only_looks_does_not_stand_in_a_drivers_way(paths: StudyPaths) -> None:
    assert driver_of(paths) is None
    assert not paths.lock.exists()
    with only_driver(paths):
        assert driver_of(paths) == str(os.getpid())
    assert driver_of(paths) is None
    with open(paths.lock) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, looking.close).start()
        with only_driver(paths):
            pass


def test_signals_let_trials_save_and_end_other_stages_at_once(paths: StudyPaths) -> None:
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        signals = StopSignals(paths, said.append)
        reached_end = False
        with pytest.raises(StudyInterrupted), signals.patient():  # noqa: PT012
            os.kill(os.getpid(), signal.SIGTERM)
            reached_end = paths.stop.exists()
        assert reached_end
        assert len(said) == 1
        signals = StopSignals(paths, said.append)
        signals.install()
        with pytest.raises(StudyInterrupted):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_all_paths_are_below_the_study_or_beside_it(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path / "runs" / "w")
    properties = [name for name in dir(StudyPaths) if isinstance(getattr(StudyPaths, name), property)]
    for name in properties:
        assert getattr(paths, name).is_relative_to(tmp_path / "runs")
    assert paths.trial(7).folder == paths.root / "trials" / "007"


def test_a_study_can_be_read_again_whatever_its_id(
    config: SweepConfig, paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks_like_a_number = SimpleNamespace(hex="60e38929866612345678901234567890")
    monkeypatch.setattr("sweeps.state.record.uuid", SimpleNamespace(uuid4=lambda: looks_like_a_number))
    store = SimpleNamespace(content_hash="abc", path=Path("store"), data_source="synthetic")
    written = write_record(paths, None, config.to_dict(), store)  # type: ignore[arg-type]
    assert read_record(paths) == written


def test_a_copy_is_told_from_a_moved_study_and_gets_an_id_of_its_own(config: SweepConfig, paths: StudyPaths) -> None:
    store = SimpleNamespace(content_hash="abc", path=Path("store"), data_source="synthetic")

    def go_on(where: StudyPaths) -> StudyRecord:
        return write_record(where, read_record(where), config.to_dict(), store)  # type: ignore[arg-type]

    first = go_on(paths)
    assert original(first, paths) is None
    copy, moved = (StudyPaths(paths.holder / name) for name in ("copy", "moved"))
    shutil.copytree(paths.root, copy.root)
    found = read_record(copy)
    assert found is not None
    assert original(found, copy) == paths.root
    assert go_on(copy).study_id != first.study_id
    assert original(go_on(copy), copy) is None
    assert go_on(paths) == first
    paths.root.rename(moved.root)
    assert original(first, moved) is None
    assert go_on(moved).study_id == first.study_id


def test_a_record_of_before_has_no_folder_and_goes_on(config: SweepConfig, paths: StudyPaths) -> None:
    store = SimpleNamespace(content_hash="abc", path=Path("store"), data_source="synthetic")
    written = write_record(paths, None, config.to_dict(), store)  # type: ignore[arg-type]
    lines = [line for line in paths.config.read_text().splitlines() if not line.startswith("folder:")]
    paths.config.write_text("\n".join(lines))
    old = read_record(paths)
    assert old is not None
    assert (old.folder, original(old, paths)) == ("", None)
    assert write_record(paths, old, config.to_dict(), store) == written  # type: ignore[arg-type]

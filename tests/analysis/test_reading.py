"""Studies read from MLflow."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis import store
from analysis.reading import Study, learning_curves, read_study
from analysis.samples import download_samples
from analysis.store import absolute_uri, list_studies
from analysis.weights import count_weights
from tests.analysis.studies import RERUNS, TRIALS
from tsvan.config import ModelConfig
from tsvan.data.published import published
from tsvan.models.networks import Networks
from tsvan.validation import UserError


def test_studies_are_listed_newest_first(uri: str) -> None:
    assert list(list_studies(uri)["name"]) == ["young", "made", "empty"]


def test_the_newest_finished_study_is_the_default(study: Study) -> None:
    assert study.name == "made"  # `young` is newer, and still runs


def test_a_study_is_found_by_name_and_by_run(uri: str, study: Study) -> None:
    assert read_study(uri, "young").name == "young"
    assert read_study(uri, study.run_id).name == "made"


def test_an_unknown_study_is_an_error_that_names_the_known(uri: str) -> None:
    with pytest.raises(UserError, match=r"no study 'old'.*young \(running\), made \(finished\)"):
        read_study(uri, "old")


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no MLflow store"):
        read_study(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_store_is_looked_for_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    assert absolute_uri("sqlite:///runs/mlflow.db") == f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    (tmp_path / "here" / "mlflow.db").touch()
    assert absolute_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path / 'here' / 'mlflow.db'}"
    assert absolute_uri("http://server:5000") == "http://server:5000"


def test_trials_have_their_state_settings_score_and_time(study: Study) -> None:
    trials = study.trials.set_index("number")
    assert list(trials.index) == list(range(TRIALS))
    assert trials.loc[0, study.parameters].to_dict() == pytest.approx(
        {"lambda2": 7.0, "ngf": 16, "content_dim": 512, "lambda5_lower": 2.0, "lambda5_ratio": 10.0}
    )
    assert trials["content_dim"].map(type).eq(int).all()
    row = trials.loc[5]
    assert (row["state"], row["score"], row["iteration"], row["seconds"]) == ("pruned", 50.0, 300, 360.0)
    row = trials.loc[13]
    assert (row["state"], row["reason"], math.isnan(row["score"])) == ("diverged", "loss is nan", True)
    assert study.metrics == ["inception_score"]


def test_memory_is_read_where_it_was_measured(study: Study) -> None:
    memory = study.trials.set_index("number")["gpu_gib"]
    assert (memory[0], memory[4], memory[14]) == (2.0, 5.0, 3.0)  # ngf 16, 64, 32
    assert memory[[5, 9, 13, 17]].isna().all()


def test_weights_are_counted_as_the_networks_have_them(study: Study, tiny_model: ModelConfig) -> None:
    networks = Networks(tiny_model, 3)
    assert count_weights(tiny_model, 3) == sum(weight.numel() for weight in networks.parameters())
    weights = study.trials.set_index("number")["weights"]
    assert weights[0] == count_weights(published("weizmann").model, 10)
    assert weights[0] < weights[14] < weights[4]


def test_reruns_of_all_stages_are_read_with_their_seeds(study: Study) -> None:
    reruns = study.reruns
    counts = {stage: sum(map(len, runs.values())) for stage, runs in RERUNS.items()}
    assert reruns["stage"].value_counts().to_dict() == counts == {"calibrate": 3, "confirm": 4, "report": 7}
    assert reruns.groupby("config")["key"].nunique().to_list() == [1, 1]
    row = reruns[(reruns["stage"] == "report") & (reruns["score"] == 17.0)].iloc[0]
    assert (row["place"], row["seed"], row["score/inception_score"]) == (3, 14, 17.0)


def test_learning_curves_are_by_iteration(study: Study) -> None:
    curves = learning_curves(study)
    assert list(curves[curves["number"] == 0]["iteration"]) == list(range(100, 1001, 100))
    assert list(curves[curves["number"] == 5]["iteration"]) == [100, 200, 300]
    assert 13 not in set(curves["number"])


def test_the_last_samples_are_downloaded(study: Study, tmp_path: Path) -> None:
    samples = download_samples(study, study.trials["run_id"][0], tmp_path / "samples")
    assert samples.iteration == 1000
    assert samples.sheet is not None
    assert samples.video is not None
    assert (samples.sheet.read_text(), samples.video.read_text()) == ("sheet", "video")


def test_a_run_without_samples_is_an_error(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no samples"):
        download_samples(study, study.trials["run_id"][20], tmp_path)


def test_a_study_without_trials_is_read(uri: str) -> None:
    assert read_study(uri, "empty").trials.empty

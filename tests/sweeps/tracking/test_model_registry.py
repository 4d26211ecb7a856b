"""The registered model of a run: one version, whatever an earlier driver left."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.tracking.client import Tracker
from sweeps.tracking.model_registry import ModelCard, register

CARD = ModelCard("tsvan-test", "what it is", "of study one", {"verdict": "adopt"})


@pytest.fixture
def tracker(uri: str, tmp_path: Path) -> Tracker:
    tracker = Tracker(uri, "tsvan-test", tmp_path / "artifacts")
    tracker.open()
    return tracker


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "odd ?#%20'x").mkdir()
    (tmp_path / "odd ?#%20'x" / "networks.pt").write_bytes(b"weights")
    return tmp_path / "odd ?#%20'x" / "networks.pt"


def logged(tracker: Tracker, run_id: str) -> list[tuple[str, str]]:
    found = tracker.client.search_logged_models([tracker.experiment_id], f"source_run_id = '{run_id}'")
    return [(model.model_id, str(model.status)) for model in found]


def test_a_model_that_a_killed_driver_left_pending_is_replaced_and_registered_once(
    tracker: Tracker, checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run_id, client = tracker.run("s/final/report-0", "winner", {}), tracker.client
    tracker.end(run_id, "complete")
    pending = client.create_logged_model(tracker.experiment_id, name="model", source_run_id=run_id)
    capfd.readouterr()
    assert [register(tracker, run_id, checkpoint, CARD) for _ in range(2)] == ["1", "1"]
    assert capfd.readouterr() == ("", "")  # the table of the study is on the terminal
    assert [status for _, status in logged(tracker, run_id)] == ["READY"]
    assert pending.model_id not in dict(logged(tracker, run_id))
    version = client.get_model_version_by_alias("tsvan-test", "champion")
    assert (str(version.version), version.run_id, version.status) == ("1", run_id, "READY")
    assert (version.description, version.tags) == ("of study one", {"verdict": "adopt"})
    assert client.get_registered_model("tsvan-test").description == "what it is"
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["model"]) == ("FINISHED", "models:/tsvan-test/1")
    assert [file.read_bytes() for file in (tmp_path / "artifacts").rglob("networks.pt") if not file.is_symlink()] == [
        b"weights"
    ]
    assert [output.model_id for output in run.outputs.model_outputs][-1] == logged(tracker, run_id)[0][0]


def test_a_model_that_was_logged_but_not_registered_gets_its_version(tracker: Tracker, checkpoint: Path) -> None:
    run_id, client = tracker.run("s/final/report-0", "winner", {}), tracker.client
    ready = client.create_logged_model(tracker.experiment_id, name="model", source_run_id=run_id)
    client.finalize_logged_model(ready.model_id, "READY")
    assert register(tracker, run_id, checkpoint, CARD) == "1"
    assert logged(tracker, run_id) == [(ready.model_id, "READY")]
    assert register(tracker, run_id, checkpoint, ModelCard("another-name")) == "1"
    assert len(logged(tracker, run_id)) == 1

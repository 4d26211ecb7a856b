"""A study as MLflow holds it, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.rows import PREFIX, RERUNS, rerun_row, trial_row
from analysis.store import absolute_uri, connect, download, find_study, search
from sweeps.config.same_study import config_of
from sweeps.config.schema import SweepConfig
from sweeps.state.record import StudyRecord
from tsvan.validation import load_yaml

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

COMPLETE, PRUNED = "complete", "pruned"


@dataclass(frozen=True)
class Study:
    """A study that was read.

    Args:
        uri: tracking store, absolute.
        run_id: its parent run.
        name: of the study.
        tags: of the parent run.
        record: `study.yaml`: its config as plain values, its id, its clips.
        config: of the sweep.
        trials: one row a trial of the sweep, by number: `number`, `state`, the swept settings, `score` (its last; only
            that of a complete trial is of the full budget), `score/...` (all metrics), `iteration`, `seconds`,
            `gpu_gib` (peak GPU memory; NaN: not measured), `weights` (of all networks, counted), `origin`, `reason`,
            `name`, `run_id`.
        reruns: one row a completed run with a fresh seed: `stage` (`calibrate`, `confirm`, `report`), `config` (names
            equal settings), `key` (hash of the settings), `place` (number of the seed), `seed`, `clips` (N of its
            group), `score`, `score/...`, `run_id`. For the noise between seeds, and for the final report: whoever
            chooses must not rank by them.
    """

    uri: str
    run_id: str
    name: str
    tags: dict[str, str]
    record: StudyRecord
    config: SweepConfig
    trials: pd.DataFrame
    reruns: pd.DataFrame

    @property
    def parameters(self) -> list[str]:
        """List the swept settings, in the YAML's order."""
        return list(self.config.space)

    @property
    def maximize(self) -> bool:
        """Tell whether a higher score is better."""
        return self.config.objective.direction == "maximize"

    @property
    def metrics(self) -> list[str]:
        """List all score metrics, by plain name."""
        return [name.removeprefix(PREFIX) for name in self.trials if name.startswith(PREFIX)]


def read_study(uri: str, study: str | None = None) -> Study:
    """Read a study with all its trials.

    Args:
        uri: tracking store.
        study: id of the parent run, or name of the study (the newest of that name); None: the newest finished study.

    Raises:
        UserError: no such store or study; says which there are.
    """
    uri = absolute_uri(uri)
    client = connect(uri)
    parent = find_study(client, uri, study)
    run_id = str(parent.info.run_id)
    record = _record(client, run_id)
    config = config_of(record.config, f"study.yaml of run {run_id}")
    children = search(client, [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return Study(
        uri=uri,
        run_id=run_id,
        name=parent.data.tags.get("study", str(parent.info.run_name)),
        tags=dict(parent.data.tags),
        record=record,
        config=config,
        trials=_trials(client, children, config),
        reruns=_reruns(children, config),
    )


def learning_curves(study: Study, metric: str = "score") -> pd.DataFrame:
    """Read a metric of every trial by iteration: `number`, `state`, `iteration`, `value`.

    Args:
        metric: `score` (the objective) or any name that MLflow has, as `score/kernel_distance` or a loss.
    """
    client = connect(study.uri)
    rows = [
        {"number": trial.number, "state": trial.state, "iteration": point.step, "value": point.value}
        for trial in study.trials.itertuples()
        for point in client.get_metric_history(trial.run_id, metric)
    ]
    table = pd.DataFrame(rows, columns=["number", "state", "iteration", "value"])
    return table.sort_values(["number", "iteration"], ignore_index=True)


def artifact(study: Study, run_id: str, name: str, folder: Path) -> Path:
    """Download one file of a run.

    Raises:
        UserError: the run does not have it.
    """
    return download(connect(study.uri), run_id, name, folder)


def _record(client: MlflowClient, run_id: str) -> StudyRecord:
    with TemporaryDirectory() as folder:
        values = load_yaml(download(client, run_id, "study.yaml", Path(folder)))
    return StudyRecord(**values)


def _trials(client: MlflowClient, runs: list[Run], config: SweepConfig) -> pd.DataFrame:
    rows = [trial_row(client, run, config) for run in runs if run.data.tags.get("stage") == "sweep"]
    first = ["number", "state", *config.space, "score", "iteration", "seconds", "gpu_gib", "weights"]
    columns = [*first, *_metrics(rows), "origin", "reason", "name", "run_id"]
    return pd.DataFrame(rows, columns=columns).sort_values("number", ignore_index=True)


def _reruns(runs: list[Run], config: SweepConfig) -> pd.DataFrame:
    chosen = [run for run in runs if run.data.tags.get("stage") in RERUNS and run.data.tags.get("state") == COMPLETE]
    rows = [rerun_row(run, config) for run in chosen]
    columns = ["stage", "config", "key", "place", "seed", "clips", "score", *_metrics(rows), "run_id"]
    return pd.DataFrame(rows, columns=columns).sort_values(["stage", "config", "place"], ignore_index=True)


def _metrics(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({name for row in rows for name in row if name.startswith(PREFIX)})

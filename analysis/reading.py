"""A study as MLflow holds it: which studies there are, and one of them as tables."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

import sweeps.tracking  # noqa: F401 - sets MLflow's environment (no telemetry, no progress bars) before it is imported
from sweeps.config import SweepConfig
from sweeps.job import SCORE
from sweeps.session import StudyRecord
from tsvan.strict import UserError, build, load_yaml, parse_value

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).resolve().parents[1]
"""Of the repository; a notebook's working directory is its own folder."""

COMPLETE, PRUNED = "complete", "pruned"
PREFIX = f"{SCORE}/"
"""What the names of score metrics begin with in MLflow, and so in the trials' table."""
_SECONDS = f"{PREFIX}score_seconds"


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
            `origin`, `reason`, `name`, `run_id`.
        reruns: one row a run of the final stage: `stage`, `config` (names equal settings), `score`. For the noise
            between seeds only: whoever chooses must not rank by them.
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
        """The swept settings, in the YAML's order."""
        return list(self.config.space)

    @property
    def maximize(self) -> bool:
        """Whether a higher score is better."""
        return self.config.objective.direction == "maximize"

    @property
    def metrics(self) -> list[str]:
        """All score metrics, by plain name."""
        return [name.removeprefix(PREFIX) for name in self.trials if name.startswith(PREFIX)]


def list_studies(uri: str) -> pd.DataFrame:
    """All studies of a store, newest first: `name`, `dataset`, `preset`, `data`, `status`, `started`, `run_id`.

    Raises:
        UserError: there is no such store.
    """
    rows = [
        {
            "name": run.data.tags.get("study", run.info.run_name),
            "dataset": run.data.tags.get("dataset", ""),
            "preset": run.data.tags.get("preset", ""),
            "data": run.data.tags.get("data.source", ""),
            "status": run.info.status,
            "started": pd.Timestamp(run.info.start_time, unit="ms"),
            "run_id": run.info.run_id,
        }
        for run in _studies(connect(uri))
    ]
    return pd.DataFrame(rows, columns=["name", "dataset", "preset", "data", "status", "started", "run_id"])


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
    parent = _find(client, uri, study)
    run_id = str(parent.info.run_id)
    record = _record(client, run_id)
    config = build(SweepConfig, record.config, f"study.yaml of run {run_id}")
    children = _search(client, [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    sweep = [run for run in children if run.data.tags.get("stage") == "sweep"]
    reruns = [run for run in children if run.data.tags.get("stage") in ("confirm", "report")]
    return Study(
        uri=uri,
        run_id=run_id,
        name=parent.data.tags.get("study", str(parent.info.run_name)),
        tags=dict(parent.data.tags),
        record=record,
        config=config,
        trials=_trials(client, sweep, list(config.space)),
        reruns=_reruns(reruns, list(config.space)),
    )


def learning_curves(study: Study, metric: str = "score") -> pd.DataFrame:
    """A metric of every trial by iteration: `number`, `state`, `iteration`, `value`.

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


def connect(uri: str) -> MlflowClient:
    """A client of an existing store.

    Raises:
        UserError: the file is not there; MLflow alone would make an empty store of that name.
    """
    from mlflow import MlflowClient

    uri = absolute_uri(uri)
    database = _database(uri)
    if database is not None and not database.exists():
        raise UserError(
            f"no MLflow store at {database}; set TSVAN_TRACKING_URI to the one that tune_runner.py printed at its end"
        )
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def absolute_uri(uri: str) -> str:
    """A relative SQLite path is meant from the working directory or, if nothing is there, from the repository."""
    database = _database(uri)
    if database is None or database.is_absolute():
        return uri
    found = database if database.exists() else ROOT / database
    return f"sqlite:///{found.resolve()}"


def artifact(study: Study, run_id: str, name: str, folder: Path) -> Path:
    """Download one file of a run.

    Raises:
        UserError: the run does not have it.
    """
    return _download(connect(study.uri), run_id, name, folder)


def _download(client: MlflowClient, run_id: str, name: str, folder: Path) -> Path:
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run_id, name, str(folder)))
    except (MlflowException, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(f"MLflow run {run_id} has no readable {name} ({text}); is the artifact folder there?") from None


def _studies(client: MlflowClient) -> list[Run]:
    experiments = [found.experiment_id for found in client.search_experiments(filter_string="name LIKE 'tsvan-%'")]
    found = _search(client, experiments, "tags.stage = 'study'") if experiments else []
    return sorted(found, key=lambda run: -int(run.info.start_time))


def _find(client: MlflowClient, uri: str, study: str | None) -> Run:
    known = _studies(client)
    if study is None:
        matching = [run for run in known if run.info.status == "FINISHED"]
    else:
        matching = [run for run in known if study in (run.info.run_id, run.data.tags.get("study"), run.info.run_name)]
    if matching:
        return matching[0]
    names = ", ".join(f"{run.data.tags.get('study')} ({run.info.status.lower()})" for run in known[:10]) or "none"
    wanted = "no finished study" if study is None else f"no study '{study}'"
    raise UserError(f"{wanted} in {uri}; studies there: {names}; set TSVAN_STUDY to a name or a parent run's id")


def _search(client: MlflowClient, experiments: list[str], query: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiments, query, max_results=500, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _record(client: MlflowClient, run_id: str) -> StudyRecord:
    with TemporaryDirectory() as folder:
        values = load_yaml(_download(client, run_id, "study.yaml", Path(folder)))
    return StudyRecord(**values)


def _trials(client: MlflowClient, runs: list[Run], parameters: list[str]) -> pd.DataFrame:
    rows = [_trial(client, run, parameters) for run in runs]
    metrics = sorted({name for row in rows for name in row if name.startswith(PREFIX)})
    columns = ["number", "state", *parameters, "score", "iteration", "seconds", *metrics]
    table = pd.DataFrame(rows, columns=[*columns, "origin", "reason", "name", "run_id"])
    return table.sort_values("number", ignore_index=True)


def _trial(client: MlflowClient, run: Run, parameters: list[str]) -> dict[str, Any]:
    tags, metrics = run.data.tags, run.data.metrics
    outcome = _outcome(client, run)
    return {
        "number": int(tags["trial"]),
        "state": tags.get("state", "unknown"),
        **_params(run, parameters),
        "score": metrics.get("score", math.nan),
        "iteration": outcome["iteration"],
        "seconds": outcome["seconds"],
        **{name: value for name, value in metrics.items() if name.startswith(PREFIX) and name != _SECONDS},
        "origin": tags.get("origin", "sampler"),
        "reason": tags.get("reason", ""),
        "name": run.info.run_name,
        "run_id": run.info.run_id,
    }


def _outcome(client: MlflowClient, run: Run) -> dict[str, Any]:
    """Iterations and seconds from `outcome.json`; what it does not say, from the last score and the run's clock."""
    run_id = run.info.run_id
    ended = run.info.end_time
    clock = (ended - run.info.start_time) / 1000 if ended else math.nan
    if any(file.path == "outcome.json" for file in client.list_artifacts(run_id)):
        with TemporaryDirectory() as folder:
            values: dict[str, Any] = json.loads(_download(client, run_id, "outcome.json", Path(folder)).read_text())
            return {**values, "seconds": values["seconds"] or clock}  # a stopped trial was not asked
    steps = [point.step for point in client.get_metric_history(run_id, "score")]
    return {"iteration": max(steps, default=0), "seconds": clock}


def _reruns(runs: list[Run], parameters: list[str]) -> pd.DataFrame:
    rows = [
        {
            "stage": run.data.tags["stage"],
            "config": ", ".join(f"{key}={run.data.params.get(key)}" for key in parameters),
            "score": run.data.metrics.get("score", math.nan),
        }
        for run in runs
        if run.data.tags.get("state") == COMPLETE
    ]
    return pd.DataFrame(rows, columns=["stage", "config", "score"])


def _params(run: Run, parameters: list[str]) -> dict[str, Any]:
    """MLflow keeps text; read as YAML, a number is a number again."""
    return {name: parse_value(run.data.params[name]) if name in run.data.params else None for name in parameters}


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None

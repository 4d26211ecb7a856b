"""What this program asks of MLflow, as plain calls, all of them repeatable.

Repeatable: a run is found by its key before it is made; a point that is delivered twice with its own time, step and
value is one point in MLflow's store; parameters and tags are written over themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.state.uris import database_file, shown_uri, without_secrets
from sweeps.tracking.artifact_places import correct_places
from sweeps.tracking.contents import Contents
from sweeps.tracking.environment import quiet
from sweeps.tracking.store import connect, experiment_of
from tsvan.validation import UserError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY = "tsvan.key"
STATUS = {
    "complete": "FINISHED",
    "pruned": "FINISHED",  # MLflow's pages show KILLED and FAILED by the same red cross
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
"""State of a run -> MLflow's status."""
BATCH = 900  # metrics a request, which arrives whole or not at all; MLflow takes 1,000


def has_status(state: str, status: str) -> bool:
    """Tell whether MLflow's status is that of a state; studies of before ended pruned trials as KILLED."""
    return STATUS.get(state) == status or (state, status) == ("pruned", "KILLED")


@dataclass(frozen=True)
class DataInput:
    """A clip store as MLflow's "dataset used"."""

    name: str
    digest: str
    source: str
    profile: str


class Tracker:
    """One experiment of one tracking store.

    Args:
        uri: `sqlite:///...` or a server's.
        experiment: its name.
        artifacts: where a local store puts artifacts; None: the server decides.
    """

    def __init__(self, uri: str, experiment: str, artifacts: Path | None) -> None:
        self.uri, self.experiment, self._artifacts = uri, experiment, artifacts
        self._client: MlflowClient | None = None
        self.experiment_id = ""

    def open(self) -> None:
        """Connect to the store; a fresh SQLite store is made here, whole or not at all.

        Can be called again after a failure.

        Raises:
            UserError: the experiment was deleted.
        """
        if self.experiment_id:
            return
        database = database_file(self.uri)
        if database is not None and self._artifacts is not None:
            correct_places(database, self._artifacts)
        client = connect(self.uri)
        self.experiment_id = experiment_of(client, self.experiment, self._artifacts)
        self._client = client

    @property
    def client(self) -> MlflowClient:
        """Return MLflow's client; the store is open."""
        assert self._client is not None
        return self._client

    def run(self, key: str, name: str, tags: Mapping[str, str], parent: str | None = None, known: str = "") -> str:
        """Return the id of the run with this key, made if there is none; it is running from now on.

        Args:
            key: unique in the experiment.
            known: id that the run had when it was last heard of.
        """
        found = self._known(known, key)
        if found is None:
            found = next(iter(self.client.search_runs([self.experiment_id], f"tags.`{KEY}` = '{key}'")), None)
        if found is not None:
            run_id = str(found.info.run_id)
            self.client.update_run(run_id, status="RUNNING")
            if parent and found.data.tags.get("mlflow.parentRunId") != parent:
                self.client.set_tag(run_id, "mlflow.parentRunId", parent)
            return run_id
        extra = {KEY: key, **({"mlflow.parentRunId": parent} if parent else {})}
        run = self.client.create_run(self.experiment_id, tags={**tags, **extra}, run_name=name)
        return str(run.info.run_id)

    def _known(self, run_id: str, key: str) -> Run | None:
        """Return the run with this id, if it is still that with the key, of this experiment."""
        run = self._active(run_id) if run_id else None
        if run is None or run.data.tags.get(KEY) != key or run.info.experiment_id != self.experiment_id:
            return None
        return run

    def _active(self, run_id: str) -> Run | None:
        """Return the run with this id; None: it is not there, or somebody deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return None if run.info.lifecycle_stage == "deleted" else run

    def is_there(self, run_id: str) -> bool:
        """Tell whether a run is there, and not deleted."""
        return self._active(run_id) is not None

    def describe(self, run_id: str, params: Mapping[str, Any], data: DataInput | None) -> None:
        """Log parameters and data of a run; a parameter that it has stays as it is, as MLflow lets none change."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        known = self.client.get_run(run_id).data.params
        items = [Param(key, str(value)[:6000]) for key, value in params.items() if key not in known]
        for start in range(0, len(items), 100):
            self.client.log_batch(run_id, params=items[start : start + 100])
        if data is not None:
            dataset = Dataset(data.name, data.digest, "local", data.source, profile=data.profile)
            tag = InputTag("mlflow.data.context", "training")
            self.client.log_inputs(run_id, [DatasetInput(dataset, [tag])])

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, str(value)[:5000]) for key, value in tags.items()])

    def points(self, run_id: str, points: Iterable[tuple[str, float, int, int]]) -> None:
        """Log metrics of a run as (name, value, time in ms, step)."""
        from mlflow.entities import Metric

        metrics = [Metric(*point) for point in points]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def contents(self, run_id: str) -> Contents | None:
        """Return what a run has by now; None: it is not there, or somebody deleted it."""
        run = self._active(run_id)
        if run is None:
            return None
        histories = {name: self.client.get_metric_history(run_id, name) for name in run.data.metrics}
        samples = [Path(item.path).name for item in self.client.list_artifacts(run_id, "samples")]
        # A picture is there when its small copy is, which MLflow writes last: NAME+step+22+timestamp+...
        small = [item.path for item in self.client.list_artifacts(run_id, "images") if "+compressed" in item.path]
        return Contents.of(
            {name: [point.step for point in history] for name, history in histories.items()},
            samples,
            [int(path.split("+step+")[1].split("+")[0]) for path in small],
        )

    def values(self, run_id: str) -> dict[str, float]:
        """Return the metrics of a run: name -> its last value."""
        return dict(self.client.get_run(run_id).data.metrics)

    def steps(self, run_id: str, metric: str) -> list[int]:
        """Return the steps that a metric of a run has, in order."""
        return sorted(point.step for point in self.client.get_metric_history(run_id, metric))

    def artifact(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Upload a file or a folder as an artifact of a run."""
        self.client.log_artifact(run_id, str(file), folder)

    def image(self, run_id: str, file: Path, key: str, step: int) -> None:
        """Put a picture of a run into MLflow's image view, with a slider over the steps."""
        from PIL import Image

        with Image.open(file) as image:
            self.client.log_image(run_id, image.convert("RGB"), key=key, step=step, synchronous=True)

    def end(self, run_id: str, state: str) -> None:
        """End a run with the status of a state."""
        self.client.set_terminated(run_id, STATUS[state])

    def read_run(self, run_id: str, folder: Path) -> dict[str, str]:
        """Download a run's settings; no experiment is needed or made.

        Returns:
            Its tags; `config.yaml` and `job.json` lie in `folder`.

        Raises:
            UserError: there is no such run, or its settings are gone.
        """
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        quiet()
        self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        try:
            run = self.client.get_run(run_id)
            for name in ("config.yaml", "job.json"):
                self.client.download_artifacts(run_id, name, str(folder))
        except MlflowException as error:
            text = without_secrets(first_line(error), self.uri)
            raise UserError(
                f"no run {run_id} with its settings in {shown_uri(self.uri)}: {text}; copy its id from MLflow"
            ) from None
        return dict(run.data.tags)

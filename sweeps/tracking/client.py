"""MLflow: the only module that knows it (and `served.py`, which MLflow loads). Plain calls, all of them repeatable.

Repeatable: a run is found by its key before it is made; a point that is delivered twice with its own time, step and
value is one point in MLflow's store; parameters and tags are written over themselves.
"""

from __future__ import annotations

import fcntl
import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # what fails is told by who called, in a line
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_DISABLE_ENV_CREATION", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from sweeps.state.uris import shown_uri, without_secrets
from sweeps.tracking.upload_state import Contents
from tsvan.validation import UserError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "tsvan.key"
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "diverged": "FAILED", "failed": "FAILED", "interrupted": "KILLED"}
CHAMPION = "champion"
BATCH = 900  # metrics a request, which arrives whole or not at all; MLflow takes 1,000


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
        self.uri, self._name, self._artifacts = uri, experiment, artifacts
        self._client: MlflowClient | None = None
        self.experiment_id = ""

    def open(self) -> None:
        """Connect; a fresh SQLite store is made here, whole or not at all. Can be called again after a failure."""
        if self.experiment_id:
            return
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        quiet()
        with _one_at_a_time(self.uri):
            _make_database(self.uri)
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = client.get_experiment_by_name(self._name)
            if found is None:
                location = self._artifacts.as_uri() if self._artifacts is not None else None
                with suppress(MlflowException):  # another study may have been quicker
                    client.create_experiment(self._name, artifact_location=location)
                found = client.get_experiment_by_name(self._name)
        assert found is not None
        self._client, self.experiment_id = client, str(found.experiment_id)

    @property
    def client(self) -> MlflowClient:
        """Connected."""
        assert self._client is not None
        return self._client

    def run(self, key: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """The run with this key, made if there is none; it is running from now on.

        Returns:
            Its id.
        """
        found = self.client.search_runs([self.experiment_id], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
            if parent:
                self.client.set_tag(run_id, "mlflow.parentRunId", parent)
            return run_id
        extra = {KEY: key, **({"mlflow.parentRunId": parent} if parent else {})}
        run = self.client.create_run(self.experiment_id, tags={**tags, **extra}, run_name=name)
        return str(run.info.run_id)

    def describe(self, run_id: str, params: Mapping[str, Any], data: DataInput | None) -> None:
        """Parameters and data of a run."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param

        items = [Param(key, str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(items), 100):
            self.client.log_batch(run_id, params=items[start : start + 100])
        if data is not None:
            dataset = Dataset(data.name, data.digest, "local", data.source, profile=data.profile)
            tag = InputTag("mlflow.data.context", "training")
            self.client.log_inputs(run_id, [DatasetInput(dataset, [tag])])

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(key, str(value)[:5000]) for key, value in tags.items()])

    def points(self, run_id: str, points: Iterable[tuple[str, float, int, int]]) -> None:
        """Metrics as (name, value, time in ms, step)."""
        from mlflow.entities import Metric

        metrics = [Metric(*point) for point in points]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def contents(self, run_id: str) -> Contents | None:
        """What a run has by now; None: it is not there, or somebody deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage == "deleted":
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
        """Metric of a run -> its last value."""
        return dict(self.client.get_run(run_id).data.metrics)

    def artifact(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Upload a file or a folder."""
        self.client.log_artifact(run_id, str(file), folder)

    def image(self, run_id: str, file: Path, key: str, step: int) -> None:
        """A picture in MLflow's image view, with a slider over the steps."""
        from PIL import Image

        with Image.open(file) as image:
            self.client.log_image(run_id, image.convert("RGB"), key=key, step=step, synchronous=True)

    def end(self, run_id: str, state: str) -> None:
        """Terminate with the status of a state."""
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
            text = without_secrets(first_line(error))
            raise UserError(
                f"no run {run_id} with its settings in {shown_uri(self.uri)}: {text}; copy its id from MLflow"
            ) from None
        return dict(run.data.tags)

    def register(self, run_id: str, name: str, checkpoint: Path, example_label: int, tags: Mapping[str, str]) -> str:
        """Log the networks of a checkpoint as a model (label in, uint8 clip out) and make it the champion.

        Returns:
            The registered version.
        """
        import mlflow
        import numpy as np
        import pandas as pd
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema, TensorSpec

        here = Path(__file__).parent
        columns = [ColSpec("long", "label"), ColSpec("long", "seed", required=False)]
        signature = ModelSignature(Schema([*columns]), Schema([TensorSpec(np.dtype("uint8"), (-1, 10, 64, 64, 3))]))
        example = pd.DataFrame({"label": np.array([example_label], np.int64), "seed": np.array([0], np.int64)})
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        known = self.client.search_model_versions(f"run_id = '{run_id}'")
        if known:  # logged by a driver that died before it could note so
            return self._champion(run_id, name, str(known[0].version), tags)
        with _hush(), mlflow.start_run(run_id=run_id):  # the run has finished, and finishes again
            model = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(here / "served_model.py"),
                artifacts={"checkpoint": str(checkpoint)},
                code_paths=[str(here.parents[1] / "tsvan")],
                signature=signature,
                input_example=example,
                pip_requirements=_requirements(),
                registered_model_name=name,
            )
        return self._champion(run_id, name, str(model.registered_model_version), tags)

    def _champion(self, run_id: str, name: str, version: str, tags: Mapping[str, str]) -> str:
        self.client.set_registered_model_alias(name, CHAMPION, version)
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, key, value)
        self.tag(run_id, {"model": f"models:/{name}/{version}"})
        return version


def _requirements() -> list[str]:
    from importlib.metadata import version

    names = ("mlflow", "torch", "numpy", "numba", "pandas", "psutil", "pydantic", "PyYAML", "av", "pillow")
    return [f"{name}=={version(name).split('+')[0]}" for name in names]


def quiet() -> None:
    """Silence what MLflow and its libraries say to their developers."""
    for name in ("mlflow", "alembic", "sqlalchemy", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="mlflow")


@contextmanager
def _hush() -> Iterator[None]:
    """MLflow prints progress bars and hints around models."""
    quiet()
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Two processes that make the same SQLite store at once break it for good: their migrations race."""
    database = _database(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with open(database.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_database(uri: str) -> None:
    """A fresh SQLite store is made beside its place and renamed: whoever dies in MLflow's migrations leaves none, where
    a half-migrated one would be broken for good."""
    database = _database(uri)
    if database is None or (database.exists() and database.stat().st_size):
        return
    from mlflow import MlflowClient

    new = database.with_name(f".{database.name}.new.tmp")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    store = MlflowClient(tracking_uri=f"sqlite:///{new}")._tracking_client.store  # MLflow migrates when it opens it
    store._dispose_engine()
    os.replace(new, database)


def _database(uri: str) -> Path | None:
    """The file of a SQLite store; None: it is a server or another database."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None

"""The networks of a checkpoint as a registered model: label in, uint8 clip out."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sweeps.tracking.client import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

CHAMPION = "champion"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ModelCard:
    """What a registered model is called and carries.

    Args:
        name: in the registry.
        about: of the registered model, Markdown: what its versions are, and how one is used.
        version: description of this version, Markdown.
        tags: of this version.
    """

    name: str
    about: str = ""
    version: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def register(tracker: Tracker, run_id: str, checkpoint: Path, card: ModelCard) -> str:
    """Log the networks of a checkpoint as a model, register it once a run and name, and make it the champion.

    What a driver left that died in between is taken up: a logged model without a version gets one, and one that was
    never finished is deleted and logged anew.

    Returns:
        The registered version.
    """
    import mlflow

    mlflow.set_tracking_uri(tracker.uri)  # MLflow's registry looks a logged model up through the global address
    mlflow.set_registry_uri(tracker.uri)
    client = tracker.client
    known = client.search_model_versions(f"run_id = '{run_id}' and name = '{card.name}'")
    version = str(known[0].version) if known else _new_version(tracker, run_id, checkpoint, card)
    _describe(client, card, version)
    tracker.tag(run_id, {"model": f"models:/{card.name}/{version}"})
    return version


def _new_version(tracker: Tracker, run_id: str, checkpoint: Path, card: ModelCard) -> str:
    from mlflow.exceptions import MlflowException

    client = tracker.client
    model = _finished_model(tracker, run_id) or _log_model(tracker, run_id, checkpoint)
    try:
        client.create_registered_model(card.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"models:/{model.model_id}"
    return str(client.create_model_version(card.name, source, run_id=run_id, model_id=model.model_id).version)


def _finished_model(tracker: Tracker, run_id: str) -> LoggedModel | None:
    """Return the model that an earlier driver logged of the run; what it did not finish is deleted."""
    client = tracker.client
    found = client.search_logged_models([tracker.experiment_id], f"source_run_id = '{run_id}'")
    ready = [model for model in found if str(model.status) == "READY"]
    for model in found:
        if model not in ready:
            client.delete_logged_model(model.model_id)
    return ready[0] if ready else None


def _log_model(tracker: Tracker, run_id: str, checkpoint: Path) -> LoggedModel:
    from mlflow.entities import LoggedModelOutput

    client = tracker.client
    model = client.create_logged_model(tracker.experiment_id, name="model", source_run_id=run_id)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    with TemporaryDirectory() as folder:
        # MLflow takes a path for an address, so that it can't read from folders with `?` or `#` in their names.
        copied = Path(shutil.copy(checkpoint, folder))
        _save(Path(folder) / "model", model, run_id, copied)
        client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
    return client.finalize_logged_model(model.model_id, "READY")


def _save(folder: Path, model: LoggedModel, run_id: str, checkpoint: Path) -> None:
    """Write MLflow's files of a model, with its code, which is read back from there."""
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    columns = [ColSpec("long", "label"), ColSpec("long", "seed", required=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=Model(artifact_path=model.artifact_location, run_id=run_id, model_id=model.model_id),
            python_model=str(Path(__file__).parent / "served_model.py"),
            artifacts={"checkpoint": str(checkpoint)},
            code_paths=[str(_ROOT / "tsvan")],
            signature=ModelSignature(Schema([*columns]), Schema([TensorSpec(np.dtype("uint8"), (-1, 10, 64, 64, 3))])),
            input_example=pd.DataFrame({"label": np.array([0], np.int64), "seed": np.array([0], np.int64)}),
            pip_requirements=_requirements(),
        )


def _describe(client: MlflowClient, card: ModelCard, version: str) -> None:
    client.set_registered_model_alias(card.name, CHAMPION, version)
    values: dict[str, Any] = {"description": card.about}
    if card.about:
        client.update_registered_model(card.name, **values)
    if card.version:
        client.update_model_version(card.name, version, description=card.version)
    for key, value in card.tags.items():
        client.set_model_version_tag(card.name, version, key, value)


def _requirements() -> list[str]:
    from importlib.metadata import version

    names = ("mlflow", "torch", "numpy", "numba", "pandas", "psutil", "pydantic", "PyYAML", "av", "pillow")
    return [f"{name}=={version(name).split('+')[0]}" for name in names]

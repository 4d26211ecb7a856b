"""Where a study is tracked: the store, the experiment, and the name of its registered model."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import checked_uri, shown_uri, sqlite_uri, with_secrets
from sweeps.tracking.run_upload import UploadState
from tsvan.run_config import FIRST_MODEL
from tsvan.state_file import DamagedFile
from tsvan.validation import UserError


@dataclass(frozen=True)
class Destination:
    """Where a study is tracked.

    Args:
        uri: of the store or server.
        experiment: MLflow's.
        model: name that the winner is registered by.
    """

    uri: str
    experiment: str
    model: str


def tracking_uri(asked: str | None, paths: StudyPaths) -> str:
    """Return the option, else MLFLOW_TRACKING_URI, else the SQLite store beside the studies.

    Raises:
        UserError: the address names no server and no database.
    """
    held = os.environ.get("MLFLOW_TRACKING_URI") or ""
    return checked_uri(with_secrets(asked or held, held) or sqlite_uri(paths.tracking_database))


def destination(
    uri: str | None, config: SweepConfig, paths: StudyPaths, experiment: str | None = None, model: str | None = None
) -> Destination:
    """Resolve where a study is tracked: options first, then what the study was begun with, then the environment.

    Args:
        uri, experiment, model: options of the command line.

    Raises:
        UserError: an address or a name that MLflow can't take.
    """
    before, default = _begun_with(paths), f"tsvan-{config.dataset}"
    in_environment = None if before.run_id else os.environ.get("MLFLOW_EXPERIMENT_NAME")
    named = _checked("--experiment", experiment or before.experiment or in_environment or default, "")
    registered = _checked("--model-name", model or before.model_name or default_model(config), "/:.%\"'")
    return Destination(tracking_uri(uri, paths), named, registered)


def default_model(config: SweepConfig) -> str:
    """Return the name that a study's winner is registered by if none is asked for: one a dataset and architecture."""
    return f"tsvan-{config.dataset}" if config.model == FIRST_MODEL else f"tsvan-{config.dataset}-{config.model}"


def see(uri: str) -> str:
    """Return how to look at a store: a server's address, or the command that serves a database."""
    shown = shown_uri(uri)
    is_server = uri.startswith(("http://", "https://"))
    return shown if is_server else f"mlflow ui --backend-store-uri {shlex.quote(shown)} --workers 1"


def page_address(uri: str, page: str) -> str:
    """Return where a page is on a server, or on the one that `see` starts."""
    is_server = uri.startswith(("http://", "https://"))
    return f"{shown_uri(uri.rstrip('/')) if is_server else 'http://127.0.0.1:5000'}/{page}"


def _begun_with(paths: StudyPaths) -> UploadState:
    try:
        return UploadState.read(paths.tracking)
    except DamagedFile:
        return UploadState()  # told of, and set aside, when the study goes on


def _checked(option: str, name: str, forbidden: str) -> str:
    wrong = next((sign for sign in name if sign in forbidden or not sign.isprintable()), None)
    if wrong is not None or not name.strip():
        what = "an empty name" if wrong is None else f"{wrong!r} in '{name}'"
        raise UserError(f"{option}: MLflow takes no {what}; choose another name")
    return name

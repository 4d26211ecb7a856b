"""The way from a trial to a file: the chosen config, and the command that trains and scores it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from analysis.reading import COMPLETE, Study, artifact
from analysis.store import ROOT
from sweeps.config.load import load
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import database_file, shown_command, sqlite_uri
from tsvan.config import TrainConfig
from tsvan.files import write_atomically
from tsvan.validation import UserError, flatten, load_yaml

_OF_THE_SWEEP = ("dataset", "preset", "trials", "resources", "sampler", "scheduler", "calibrate")
"""Keys of the sweep config that a final without a sweep does not need, or that have their own option."""


def chosen_config(study: Study, trial: pd.Series) -> TrainConfig:
    """Read a trial's settings from its own artifact: to the last bit, unlike MLflow's parameters.

    Raises:
        UserError: the trial is not complete, or its config is not in MLflow.
    """
    if trial["state"] != COMPLETE:
        raise UserError(f"trial {trial['number']} is {trial['state']}; choose a complete one")
    with TemporaryDirectory() as folder:
        file = artifact(study, str(trial["run_id"]), "config.yaml", Path(folder))
        values = load_yaml(file)
    return TrainConfig.from_dict({**values, "seed": 0}, f"config.yaml of run {trial['run_id']}")


def write_choice(path: Path, study: Study, trial: pd.Series, reason: str = "the best score") -> Path:
    """Write a trial's settings as `tune_runner.py --final-from FILE` reads them.

    Args:
        path: YAML to write; it is replaced.
        trial: a row of the trials' table.
        reason: why it was chosen, kept as a comment in the file.

    Returns:
        The file, absolute.
    """
    config = chosen_config(study, trial)
    objective = study.config.objective
    settings = ", ".join(f"{name}={_short(trial[name])}" for name in study.parameters)
    lines = [
        f"Chosen from study {study.name} (MLflow run {study.run_id}): trial {trial['number']} ({trial['run_id']}).",
        f"Why: {' '.join(reason.split())}. In the sweep, {objective.metric} {float(trial['score']):.6g} "
        f"({objective.direction}).",
        f"Swept: {settings}. The budget and the seeds of the final stage are those of its own study.",
    ]
    text = "".join(f"# {line}\n" for line in lines) + yaml.safe_dump(config.to_dict(), sort_keys=False)
    write_atomically(path, text)
    return path.resolve()


def choice_path(study: Study) -> Path:
    """Return where the choice goes unless someone says otherwise: beside the study."""
    return _holder(study) / f"{study.name}-choice.yaml"


def final_command(study: Study, choice: Path) -> str:
    """Return the command that trains and scores a choice with the clips and settings of its study.

    It is to be run in the repository.
    """
    config, record = study.config, study.record
    own = _shown(StudyPaths(_holder(study) / study.name).dataset)
    dataset = config.dataset if config.own_dataset is None else own
    command = ["python", "tune_runner.py", "--dataset", dataset, "--preset", config.preset]
    synthetic = record.data_source == "synthetic"
    command += ["--data", "synthetic"] if synthetic else ["--data-root", _shown(Path(record.store))]
    for setting in _differences(study):
        command += ["--set", setting]
    command += ["--final-from", _shown(choice), "--out", _shown(_holder(study) / f"{study.name}-final")]
    if study.uri != sqlite_uri(_holder(study) / "mlflow.db"):
        command += ["--tracking-uri", study.uri]
    return shown_command(command)


def _differences(study: Study) -> list[str]:
    """List what the study set beside dataset and preset, as `--set` takes it."""
    ships = load(study.config.rules, study.config.preset)[0]
    shipped, own = flatten(ships.to_dict()), flatten(study.config.to_dict())
    dropped = [name for name in ships.space if name not in study.config.space]
    return [f"space.{name}=null" for name in dropped] + [
        f"{key}={_yaml(value)}"
        for key, value in own.items()
        if key.split(".")[0] not in _OF_THE_SWEEP and (key not in shipped or shipped[key] != value)
    ]


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _holder(study: Study) -> Path:
    """Return the folder of the studies."""
    if (database := database_file(study.uri)) is not None:
        return database.parent
    return ROOT / "runs"


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

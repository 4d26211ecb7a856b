"""`study.yaml`: what a study is, for ever, and the folder it lives in."""

from __future__ import annotations

import os
import uuid
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from sweeps.state.paths import StudyPaths
from sweeps.state.uris import recorded_uri
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.validation import UserError, load_yaml


@dataclass(frozen=True)
class StudyRecord:
    """The record of a study, `study.yaml`: what it is, for ever.

    Args:
        study_id: unique; MLflow runs are found by it.
        config: of the sweep, as it is now.
        store: path of the clip store.
        store_hash: its content hash.
        data_source: `real` or `synthetic`.
        folder: of the study when a driver worked on it last; empty: not known, of a study of before.
        storage: address of the database that holds its Optuna study, without secrets; empty: the folder's own.
    """

    study_id: str
    config: dict[str, Any]
    store: str
    store_hash: str
    data_source: str
    folder: str = ""
    storage: str = ""


def check_out(root: Path) -> None:
    """Check that a study's folder is there or can be made; nothing is written.

    Raises:
        UserError: a file is in the way, or the place can't be written.
    """
    try:
        there = next(folder for folder in (root, *root.parents) if os.path.lexists(folder))
        root.exists()  # raises where the name itself is impossible
    except OSError as error:
        raise UserError(f"--out {root} can't be a folder: {error.strerror}; choose another --out") from None
    if not there.is_dir():
        raise UserError(f"--out {root} can't be a folder: {there} is a file; choose another --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--out {root} can't be written: no permission in {there}; choose another --out")


def read_record(paths: StudyPaths) -> StudyRecord | None:
    """Read the study's record; None: there is no study yet.

    Raises:
        UserError: the file is not ours, or it is lost while trials are there.
    """
    try:
        there = paths.config.exists()
    except OSError as error:
        raise UserError(f"cannot look into {paths.root}: {error.strerror}; allow it, or choose another --out") from None
    if not there:
        if any(paths.root.glob("trials/*/job.json")):
            lost = paths.config.name
            raise UserError(f"{paths.root} holds trials but no {lost}; restore it, or choose another --out")
        return None
    values = load_yaml(paths.config)
    kinds = {item.name: dict if item.name == "config" else str for item in fields(StudyRecord)}
    known = isinstance(values, dict) and all(
        isinstance(values.get(item.name, None if item.default is MISSING else item.default), kinds[item.name])
        for item in fields(StudyRecord)
    )
    if not known:
        if any(paths.root.glob("trials/*/job.json")):
            raise UserError(
                f"{paths.config} is damaged; restore it (the study's run in MLflow has a copy under Artifacts), or "
                f"choose another --out"
            )
        raise UserError(f"{paths.config} is not a study of this program; choose another --out")
    if later := sorted(set(values) - set(kinds)):
        raise UserError(f"{paths.config} has the key '{later[0]}' of a later version of this program; use that version")
    return StudyRecord(**values)


def original(record: StudyRecord, paths: StudyPaths) -> Path | None:
    """Return the folder that this study is a copy of; None: it is none, or the original is gone, so that it was moved.

    Two folders with one id would write the same runs in MLflow.
    """
    before = StudyPaths(Path(record.folder)) if record.folder else paths
    if before.root == paths.root or (before.root.exists() and before.root.samefile(paths.root)):
        return None
    try:
        other = read_record(before)
    except UserError:
        return None
    return before.root if other is not None and other.study_id == record.study_id else None


def check_same_clips(paths: StudyPaths, record: StudyRecord, store: ClipStore) -> None:
    """Refuse other clips than those that the study began with, with a UserError."""
    if record.store_hash != store.content_hash:
        raise UserError(
            f"the study in {paths.root} began with other clips than {store.path}; give those, or another --out"
        )


def write_record(
    paths: StudyPaths, record: StudyRecord | None, config: dict[str, Any], store: ClipStore
) -> StudyRecord:
    """Begin a study, or note its new settings (`SweepConfig.to_dict()`).

    Raises:
        UserError: the clips are not those that the study began with.
    """
    if record is not None:
        check_same_clips(paths, record, store)
    # A letter first: twelve digits with an e among them would be read as a number.
    own = record is not None and original(record, paths) is None
    study_id = record.study_id if record is not None and own else f"s{uuid.uuid4().hex[:11]}"
    clips = str(store.path), store.content_hash, store.data_source
    new = StudyRecord(study_id, config, *clips, str(paths.root), recorded_uri(paths.storage))
    if new != record:
        paths.root.mkdir(parents=True, exist_ok=True)
        if "own_dataset" in config:
            write_atomically(paths.dataset, yaml.safe_dump(config["own_dataset"], sort_keys=False, allow_unicode=True))
        write_atomically(paths.config, yaml.safe_dump(new.__dict__, sort_keys=False))
    return new

"""One driver at work on one study: its folder, its lock, its identity, and the wish to stop."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import yaml

from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.validation import UserError, load_yaml

MAY_CHANGE = ("trials", "resources", "calibrate", "final")
"""Keys that may differ when a study goes on; all others would make its trials incomparable."""


class StudyInterrupted(BaseException):
    """The user (or the machine) wants the study to stop; its state is saved.

    No Exception: whoever catches those, here or in a library, must not keep a study alive that was told to stop.
    """


@dataclass(frozen=True)
class StudyRecord:
    """`study.yaml`: what the study is, for ever.

    Args:
        study_id: unique; MLflow runs are found by it.
        config: of the sweep, as it is now.
        store: path of the clip store.
        store_hash: its content hash.
        data_source: `real` or `synthetic`.
    """

    study_id: str
    config: dict[str, Any]
    store: str
    store_hash: str
    data_source: str


def check_out(root: Path) -> None:
    """Whether a study's folder is there or can be made; nothing is written.

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
    """None: there is no study yet.

    Raises:
        UserError: the file is not ours, or it is lost while trials are there.
    """
    if not paths.config.exists():
        if any(paths.root.glob("trials/*/job.json")):
            lost = paths.config.name
            raise UserError(f"{paths.root} holds trials but no {lost}; restore it, or choose another --out")
        return None
    values = load_yaml(paths.config)
    kinds = {item.name: dict if item.name == "config" else str for item in fields(StudyRecord)}
    named = isinstance(values, dict) and set(values) == set(kinds)
    if not named or not all(isinstance(values[name], kind) for name, kind in kinds.items()):
        raise UserError(f"{paths.config} is not a study of this program; choose another --out")
    return StudyRecord(**values)


def check_same(record: StudyRecord, config: SweepConfig, paths: StudyPaths) -> None:
    """Refuse to go on with settings that would make the trials incomparable.

    Raises:
        UserError: names the first key that changed.
    """
    old, new = _flat(record.config), _flat(config.to_dict())
    for key in [*old, *(key for key in new if key not in old)]:
        if key.split(".")[0] not in MAY_CHANGE and old.get(key) != new.get(key):
            raise UserError(
                f"the study in {paths.root} has {key}={old.get(key)}, now {key}={new.get(key)}: its trials would not "
                f"be comparable; choose another --out or the old value"
            )


def check_same_scorer(paths: StudyPaths, before: str, now: str) -> None:
    """Refuse to go on with another scorer than the one that scored the study's trials.

    Args:
        before: text of `stages/scorer.json` as it was; it is put back.
        now: hash of the scorer that was found or trained.

    Raises:
        UserError: they differ.
    """
    old = json.loads(before)
    if old["hash"] != now:
        write_atomically(paths.scorer_result, before)
        raise UserError(
            f"the trials in {paths.root} were scored by scorer {old['hash'][:12]} of {old['folder']}, now it is "
            f"{now[:12]}: the scores would not be comparable; restore that folder, or choose another --out"
        )


def write_record(paths: StudyPaths, record: StudyRecord | None, config: SweepConfig, store: ClipStore) -> StudyRecord:
    """Begin a study, or note its new settings.

    Raises:
        UserError: the clips are not those that the study began with.
    """
    if record is not None and record.store_hash != store.content_hash:
        raise UserError(
            f"the study in {paths.root} began with other clips than {store.path}; give those, or another --out"
        )
    # A letter first: twelve digits with an e among them would be read as a number.
    study_id = f"s{uuid.uuid4().hex[:11]}" if record is None else record.study_id
    new = StudyRecord(study_id, config.to_dict(), str(store.path), store.content_hash, store.data_source)
    if new != record:
        paths.root.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.config, yaml.safe_dump(new.__dict__, sort_keys=False))
    return new


@contextmanager
def only_driver(paths: StudyPaths) -> Iterator[None]:
    """Hold the study's lock; a lock of a dead driver is free.

    Raises:
        UserError: another driver works on the study.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.lock.touch()
    except OSError as error:
        raise UserError(f"cannot write to {paths.root}: {error.strerror}; choose another --out") from None
    with open(paths.lock, "a+") as lock:
        if not _locked(lock):
            lock.seek(0)
            other = lock.read().strip() or "unknown"
            raise UserError(f"another driver (process {other}) works on {paths.root}; wait for it or stop it")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        paths.stop.unlink(missing_ok=True)
        yield


def driver_of(paths: StudyPaths) -> str | None:
    """Process id of the driver that works on the study now; None: nobody does."""
    if not paths.lock.exists():
        return None
    with open(paths.lock) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "unknown"
    return None


def _locked(lock: IO[str]) -> bool:
    """Take the lock. Whoever only looks at it (`driver_of`) holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False


class StopSignals:
    """SIGINT and SIGTERM: first ask the trials to save (a file they look for), then insist.

    Outside `patient()` nothing needs saving, and the signal ends the stage at once as `StudyInterrupted`.
    """

    def __init__(self, paths: StudyPaths, say: Any) -> None:
        self._paths, self._say = paths, say
        self._patient = False
        self.asked = False

    def install(self) -> None:
        """Take over both signals. Ray takes SIGTERM when it starts: call this again afterwards."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Both signals are ours in the block, and afterwards whose they were."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.getsignal(number) for number in numbers]
        self.install()
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Trials are running: let them save.

        Raises:
            StudyInterrupted: at the end of the block, if asked to stop in it.
        """
        self.install()
        self._patient = True
        try:
            yield
        finally:
            self._patient = False
        if self.asked:
            raise StudyInterrupted

    def _handle(self, number: int, frame: Any) -> None:
        if self.asked:
            os._exit(130)
        self.asked = True
        if not self._patient:
            raise StudyInterrupted
        try:
            self._paths.stop.touch()
        except OSError:  # a full disk: the trials can't save either
            os._exit(130)
        self._say("stopping: running trials save a checkpoint (once more to leave at once)")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(_flat(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat

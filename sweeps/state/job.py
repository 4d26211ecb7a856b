"""What the study hands to a trial and what it gets back: plain, frozen, and on disk.

A job is a training run with a score at the end. Its folder is the truth about it: `outcome.json` says how it ended,
`metrics.jsonl` what happened on the way. Ray only carries jobs to machines.
"""

from __future__ import annotations

import errno
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from sweeps.state.paths import TrialPaths
from tsvan.files import write_atomically, write_once
from tsvan.journal import Journal
from tsvan.state_file import DamagedFile, read_state, read_text

MENDED = "the study's own command mends it"

State = Literal["complete", "pruned", "diverged", "failed"]
TRAIN, SCORE, SYSTEM = "train", "score", "system"


_SEEN_LATE_S = 120.0
"""How long a shared file system may hide a file that another machine wrote; NFS: a minute at most."""


class Interrupted(Exception):
    """A job was asked to stop; its checkpoint is written and it has no outcome yet."""


@dataclass(frozen=True)
class Job:
    """A training run to do.

    Args:
        name: readable and unique in the study, `trials/007` or `final/report-best-0`.
        number: trial number in the study, or place in the final stage's list.
        folder: where it lives, absolute.
        config: `TrainConfig.to_dict()`.
        store: path of the clip store.
        store_hash: content hash that the store must have.
        scorer: folder of the trained classifier.
        scorer_config: its training's settings, `asdict(ScorerConfig)`.
        group: sample group that it is scored on.
        num_clips: clips of that group.
        save_at: iterations at which a checkpoint is written.
        score_at: iterations at which it is scored as well.
        objectives: metric names; a value that is not finite ends the job as diverged.
        batch_size: clips generated at once; None: as many as fit.
        memory_share: of the device's memory that generating may use.
        threads: CPU threads; 0: leave as they are.
        device: `auto`, `cpu` or `cuda`.
        host: address of the node of a cluster that has it; empty: it is no cluster of somebody's.
        seal: of the `report` group: file that must name the config's hash before it is scored.
        stop_file: while it exists, the job saves a checkpoint and ends without an outcome.
        i3d: TorchScript file of I3D for `fvd_i3d`, executed only because the user named it.
        metrics: of the user's own, `asdict(OwnMetric)` by name.
        code_folder: where the modules of the user's own are looked for; empty: where the process is.
        params: what Optuna drew, to the last bit; of a final rerun empty.
        origin: where its settings are from; empty: the sampler, or of the first trial the published row.
        instruction: number of the user's instruction that added the trial; None: it is one of the sweep's own.
        larger_share: it ran out of memory before, and now has a device to itself.
        waits_at: scores at which the study may stop it, where it waits for the answer; None: at all of them.
        body: `module:function` that does the work.
        body_options: what a body other than the trainer is told, by name.
    """

    name: str
    number: int
    folder: str
    config: dict[str, Any]
    store: str
    store_hash: str
    scorer: str
    scorer_config: dict[str, Any]
    group: str
    num_clips: int
    save_at: tuple[int, ...]
    score_at: tuple[int, ...]
    objectives: tuple[str, ...]
    batch_size: int | None = None
    memory_share: float = 1.0
    threads: int = 0
    device: str = "auto"
    host: str = ""
    seal: str = ""
    stop_file: str = ""
    i3d: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    code_folder: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    origin: str = ""
    instruction: int | None = None
    larger_share: bool = False
    waits_at: tuple[int, ...] | None = None
    body: str = "sweeps.execution.trial:train_and_score"
    body_options: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """Return the job's stage: `sweep`, or of a rerun `calibrate`, `confirm` or `report`."""
        kind, _, name = self.name.partition("/")
        return "sweep" if kind == "trials" else name.partition("-")[0]

    @property
    def paths(self) -> TrialPaths:
        """Return the job's files."""
        return TrialPaths(Path(self.folder))

    def to_dict(self) -> dict[str, Any]:
        """Return the job as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """Build a job from the values of `to_dict`; JSON's lists become tuples."""
        known = {key: values[key] for key in cls.__dataclass_fields__ if key in values}
        lists = {key: tuple(value) for key, value in known.items() if isinstance(value, list)}
        return cls(**{**known, **lists})

    def write(self) -> None:
        """Put `job.json` and `config.yaml` into the folder."""
        write_atomically(self.paths.job, json.dumps(self.to_dict(), indent=1))
        write_atomically(self.paths.config, yaml.safe_dump(self.config, sort_keys=False))

    def kept(self) -> Job:
        """Return a job that has ended, with its file: one that was lost or damaged is written again."""
        if not self.paths.job.exists():
            self.write()
        return self


@dataclass(frozen=True)
class Point:
    """A score on the way.

    Args:
        iteration: iterations done, pre-training included.
        values: metric name -> value.
    """

    iteration: int
    values: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """The end of a job.

    Args:
        state: `complete` (full budget), `pruned` (stopped early), `diverged` or `failed`.
        iteration: iterations done.
        values: metrics of the last checkpoint that was scored; empty without one.
        reason: why it is not complete.
        seconds: training and scoring time of all processes that worked on it; what a killed one did after its last
            checkpoint is not counted.
        num_clips: N of the scores.
        details: anything else worth keeping (the scorer's hash, device).
    """

    state: State
    iteration: int
    values: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    num_clips: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    def write(self, paths: TrialPaths) -> Outcome:
        """Write the job's end, unless it has one: that is never replaced.

        Returns:
            The end that counts.
        """
        if write_once(paths.outcome, json.dumps(asdict(self), indent=1, allow_nan=False)):
            return self
        deadline = time.monotonic() + _SEEN_LATE_S
        while (found := Outcome.read(paths)) is None:
            if time.monotonic() > deadline:
                raise OSError(errno.EIO, "another machine wrote it, and it does not show here", str(paths.outcome))
            time.sleep(1)
        return found

    @classmethod
    def read(cls, paths: TrialPaths) -> Outcome | None:
        """Read the job's end; None: it has not ended. Raises UserError: the file is damaged or of a later version."""
        return read_state(paths.outcome, cls, MENDED)


def pruned(job: Job, point: Point, why: str = "stopped early") -> Outcome:
    """Build the outcome of a job that is stopped early, with its last score."""
    reason = f"{why} at iteration {point.iteration}"
    return Outcome("pruned", point.iteration, point.values, reason, spent(job.paths), job.num_clips)


def read_job(folder: TrialPaths) -> Job | None:
    """Read the job of a folder, wherever that lies by now; None: there is none. Raises UserError as `Outcome.read`."""
    job = read_state(folder.job, Job, MENDED)
    return None if job is None else replace(job, folder=str(folder.folder))


class Stopwatch:
    """A stopwatch of the time spent on a job, over all processes that worked on it.

    Args:
        folder: of the job; what earlier processes spent is read from there.
    """

    def __init__(self, folder: TrialPaths) -> None:
        self._folder, self._before, self._started = folder, spent(folder), time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds spent until now."""
        return self._before + time.monotonic() - self._started

    def note(self) -> None:
        """Write the seconds down; called with every checkpoint."""
        write_atomically(self._folder.seconds, f"{self.seconds:.3f}")


def spent(folder: TrialPaths) -> float:
    """Read the seconds that were noted for a job; a damaged note counts as none."""
    try:
        return read_state(folder.seconds, float, MENDED) or 0.0
    except DamagedFile:
        return 0.0


def memory_faults(folder: TrialPaths) -> list[str]:
    """List the times that a job ran out of memory: one line each, with the reason."""
    return read_text(folder.memory).splitlines()


def scored_points(journal: Journal) -> list[Point]:
    """List the scores in a journal, in order."""
    return [Point(line["iteration"], line["values"]) for line in journal.lines() if line["kind"] == SCORE]

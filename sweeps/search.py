"""The sweep as a queue of jobs over an Optuna study. The study's database and the trials' folders are the truth.

What a death left unfinished is handed out first, with its number and folder; then Optuna is asked, until there are as
many trials as wanted. Optuna hears COMPLETE at the full budget only, PRUNED with the step that was reached, FAIL with
the reason.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from sweeps.config import SweepConfig
from sweeps.job import Job, Outcome, Point, pruned
from sweeps.paths import StudyPaths
from sweeps.space import distributions, published_params
from sweeps.stopping import Stopper
from tsvan.strict import UserError

MakeJob = Callable[[int, dict[str, Any]], Job]
_STOPPED = "stopped_at"
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}


def open_study(paths: StudyPaths, config: SweepConfig) -> optuna.Study:
    """Create the study or open it.

    Raises:
        UserError: the database belongs to a study with other objectives.
    """
    _quiet()
    url = storage_url(paths.database)
    directions = [objective.direction for objective in config.objectives]
    study = optuna.create_study(
        storage=url, study_name=paths.root.name, directions=directions, load_if_exists=True, sampler=_sampler(config, 0)
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != directions:
        raise UserError(f"{paths.database} is a study with directions {found}, not {directions}; choose another --out")
    if config.second_objective is not None:
        study.set_metric_names([objective.metric for objective in config.objectives])
    return study


def load_study(paths: StudyPaths) -> optuna.Study:
    """Open an existing study for reading."""
    _quiet()
    return optuna.load_study(study_name=None, storage=storage_url(paths.database))


def storage_url(path: Path) -> str:
    """SQLite URL of a file."""
    return f"sqlite:///{path}"


def derive_seed(*parts: int | str) -> int:
    """A seed below 2^31 from the study's seed and what it is for: sha256, the same on every machine."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


class SweepQueue:
    """Hands out the sweep's jobs and tells Optuna how they went.

    Args:
        study: open.
        config: of the sweep.
        make_job: (trial number, parameters) -> job.
        stopper: judges scores at rungs; of a study with two objectives it has no rungs.
    """

    def __init__(self, study: optuna.Study, config: SweepConfig, make_job: MakeJob, stopper: Stopper) -> None:
        self._study, self._config, self._make_job, self._stopper = study, config, make_job, stopper
        self._stopped: dict[int, Outcome] = {}
        self._unfinished = self._reconcile()
        self._enqueue_published()

    @property
    def total(self) -> int:
        """Trials wanted."""
        return max(self._config.trials, self._begun())

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return self._begun() - len(self._unfinished)

    def next(self) -> Job | None:
        """The next job to start; None: no more."""
        if self._unfinished:
            left = self._unfinished.pop(0)
            return self._job(left.number, left.params)
        if self._begun() >= self._config.trials:
            return None
        # A sampler of its own for every trial: the draw depends on the seed, the number and what is known by then,
        # not on how often the driver died before.
        self._study.sampler = _sampler(self._config, len(self._study.trials))
        trial = self._study.ask(distributions(self._config))
        return self._job(trial.number, trial.params)

    def progress(self, job: Job, point: Point) -> bool:
        """Take a score; False: stop the job."""
        if len(job.objectives) > 1:
            return True
        score = point.values[job.objectives[0]]
        goes_on = self._stopper.goes_on(job.number, point.iteration, score)
        if not goes_on:  # noted first, should the driver die before the outcome is written
            self._live(job.number).set_user_attr(_STOPPED, asdict(point))
        self._report(job.number, point.iteration, score)
        return goes_on

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell Optuna, once."""
        trial = self._study.trials[job.number]
        if trial.state.is_finished():
            return
        live = self._live(job.number)
        live.set_user_attr("state", outcome.state)
        live.set_user_attr("iteration", outcome.iteration)
        live.set_user_attr("scores", outcome.values)
        live.set_user_attr("seconds", round(outcome.seconds, 2))
        if run_id := run_of(job):
            live.set_user_attr("mlflow_run_id", run_id)
        if outcome.reason:
            live.set_user_attr("reason", outcome.reason)
        values = [outcome.values[name] for name in job.objectives] if outcome.state == "complete" else None
        self._study.tell(job.number, values=values, state=STATES.get(outcome.state, TrialState.FAIL))

    def _report(self, number: int, iteration: int, score: float) -> None:
        if iteration not in self._study.trials[number].intermediate_values:
            self._live(number).report(score, iteration)

    def _job(self, number: int, params: dict[str, Any]) -> Job:
        job = self._make_job(number, params)
        job.write()
        live = self._live(number)
        live.set_user_attr("folder", job.folder)
        live.set_user_attr("train_seed", job.config["seed"])
        return job

    def _reconcile(self) -> list[FrozenTrial]:
        """Tell what ended without Optuna hearing of it; return what did not end."""
        unfinished = []
        for trial in self._study.trials:
            for iteration, score in trial.intermediate_values.items():
                self._stopper.record(trial.number, iteration, score)
            if trial.state != TrialState.RUNNING:
                continue
            if not set(distributions(self._config)) <= set(trial.params):
                # The driver died while the parameters were drawn: it was no trial, and another takes its place.
                self._live(trial.number).set_user_attr("torn", True)
                self._study.tell(trial.number, state=TrialState.FAIL)
                continue
            job = self._make_job(trial.number, trial.params)
            outcome = Outcome.read(job.paths)
            if outcome is None and _STOPPED in trial.user_attrs:
                point = Point(**trial.user_attrs[_STOPPED])
                self._report(trial.number, point.iteration, point.values[job.objectives[0]])
                outcome = pruned(job, point)
                outcome.write(job.paths)
            if outcome is None:
                unfinished.append(trial)
            else:
                self.finished(job, outcome)
        return unfinished

    def _enqueue_published(self) -> None:
        if any("origin" in trial.user_attrs and "torn" not in trial.user_attrs for trial in self._study.trials):
            return
        params, origin = published_params(self._config)
        self._study.enqueue_trial(params, user_attrs={"origin": origin})

    def _begun(self) -> int:
        return sum(trial.state != TrialState.WAITING and "torn" not in trial.user_attrs for trial in self._study.trials)

    def _live(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._study.trials[number]._trial_id)


def run_of(job: Job) -> str | None:
    """The job's MLflow run, if the shipper has made it by now."""
    return (json.loads(job.paths.tracking.read_text()).get("run_id") or None) if job.paths.tracking.exists() else None


def _sampler(config: SweepConfig, number: int) -> BaseSampler:
    seed = derive_seed(config.seed, "sampler", number)
    kind, startup = config.sampler.kind, config.sampler.startup_trials
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if kind == "tpe":
            # The constant liar keeps parallel trials from crowding at one point.
            return TPESampler(n_startup_trials=startup, constant_liar=True, seed=seed)
        if kind == "nsga2":
            return NSGAIISampler(seed=seed)
        if kind == "qmc":
            return QMCSampler(scramble=True, seed=derive_seed(config.seed, "sampler"))  # its place is in the storage
        return RandomSampler(seed=seed)


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.ERROR)

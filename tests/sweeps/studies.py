"""Studies without a trainer: real Optuna stores, jobs whose body is `fake_trial.body`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.storages import RDBStorage

from sweeps.config.schema import SweepConfig
from sweeps.config.space import train_config
from sweeps.search.early_stopping import EarlyStoppingRule, save_points, score_points
from sweeps.search.seeds import derive_seed
from sweeps.search.storage import load_study, open_study
from sweeps.search.trial_queue import SweepQueue
from sweeps.state.inbox import Inbox
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish

BODY = "tests.sweeps.fake_trial:body"


def rows_of(paths: StudyPaths) -> tuple[RDBStorage, int]:
    """The rows of a study as Optuna's storage has them, to write what no study of Optuna's would: storage, study id."""
    storage = RDBStorage(f"sqlite:///{paths.database}")
    return storage, storage.get_study_id_from_name(load_study(paths).study_name)


def job_maker(
    config: SweepConfig, paths: StudyPaths, faults: dict[int, str] | None = None
) -> Callable[[int, dict[str, Any]], Job]:
    """(number, params) -> job with the fake body; `faults` names those of single trials."""

    def make(number: int, params: dict[str, Any]) -> Job:
        train = train_config(config, params, derive_seed(config.seed, "trial", number))
        return Job(
            name=f"trials/{number:03d}",
            number=number,
            folder=str(paths.trial(number).folder),
            config=train.to_dict(),
            store="",
            store_hash="",
            scorer="",
            scorer_config={},
            group="validation",
            num_clips=8,
            save_at=save_points(config.base.schedule),
            score_at=score_points(config.base.schedule),
            objectives=tuple(objective.metric for objective in config.objectives),
            stop_file=str(paths.stop),
            params=params,
            body=BODY,
            body_options={"faults": {str(number): fault for number, fault in (faults or {}).items()}},
        )

    return make


def open_queue(config: SweepConfig, paths: StudyPaths, faults: dict[int, str] | None = None) -> SweepQueue:
    """A queue over the study's database, as a new process would open it."""
    return SweepQueue(open_study(paths, config), config, job_maker(config, paths, faults), Inbox(paths))


def rule_of(config: SweepConfig, queue: SweepQueue) -> EarlyStoppingRule:
    """The early-stopping rule as a new process would make it."""
    rule = EarlyStoppingRule.of(config.base.schedule, config.scheduler, config.objective)
    rule.recall(queue.known_scores())
    return rule


def run_through(config: SweepConfig, paths: StudyPaths, restart: bool = False) -> list[dict[str, Any]]:
    """Run a sweep whose score says how near to 5 lambda2 is; `restart`: by a new driver after each trial.

    Returns:
        The parameters of its trials.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    queue = open_queue(config, paths)
    while (job := queue.next()) is not None:
        finish(queue, job, "complete", -abs(job.config["loss"]["lambda2"] - 5))
        queue = open_queue(config, paths) if restart else queue
    return [trial.params for trial in load_study(paths).trials]

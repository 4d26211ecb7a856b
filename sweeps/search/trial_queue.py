"""The sweep as a queue of jobs over an Optuna study. The study's database and the trials' folders are the truth.

What a death left unfinished is handed out first, with its number and folder; then Optuna is asked, until there are as
many trials as wanted. Optuna hears COMPLETE at the full budget only, PRUNED with the step that was reached, FAIL with
the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params
from sweeps.search.added_trials import answer, enqueue_additions, is_own
from sweeps.search.storage import INCOMPLETE, INSTRUCTION, STATES, attributes, is_incomplete
from sweeps.search.study_copy import STATE, StudyCopySampler
from sweeps.search.warm_start import WarmStart
from sweeps.state.inbox import Inbox, additions
from sweeps.state.job import Job, Outcome, Point, pruned, scored_points
from tsvan.journal import Journal

MakeJob = Callable[[int, dict[str, Any]], Job]
_STOPPED = "stopped_at"


class SweepQueue:
    """A queue that hands out the sweep's jobs and tells Optuna how they went.

    Args:
        study: open.
        config: of the sweep.
        make_job: (trial number, parameters) -> job.
        inbox: of the study, where users add trials.
        warm_start: what the study takes over from earlier ones; None: nothing.
    """

    def __init__(
        self,
        study: optuna.Study,
        config: SweepConfig,
        make_job: MakeJob,
        inbox: Inbox,
        warm_start: WarmStart | None = None,
    ) -> None:
        self._study, self._config, self._make_job, self._inbox = study, config, make_job, inbox
        taken = warm_start or WarmStart()
        self._observed, self._firsts = taken.observations(config), taken.firsts(config)
        self._closed = False
        self._live: dict[int, _Live] = {}
        _, self._unfinished = reconcile(study, config, lambda trial: make_job(trial.number, trial.params))
        self._enqueue_firsts()

    @property
    def total(self) -> int:
        """Count the trials wanted: the sweep's own, and those that users added; of a closed queue those that began."""
        if self._closed:
            return _begun(_trials(self._study))
        own = [trial for trial in _trials(self._study) if is_own(trial)]
        return max(self._config.trials, _begun(own)) + len(additions(self._inbox.instructions()))

    @property
    def num_instructions(self) -> int:
        """Count what users have asked of the study, ever."""
        return len(self._inbox.instructions())

    @property
    def done(self) -> int:
        """Count the trials that have ended."""
        return _begun(_trials(self._study)) - len(self._unfinished)

    def close(self) -> None:
        """Begin no more trials; those that a death left unfinished are still handed out."""
        self._closed = True

    def next(self) -> Job | None:
        """Return the next job to start; None: no more."""
        if self._unfinished:
            left = self._unfinished.pop(0)
            self._live[left.number] = _Live.of(self._study, left)
            return self._job(left.number, left.params)
        if self._closed:
            return None
        enqueue_additions(self._study, self._inbox)
        known = _trials(self._study)
        waits = any(trial.state == TrialState.WAITING for trial in known)
        if not waits and _begun([trial for trial in known if is_own(trial)]) >= self._config.trials:
            return None
        # A sampler of its own for every trial: the draw depends on the seed, the number and what is known by then,
        # not on how often the driver died before.
        self._study.sampler = sampler = StudyCopySampler(self._config, self._observed)
        trial = self._study.ask(distributions(self._config))
        self._live[trial.number] = _Live(trial)
        if sampler.state is not None:
            trial.set_user_attr(STATE, sampler.state)
        return self._job(trial.number, trial.params)

    def known_scores(self) -> Iterator[tuple[int, int, float]]:
        """Yield the scores that Optuna has: (number of the trial, iteration, score)."""
        for trial in _trials(self._study):
            for iteration, score in trial.intermediate_values.items():
                yield trial.number, iteration, score

    def report(self, job: Job, point: Point) -> None:
        """Tell Optuna a score of a trial that goes on. The score at which one is stopped comes with its end, so that a
        driver that dies between the two judges it again."""
        score = point.values.get(job.objectives[0], math.nan)
        if len(job.objectives) == 1 and math.isfinite(score):  # else it ends as diverged
            self._live[job.number].report(point.iteration, score)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell Optuna how a job ended, once."""
        tell(self._study, job, outcome)
        self._live.pop(job.number, None)

    def job_of(self, trial: FrozenTrial) -> Job:
        """Make the job of a trial again, as it was handed out."""
        return self._marked(trial.number, trial.params, trial.user_attrs)

    def _marked(self, number: int, params: dict[str, Any], attrs: dict[str, Any]) -> Job:
        """Make a trial's job, marked with where its settings are from."""
        origin, instruction = attrs.get("origin", ""), attrs.get(INSTRUCTION)
        return replace(self._make_job(number, params), origin=origin, instruction=instruction)

    def _job(self, number: int, params: dict[str, Any]) -> Job:
        trial = self._live[number].trial
        job = self._marked(number, params, trial.user_attrs)
        job.write()
        if job.instruction is not None:
            self._inbox.answer(job.instruction, answer(number))
        trial.set_user_attr("folder", job.folder)
        trial.set_user_attr("train_seed", job.config["seed"])
        return job

    def _enqueue_firsts(self) -> None:
        """Enqueue the published row, then the best settings of earlier studies, each once."""
        own = [trial for trial in _trials(self._study) if is_own(trial) and not is_incomplete(trial)]
        there = {trial.user_attrs["origin"] for trial in own if "origin" in trial.user_attrs}
        if not there - {origin for origin, _ in self._firsts}:
            params, origin = published_params(self._config)
            self._study.enqueue_trial(params, user_attrs={"origin": origin})
        for origin, params in self._firsts:
            if origin not in there:
                self._study.enqueue_trial(params, user_attrs={"origin": origin})


def tell(study: optuna.Study, job: Job, outcome: Outcome) -> None:
    """Tell Optuna how a job ended, once."""
    known = _trials(study)[job.number]
    if known.state.is_finished():
        return
    live = _Live.of(study, known)
    for point in scored_points(Journal(job.paths.metrics)) if len(job.objectives) == 1 else []:
        score = point.values.get(job.objectives[0], math.nan)
        if point.iteration <= outcome.iteration and math.isfinite(score):
            live.report(point.iteration, score)  # what a driver that died did not hear of
    if outcome.state == "pruned" and math.isfinite(score := outcome.values.get(job.objectives[0], math.nan)):
        live.report(outcome.iteration, score)
    for name, value in attributes(job, outcome).items():
        live.trial.set_user_attr(name, value)
    values = [outcome.values[name] for name in job.objectives] if outcome.state == "complete" else None
    study.tell(job.number, values=values, state=STATES.get(outcome.state, TrialState.FAIL))


def reconcile(
    study: optuna.Study, config: SweepConfig, job_of: Callable[[FrozenTrial], Job | None]
) -> tuple[dict[int, str], list[FrozenTrial]]:
    """Tell Optuna what ended without its hearing of it.

    Args:
        job_of: the job of a trial; None: it was never written, and so did not end.

    Returns:
        What was told, by number, and the trials that did not end.
    """
    told, unfinished = {}, []
    for trial in study.trials:
        if trial.state != TrialState.RUNNING:
            continue
        if not set(distributions(config)) <= set(trial.params):
            # The driver died while the parameters were drawn: it was no trial, and another takes its place.
            _Live.of(study, trial).trial.set_user_attr(INCOMPLETE, True)
            study.tell(trial.number, state=TrialState.FAIL)
            told[trial.number] = "that it was none: the driver died while its settings were drawn"
            continue
        job = job_of(trial)
        outcome = None if job is None else Outcome.read(job.paths) or _stopped(study, trial, job)
        if job is None or outcome is None:
            unfinished.append(trial)
            continue
        tell(study, job, outcome)
        told[trial.number] = outcome.state
    return told, unfinished


def _stopped(study: optuna.Study, trial: FrozenTrial, job: Job) -> Outcome | None:
    """Write the end of a trial that an earlier version's driver stopped early, and died before it could write so."""
    if _STOPPED not in trial.user_attrs:
        return None
    point = Point(**trial.user_attrs[_STOPPED])
    return pruned(job, point).write(job.paths)


@dataclass(frozen=True)
class _Live:
    """A trial that has not ended, and the iterations whose scores Optuna has: asking it each time reads all that is
    unfinished from the database."""

    trial: optuna.Trial
    heard: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, study: optuna.Study, known: FrozenTrial) -> _Live:
        return cls(optuna.Trial(study, known._trial_id), set(known.intermediate_values))

    def report(self, iteration: int, score: float) -> None:
        if iteration not in self.heard:
            self.trial.report(score, iteration)
            self.heard.add(iteration)


def _trials(study: optuna.Study) -> list[FrozenTrial]:
    """List the trials, to be looked at only: `study.trials` copies all of them each time."""
    return study.get_trials(deepcopy=False)


def _begun(trials: list[FrozenTrial]) -> int:
    return sum(trial.state != TrialState.WAITING and not is_incomplete(trial) for trial in trials)

"""The final stage: fresh training seeds, sample groups that selection never saw, and what the differences prove."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.final.candidates import Candidate, final_job
from sweeps.final.smoothing import Smoothed
from sweeps.final.statistics import Interval, interval, paired, verdict
from sweeps.search.seeds import derive_seed
from sweeps.state.job import MENDED, Job, Outcome
from sweeps.state.paths import StudyPaths, TrialPaths
from tsvan.files import write_atomically
from tsvan.scoring.seal import write_down
from tsvan.state_file import read_state

SECONDS = "score_seconds"
"""Among a run's values, but no metric."""

RunJobs = Callable[["JobList"], None]


@dataclass(frozen=True)
class JobList:
    """A fixed list of jobs.

    Args:
        ended: those that are not run again, and how they ended.
        waiting: those to run.
    """

    ended: tuple[tuple[Job, Outcome], ...]
    waiting: tuple[Job, ...]

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> JobList:
        """Look into the jobs' folders to tell the ended from those to run."""
        outcomes = [(job, Outcome.read(job.paths)) for job in jobs]
        return cls(
            tuple((job, outcome) for job, outcome in outcomes if outcome is not None),
            tuple(job for job, outcome in outcomes if outcome is None),
        )


@dataclass(frozen=True)
class Reported:
    """The final numbers of a config.

    Args:
        role, origin, key, config, trial: as of the candidate.
        sweep_values: what the same settings had in the sweep; the difference is selection bias and luck.
        seeds: training seeds, in order.
        scores: metric -> interval over the seeds that completed.
        bootstrap: for each seed, metric -> interval over clips; for display.
        failed: seeds without a score -> reason.
        folders: of the runs.
    """

    role: str
    origin: str
    key: str
    config: dict[str, Any]
    trial: int | None
    sweep_values: dict[str, float] | None
    seeds: list[int]
    scores: dict[str, Interval]
    bootstrap: list[dict[str, list[float]]] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


    def by_seed(self, metric: str) -> dict[int, float]:
        """Return training seed -> value; a run that did not complete has none."""
        completed = [seed for seed in self.seeds if seed not in self.failed]
        values = self.scores[metric].values if metric in self.scores else []
        return dict(zip(completed, values, strict=False))

    @property
    def completed(self) -> list[TrialPaths]:
        """List the folders of the runs that completed, in the order of the seeds."""
        pairs = zip(self.seeds, self.folders, strict=True)
        return [TrialPaths(Path(folder)) for seed, folder in pairs if seed not in self.failed]


@dataclass(frozen=True)
class Shortlisted:
    """A candidate of the confirm stage, and why it is one.

    Args:
        origin, key, trial: as of the candidate.
        score: in the sweep, by the objective; None: it did not complete there.
        smoothed: what the complete trials together say of it; None: they are too few.
        confirmed: mean over the fresh seeds that completed; None: none did.
    """

    origin: str
    key: str
    trial: int | None
    score: float | None
    smoothed: Smoothed | None
    confirmed: float | None


@dataclass(frozen=True)
class FinalResult:
    """The final stage as `stages/final.json` holds it.

    Args:
        winner: of the sweep or of the file.
        published: the rival.
        same: both are the same settings, so they share their runs.
        differences: metric -> paired interval of winner - published over the seeds.
        num_clips: N of the report group.
        verdict: one line.
        confirm: mean objective on the `confirm` group by config key, best first; empty without that stage.
        shortlist: candidates of that stage, as they were chosen.
    """

    winner: Reported
    published: Reported
    same: bool
    differences: dict[str, Interval]
    num_clips: int
    verdict: str
    confirm: dict[str, float] = field(default_factory=dict)
    shortlist: list[Shortlisted] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)


def stage_seeds(config: SweepConfig, stage: str) -> list[int]:
    """Derive the fresh training seeds of a stage, the same for every config of it."""
    counts = {
        "calibrate": config.calibrate.seeds,
        "confirm": config.final.confirm.seeds,
        "report": config.final.report.seeds,
    }
    count = counts[stage]
    return [derive_seed(config.seed, stage, place) for place in range(count)]


def calibrate(published: Candidate, config: SweepConfig, template: Job, paths: StudyPaths, run: RunJobs) -> None:
    """Train the published row with several fresh seeds and score each as a trial is: the noise between seeds."""
    run(JobList.of(_jobs(published, "calibrate", config, template, paths)))


def confirm(
    candidates: list[Candidate], config: SweepConfig, template: Job, paths: StudyPaths, run: RunJobs
) -> tuple[list[Candidate], dict[str, float]]:
    """Retrain the best few with fresh seeds and rank them on the `confirm` group.

    Returns:
        The candidates that completed, best first, and their mean objective by key.
    """
    jobs = {candidate.key: _jobs(candidate, "confirm", config, template, paths) for candidate in candidates}
    run(JobList.of([job for group in jobs.values() for job in group]))
    means, counts = {}, {}
    for key, group in jobs.items():
        values = [outcome.values[config.objective.metric] for outcome in _completed(group).values()]
        if values:
            means[key], counts[key] = sum(values) / len(values), len(values)
    sign = config.objective.sign
    completed = [candidate for candidate in candidates if candidate.key in means]
    # A config whose seeds diverge is no winner, however good the others are.
    ranked = sorted(completed, key=lambda candidate: (-counts[candidate.key], -sign * means[candidate.key]))
    return ranked, {candidate.key: means[candidate.key] for candidate in ranked}


def evaluate(
    winner: Candidate,
    published: Candidate,
    config: SweepConfig,
    template: Job,
    paths: StudyPaths,
    run: RunJobs,
    confirmed: dict[str, float] | None = None,
    shortlist: Sequence[Candidate] = (),
) -> FinalResult:
    """Train winner and rival with the same fresh seeds and score each run once on the `report` group."""
    _write_choice(paths, winner, published, config.final.report.seeds)
    jobs = {candidate.key: _jobs(candidate, "report", config, template, paths) for candidate in (winner, published)}
    run(JobList.of([job for pair in zip(*jobs.values(), strict=True) for job in pair]))
    rows = [_reported(candidate, jobs[candidate.key]) for candidate in (winner, published)]
    same = winner.key == published.key
    differences = {} if same else _differences(*(_completed(jobs[c.key]) for c in (winner, published)))
    result = FinalResult(
        winner=rows[0],
        published=rows[1],
        same=same,
        differences=differences,
        num_clips=template.num_clips,
        verdict=verdict(
            config.objective,
            differences.get(config.objective.metric),
            same,
            lost=(len(rows[0].failed), len(rows[1].failed)),
            seeds=len(rows[0].seeds),
        ),
        confirm=confirmed or {},
        shortlist=[_shortlisted(candidate, config, confirmed or {}) for candidate in shortlist],
    )
    text = json.dumps(result.to_dict(), indent=1)
    if not paths.final_result.exists() or paths.final_result.read_text() != text:
        write_atomically(paths.final_result, text)
    return result


def _jobs(candidate: Candidate, stage: str, config: SweepConfig, template: Job, paths: StudyPaths) -> list[Job]:
    seeds = stage_seeds(config, stage)
    return [final_job(template, candidate, stage, place, seed, paths) for place, seed in enumerate(seeds)]


def _completed(jobs: Sequence[Job]) -> dict[int, Outcome]:
    """Read the outcomes of the seeds that completed, by place."""
    outcomes = {job.number: Outcome.read(job.paths) for job in jobs}
    return {
        place: outcome for place, outcome in outcomes.items() if outcome is not None and outcome.state == "complete"
    }


def _reported(candidate: Candidate, jobs: Sequence[Job]) -> Reported:
    completed = _completed(jobs)
    names = sorted(set().union(*(outcome.values for outcome in completed.values())) - {SECONDS})
    failed = {}
    for job in jobs:
        outcome = Outcome.read(job.paths)
        if job.number not in completed:
            failed[job.config["seed"]] = "not run" if outcome is None else f"{outcome.state}: {outcome.reason}"
    return Reported(
        role=candidate.role,
        origin=candidate.origin,
        key=candidate.key,
        config=candidate.config.to_dict(),
        trial=candidate.trial,
        sweep_values=candidate.sweep_values,
        seeds=[job.config["seed"] for job in jobs],
        scores={name: interval([outcome.values[name] for outcome in completed.values()]) for name in names},
        bootstrap=[_bootstrap(job.paths) for job in jobs if job.number in completed],
        failed=failed,
        folders=[job.folder for job in jobs],
    )


def _shortlisted(candidate: Candidate, config: SweepConfig, confirmed: dict[str, float]) -> Shortlisted:
    return Shortlisted(
        origin=candidate.origin,
        key=candidate.key,
        trial=candidate.trial,
        score=(candidate.sweep_values or {}).get(config.objective.metric),
        smoothed=candidate.smoothed,
        confirmed=confirmed.get(candidate.key),
    )


def _bootstrap(paths: TrialPaths) -> dict[str, list[float]]:
    scores = read_state(paths.scores, dict[str, Any], MENDED) or {}
    return {name: list(bounds) for name, bounds in scores.get("intervals", {}).items()}


def _differences(winner: dict[int, Outcome], rival: dict[int, Outcome]) -> dict[str, Interval]:
    """Pair the outcomes by training seed, metric by metric: the same seed draws the same batches for both."""
    sides = [_by_metric(outcomes) for outcomes in (winner, rival)]
    found = {name: paired(sides[0][name], sides[1][name]) for name in sorted(set(sides[0]) & set(sides[1]))}
    return {name: difference for name, difference in found.items() if difference is not None}


def _by_metric(outcomes: dict[int, Outcome]) -> dict[str, dict[int, float]]:
    """Sort the outcomes' values into metric -> place of the seed -> value."""
    table: dict[str, dict[int, float]] = {}
    for place, outcome in outcomes.items():
        for name, value in outcome.values.items():
            if name != SECONDS:
                table.setdefault(name, {})[place] = value
    return table


def _write_choice(paths: StudyPaths, winner: Candidate, published: Candidate, seeds: int) -> None:
    """Write down what `report` is about, before it is looked at. Every choice stays in the list; more seeds after a
    look are another one, as whoever adds them has seen the verdict."""
    rows = {"winner": winner, "published": published}
    write_down(
        paths.choice,
        {
            role: {"key": c.key, "hash": c.config.settings_hash, "origin": c.origin, "seeds": str(seeds)}
            for role, c in rows.items()
        },
    )

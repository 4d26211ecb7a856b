"""`summary.json`: everything that a study found, in numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.config.space import describe
from sweeps.data import clips_summary
from sweeps.final.reruns import FinalResult
from sweeps.final.seed_noise import NearBest
from sweeps.final.statistics import Noise
from sweeps.search.storage import run_of
from sweeps.search.warm_start import WarmStart
from sweeps.state.job import Outcome, read_job
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.record import StudyRecord
from sweeps.state.versions import versions
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.scoring.seal import looks, num_choices


def summarise(
    config: SweepConfig,
    record: StudyRecord,
    trials: list[dict[str, Any]],
    final: FinalResult | None,
    scorer: dict[str, Any],
    paths: StudyPaths,
    model: str | None,
    noise: Noise | None,
    near: NearBest | None,
    beside: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write `summary.json`; `beside` is what it says of a rival."""
    store = ClipStore.open(record.store)
    summary = {
        "dataset": config.dataset,
        "data_source": record.data_source,
        "trials": trials,
        "best": next(iter(ranked(trials, config)), None),
        "noise": None if noise is None else vars(noise),
        "near_best": None if near is None else near.to_dict(),
        "final": None if final is None else {**final.to_dict(), **_looks(paths)},
        "reruns": list(_reruns(paths, config.objective.metric)),
        "versions": versions(),
        "study_id": record.study_id,
        "preset": config.preset,
        "seed": config.seed,
        "objectives": [vars(objective) for objective in config.objectives],
        "store": {
            "path": record.store,
            "content_hash": record.store_hash,
            **clips_summary(store),
        },
        "scorer": scorer,
        "warm_start": [str(study) for study in WarmStart.read(paths).studies],
        "mlflow_run_id": run_of(paths),
        "model": model,
        "config": config.to_dict(),
        **(beside or {}),
    }
    write_atomically(paths.summary, json.dumps(summary, indent=1))
    return summary


def ranked(trials: list[dict[str, Any]], config: SweepConfig) -> list[dict[str, Any]]:
    """Return the complete trials with a score, best first."""
    complete = [trial for trial in trials if trial["state"] == "complete" and trial["score"] is not None]
    return config.objective.rank(complete, lambda trial: trial["score"])


def _looks(paths: StudyPaths) -> dict[str, int]:
    return {"looks": count_looks(paths), "choices": num_choices(paths.choice)}


def _reruns(paths: StudyPaths, metric: str) -> Iterator[dict[str, Any]]:
    """Describe each run of calibration, confirm and report; `score`: of the objective, None without an end."""
    for folder in map(TrialPaths, sorted(paths.root.glob("final/*"))):
        job, outcome = read_job(folder), Outcome.read(folder)
        if job is None:
            continue
        done = outcome is not None and outcome.state == "complete"
        yield {
            "name": job.name,
            "stage": job.stage,
            "config": describe(TrainConfig.from_dict(job.config)),
            "seed": job.config["seed"],
            "score": outcome.values.get(metric) if outcome is not None and done else None,
            "mlflow_run_id": run_of(folder),
        }


def count_looks(paths: StudyPaths) -> int:
    """Count the looks at the sealed group in the whole study, those again after an interruption among them."""
    return sum(looks(TrialPaths(folder).looks) for folder in paths.root.glob("*/*"))

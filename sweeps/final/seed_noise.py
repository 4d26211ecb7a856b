"""What the noise between training seeds leaves open: the trials that can't be told from the best, and the cheapest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.config.space import train_config
from sweeps.final.statistics import Noise, indistinguishable, margin, measured_noise
from sweeps.state.job import Outcome, read_job
from sweeps.state.paths import StudyPaths, TrialPaths
from tsvan.config import TrainConfig
from tsvan.cost import train_gflop


@dataclass(frozen=True)
class NearBest:
    """The complete trials that can't be told from the best.

    Args:
        noise: between seeds.
        margin: how far below the best a score may lie; in units of the objective.
        trials: their numbers, best first.
        complete: complete trials in all.
        cheapest: the one of `trials` with the least work; of equal ones the better.
        gflop: trial -> work of its training, GFLOP.
    """

    noise: Noise
    margin: float
    trials: list[int]
    complete: int
    cheapest: int
    gflop: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        return asdict(self)


def near_best(
    config: SweepConfig, noise: Noise | None, scores: Mapping[int, float], params: Mapping[int, dict[str, Any]]
) -> NearBest | None:
    """Find which trials stay in question; None: the noise is not known, or no trial is complete.

    Args:
        scores: of the complete trials, by number.
        params: of the same.
    """
    if noise is None or not scores:
        return None
    found = indistinguishable(scores, noise, config.objective)
    gflop = {number: train_gflop(train_config(config, params[number], 0)) for number in found}
    cheapest = min(found, key=lambda number: (gflop[number], found.index(number)))
    return NearBest(noise, margin(len(scores), noise), found, len(scores), cheapest, gflop)


def seed_scores(paths: StudyPaths, metric: str, num_clips: int) -> dict[tuple[str, str], list[float]]:
    """Read each completed rerun's metric, of `num_clips` clips, from its folder: (stage, config's hash) -> values."""
    groups: dict[tuple[str, str], list[float]] = {}
    for folder in map(TrialPaths, sorted(paths.root.glob("final/*"))):
        job, outcome = read_job(folder), Outcome.read(folder)
        if job is None or outcome is None or outcome.state != "complete" or job.num_clips != num_clips:
            continue
        if metric in outcome.values:
            key = TrainConfig.from_dict(job.config).settings_hash
            groups.setdefault((job.stage, key), []).append(outcome.values[metric])
    return groups


def study_noise(paths: StudyPaths, metric: str, num_clips: int) -> Noise | None:
    """Return the noise that a study measured in scores of `num_clips` clips; None: no config has two seeds."""
    return measured_noise(seed_scores(paths, metric, num_clips))

"""What the confirm stage is worth: simulated studies whose true scores are known.

`python -m benchmarks.confirming [--studies 20]` prints the true regret of the config that is chosen, in standard
deviations of the landscape, by way of choosing. The sampler, its copy of the study and the ranking of candidates are
those of a study; the landscapes over the sweep's own space are invented.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params
from sweeps.final.smoothing import coordinates, ranked, smoothed
from sweeps.report.plotted import quiet_optuna
from sweeps.search.study_copy import STATE, StudyCopySampler

FAMILIES = ("additive", "bowl", "cliff", "one setting")
NOISES = (0.3, 0.6, 1.0)
"""Standard deviations between seeds, in those of the landscape."""
SEEDS = 3
AT_A_TIME = 3
_DRAWN = 4000
"""Random configs from which a landscape's spread and its best are taken."""
_SHARE_OF_CLIFF = 0.12

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """True scores over the space; more is better.

    Args:
        value: point -> score, in standard deviations over the space.
        diverges: point -> whether training diverges there.
        best: the best score that there is.
    """

    value: Callable[[Point], float]
    diverges: Callable[[Point], bool]
    best: float


def landscape(family: str, config: SweepConfig, seed: int) -> Landscape:
    """Draw a landscape of a family over a study's space."""
    draws = np.random.default_rng([seed, FAMILIES.index(family)])
    drawn = random_points(config, draws)
    count = drawn.shape[1]
    peaks, weights = draws.random(count), draws.dirichlet(np.ones(count))
    slope = draws.normal(size=count)

    def raw(points: Point) -> Point:
        parts = -((points - peaks) ** 2)
        if family == "additive":
            return np.asarray((parts * weights).sum(-1) + 0.3 * (weights * np.sin(6 * points + 7 * peaks)).sum(-1))
        if family == "bowl":
            return np.asarray(-np.sqrt(1e-3 - parts.sum(-1)))
        if family == "one setting":
            return np.asarray(parts[..., int(weights.argmax())])
        return np.asarray(points @ slope)

    found = raw(drawn)
    edge = np.quantile(found, 1 - _SHARE_OF_CLIFF) if family == "cliff" else np.inf
    sound = found[found <= edge]
    centre, scale = sound.mean(), sound.std()
    return Landscape(
        lambda point: float((raw(point) - centre) / scale),
        lambda point: bool(raw(point) > edge),
        float((sound.max() - centre) / scale),
    )


def simulate(config: SweepConfig, family: str, noise: float, seed: int) -> dict[str, float]:
    """Run one study and choose by each way.

    Returns:
        Way -> true regret; `diverged` -> trials that diverged.
    """
    truth, draws = landscape(family, config, seed), np.random.default_rng([seed, 1, int(noise * 10)])
    study = optuna.create_study(direction=config.objective.direction)
    space = distributions(config)
    study.enqueue_trial(published_params(config)[0])
    running: list[optuna.Trial] = []
    while len(study.get_trials(deepcopy=False)) < config.trials or running:
        if len(running) < AT_A_TIME and _begun(study) < config.trials:
            study.sampler = sampler = StudyCopySampler(config)
            trial = study.ask(space)
            if sampler.state is not None:
                trial.set_user_attr(STATE, sampler.state)
            running.append(trial)
            continue
        _end(study, running.pop(0), config, truth, noise, draws)
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    scores = {trial.number: trial.value or 0.0 for trial in complete}
    params = {trial.number: trial.params for trial in complete}
    true = {number: truth.value(coordinates(found, config.space)) for number, found in params.items()}
    fresh = {number: true[number] + noise * draws.normal(size=SEEDS).mean() for number in sorted(true)}
    by_score = config.objective.rank(sorted(scores), lambda number: scores[number])
    process = smoothed(params, scores, config.space)
    by_mean = by_score if process is None else ranked(process, config.objective)
    row = complete_row(params, config)

    def confirmed(order: Sequence[int], count: int) -> float:
        return truth.best - true[max({*order[:count], *row}, key=lambda number: fresh[number])]

    return {
        "best single score": truth.best - true[by_score[0]],
        "best mean of the process": truth.best - true[by_mean[0]],
        "top 2 by score, confirmed": confirmed(by_score, 2),
        "top 4 by score, confirmed": confirmed(by_score, 4),
        "top 4 by mean, confirmed": confirmed(by_mean, 4),
        "top 8 by mean, confirmed": confirmed(by_mean, 8),
        "diverged": float(sum(trial.state == TrialState.FAIL for trial in study.trials)),
    }


def complete_row(params: dict[int, dict[str, Any]], config: SweepConfig) -> list[int]:
    """Return the number of the published row, if it completed."""
    row = published_params(config)[0]
    return [number for number, found in params.items() if found == row][:1]


def regrets(studies: int, families: Sequence[str] = FAMILIES, noises: Sequence[float] = NOISES) -> dict[str, Point]:
    """Simulate studies of every family and noise: way of choosing -> regret of each, (families, noises, studies)."""
    config = load("weizmann", "paper", ["objective=inception_score"])[0]
    with quiet_optuna():
        found = [
            [[simulate(config, family, noise, seed) for seed in range(studies)] for noise in noises]
            for family in families
        ]
    return {way: np.array([[[one[way] for one in row] for row in rows] for rows in found]) for way in found[0][0][0]}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What the confirm stage is worth, in simulated studies.")
    parser.add_argument("--studies", type=int, default=20, metavar="N", help="of each family and noise (default: 20)")
    found = regrets(parser.parse_args().studies)
    print("| chosen by | true regret | at noise " + ", ".join(f"{noise:g}" for noise in NOISES) + " |")
    print("| --- | --- | --- |")
    for way, table in found.items():
        if way != "diverged":
            each = ", ".join(f"{value:.2f}" for value in table.mean(axis=(0, 2)))
            print(f"| {way} | {table.mean():.2f} +- {table.std() / np.sqrt(table.size):.2f} | {each} |")
    print(f"\ndiverged in the family cliff: {found['diverged'][FAMILIES.index('cliff')].mean():.1f} of 32 trials")


def _end(
    study: optuna.Study,
    trial: optuna.Trial,
    config: SweepConfig,
    truth: Landscape,
    noise: float,
    draws: np.random.Generator,
) -> None:
    point = coordinates(trial.params, config.space)
    if truth.diverges(point):
        trial.set_user_attr("state", "diverged")
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, truth.value(point) + noise * draws.normal())


def _begun(study: optuna.Study) -> int:
    return sum(trial.state != TrialState.WAITING for trial in study.get_trials(deepcopy=False))


def random_points(config: SweepConfig, draws: np.random.Generator) -> Point:
    """Draw (N, D) points of the space."""
    columns = []
    for prior in config.space.values():
        if prior.values is not None:
            columns.append(draws.integers(len(prior.values), size=_DRAWN) / max(len(prior.values) - 1, 1))
        else:
            columns.append(draws.random(_DRAWN))
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()

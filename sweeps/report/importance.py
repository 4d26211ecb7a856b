"""How much each setting matters for the score: functional ANOVA over the complete trials, with its uncertainty.

A random forest predicts the score from the settings, and a setting's importance is the share of the forest's variance
that it explains alone (Hutter et al. 2014, as in Optuna). A setting that was never used, drawn at random, is added:
what is not clearly above it may be noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import plotly.graph_objects as go
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from sweeps.config.space import distributions
from sweeps.report.plots import BLUE, GREY, note, styled
from sweeps.report.plotted import PlottedStudy, PlottedTrial, inside, quiet_optuna

NOISE = "(random numbers)"
MIN_TRIALS = 10
MOST_DRAWN = 128
"""Trials that one forest is grown on: its work grows with more than their square."""


@dataclass(frozen=True)
class Importance:
    """The importance of one setting: mean over the forests, and the ends of the middle 90% of them."""

    setting: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Importances:
    """What was found, most important first (empty: too few trials), and one line for people."""

    settings: tuple[Importance, ...]
    note: str


def importances(study: PlottedStudy, repeats: int = 20, seed: int = 0, minimum: int = MIN_TRIALS) -> Importances:
    """Measure importances with their uncertainty.

    Each repeat grows a forest with its own seed on trials drawn with replacement, so the interval holds both the
    forest's and the trials' accidents; it is for orientation, not a test. Of many trials only `MOST_DRAWN` are drawn at
    a time, which makes the interval wider than it has to be, never narrower.

    Args:
        repeats: number of forests.
        seed: of all draws.
        minimum: number of complete trials below which there are no numbers, whatever they would be.
    """
    trials, names = study.complete, list(study.config.space)
    varied = [name for name in names if len({trial.params[name] for trial in trials}) > 1]
    needed = max(minimum, 2 * len(names))
    if len(trials) < needed:
        text = f"they need at least {needed} complete trials, and this study has {len(trials)} of {len(study.trials)}"
        return Importances((), f"No importances: {text}. With fewer, they would be the picture of an accident.")
    if not varied or len({trial.score for trial in trials}) < 2:
        return Importances((), "No importances: all complete trials have the same score or the same settings.")
    draws = np.random.default_rng(seed)
    with quiet_optuna():
        forests = [_forest(study, trials, varied, draws) for _ in range(repeats)]
    found = []
    for name in [*varied, NOISE]:
        values = [forest[name] for forest in forests]
        low, high = np.quantile(values, (0.05, 0.95))
        found.append(Importance(name, float(np.mean(values)), float(low), float(high)))
    found.sort(key=lambda one: -one.mean)
    noise = next(one.high for one in found if one.setting == NOISE)
    clear = ", ".join(one.setting for one in found if one.setting != NOISE and one.low > noise) or "none"
    drawn = f", {MOST_DRAWN} drawn for each forest" if len(trials) > MOST_DRAWN else ""
    source = f"From {len(trials)} complete trials{drawn}; bars span 90% of {repeats} forests."
    return Importances(tuple(found), f"Clearly above random numbers: {clear}. {source}")


def plot_importances(found: Importances) -> go.Figure:
    """Plot bars with their uncertainty, random numbers in grey; without numbers the note alone."""
    if not found.settings:
        return note(found.note)
    rows = found.settings[::-1]
    figure = go.Figure(
        go.Bar(
            x=[row.mean for row in rows],
            y=[row.setting for row in rows],
            orientation="h",
            marker={"color": [GREY if row.setting == NOISE else BLUE for row in rows]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(row.high - row.mean, 0) for row in rows],
                "arrayminus": [max(row.mean - row.low, 0) for row in rows],
            },
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    )
    figure.update_xaxes(title="share of the score's variance that the setting explains alone", rangemode="tozero")
    return styled(figure, height=46 * len(rows) + 110)


def most_important(study: PlottedStudy, found: Importances) -> list[str]:
    """Name the two most important settings; without importances the first two that varied."""
    ranked = [one.setting for one in found.settings if one.setting != NOISE]
    varied = [name for name in study.config.space if len({trial.params[name] for trial in study.complete}) > 1]
    return list(dict.fromkeys([*ranked, *varied, *study.config.space]))[:2]


def _forest(
    study: PlottedStudy, trials: Sequence[PlottedTrial], varied: list[str], draws: np.random.Generator
) -> dict[str, float]:
    """Grow one forest on trials drawn with replacement; one value per setting, `NOISE` among them."""
    drawn = [trials[place] for place in draws.integers(len(trials), size=min(len(trials), MOST_DRAWN))]
    space = {name: prior for name, prior in distributions(study.config).items() if name in varied}
    space[NOISE] = FloatDistribution(0.0, 1.0)
    if len({trial.score for trial in drawn}) < 2:
        return dict.fromkeys(space, 0.0)
    twin = optuna.create_study(direction=study.config.objective.direction)
    for trial in drawn:
        params = {name: inside(space[name], trial.params[name]) for name in varied}
        params[NOISE] = float(draws.random())
        twin.add_trial(create_trial(params=params, distributions=space, value=trial.score))
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=int(draws.integers(2**31)))
    values = optuna.importance.get_param_importances(twin, evaluator=evaluator)
    return {name: float(values.get(name, 0.0)) for name in space}  # Optuna drops a setting with one value in this draw

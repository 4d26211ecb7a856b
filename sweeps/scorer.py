"""Stage 2: the classifier that scores a study, and whether it can."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.objective import Choice, choose
from sweeps.state.paths import StudyPaths
from sweeps.state.scorer_result import ScorerResult
from tsvan.data.store import ClipStore
from tsvan.files import Progress, write_atomically
from tsvan.scoring.classifier import Scorer, check_floor
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.metrics import METRICS, Metric
from tsvan.scoring.own_metrics import own_metrics
from tsvan.scoring.sensitivity import Sensitivity
from tsvan.scoring.training import scorer_path, train_or_load
from tsvan.trainer import pick_device
from tsvan.validation import UserError


@dataclass(frozen=True)
class Terms:
    """The terms on which a scorer is accepted.

    Args:
        command: the command line that was given, for messages that end with one to paste.
        allow_weak: whether a metric that does not see motion may steer the study all the same.
        begun: the study has begun with its objective before.
    """

    command: str
    allow_weak: bool = False
    begun: bool = False


def scorer_stage(
    config: SweepConfig, store: ClipStore, paths: StudyPaths, terms: Terms, progress: Progress | None = None
) -> ScorerResult:
    """Train the scorer or find the one of this clip store, check it, and choose what the study is judged by.

    Nothing is written into the study.

    Raises:
        UserError: the scorer is below the accuracy floor, or the objective can't tell real clips from broken ones; the
            floor `twice_chance` (presets smoke and dev) makes both warnings, the terms may allow the latter. Or these
            clips have no such metric.
    """
    folder = _folder(store, paths)
    trained = not scorer_path(store, config.scorer, folder).exists()
    device = pick_device("auto")
    scorer = train_or_load(store, config.scorer, folder, device, progress)
    evaluator = Evaluator(scorer, store, device, cache_dir=folder, i3d=_i3d(config), metrics=_metrics(config))
    sensitivity = evaluator.sensitivity()
    choices, warnings = judge(config, scorer, sensitivity, terms)
    marked = {group: config.num_clips(group, store.num_classes) for group in ("validation", "report")}
    return ScorerResult(
        folder=str(folder),
        config=asdict(config.scorer),
        hash=scorer.hash,
        accuracies=scorer.accuracies,
        last_accuracies=scorer.last_accuracies,
        chances=scorer.chances,
        sensitivity=sensitivity.to_dict(),
        growth=evaluator.growth(sorted(set(marked.values()))).to_dict(),
        marked=marked,
        objectives=[asdict(choice.objective) for choice in choices],
        objective_why="; ".join(choice.why for choice in choices),
        directions=dict(config.directions),
        objective_refused="; ".join(choice.weak for choice in choices if choice.weak),
        warnings=warnings,
        trained=trained,
    )


def choices_without_training(
    config: SweepConfig, store: ClipStore, paths: StudyPaths, terms: Terms
) -> list[Choice] | None:
    """Say what a study would be judged by, if its scorer is there already; nothing is written.

    Returns:
        None when the scorer is not there.

    Raises:
        UserError: as the scorer's stage.
    """
    folder = _folder(store, paths)
    if not scorer_path(store, config.scorer, folder).exists():
        return None
    scorer = train_or_load(store, config.scorer, folder)
    how: dict[str, Any] = {"i3d": _i3d(config), "metrics": _metrics(config)}
    evaluator = Evaluator(scorer, store, cache_dir=folder, **how)
    if not evaluator.knows_sensitivity:
        evaluator = Evaluator(scorer, store, **how)
    return judge(config, scorer, evaluator.sensitivity(), terms)[0]


def judge(
    config: SweepConfig, scorer: Scorer, sensitivity: Sensitivity, terms: Terms
) -> tuple[list[Choice], list[str]]:
    """Choose what a study is judged by.

    Returns:
        A choice for each objective, and warnings.

    Raises:
        UserError: see `scorer_stage`; its last words are a command.
    """
    asked = config.scoring.accuracy_floor
    lenient = asked == "twice_chance"
    low = check_floor(scorer, None if isinstance(asked, str) else asked)
    if low and not lenient:
        least = min(scorer.accuracies[head.name] for head in scorer.scheme.heads if not head.of_time)
        raise UserError(f"{low}: {terms.command} --set scoring.accuracy_floor={math.floor(least * 100) / 100:g}")
    choices = []
    for key, objective in zip(("objective", "second_objective"), config.objectives, strict=False):
        choice = choose(objective, config.rules.objectives, sensitivity)
        if choice is None:
            reason = sensitivity.refuses(objective.metric)
            raise UserError(f"{reason}; choose another: {_way_on(key, config, sensitivity, terms, must_change=True)}")
        if choice.weak and not (lenient or terms.allow_weak or terms.begun):
            whose = f"no metric of {config.dataset} can steer a study: " if objective.auto else ""
            raise UserError(f"{whose}{choice.weak}; go on with: {_way_on(key, config, sensitivity, terms)}")
        choices.append(choice)
    return choices, [text for text in (low, *(choice.weak for choice in choices)) if text]


def _way_on(key: str, config: SweepConfig, sensitivity: Sensitivity, terms: Terms, must_change: bool = False) -> str:
    """Return a command that goes on: with a metric that passes, or else in spite of what was found."""
    taken = [objective.metric for objective in config.objectives]
    known = [*config.rules.objectives, *sensitivity.rows["real"]]
    measured = [name for name in known if name in sensitivity.rows["real"] and name not in taken]
    passing = [name for name in measured if sensitivity.refuses(name) is None]
    if passing:
        return f"{terms.command} --set {key}={passing[0]}"
    change = f" --set {key}={max(measured, key=sensitivity.evidence)}" if must_change else ""
    return f"{terms.command}{change} --allow-weak-objective"


def write_scorer_result(paths: StudyPaths, result: ScorerResult) -> None:
    """Write what the stage found."""
    write_atomically(paths.scorer_result, json.dumps(asdict(result), indent=1))


def _folder(store: ClipStore, paths: StudyPaths) -> Path:
    return store.path / "scorers" if os.access(store.path, os.W_OK) else paths.scorer


def _metrics(config: SweepConfig) -> dict[str, Metric]:
    """Return all metrics that a study measures, those that ship and the user's own."""
    return {**METRICS, **own_metrics(config.metrics)}


def _i3d(config: SweepConfig) -> Path | None:
    return Path(config.scoring.i3d) if config.scoring.i3d else None


def check_same_scorer(paths: StudyPaths, now: str) -> None:
    """Refuse to go on with another scorer than the one that scored the study's trials.

    Args:
        paths: of the study.
        now: hash of the scorer that was found or trained.

    Raises:
        UserError: they differ.
    """
    if not paths.scorer_result.exists():
        return
    old = json.loads(paths.scorer_result.read_text())
    if old["hash"] != now:
        raise UserError(
            f"the trials in {paths.root} were scored by scorer {old['hash'][:12]} of {old['folder']}, now it is "
            f"{now[:12]}: the scores would not be comparable; restore that folder, or choose another --out"
        )

"""Stage 2: the classifier that scores a study, and whether it can."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths
from tsvan.data.store import ClipStore
from tsvan.files import Progress, write_atomically
from tsvan.scoring.classifier import check_floor
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.groups import group_size
from tsvan.scoring.training import scorer_path, train_or_load
from tsvan.trainer import pick_device
from tsvan.validation import UserError


@dataclass(frozen=True)
class ScorerResult:
    """What the stage leaves in `stages/scorer.json`.

    Args:
        folder: that holds the scorer and the real reference.
        config: its training's settings.
        hash: SHA-256 over weights and settings; logged with every score.
        accuracies: held out, by head, at the iteration that was kept.
        last_accuracies: at the end of its training.
        sensitivity: scores of real, static, shuffled and noise clips, and which metrics fail.
        objective_refused: why the objective fails, where that is a warning only; else empty.
        warnings: for the terminal.
        trained: in this process, not found.
        chances: accuracy of a blind guess, by head.
        growth: metrics of real clips at several N.
        marked: N of the sample groups, among those of `growth`.
    """

    folder: str
    config: dict[str, Any]
    hash: str
    accuracies: dict[str, float]
    last_accuracies: dict[str, float]
    sensitivity: dict[str, Any]
    objective_refused: str
    warnings: list[str]
    trained: bool
    chances: dict[str, float] = field(default_factory=dict)
    growth: dict[str, Any] = field(default_factory=dict)
    marked: dict[str, int] = field(default_factory=dict)


def scorer_stage(
    config: SweepConfig, store: ClipStore, paths: StudyPaths, progress: Progress | None = None
) -> ScorerResult:
    """Train the scorer or find the one of this clip store, and check it.

    Raises:
        UserError: it is below the accuracy floor, or the objective can't tell real clips from broken ones. With the
            floor `twice_chance` (presets smoke and dev) both are warnings. Or these clips have no such metric.
    """
    settings = config.scorer
    folder = store.path / "scorers" if os.access(store.path, os.W_OK) else paths.scorer
    trained = not scorer_path(store, settings, folder).exists()
    device = pick_device("auto")
    scorer = train_or_load(store, settings, folder, device, progress)
    lenient = config.scoring.accuracy_floor == "twice_chance"
    floor = None if isinstance(config.scoring.accuracy_floor, str) else config.scoring.accuracy_floor
    i3d = Path(config.scoring.i3d) if config.scoring.i3d else None
    evaluator = Evaluator(scorer, store, device, cache_dir=folder, i3d=i3d)
    sensitivity = evaluator.sensitivity()
    problems = [check_floor(scorer, floor)]
    refused = [sensitivity.refuses(objective.metric) for objective in config.objectives]
    found = [problem for problem in (*problems, *refused) if problem]
    missing = [
        reason
        for objective, reason in zip(config.objectives, refused, strict=True)
        if reason and objective.metric not in sensitivity.rows["real"]
    ]
    if missing or (found and not lenient):
        reason = (missing or found)[0]
        way_on = (
            "train the scorer longer with --set scoring.classifier.iterations=N"
            if reason == problems[0]
            else "choose another objective, such as --set 'objective={metric: kernel_distance, direction: minimize}'"
        )
        raise UserError(f"{reason}; {way_on}")
    marked = {
        "validation": config.scoring.validation_clips or group_size("validation", store.num_classes),
        "report": config.scoring.report_clips or group_size("report", store.num_classes),
    }
    result = ScorerResult(
        folder=str(folder),
        config=asdict(settings),
        hash=scorer.hash,
        accuracies=scorer.accuracies,
        last_accuracies=scorer.last_accuracies,
        chances=scorer.chances,
        sensitivity=sensitivity.to_dict(),
        growth=evaluator.growth(sorted(set(marked.values()))).to_dict(),
        marked=marked,
        objective_refused="; ".join(reason for reason in refused if reason),
        warnings=found,
        trained=trained,
    )
    write_atomically(paths.scorer_result, json.dumps(asdict(result), indent=1))
    return result


def check_same_scorer(paths: StudyPaths, before: str, now: str) -> None:
    """Refuse to go on with another scorer than the one that scored the study's trials.

    Args:
        before: text of `stages/scorer.json` as it was; it is put back.
        now: hash of the scorer that was found or trained.

    Raises:
        UserError: they differ.
    """
    old = json.loads(before)
    if old["hash"] != now:
        write_atomically(paths.scorer_result, before)
        raise UserError(
            f"the trials in {paths.root} were scored by scorer {old['hash'][:12]} of {old['folder']}, now it is "
            f"{now[:12]}: the scores would not be comparable; restore that folder, or choose another --out"
        )

"""The final numbers of another study, most often of another model, that a study is set beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.config.same_study import recorded_config
from sweeps.config.schema import Objective, SweepConfig
from sweeps.final.reruns import FinalResult, Reported
from sweeps.final.statistics import Interval, two_sample
from sweeps.state.paths import StudyPaths
from sweeps.state.record import read_record
from tsvan.state_file import read_state
from tsvan.validation import UserError


@dataclass(frozen=True)
class Rival:
    """The final numbers of another study.

    Args:
        folder: of that study.
        title: of its model.
        winner: its final numbers.
        num_clips: N of its report group.
        scorer_hash: of what scored it.
        store_hash: of the clips that it was trained on.
        objective: what it was tuned for.
    """

    folder: Path
    title: str
    winner: Reported
    num_clips: int
    scorer_hash: str
    store_hash: str
    objective: Objective = field(default_factory=Objective)


def read_rival(folder: Path, config: SweepConfig) -> Rival:
    """Read another study's result, as far as a comparison can be told to be fair before anything is started.

    Args:
        folder: of the other study.
        config: of the study that it is to be set beside.

    Raises:
        UserError: there is no finished study, or it is of another dataset, or judged by another objective than the one
            that is asked for.
    """
    paths = StudyPaths(folder.resolve())
    record = read_record(paths) if folder.is_dir() else None
    if record is None:
        raise UserError(f"--rival {folder}: no study there; give the folder of a study, as runs/mug-mocogan")
    theirs = recorded_config(record, paths)
    if theirs.dataset != config.dataset:
        raise UserError(
            f"--rival {folder} is a study of '{theirs.dataset}', not of '{config.dataset}'; give one of that dataset"
        )
    if not config.objective.auto and theirs.objective != config.objective:
        raise UserError(
            f"--rival {folder} was tuned for {theirs.objective.metric}, not for {config.objective.metric}; give one "
            f"with --set objective.metric={config.objective.metric}"
        )
    if not paths.final_result.is_file() or not paths.scorer_result.is_file():
        named = f"--model {theirs.model} --dataset {theirs.dataset} --preset {theirs.preset}"
        command = f"python tune_runner.py {named} --out {folder} --resume"
        raise UserError(f"--rival {folder} has no final numbers yet; finish it first: {command}")
    final = read_state(paths.final_result, FinalResult, _LOST)
    scorer = read_state(paths.scorer_result, dict[str, Any], _LOST)
    if final is None or scorer is None or not final.winner.scores:
        raise UserError(f"--rival {folder} has no final run that completed; give another study")
    title = theirs.published.title
    return Rival(folder, title, final.winner, final.num_clips, str(scorer["hash"]), record.store_hash, theirs.objective)


_LOST = "run that study's command again, which makes it anew"


def check_fair(rival: Rival, store_hash: str, scorer_hash: str, num_clips: int) -> None:
    """Refuse numbers that do not compare.

    Args:
        rival: the other study.
        store_hash: of the clips of this one.
        scorer_hash: of its scorer.
        num_clips: N of its report group.

    Raises:
        UserError: the other study has another clip store, scorer or N.
    """
    pairs = (
        ("clip store", rival.store_hash[:12], store_hash[:12], "give both one store with --data-root"),
        ("scorer", rival.scorer_hash[:12], scorer_hash[:12], "keep scoring.classifier and the store the same for both"),
        ("N", f"{rival.num_clips:,}", f"{num_clips:,}", f"set scoring.report_clips={rival.num_clips} here"),
    )
    for what, theirs, ours, way_on in pairs:
        if theirs != ours:
            raise UserError(f"--rival {rival.folder} was scored with another {what} ({theirs}, here {ours}); {way_on}")


def against(winner: Reported, rival: Reported) -> dict[str, Interval]:
    """Compare two winners: metric -> two-sample t interval of winner - rival over their training seeds.

    Seeds pair nothing here: the two models draw differently from them.
    """
    ours, theirs = _values(winner), _values(rival)
    return {name: two_sample(ours[name], theirs[name]) for name in sorted(set(ours) & set(theirs))}


def rival_verdict(objective: Objective, difference: Interval | None, title: str) -> str:
    """Say in a line which model is better, if the whole interval is on one side."""
    if difference is None:
        return f"no verdict against {title}: not both have a final score"
    if difference.low is None or difference.high is None:
        return f"no evidence against {title}: {difference.mean:+.3g} from too few seeds for an interval"
    shown = f"{difference.mean:+.3g} [{difference.low:.3g}, {difference.high:.3g}]"
    bounds = (difference.low, difference.high)
    if all(objective.better(bound, 0.0) for bound in bounds):
        return f"better than {title}: {shown}"
    if all(objective.better(0.0, bound) for bound in bounds):
        return f"worse than {title}: {shown}"
    return f"no evidence of a difference to {title}: {shown}"


def _values(row: Reported) -> Mapping[str, list[float]]:
    return {name: score.values for name, score in row.scores.items() if score.values}

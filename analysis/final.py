"""The final stage of a study, as its `summary.json` in MLflow tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from analysis.reading import Study, artifact
from sweeps.final.reruns import FinalResult, Reported
from sweeps.final.statistics import Interval
from sweeps.report.summary import count_looks
from sweeps.scorer import ScorerResult
from sweeps.state.paths import StudyPaths
from tsvan.scoring.seal import num_choices
from tsvan.validation import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Final:
    """What a study's end proves.

    Args:
        result: winner, rival, differences and verdict.
        scorer: what the numbers were measured with.
        clips: where the clips come from: `real` or `synthetic`.
        looks: how often the sealed `report` group was looked at in the whole study; None: nobody knows, as the
            summary is of an earlier version and the study's folder is away.
        choices: for how many choices of a winner; None as above.
    """

    result: FinalResult
    scorer: ScorerResult
    clips: str
    looks: int | None
    choices: int | None


def read_final(study: Study) -> Final:
    """The final stage of a study that was read.

    Raises:
        UserError: it has no summary yet, or no final stage in it.
    """
    with TemporaryDirectory() as folder:
        summary = json.loads(artifact(study, study.run_id, "summary.json", Path(folder)).read_text())
    if summary["final"] is None:
        raise UserError(f"study {study.name} has no final result: no trial came through; see its report.md")
    return final_of(summary)


def final_of(summary: Mapping[str, Any]) -> Final:
    """From the values of a `summary.json`; keys that this version does not know are passed over."""
    values = summary["final"]
    rows = {role: _reported(values[role]) for role in ("winner", "published")}
    differences = {name: Interval(**interval) for name, interval in values["differences"].items()}
    result = _known(FinalResult, {**values, **rows, "differences": differences})
    return Final(result, _known(ScorerResult, summary["scorer"]), summary["data_source"], *_counted(values))


def paired_seeds(final: Final, metric: str) -> dict[int, tuple[float, float]]:
    """Training seed -> (winner's value, published row's value), of the seeds that both completed."""
    winner, rival = (row.by_seed(metric) for row in (final.result.winner, final.result.published))
    return {seed: (value, rival[seed]) for seed, value in winner.items() if seed in rival}


def origin(row: Reported) -> str:
    """Where a config is from, short enough for a label: of a file the end of its path."""
    return "/".join(Path(row.origin).parts[-2:])


def seeds_text(final: Final) -> str:
    """What the numbers of the report are of, in a line."""
    rows = [final.result.winner] if final.result.same else [final.result.winner, final.result.published]
    parts = [f"{row.origin}: {len(row.seeds) - len(row.failed)} of {len(row.seeds)} seeds completed" for row in rows]
    source = "" if final.clips == "real" else " **Drawn stand-in clips: the numbers say nothing about the dataset.**"
    return f"N = {final.result.num_clips:,} clips a run; {'; '.join(parts)}.{source}"


def looks_text(final: Final) -> str:
    """How often the sealed group was opened, and what that means."""
    if final.looks is None:
        return (
            "How often the sealed `report` group was looked at is not in this study's summary, and its folder is not "
            "on this machine."
        )
    rows = [final.result.winner] if final.result.same else [final.result.winner, final.result.published]
    runs = len({folder for row in rows for folder in row.folders})
    text = f"The sealed `report` group was looked at {_times(final.looks)}; {runs} runs of this choice need one each."
    if final.choices is None:
        return text
    text += f" It was opened for {final.choices} choice{'' if final.choices == 1 else 's'} of a winner"
    return text + (
        ": the later ones may have been made with its scores known, and their numbers flatter them."
        if final.choices > 1
        else "."
    )


def _counted(values: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """(looks, choices): as the summary has them, else by the study's folder, if it is on this machine."""
    looks, choices = values.get("looks"), values.get("choices")
    folders = [Path(name) for role in ("winner", "published") for name in values[role]["folders"]]
    if isinstance(looks, int) or not folders or not folders[0].is_dir():
        return looks if isinstance(looks, int) else None, choices if isinstance(choices, int) else None
    paths = StudyPaths(folders[0].parents[1])
    return count_looks(paths), num_choices(paths.choice)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _reported(values: Mapping[str, Any]) -> Reported:
    scores = {name: Interval(**interval) for name, interval in values["scores"].items()}
    failed = {int(seed): reason for seed, reason in values["failed"].items()}  # JSON's keys are text
    return _known(Reported, {**values, "scores": scores, "failed": failed})


def _known(cls: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if name in names})

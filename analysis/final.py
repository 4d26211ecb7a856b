"""The final stage of a study, as its `summary.json` in MLflow tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from analysis.reading import Study, artifact
from sweeps.final import FinalResult, Reported
from sweeps.paths import TrialPaths
from sweeps.scorer import ScorerResult
from sweeps.statistics import Interval
from tsvan.scoring.seal import choices_of, looks, num_choices
from tsvan.strict import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Final:
    """What a study's end proves.

    Args:
        result: winner, rival, differences and verdict.
        scorer: what the numbers were measured with.
        clips: where the clips come from: `real` or `synthetic`.
        looks: how often the sealed `report` group was looked at: of each run by its name, or in all by `total`; None:
            the summary does not say, as that of an earlier version.
    """

    result: FinalResult
    scorer: ScorerResult
    clips: str
    looks: dict[str, int] | None


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
    return Final(result, _known(ScorerResult, summary["scorer"]), summary["data_source"], _looks(values.get("looks")))


def paired_seeds(final: Final, metric: str) -> dict[int, tuple[float, float]]:
    """Training seed -> (winner's value, published row's value), of the seeds that both completed."""
    winner, rival = (seed_values(row, metric) for row in (final.result.winner, final.result.published))
    return {seed: (value, rival[seed]) for seed, value in winner.items() if seed in rival}


def seed_values(row: Reported, metric: str) -> dict[int, float]:
    """Training seed -> value. A run that did not complete has none."""
    completed = [seed for seed in row.seeds if seed not in row.failed]
    values = row.scores[metric].values if metric in row.scores else []
    return dict(zip(completed, values, strict=False))


def looks_text(final: Final) -> str:
    """How often the sealed group was opened: by the summary, else by the study's folder if it is on this machine."""
    counted, choices = final.looks, None
    if counted is None:
        counted, choices = _local_looks(final.result)
    if counted is None:
        return "How often the sealed `report` group was looked at is not in this summary, and the study is not here."
    total = sum(counted.values())
    text = f"The sealed `report` group was looked at {total} time{'' if total == 1 else 's'} in all"
    again = [f"{name} {count} times" for name, count in counted.items() if count > 1 and name != "total"]
    text += f", once a run{' but ' + ', '.join(again) if again else ''}." if "total" not in counted else "."
    if choices is not None:
        text += f" It was opened for {choices} choice{'' if choices == 1 else 's'} of a winner" + (
            "; from the second on the choice may have been made with its scores known." if choices > 1 else "."
        )
    return text


def _local_looks(result: FinalResult) -> tuple[dict[str, int] | None, int | None]:
    folders = dict.fromkeys(Path(folder) for row in (result.winner, result.published) for folder in row.folders)
    here = [folder for folder in folders if folder.is_dir()]
    if not here:
        return None, None
    choices = choices_of(here[0])
    counted = {folder.name: looks(TrialPaths(folder).looks) for folder in here}
    return counted, None if choices is None else num_choices(choices)


def _looks(value: Any) -> dict[str, int] | None:
    """A number in all, or one for each run."""
    if isinstance(value, Mapping):
        return {str(name): int(count) for name, count in value.items() if isinstance(count, int)}
    if isinstance(value, list):
        return {"total": len(value)}
    return {"total": value} if isinstance(value, int) else None


def _reported(values: Mapping[str, Any]) -> Reported:
    scores = {name: Interval(**interval) for name, interval in values["scores"].items()}
    failed = {int(seed): reason for seed, reason in values["failed"].items()}  # JSON's keys are text
    return _known(Reported, {**values, "scores": scores, "failed": failed})


def _known(cls: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if name in names})

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
from tsvan.validation import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Final:
    """What a study's end proves: its `summary.json`, and of that the final stage."""

    summary: dict[str, Any]
    result: FinalResult


def read_final(study: Study) -> Final:
    """Read the final stage of a study that was read.

    Raises:
        UserError: it has no summary yet, or no final stage in it.
    """
    with TemporaryDirectory() as folder:
        summary = json.loads(artifact(study, study.run_id, "summary.json", Path(folder)).read_text())
    if summary["final"] is None:
        raise UserError(f"study {study.name} has no final result: no trial came through; see its report.md")
    return final_of(summary)


def final_of(summary: dict[str, Any]) -> Final:
    """Take the values of a `summary.json`; keys that this version does not know are passed over."""
    values = summary["final"]
    rows = {role: _reported(values[role]) for role in ("winner", "published")}
    differences = {name: Interval(**interval) for name, interval in values["differences"].items()}
    return Final(summary, _known(FinalResult, {**values, **rows, "differences": differences}))


def _reported(values: Mapping[str, Any]) -> Reported:
    scores = {name: Interval(**interval) for name, interval in values["scores"].items()}
    failed = {int(seed): reason for seed, reason in values["failed"].items()}  # JSON's keys are text
    return _known(Reported, {**values, "scores": scores, "failed": failed})


def _known(cls: type[T], values: Mapping[str, Any]) -> T:
    names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if name in names})

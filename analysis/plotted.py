"""A study that was read from MLflow as the report's plots take it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.reading import Study
from sweeps.config.space import published_params
from sweeps.report.plotted import PlottedStudy, PlottedTrial


def plotted(study: Study, curves: pd.DataFrame | None = None) -> PlottedStudy:
    """Turn the rows of a study into plotted trials.

    Args:
        curves: result of `learning_curves`; None: the trials have none.
    """
    points = {} if curves is None else dict(tuple(curves.groupby("number")))
    rows = study.trials.sort_values("number").to_dict("records")
    return PlottedStudy(study.config, tuple(_trial(study, row, points.get(row["number"])) for row in rows))


def _trial(study: Study, row: dict[Any, Any], points: pd.DataFrame | None) -> PlottedTrial:
    found = [] if points is None else points[["iteration", "value"]].itertuples(index=False)
    return PlottedTrial(
        number=int(row["number"]),
        state=str(row["state"]),
        params={name: row[name] for name in study.parameters},
        score=_known(row["score"]),
        iteration=int(row["iteration"]),
        seconds=_known(row["seconds"]),
        origin=str(row["origin"]),
        published=str(row["origin"]) == published_params(study.config)[1],
        reason=str(row["reason"]),
        curve=tuple((int(iteration), float(value)) for iteration, value in found),
        gpu_gib=_known(row["gpu_gib"]),
        weights=_known(row["weights"]),
    )


def _known(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None

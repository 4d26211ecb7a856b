"""What a report says of another study that stands beside its own."""

from __future__ import annotations

from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.config.space import describe
from sweeps.final.reruns import FinalResult
from sweeps.final.rival import Rival, against, rival_verdict
from sweeps.report.tables import cell, escaped, table
from tsvan.run_config import TrainConfig
from tsvan.terminal import counted


def rival_summary(result: FinalResult | None, rival: Rival | None, config: SweepConfig) -> dict[str, Any]:
    """Return the part of `summary.json` that is about the rival; nothing without one."""
    if rival is None:
        return {}
    metric = config.objective.metric
    difference = None if result is None else against(result.winner, rival.winner).get(metric)
    return {
        "rival": {
            "folder": str(rival.folder),
            "model": rival.title,
            "num_clips": rival.num_clips,
            "scores": {name: score.mean for name, score in rival.winner.scores.items()},
            "verdict": rival_verdict(config.objective, difference, rival.title),
        }
    }


def rival_lines(final: FinalResult | None, rival: Rival, config: SweepConfig) -> list[str]:
    """Say the verdict, and both winners metric by metric."""
    settings = describe(TrainConfig.from_dict(rival.winner.config))
    about = (
        f"{rival.title}: the winner of the study in `{escaped(str(rival.folder))}`, {settings}, trained with "
        f"{counted(len(rival.winner.seeds), 'fresh seed')} and scored by the same scorer on {rival.num_clips:,} clips "
        f"of the same labels. The scorer takes ten frames of a clip, of longer ones the first ten."
    )
    if final is None:
        return [about, "", "This study has no final result to set beside it."]
    differences = against(final.winner, rival.winner)
    title = config.published.title
    rows = [
        [name, *(cell(name, row.scores.get(name)) for row in (final.winner, rival.winner)), cell(name, one, sign="+")]
        for name, one in differences.items()
    ]
    return [
        f"**{rival_verdict(config.objective, differences.get(config.objective.metric), rival.title)}**",
        "",
        about,
        "",
        *table(["metric", title, rival.title, f"{title} - {rival.title}"], rows),
        "",
        "Mean and 95% t interval over the seeds; the difference is of two samples: seeds pair nothing here.",
    ]

"""What all jobs of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.execution.slots import Slots
from sweeps.search.early_stopping import save_points, score_points, waiting_points
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths
from sweeps.state.scorer_result import ScorerResult
from tsvan.data.store import ClipStore


def job_template(
    config: SweepConfig,
    store: ClipStore,
    scorer: ScorerResult,
    slots: Slots,
    paths: StudyPaths,
    body: Mapping[str, Any],
) -> Job:
    """Build the job from which a study's jobs are made: name, number, folder and settings are still empty.

    Args:
        slots: what a job gets of the machine.
        body: who does the work, as fields of a job; empty: the trainer.
    """
    schedule = config.base.schedule
    return Job(
        name="",
        number=0,
        folder="",
        config={},
        store=str(store.path),
        store_hash=store.content_hash,
        scorer=scorer.folder,
        scorer_config=scorer.config,
        group="validation",
        num_clips=config.num_clips("validation", store.num_classes),
        save_at=save_points(schedule),
        score_at=score_points(schedule),
        waits_at=waiting_points(schedule, config.scheduler),
        objectives=tuple(objective.metric for objective in config.objectives),
        batch_size=config.scoring.batch_size,
        memory_share=min(slots.gpus, 1.0) or 1.0,
        threads=slots.threads,
        device="cuda" if slots.gpus > 0 else "cpu",
        stop_file=str(paths.stop),
        i3d=config.scoring.i3d,
        metrics={name: asdict(entry) for name, entry in config.metrics.items()},
        code_folder=str(Path.cwd()) if config.metrics else "",
        **body,
    )

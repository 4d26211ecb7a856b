"""What a study's runs are called and carry in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sweeps.config.load import load
from sweeps.config.same_study import MAY_CHANGE
from sweeps.config.schema import SweepConfig
from sweeps.config.space import derived, grid_size, published_params
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from sweeps.state.scorer_result import ScorerResult
from sweeps.state.uris import database_file
from sweeps.state.versions import code_version
from sweeps.tracking.client import DataInput, Tracker
from sweeps.tracking.destination import Destination
from sweeps.tracking.run_upload import Labels
from sweeps.tracking.uploader import Uploader
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.validation import flatten


def make_uploader(
    config: SweepConfig,
    record: StudyRecord,
    store: ClipStore,
    scorer: ScorerResult,
    paths: StudyPaths,
    where: Destination,
    say: Callable[[str], None] = lambda line: None,
) -> Uploader:
    """Make an uploader that knows what each run is called and carries.

    Args:
        say: told about trouble while the study runs.
    """
    file = database_file(where.uri)
    artifacts = None if file is None else file.absolute().with_name(paths.artifacts.name)
    tracker = Tracker(where.uri, where.experiment, artifacts)
    tags = {
        "dataset": config.dataset,
        "data.source": store.data_source,
        "data.hash": store.content_hash,
        "data.split": store.split_rule,
        "scorer.hash": scorer.hash,
        "objective": ", ".join(objective.metric for objective in config.objectives),
        "objective.why": scorer.objective_why,
        "code.version": code_version(),
        "model.name": config.model,
        "preset": config.preset,
        "seed": str(config.seed),
        "study": paths.root.name,
        "study.id": record.study_id,
        "space": grid_size(config),
    }
    if config.space != load(config.rules, model=config.model)[0].space:
        tags["space.narrowed"] = "true"  # not the dataset's own, as of preset paper
    if scorer.objective_refused:
        tags["objective.weak"] = scorer.objective_refused
    split = {name: len(store.split(name)) for name in ("train", "test")}
    profile = f'{{"train_clips": {split["train"]}, "test_clips": {split["test"]}, "classes": {store.num_classes}}}'
    data = DataInput(f"{config.dataset}-{store.data_source}", store.content_hash[:32], str(store.path), profile)
    values = {key: value for key, value in flatten(config.to_dict()).items() if value is not None}
    fixed = {key: value for key, value in values.items() if key.split(".")[0] not in MAY_CHANGE}
    settings = {key: str(value) for key, value in values.items() if key not in fixed}
    labels = Labels(record.study_id, paths.root.name, tags, fixed, settings, data)
    row = published_params(config)

    def describe_run(job: Job) -> tuple[str, Mapping[str, Any], Mapping[str, str]]:
        train = TrainConfig.from_dict(job.config)
        params = derived(train)
        stage = job.stage
        own = {"stage": stage, "trial": str(job.number), "train.seed": str(job.config["seed"])}
        if stage == "sweep" and (origin := job.origin or (row[1] if job.number == 0 else "")):
            own["origin"] = origin
        number = f"{job.number:03d}" if stage == "sweep" else f"{stage} seed {job.number}"
        sizes = {"score.group": job.group, "score.clips": job.num_clips}
        return f"{number} {train.summary}", {**params, **sizes}, own

    return Uploader(tracker, paths, labels, describe_run, config.objective, where.model, say)

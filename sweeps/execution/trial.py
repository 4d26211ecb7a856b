"""One job from start to end: the bridge from a study to the trainer. Knows nothing of Ray, Optuna or MLflow."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from sweeps.execution.system_metrics import Meter
from sweeps.state.job import SCORE, SYSTEM, TRAIN, Interrupted, Job, Outcome, Point, Stopwatch, scored_points
from sweeps.state.place import Place
from tsvan import video
from tsvan.checkpoint import NewerFormat, save
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.journal import Journal
from tsvan.sampling import generate
from tsvan.scoring.config import ScorerConfig
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.groups import SampleGroup, sample_group
from tsvan.scoring.metrics import METRICS
from tsvan.scoring.own_metrics import OwnMetric, own_metrics
from tsvan.scoring.seal import SEALED, look
from tsvan.scoring.training import train_or_load
from tsvan.trainer import Diverged, Trainer, pick_device
from tsvan.validation import UserError, build

Score = Callable[[Job, Trainer], Point]
SHOWN_CLIPS = 16
RECORDS_PER_RUN = 1_000
LONGEST_SILENCE = 50  # iterations between two looks at the stop signal


def train_and_score(job: Job, stop: Callable[[], bool], score: Score | None = None) -> Iterator[Point]:
    """Train, with a checkpoint at each of `save_at` and a score at each of `score_at`; go on where the folder is.

    Scores that the folder already holds are yielded again first, as the study may not have heard of them.

    Args:
        job: its files are read and written.
        stop: asked between iterations; True: save and leave.
        score: in place of `score_group`.

    Yields:
        Every score. When the last one has been taken, `outcome.json` is written.

    Raises:
        Interrupted: `stop` said so.
        UserError: the clip store is away, damaged or another one, or a later version of this program was at work; no
            job is to blame.
    """
    watch, store = Stopwatch(job.paths), _checked_store(job)
    journal = Journal(job.paths.metrics)
    iteration, values = 0, dict[str, float]()

    def end(state: str, reason: str = "") -> None:
        details = {"device": job.device, "gpu_bytes": _peak_memory()}
        Outcome(state, iteration, values, reason, watch.seconds, job.num_clips, details).write(job.paths)  # type: ignore[arg-type]

    try:
        trainer = _open(job, store)
        iteration = trainer.iteration
        journal.truncate(iteration)
        Place.here(job.host, _device_name(trainer.device), torch.get_num_threads(), iteration).note(journal)
        for point in scored_points(journal):
            values = point.values
            yield point
        scored, meter = {point.iteration for point in scored_points(journal)}, Meter(trainer.device)
        for target in job.save_at:
            if target < trainer.iteration:
                continue
            _train(trainer, target, journal, stop, watch, meter)
            iteration = trainer.iteration
            if target in job.score_at and target not in scored:
                point = (score or score_group)(job, trainer)
                _refuse_nan(point, job)
                point = replace(point, values={k: v for k, v in point.values.items() if math.isfinite(v)})
                journal.append(point.iteration, SCORE, point.values, sync=True)
                values = point.values
                watch.note()
                yield point
        _keep_networks(trainer)  # before the end is written: a death in between is made good by the next process
        end("complete")
    except Diverged as error:
        iteration = error.iteration
        end("diverged", error.reason)
    except NewerFormat:
        raise  # nothing is wrong with the job: the program is older than its checkpoints
    except UserError as error:
        for point in scored_points(journal):  # what it had reached, should it not have come to open that
            iteration, values = max(iteration, point.iteration), point.values
        end("failed", str(error))


def _checked_store(job: Job) -> ClipStore:
    store = _store(job.store)
    if store.content_hash != job.store_hash:
        raise UserError(f"clip store {job.store} has changed since the study began; give the study its own store again")
    return store


def _open(job: Job, store: ClipStore) -> Trainer:
    if job.threads:
        torch.set_num_threads(job.threads)
    device = pick_device(job.device)
    if device.type == "cuda":  # without a bound it would take the memory of the trials beside it
        torch.cuda.set_per_process_memory_fraction(_share(job), device)
        torch.cuda.reset_peak_memory_stats(device)  # one process runs many jobs
    config = TrainConfig.from_dict(job.config, str(job.paths.job))
    log_every = min(max(config.schedule.total // RECORDS_PER_RUN, 1), LONGEST_SILENCE)

    def note(line: str) -> None:
        with open(job.paths.notes, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    return Trainer.open(config, store, Path(job.folder), job.device, note, log_every)


def _train(
    trainer: Trainer, until: int, journal: Journal, stop: Callable[[], bool], watch: Stopwatch, meter: Meter
) -> None:
    """Train up to `until` and write a checkpoint there."""
    if trainer.iteration >= until:
        return
    for record in trainer.run(until, stop):
        # On disk before the checkpoint is: after a loss of power the journal lacks nothing that was trained.
        journal.append(record.iteration, TRAIN, record.values, sync=record.iteration == until)
    journal.append(trainer.iteration, SYSTEM, meter.read())
    trainer.save()
    watch.note()
    if trainer.iteration < until:
        raise Interrupted


def score_group(job: Job, trainer: Trainer) -> Point:
    """Generate the job's sample group, score it, and keep samples to look at."""
    group = sample_group(job.group, trainer.num_classes, job.num_clips)
    if group.name == SEALED:
        look(Path(job.seal), trainer.config, job.paths.looks)
    started = time.monotonic()
    shown: list[Tensor] = []
    clips = _watched(_generated(job, trainer, group), shown)
    scores = _evaluator(job).score(clips, group.labels, group=group.name, intervals=job.group != "validation")
    write_atomically(job.paths.scores, json.dumps(scores.to_dict(), indent=1))
    write_samples(job.paths.samples / f"iter-{trainer.iteration:07d}", torch.cat(shown)[:SHOWN_CLIPS])
    torch.cuda.empty_cache()  # what sampling took is free for the trials beside this one
    return Point(trainer.iteration, {**scores.values, "score_seconds": time.monotonic() - started})


def _generated(job: Job, trainer: Trainer, group: SampleGroup) -> Iterator[Tensor]:
    config = trainer.config
    return generate(
        trainer.networks,
        group.seeds,
        group.labels,
        batch_size=job.batch_size,
        precision=config.precision,
        share=_share(job),
    )


def _share(job: Job) -> float:
    """Return the share of the device's memory that the job may use."""
    return 1.0 if job.larger_share else job.memory_share


def write_samples(stem: Path, clips: Tensor) -> None:
    """Write clips, (N, 3, T, H, W) in [-1, 1], to `stem`.mp4, all side by side, and `stem`.png, one clip a row."""
    pixels = video.to_uint8(clips)
    columns = math.ceil(math.sqrt(len(pixels)))
    video.write_mp4(stem.with_suffix(".mp4"), video.mosaic(pixels, columns), scale=2)
    video.write_png(stem.with_suffix(".png"), video.contact_sheet(pixels))


def _watched(clips: Iterator[Tensor], shown: list[Tensor]) -> Iterator[Tensor]:
    for batch in clips:
        if sum(map(len, shown)) < SHOWN_CLIPS:
            shown.append(batch.detach().float().cpu())
        yield batch


def _refuse_nan(point: Point, job: Job) -> None:
    for name in job.objectives:
        value = point.values.get(name, math.nan)
        if not math.isfinite(value):
            raise Diverged(point.iteration, f"score {name} is {value}")


def _keep_networks(trainer: Trainer) -> None:
    """Keep the networks alone: a job that is complete needs no optimiser states, and this is a third of the size."""
    folder = trainer.folder / "checkpoints"
    kept = save(replace(trainer.snapshot(), optimisers={}), folder, keep=3)
    for path in list_checkpoints(folder):
        if path != kept:
            path.unlink()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _peak_memory() -> int:
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


# An actor is used for many trials: store, scorer and the real clips' features are opened once a process.


@lru_cache(maxsize=2)
def _store(path: str) -> ClipStore:
    return ClipStore.open(path)


@lru_cache(maxsize=2)
def _made(
    store: str, folder: str, config: str, device: str, i3d: str | None, metrics: str, code_folder: str
) -> Evaluator:
    cache, on = Path(folder), pick_device(device)
    scorer = train_or_load(_store(store), build(ScorerConfig, json.loads(config), folder), cache, on)
    file = None if i3d is None else Path(i3d)
    entries = {name: OwnMetric(**entry) for name, entry in json.loads(metrics).items()}
    own = own_metrics(entries, Path(code_folder) if code_folder else None)
    return Evaluator(scorer, _store(store), on, cache_dir=cache, i3d=file, metrics={**METRICS, **own})


def _evaluator(job: Job) -> Evaluator:
    own = json.dumps(job.metrics), job.code_folder
    return _made(job.store, job.scorer, json.dumps(job.scorer_config), job.device, job.i3d, *own)

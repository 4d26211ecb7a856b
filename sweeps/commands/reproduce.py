"""`tune_runner.py reproduce RUN_ID`: train a logged run again from its own artifacts."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sweeps.state.job import Interrupted, Job, Outcome, Point
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.uris import database_file, shown_uri
from sweeps.tracking.client import Tracker
from sweeps.tracking.destination import tracking_uri
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.scoring.seal import SEALED, write_down
from tsvan.state_file import read_state
from tsvan.terminal import ending_signals, say
from tsvan.validation import UserError


def reproduce(args: argparse.Namespace) -> int:
    """Run the job of an MLflow run in this process and compare its scores.

    Returns:
        Exit code: 0 when it completed, else 1.

    Raises:
        UserError: no such run, its clips are gone or changed, the device that was asked for is not here, or `--out`
            holds something else.
    """
    if not args.run_id.isalnum():  # it names a folder
        raise UserError(f"'{args.run_id}' is no MLflow run id; copy it from MLflow")
    out = (args.out or Path("runs") / f"reproduce-{args.run_id[:8]}").resolve()
    uri = tracking_uri(args.tracking_uri, StudyPaths(out))
    job, tags = _logged(args.run_id, uri, out)
    before = Outcome.read(TrialPaths(Path(job.folder)))
    job = replace(job, folder=str(out), stop_file=str(out / "stop"), seal=str(out / "choice.json"))
    job = replace(job, device=_device(job, args.device))
    store = ClipStore.open(job.store, tags["dataset"])
    if store.content_hash != job.store_hash:
        raise UserError(
            f"run {args.run_id} was trained on other clips than {job.store} holds now; restore that clip store"
        )
    known = read_state(job.paths.job, Job, "choose another --out")
    if known is not None and known.config != job.config:
        raise UserError(f"{out} holds another run; choose another --out")
    job.write()
    if job.group == SEALED:  # its study wrote the config down before the run was logged
        config = TrainConfig.from_dict(job.config)
        write_down(Path(job.seal), {"reproduced": {"hash": config.settings_hash, "origin": args.run_id}})
    say(f"training {job.name} of {tags['study']} again in {out}: {job.save_at[-1]} iterations")
    try:
        for point in _points(job):
            shown = ", ".join(f"{name} {point.values[name]:.6g}" for name in job.objectives)
            say(f"  iteration {point.iteration}: {shown}")
    except (Interrupted, KeyboardInterrupt):
        say("stopped; the same command again goes on")
        return 130
    outcome = Outcome.read(job.paths)
    assert outcome is not None
    _compare(job, outcome, before)
    return 0 if outcome.state == "complete" else 1


def _device(job: Job, asked: str | None) -> str:
    """Pick the device that was asked for, else the run's own, else the CPU where there is no such."""
    from tsvan.trainer import pick_device

    if asked is not None:
        return str(pick_device(asked))
    try:
        return str(pick_device(job.device))
    except UserError:
        say(f"the run was trained on {job.device}, which is not here: trained on the CPU, its scores will differ")
        return "cpu"


def _logged(run_id: str, uri: str, out: Path) -> tuple[Job, dict[str, str]]:
    import tempfile

    file = database_file(uri)
    if file is not None and not file.exists():
        raise UserError(f"no tracking store at {shown_uri(uri)}; give --tracking-uri, or --out beside the study")
    with tempfile.TemporaryDirectory() as folder:
        tags = Tracker(uri, "", None).read_run(run_id, Path(folder))
        job = read_state(Path(folder) / "job.json", Job, "this run can't be trained again from MLflow")
        if job is None:
            raise UserError(f"run {run_id} has no job.json; give the id of a trial or of a final rerun")
        return job, tags


def _points(job: Job) -> Iterator[Point]:
    from sweeps.execution.trial import train_and_score

    with _own_stop_file(job):
        yield from train_and_score(job, Path(job.stop_file).exists)


@contextmanager
def _own_stop_file(job: Job) -> Iterator[None]:
    stop = Path(job.stop_file)
    stop.unlink(missing_ok=True)
    before = {number: signal.signal(number, lambda *_: stop.touch()) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _compare(job: Job, outcome: Outcome, before: Outcome | None) -> None:
    if outcome.state != "complete" or before is None or before.iteration != outcome.iteration:
        say(f"{outcome.state} at iteration {outcome.iteration} {outcome.reason}".strip())
        return
    for name in job.objectives:
        old, new = before.values[name], outcome.values[name]
        say(f"{name}: {new:.6g}, logged {old:.6g} ({'the same' if old == new else f'difference {new - old:+.3g}'})")

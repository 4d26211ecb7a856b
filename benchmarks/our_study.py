"""`tune_runner.py` up to the end of its sweep, with the benchmark's trial in the trainer's place.

    python -m benchmarks.our_study FOLDER --dataset weizmann --preset smoke --trials 8 --out FOLDER/study

All else is the command itself: arguments, clip store, scorer, Optuna, Ray, the delivery to MLflow.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import trivial
from sweeps.state.job import SCORE, TRAIN, Job, Outcome, Point
from tsvan.journal import Journal


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Run the trial as a job of a study."""
    journal, files = Journal(job.paths.metrics), job.paths
    files.checkpoints.mkdir(parents=True, exist_ok=True)
    folder = Path(job.folder)  # FOLDER/study/trials/007
    clock = trivial.Clock(folder.parents[2], folder.name)
    started, values = time.monotonic(), dict[str, float]()
    for step, target in enumerate(job.score_at, 1):
        clock.step()
        values = trivial.measured(step, job.config["loss"]["lambda2"])
        journal.append(target, TRAIN, {name: values[name] for name in trivial.LOSSES})
        journal.append(target, SCORE, {trivial.SCORE_NAME: values[trivial.SCORE_NAME]}, sync=True)
        if step % 2 == 0:
            trivial.checkpoint(files.checkpoints / "small.pt", step)
        yield Point(target, values)
    Outcome("complete", job.score_at[-1], values, "", time.monotonic() - started, job.num_clips).write(files)


def main() -> int:
    """Run the command; `done` is noted when MLflow has everything."""
    import tune_runner
    from sweeps import study

    folder, arguments = Path(sys.argv[1]), sys.argv[2:]

    class SweepOnly(study.StudyDriver):
        """Ends when all trials are delivered: the other columns have no final stage."""

        def sweep(self, *args: Any) -> bool:
            super().sweep(*args)
            assert self.uploader is not None
            left = self.uploader.settle(timeout_s=120)
            if left:
                raise SystemExit(f"not delivered: {', '.join(left)}: {self.uploader.problem}")
            trivial.note_done(folder)
            return False

        def report(self, *args: Any) -> int:
            assert self.uploader is not None
            self.uploader.close("complete")
            return study.DONE

    return tune_runner.main(arguments, {"body": "benchmarks.our_study:body"}, SweepOnly)


if __name__ == "__main__":
    sys.exit(main())

"""The trial that all columns of `benchmarks.study` run, and the bare loop: two processes, plain function calls.

    python -m benchmarks.trivial --trials 8 --folder DIR

A trial is ten steps of 0.3 s of sleep, each with a report, every second one with a small checkpoint. When a step begins
is written down beside the trial, so that every column is measured by the same clock.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch

STEPS, STEP_S, SLOTS = 10, 0.3, 2
SCORE_NAME = "inception_score"
LOSSES = ("content/encoder", "content/decoder", "content/image_discriminator")
EVENTS, DONE = "events", "done"


@dataclass(frozen=True)
class Clock:
    """Writes down when a trial's steps begin.

    Args:
        folder: of the benchmark's run.
        name: of the trial, a file's name.
    """

    folder: Path
    name: str

    def step(self) -> None:
        """Note when the step begins, and do its work."""
        file = self.folder / EVENTS / self.name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a") as lines:
            lines.write(f"{time.time()}\n")
        time.sleep(STEP_S)


def measured(step: int, lambda2: float) -> dict[str, float]:
    """Compute score and losses after a step: the same for all trials at the rungs, so that none is stopped early."""
    score = float(step) if step < STEPS else 100 - (lambda2 - 5) ** 2
    return {SCORE_NAME: score, **{name: 1 / (step + place) for place, name in enumerate(LOSSES)}}


def checkpoint(file: Path, step: int) -> None:
    """Write a small checkpoint, with torch."""
    torch.save({"step": step, "weight": torch.zeros(1000)}, file)


def bare(folder: Path, number: int) -> float:
    """Run the trial as a function call, and return its final score."""
    own = folder / "trials" / f"{number:03d}"
    own.mkdir(parents=True, exist_ok=True)
    clock, lambda2 = Clock(folder, own.name), random.Random(number).uniform(3, 8)
    values: dict[str, float] = {}
    for step in range(1, STEPS + 1):
        clock.step()
        values = measured(step, lambda2)
        with open(own / "metrics.jsonl", "a") as lines:
            lines.write(json.dumps({"step": step, **values}) + "\n")
        if step % 2 == 0:
            checkpoint(own / "small.pt", step)
    return values[SCORE_NAME]


def note_done(folder: Path) -> None:
    """Note that all trials have ended, and every store knows."""
    (folder / DONE).write_text(str(time.time()))


def main() -> None:
    """Run the bare loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(SLOTS) as pool:
        pool.starmap(bare, [(args.folder, number) for number in range(args.trials)], chunksize=1)
    note_done(args.folder)


if __name__ == "__main__":
    main()

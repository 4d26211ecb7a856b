"""The soak's trials: the real body, trainer, checkpoints and files, but a step is a random walk of the weights and the
score a function of them. So a trial takes seconds, and its end is known from its seed alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from sweeps.state.job import Job, Point
from tsvan.models.networks import Networks

STEP_S = 0.15


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Run `train_and_score` on a walk."""
    from sweeps.execution.trial import train_and_score
    from tsvan.trainer import Trainer

    Trainer._step = _step  # type: ignore[method-assign]
    return train_and_score(job, stop, _score)


def walk(networks: Networks, seed: int, iteration: int) -> None:
    """Take one iteration of the walk."""
    draw = torch.Generator().manual_seed(seed * 100_003 + iteration)
    with torch.no_grad():
        for weight in networks.parameters():
            weight.add_(torch.randn(weight.shape, generator=draw), alpha=0.01)


def height(networks: Networks) -> float:
    """Compute the score."""
    return 1 + float(sum(weight.detach().double().mean() for weight in networks.parameters()))


def _step(trainer: Any) -> None:
    walk(trainer.networks, trainer.config.seed, trainer.iteration)
    trainer._add(("walk/height",), height(trainer.networks))
    time.sleep(STEP_S)


def _score(job: Job, trainer: Any) -> Point:
    return Point(trainer.iteration, dict.fromkeys(job.objectives, height(trainer.networks)))


def main() -> int:
    """Run `tune_runner.py` with such trials."""
    import tune_runner

    return tune_runner.main(sys.argv[1:], {"body": "benchmarks.soak_trial:body"})


if __name__ == "__main__":
    sys.exit(main())

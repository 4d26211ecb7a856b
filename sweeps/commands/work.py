"""How much work a study is: its runs, and seconds of each by the speed of this device."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sweeps.commands.speed import Speed
from sweeps.config.schema import SweepConfig
from sweeps.search.early_stopping import score_points
from sweeps.search.expected_work import expected_share


@dataclass(frozen=True)
class Work:
    """The work of a study, one run at a time.

    Args:
        trial_s: seconds of a whole trial.
        calibration: runs that measure the noise, each as long as a trial.
        trials: of the sweep.
        share: of its iterations that a trial trains on the mean, as some are stopped early.
        reruns: of the final stage.
        rerun_s: seconds of one of them.
    """

    trial_s: float
    calibration: int
    trials: int
    share: float
    reruns: int
    rerun_s: float

    @property
    def whole_sweep_s(self) -> float:
        """Return the seconds of calibration and sweep, early stopping not counted."""
        return self.trial_s * (self.trials + self.calibration)

    @property
    def sweep_s(self) -> float:
        """Return the seconds of calibration and sweep, as far as trials are expected to run."""
        return self.trial_s * (self.trials * self.share + self.calibration)

    @property
    def final_s(self) -> float:
        """Return the seconds of the final stage."""
        return self.rerun_s * self.reruns


def work(config: SweepConfig, speed: Speed, num_classes: int, sweep: bool = True) -> Work:
    """Count a study's runs, and multiply by the speed of this device.

    Args:
        speed: of runs as long as this study's.
        sweep: there is one; else the final stage has its config from a file.
    """
    base, final = config.base, config.final
    train_s = (speed.published_s + speed.largest_s) / 2
    confirm = final.confirm.seeds * (final.confirm.top_k + 1) if sweep and final.confirm.top_k > 1 else 0
    return Work(
        trial_s=train_s + speed.clip_s * config.num_clips("validation", num_classes) * len(score_points(base.schedule)),
        calibration=config.calibrate.seeds if sweep else 0,
        trials=config.trials if sweep else 0,
        share=expected_share(base.schedule, config.scheduler, config.trials),
        reruns=final.report.seeds * 2 + confirm,
        rerun_s=train_s + speed.clip_s * config.num_clips("report", num_classes),
    )


def at_length(speed: Speed, measured: SweepConfig, config: SweepConfig) -> Speed:
    """Return the speed of runs of another length than those that were measured."""
    factor = config.base.schedule.total / measured.base.schedule.total
    return replace(speed, published_s=speed.published_s * factor, largest_s=speed.largest_s * factor)

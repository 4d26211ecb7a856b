"""How much work a training run is, from counted operations: for estimates, and to say which config is cheaper."""

from __future__ import annotations

from tsvan.config import TrainConfig

# Work of one clip in a training step at ngf 16, GFLOP forward and backward, counted on the layer tables; the shares
# of the steps follow from the schedule. The motion stream does not grow with ngf, the content stream with its square.
_SEQUENCE, _ONE_STEP, _CONTENT = 75.0, 9.0, 1.5


def train_gflop(config: TrainConfig) -> float:
    """GFLOP of a whole training run, pre-training included."""
    schedule, wide = config.schedule, (config.model.ngf / 16) ** 2
    start, end = schedule.sequence_share_start, schedule.sequence_share_end
    sequence = schedule.ramp_start * (start + end) / 2 + (1 - schedule.ramp_start) * end
    motion = 1 - schedule.content_share
    grown = 0.7 + 0.3 * wide  # the share of a motion step that runs through the content stream
    step = (
        motion * (sequence * _SEQUENCE + (1 - sequence) * _ONE_STEP) * grown + schedule.content_share * _CONTENT * wide
    )
    joint = schedule.iterations * step
    return (joint + schedule.pretrain_iterations * _CONTENT * wide) * config.optimiser.batch_size

"""Settings of the scoring classifier; the published ones are the defaults. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.config import LARGEST_SEED, MOST_CLIPS_A_BATCH, MOST_ITERATIONS
from tsvan.data.datasets import DatasetRules, rules
from tsvan.validation import STRICT, UserError

_WIDEST, _FASTEST = 8192, 1000


@dataclass(frozen=True, config=STRICT)
class ScorerConfig:
    """One training of the scoring classifier. Source: the model specification, section 6.

    Args:
        iterations: the most that are done.
        batch_size: clips a batch.
        lr: Adam's first learning rate.
        lr_decay: factor on it after every epoch.
        min_lr_share: training ends early when the rate has decayed below this share of the first: nothing moves then.
        beta1, beta2: Adam's decay rates.
        weight_decay: coupled (added to the gradient).
        widths: channels of the four layers of D_V's body; the last is the dimension of the features.
        eval_every: iterations between two looks at the held-out accuracy.
        seed: of weights, windows and crops.
        playback_steps: multiples of a clip's own step that a head for it tells apart, as far as clips are long enough.
        backward_share: share of the training windows that are played backwards.
        precision: of the training's matrix products; clips are always measured in fp32.
    """

    iterations: int = Field(default=100_000, ge=1, le=MOST_ITERATIONS)
    batch_size: int = Field(default=32, ge=2, le=MOST_CLIPS_A_BATCH)
    lr: float = Field(default=5e-4, gt=0)
    lr_decay: float = Field(default=0.995, gt=0, le=1)
    min_lr_share: float = Field(default=1e-3, ge=0, lt=1)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    weight_decay: float = Field(default=1e-5, ge=0)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    eval_every: int = Field(default=500, ge=1, le=MOST_ITERATIONS)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    playback_steps: tuple[int, ...] = Field(default=(1, 2, 4, 8), max_length=16)
    backward_share: float = Field(default=0.0, ge=0, le=1)
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self) -> None:
        if min(self.widths) < 1 or max(self.widths) > _WIDEST:
            raise UserError(f"widths must be from 1 to {_WIDEST}, got {self.widths}; published: [64, 128, 256, 512]")
        if max(self.playback_steps, default=1) > _FASTEST:
            raise UserError(f"playback_steps must be at most {_FASTEST}, got {self.playback_steps}")
        if self.playback_steps[:1] != (1,) or list(self.playback_steps) != sorted(set(self.playback_steps)):
            raise UserError(f"playback_steps must start with 1 and grow, got {self.playback_steps}")


def quick(dataset: str | DatasetRules) -> ScorerConfig:
    """A narrow scorer that a CPU trains in seconds: for a first look, not for comparing with published numbers.

    Raises:
        UserError: unknown dataset.
    """
    iterations = 400 if len(rules(dataset).heads) > 1 else 300
    backward = published(dataset).backward_share
    return ScorerConfig(
        iterations=iterations, batch_size=16, widths=(16, 32, 64, 128), eval_every=50, backward_share=backward
    )


def published(dataset: str | DatasetRules) -> ScorerConfig:
    """The published scorer of a dataset.

    Raises:
        UserError: unknown dataset.
    """
    changes = asdict(rules(dataset).scorer)
    return replace(ScorerConfig(), **{name: value for name, value in changes.items() if value is not None})

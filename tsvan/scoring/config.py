"""Settings of the scoring classifier; the published ones are the defaults. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.config import LARGEST_SEED, MOST_CLIPS_A_BATCH, MOST_ITERATIONS
from tsvan.data.datasets import DatasetRules, rules
from tsvan.validation import STRICT, UserError

_WIDEST, _FASTEST = 8192, 1000


Heads = Literal["timed", "published"]

PLAYBACK_STEP, FRAME_STEP = "playback step", "frame step"
"""Heads that only time can answer: the multiple of a clip's own step, or the step in frames, at which it is played."""


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
        playback_steps: multiples of a clip's own step, or for the head `frame step` steps in frames, to tell apart, as
            far as clips are long enough.
        backward_share: share of the training windows that are played backwards.
        precision: of the training's matrix products; clips are always measured in fp32.
        heads: `timed` adds the head `frame step` where the dataset has no head that only time can answer, so that the
            features see motion; `published` leaves it out (scorers that were trained before it existed).
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
    heads: Heads = "published"

    def __post_init__(self) -> None:
        if min(self.widths) < 1 or max(self.widths) > _WIDEST:
            raise UserError(f"widths must be from 1 to {_WIDEST}, got {self.widths}; published: [64, 128, 256, 512]")
        if max(self.playback_steps, default=1) > _FASTEST:
            raise UserError(f"playback_steps must be at most {_FASTEST}, got {self.playback_steps}")
        if self.playback_steps[:1] != (1,) or list(self.playback_steps) != sorted(set(self.playback_steps)):
            raise UserError(f"playback_steps must start with 1 and grow, got {self.playback_steps}")


def identity(config: ScorerConfig) -> dict[str, Any]:
    """Return the settings as they are hashed: without a key that says what all scorers were before it existed."""
    values = asdict(config)
    if config.heads == "published":
        del values["heads"]
    return values


def quick(dataset: str | DatasetRules, heads: Heads = "timed") -> ScorerConfig:
    """Return settings of a narrow scorer that a CPU trains in seconds: for a first look, not beside published numbers.

    Raises:
        UserError: unknown dataset.
    """
    return replace(
        published(dataset, heads),
        iterations=400 if PLAYBACK_STEP in rules(dataset).heads else 300,
        batch_size=16,
        lr=ScorerConfig.lr,
        lr_decay=ScorerConfig.lr_decay,
        widths=(16, 32, 64, 128),
        eval_every=50,
    )


def published(dataset: str | DatasetRules, heads: Heads = "timed") -> ScorerConfig:
    """Return a dataset's published training, as a rule with a head more, by which the scorer's features see motion.

    Raises:
        UserError: unknown dataset.
    """
    found = rules(dataset)
    changes = {name: value for name, value in asdict(found.scorer).items() if value is not None}
    # A dataset with a head of its own for time needs no other.
    return replace(ScorerConfig(), **changes, heads="published" if PLAYBACK_STEP in found.heads else heads)

"""Every number that a training run of TwoStreamVAN depends on, with the published value as its default.

Sources: tables 1-3 and section A of the paper's supplement ("TwoStreamVAN: Improving Motion Modeling in Video
Generation"); where that is silent, the behaviour of the authors' public release. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.run_config import (
    LARGEST_SEED,
    MOST_CLIPS_A_BATCH,
    MOST_ITERATIONS,
    DataConfig,
    OptimiserConfig,
    TrainConfig,
)
from tsvan.validation import STRICT, UserError

RATIO = "lambda5_ratio"
"""Swept in place of lambda5_upper: upper = ratio x lower."""

# What all models have in common is had from here, too.
__all__ = ["LARGEST_SEED", "MOST_CLIPS_A_BATCH", "MOST_ITERATIONS", "DataConfig", "OptimiserConfig", "TrainConfig"]


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """Shapes of the networks (tables 1 and 2).

    Args:
        architecture: `paper` (the printed tables), `release` (the authors' code), `small` (for the
            demo) or `tiny` (for tests only).
        init: `paper`: Xavier-uniform on every weight; `release`: transposed convolutions keep PyTorch's default.
        kernel_init: start of the layers that give the adaptive kernels. `published`: as `init` has it; `identity`: near
            the kernel that leaves a map as it is, a departure from which short runs learn motion sooner.
        ngf: base width of the content stream. The motion stream's base width is fixed by its table.
        content_dim: dimension of the content latent z_c.
        motion_dim: dimension of the motion latent z_m.
        joint: combine content and motion features by an outer product before the motion generator.
        kernel_layers: how many scales, from the largest down, are fused by adaptive convolutions.
        mask: blend the adapted map with the unadapted one by a predicted mask.
    """

    architecture: Literal["paper", "release", "small", "tiny"] = "paper"
    init: Literal["paper", "release"] = "paper"
    kernel_init: Literal["published", "identity"] = "published"
    ngf: int = Field(default=16, ge=1, le=1024)
    content_dim: int = Field(default=512, ge=1, le=16_384)
    motion_dim: int = Field(default=64, ge=1, le=16_384)
    joint: bool = True
    kernel_layers: int = Field(default=4, ge=1, le=4)
    mask: bool = True


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """Weights of the losses (table 3) and the balance between generator and discriminators.

    Args:
        lambda1: weight of the content stream's reconstruction.
        lambda2: weight of the content KL.
        lambda3: weight of the scale features.
        lambda4: weight of the motion stream's reconstruction.
        lambda5_lower: weight of the sequence step's motion KL before its ramp.
        lambda5_upper: the same weight after its ramp.
        lambda_img: weight of the one-step motion KL; None: equal to lambda2, as in the released runs.
        prior_share: weight of the content stream's prior samples in its adversarial terms (omega).
        adversarial_frames: weight of the generator's adversarial terms on frames.
        adversarial_clips: weight of the generator's adversarial and class terms on clips.
        balance_target: a discriminator's loss at which both sides are taken to be equally good.
        balance_margin: distance from the target at which one side's update is skipped.
        balance_margin_one_step: the same in the one-step phase.
    """

    lambda1: float = Field(default=1e4, ge=0)
    lambda2: float = Field(default=7.0, ge=0)
    lambda3: float = Field(default=1e2, ge=0)
    lambda4: float = Field(default=1e4, ge=0)
    lambda5_lower: float = Field(default=2.0, ge=0)
    lambda5_upper: float = Field(default=20.0, ge=0)
    lambda_img: float | None = Field(default=None, ge=0)
    prior_share: float = Field(default=1.0, ge=0, le=1)
    adversarial_frames: float = Field(default=10.0, ge=0)
    adversarial_clips: float = Field(default=1.0, ge=0)
    balance_target: float = Field(default=0.68, ge=0)
    balance_margin: float = Field(default=0.5, ge=0)
    balance_margin_one_step: float = Field(default=0.4, ge=0)

    @property
    def one_step_kl(self) -> float:
        """Return the weight of the one-step motion KL."""
        return self.lambda2 if self.lambda_img is None else self.lambda_img


@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """Length of a run and the shape of its ramps; ramps are shares of the length, so another budget scales them.

    Args:
        iterations: N, iterations of the joint phase.
        pretrain_iterations: iterations of content pre-training before it.
        content_share: probability of a content step.
        sequence_share_start: probability of a sequence step, given a motion step, at i = 0.
        sequence_share_end: the same from `ramp_start` on.
        ramp_start: share of N at which scheduled sampling and the ramp of lambda5 begin.
        ramp_end: share of N at which they end.
        pretrain_ramp: share of pre-training over which its KL weight rises from 0 to lambda2.
    """

    iterations: int = Field(default=500_000, ge=3, le=MOST_ITERATIONS)
    pretrain_iterations: int = Field(default=0, ge=0, le=MOST_ITERATIONS)
    content_share: float = Field(default=0.6, ge=0, le=1)
    sequence_share_start: float = Field(default=0.1, ge=0, le=1)
    sequence_share_end: float = Field(default=0.9, ge=0, le=1)
    ramp_start: float = Field(default=0.3, gt=0, le=1)
    ramp_end: float = Field(default=0.8, gt=0, le=1)
    pretrain_ramp: float = Field(default=1 / 3, gt=0, le=1)

    @property
    def total(self) -> int:
        """Return the iterations of the whole run, pre-training included."""
        return self.pretrain_iterations + self.iterations

    @property
    def knots(self) -> dict[str, tuple[float, float]]:
        """Name what changes over the joint phase, and between which shares of it."""
        return {"λ5 rises between": (self.ramp_start, self.ramp_end)}

    @property
    def length(self) -> dict[str, int]:
        """Return the settings that say how long the run is."""
        return {"iterations": self.iterations, "pretrain_iterations": self.pretrain_iterations}


@dataclass(frozen=True, config=STRICT)
class TwoStreamConfig(TrainConfig):
    """One training run of TwoStreamVAN. `published(dataset)` gives the paper's; `with_settings` changes values."""

    model_name: ClassVar[str] = "twostreamvan"
    title: ClassVar[str] = "TwoStreamVAN"
    row_name: ClassVar[str] = "table 3"
    widths: ClassVar[tuple[str, ...]] = ("ngf", "content_dim", "motion_dim", "kernel_layers")
    related: ClassVar[tuple[str, ...]] = ("lambda5_lower", "lambda5_upper", RATIO, "ramp_start", "ramp_end")
    stand_ins: ClassVar[Mapping[str, str]] = MappingProxyType({RATIO: "lambda5_upper"})
    stand_in_meanings: ClassVar[Mapping[str, str]] = MappingProxyType(
        {RATIO: "in place of lambda5_upper, as a multiple of lambda5_lower"}
    )
    came_later: ClassVar[tuple[tuple[str, str, object], ...]] = (("model", "kernel_init", "published"),)

    dataset: str = "weizmann"
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    precision: Literal["fp32", "bf16"] = "fp32"
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    data: DataConfig = DataConfig()

    def __post_init__(self) -> None:
        if self.loss.lambda5_lower > self.loss.lambda5_upper:
            raise UserError(
                f"loss.lambda5_lower must be <= loss.lambda5_upper, got lambda5_lower={self.loss.lambda5_lower:g}, "
                f"lambda5_upper={self.loss.lambda5_upper:g}; raise the upper bound or lower the lower one"
            )
        if self.schedule.ramp_start >= self.schedule.ramp_end:
            raise UserError(
                f"schedule.ramp_start must be < schedule.ramp_end, got ramp_start={self.schedule.ramp_start:g}, "
                f"ramp_end={self.schedule.ramp_end:g}"
            )

    @classmethod
    def published(cls, dataset: str, row: Mapping[str, Any]) -> TrainConfig:
        """Build the paper's run for a dataset: its row of table 3, and section A for the budget and pre-training."""
        return cls().with_settings({"dataset": dataset, **row}, "published")

    def with_params(self, params: dict[str, Any], where: str) -> TrainConfig:
        """Copy with what a search space has drawn; lambda5_ratio becomes lambda5_upper = ratio x lambda5_lower."""
        settings = dict(params)
        ratio = settings.pop(RATIO, None)
        if ratio is not None:
            settings["lambda5_upper"] = float(ratio) * float(settings.get("lambda5_lower", self.loss.lambda5_lower))
        return self.with_settings(settings, where)

    @property
    def derived(self) -> dict[str, Any]:
        """Return the ratio of lambda5's bounds, and lambda_img as it counts."""
        loss = self.loss
        ratio = {RATIO: loss.lambda5_upper / loss.lambda5_lower} if loss.lambda5_lower > 0 else {}
        return {**ratio, "lambda_img": loss.one_step_kl}

    @property
    def summary(self) -> str:
        """Summarise the config as `ngf32 z512 λ2=5.1 λ5=2→15`, with `lr=0.001` where that is not the published one."""
        model, loss, lr = self.model, self.loss, self.optimiser.lr
        parts = [f"ngf{model.ngf}", f"z{model.content_dim}", f"λ2={loss.lambda2:.3g}"]
        parts += [] if lr == OptimiserConfig().lr else [f"lr={lr:.3g}"]
        return " ".join([*parts, f"λ5={loss.lambda5_lower:.3g}→{loss.lambda5_upper:.3g}"])

    @property
    def columns(self) -> dict[str, str]:
        """Return λ, lr and the widths, as the supplement has them, and the iterations."""
        model, loss = self.model, self.loss
        weights = {"λ1": loss.lambda1, "λ2": loss.lambda2, "λ3": loss.lambda3, "λ4": loss.lambda4}
        return {
            **{name: f"{weight:.3g}" for name, weight in weights.items()},
            "λ5": f"{loss.lambda5_lower:.3g} → {loss.lambda5_upper:.3g}",
            "lr": f"{self.optimiser.lr:.3g}",
            "ngf": str(model.ngf),
            "z_c": str(model.content_dim),
            "z_m": str(model.motion_dim),
            "iterations": f"{self.schedule.total:,}",
        }

    def scaled(self, iterations: int) -> TrainConfig:
        """Scale the same run to another budget: pre-training keeps its share, as every knot does."""
        pretrain = round(self.schedule.pretrain_iterations * iterations / self.schedule.iterations)
        return self.with_settings({"iterations": iterations, "pretrain_iterations": pretrain}, "iterations")

    @property
    def shortest(self) -> TrainConfig:
        """Return the same run, as short as one that has each kind of step."""
        pretrain = min(self.schedule.pretrain_iterations, 1)
        return self.with_settings({"iterations": 3, "pretrain_iterations": pretrain})

"""Every number that a training run of MoCoGAN depends on, with the published value as its default.

Sources: Tulyakov et al., "MoCoGAN: Decomposing Motion and Content for Video Generation" (CVPR 2018); where it is
silent, the behaviour of its authors' public code. Nothing here imports torch.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.run_config import LARGEST_SEED, MOST_ITERATIONS, DataConfig, OptimiserConfig, TrainConfig
from tsvan.validation import STRICT, UserError

CLIP_FRAMES = 16
"""Frames that the clip discriminator needs: then it sees one position in time."""


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """Shapes of the networks.

    Args:
        content_dim: dimension of the content latent z_c, one a clip.
        motion_dim: dimension of the recurrent state h_t and of the noise e_t that moves it.
        ngf: base width of the generator.
        ndf: base width of both discriminators.
    """

    content_dim: int = Field(default=50, ge=1)
    motion_dim: int = Field(default=10, ge=1)
    ngf: int = Field(default=64, ge=1)
    ndf: int = Field(default=64, ge=1)


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """How the discriminators are trained. All terms of the losses weigh 1.

    Args:
        noise_sigma: standard deviation of the noise that is added to the inputs of their convolutions in training.
    """

    noise_sigma: float = Field(default=0.1, ge=0)


@dataclass(frozen=True, config=STRICT)
class ScheduleConfig:
    """Length of a run; nothing changes over it.

    Args:
        iterations: N, each of three updates.
    """

    iterations: int = Field(default=100_000, ge=1, le=MOST_ITERATIONS)

    @property
    def pretrain_iterations(self) -> int:
        """Return 0: there is no pre-training."""
        return 0

    @property
    def total(self) -> int:
        """Return the iterations of the whole run."""
        return self.iterations

    @property
    def knots(self) -> dict[str, tuple[float, float]]:
        """Return no knots: nothing changes over the run."""
        return {}

    @property
    def length(self) -> dict[str, int]:
        """Return the settings that say how long the run is."""
        return {"iterations": self.iterations}


@dataclass(frozen=True, config=STRICT)
class MocoganConfig(TrainConfig):
    """One training run of MoCoGAN."""

    model_name: ClassVar[str] = "mocogan"
    title: ClassVar[str] = "MoCoGAN"
    widths: ClassVar[tuple[str, ...]] = ("ngf", "content_dim", "motion_dim")

    dataset: str = "weizmann"
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    precision: Literal["fp32", "bf16"] = "fp32"
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    optimiser: OptimiserConfig = OptimiserConfig(batch_size=32)
    data: DataConfig = DataConfig(num_frames=CLIP_FRAMES)

    def __post_init__(self) -> None:
        if self.data.num_frames < CLIP_FRAMES:
            raise UserError(
                f"data.num_frames must be {CLIP_FRAMES} or more for MoCoGAN's clip discriminator, "
                f"got {self.data.num_frames}; leave it out or set num_frames={CLIP_FRAMES}"
            )

    @property
    def summary(self) -> str:
        """Summarise the config as `ngf64 z50 h10 lr=0.0002 σ=0.1`."""
        model = self.model
        parts = [f"ngf{model.ngf}", f"z{model.content_dim}", f"h{model.motion_dim}", f"lr={self.optimiser.lr:.3g}"]
        return " ".join([*parts, f"σ={self.loss.noise_sigma:.3g}"])

    @property
    def columns(self) -> dict[str, str]:
        """Return the settings that the search space has, and the iterations."""
        model = self.model
        return {
            "lr": f"{self.optimiser.lr:.3g}",
            "z_c": str(model.content_dim),
            "z_m": str(model.motion_dim),
            "σ": f"{self.loss.noise_sigma:.3g}",
            "ngf": str(model.ngf),
            "iterations": f"{self.schedule.total:,}",
        }

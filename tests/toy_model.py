"""A third model, made as CONTRIBUTING.md says: a learned still picture of each class, with a little noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from tsvan import losses
from tsvan.data.batches import Batches
from tsvan.data.store import ClipStore
from tsvan.interface import Model, Part
from tsvan.random_draws import Draws, latent_rows
from tsvan.run_config import DataConfig, OptimiserConfig, TrainConfig
from tsvan.step_result import StepResult
from tsvan.validation import STRICT


@dataclass(frozen=True, config=STRICT)
class Shapes:
    noise: float = Field(default=0.1, ge=0)


@dataclass(frozen=True, config=STRICT)
class Weights:
    picture: float = Field(default=1.0, ge=0)


@dataclass(frozen=True, config=STRICT)
class Length:
    iterations: int = Field(default=1000, ge=1)

    pretrain_iterations: ClassVar[int] = 0
    knots: ClassVar[dict[str, tuple[float, float]]] = {}

    @property
    def total(self) -> int:
        return self.iterations

    @property
    def length(self) -> dict[str, int]:
        return {"iterations": self.iterations}


@dataclass(frozen=True, config=STRICT)
class ToyConfig(TrainConfig):
    model_name: ClassVar[str] = "toy"
    title: ClassVar[str] = "Still pictures"

    dataset: str = "weizmann"
    seed: int = Field(default=0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    model: Shapes = field(default_factory=Shapes)
    loss: Weights = field(default_factory=Weights)
    schedule: Length = field(default_factory=Length)
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(lr=0.05, batch_size=4))
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def summary(self) -> str:
        return f"noise={self.model.noise:.3g}"

    @property
    def columns(self) -> dict[str, str]:
        return {"noise": f"{self.model.noise:.3g}", "iterations": f"{self.schedule.total:,}"}


class ToyNetworks(nn.Module):
    def __init__(self, config: Shapes, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.pictures = nn.Embedding(num_classes, 3 * 64 * 64)

    def frames(self, labels: Tensor) -> Tensor:
        return torch.tanh(self.pictures(labels)).view(-1, 3, 64, 64)


class ToyTraining:
    notes = ()

    def __init__(self, config: ToyConfig, networks: ToyNetworks, store: ClipStore, device: torch.device) -> None:
        self.batches = Batches(store, config.data, config.optimiser.batch_size, config.seed, device)
        self._config, self._networks = config, networks

    def parts(self, iteration: int) -> Iterator[Part]:
        yield Part("picture", self._step, self.batches.at(iteration))

    def _step(self, clips: Tensor, labels: Tensor, draws: Draws) -> StepResult:
        frames = self._networks.frames(labels)
        noisy = frames + self._config.model.noise * draws.noise(*frames.shape)
        error = losses.mse(noisy, clips[:, :, 0])
        gradients = torch.autograd.grad(self._config.loss.picture * error, list(self._networks.parameters()))
        return StepResult({"pictures": gradients}, {"error": error.detach()})


class Toy:
    networks_class = ToyNetworks
    owners = ("pictures",)

    def networks(self, config: TrainConfig, num_classes: int) -> ToyNetworks:
        return ToyNetworks(config.model, num_classes)

    def training(self, config: Any, networks: ToyNetworks, store: ClipStore, device: torch.device) -> ToyTraining:
        return ToyTraining(config, networks, store, device)

    def sample(self, networks: ToyNetworks, seeds: NDArray[np.int64], labels: Tensor, num_frames: int) -> Tensor:
        noise = latent_rows(seeds, 3 * num_frames).view(-1, 3, num_frames, 1, 1).to(labels.device)
        return networks.frames(labels)[:, :, None] + networks.config.noise * noise

    def bytes_a_clip(self, networks: ToyNetworks, num_frames: int) -> int:
        return 4 * 3 * 64 * 64 * num_frames

    def gflop(self, config: TrainConfig) -> float:
        return 1e-6 * config.schedule.iterations * config.optimiser.batch_size

    def reconstruction(self, networks: ToyNetworks, store: ClipStore, device: torch.device) -> None:
        return None

    def motion_masks(self, networks: ToyNetworks, seeds: NDArray[np.int64], labels: NDArray[np.int64]) -> None:
        return None


MODEL: Model = Toy()

"""What the settings of every model's training run have in common. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.files import hash_json
from tsvan.registry import config_class
from tsvan.validation import STRICT, UserError, build, nearest

FIRST_MODEL = "twostreamvan"
"""The model of settings that name none."""
MODEL_NAME = "model_name"
"""Key of nested settings that names the model."""

# Far beyond what anybody trains: a slip of the keyboard is told before it fills memory or disk.
MOST_ITERATIONS, MOST_CLIPS_A_BATCH, LARGEST_SEED = 100_000_000, 65_536, 2**63 - 1


@dataclass(frozen=True, config=STRICT)
class OptimiserConfig:
    """Adam (section A), one per owner of weights.

    Args:
        lr: learning rate of Adam.
        beta1: decay rate of Adam's first moment.
        beta2: decay rate of Adam's second moment.
        eps: added to the root of Adam's second moment.
        weight_decay: coupled weight decay (added to the gradient).
        batch_size: clips a batch.
    """

    lr: float = Field(default=2e-4, gt=0)
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    batch_size: int = Field(default=16, ge=2, le=MOST_CLIPS_A_BATCH)


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """What of the clip store is trained on.

    Args:
        num_frames: T, frames of a training clip; the clip discriminator needs 10 or more.
        split: `default` (held-out clips are never trained on) or `paper` (VoxCeleb: all clips are trained on).
    """

    num_frames: int = Field(default=10, ge=10, le=1000)
    split: Literal["default", "paper"] = "default"


class Schedule(Protocol):
    """The length of a run."""

    @property
    def iterations(self) -> int:
        """Return N, the iterations that the ramps and early stopping are shares of."""

    @property
    def pretrain_iterations(self) -> int:
        """Return the iterations of pre-training, which come before; 0 where a model knows none."""

    @property
    def total(self) -> int:
        """Return the iterations of the whole run."""

    @property
    def knots(self) -> dict[str, tuple[float, float]]:
        """Name what changes over the run, and between which shares of N."""

    @property
    def length(self) -> dict[str, int]:
        """Return the settings that say how long the run is."""


class TrainConfig:
    """One training run of one model; each model's settings are a frozen dataclass below this one.

    Every one has these sections. What is in `model`, `loss` and `schedule` is the model's own affair.

    Args:
        dataset: name of the dataset alone: what it is lies in the clip store.
        seed: of weights, batches and latents.
        precision: of the training's products of matrices; `bf16` is faster where the device multiplies it fast.
    """

    model_name: ClassVar[str]
    title: ClassVar[str]
    """Of the model, as texts and figures call it."""
    came_later: ClassVar[tuple[tuple[str, str, object], ...]] = ()
    """Section, setting, and the value that every run had before it became one."""
    row_name: ClassVar[str] = "published values"
    """Of the published run, in tables and as the origin of a study's first trial."""
    widths: ClassVar[tuple[str, ...]] = ()
    """Settings that memory grows with."""
    related: ClassVar[tuple[str, ...]] = ()
    """Names in a search space whose values are checked against each other."""
    stand_ins: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Names that a search space knows beside the settings, and the setting that each decides."""
    stand_in_meanings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What each stand-in is, for the list of settings."""

    dataset: str
    seed: int
    precision: Literal["fp32", "bf16"]
    model: Any
    loss: Any
    schedule: Schedule
    optimiser: OptimiserConfig
    data: DataConfig

    @classmethod
    def published(cls, dataset: str, row: Mapping[str, Any]) -> TrainConfig:
        """Build the published run for a dataset.

        Args:
            dataset: its name.
            row: what table 3 says of it, by setting; other models than TwoStreamVAN have no use for it.
        """
        return cls().with_settings({"dataset": dataset}, "published")

    def scaled(self, iterations: int) -> TrainConfig:
        """Scale the same run to another budget.

        Raises:
            UserError: too few iterations.
        """
        return self.with_settings({"iterations": iterations}, "iterations")

    @property
    def shortest(self) -> TrainConfig:
        """Return the same run, as short as one that has each kind of step."""
        return self.scaled(1)

    def with_params(self, params: dict[str, Any], where: str) -> TrainConfig:
        """Copy the config with what a search space has drawn, by setting or by stand-in.

        Raises:
            UserError: a value that the trainer refuses.
        """
        return self.with_settings(params, where)

    @property
    def derived(self) -> dict[str, Any]:
        """Return what follows from the settings, to log beside them; every stand-in is among it."""
        return {}

    @property
    def summary(self) -> str:
        """Summarise the config in a few characters, for names of runs and tables."""
        raise NotImplementedError

    @property
    def columns(self) -> dict[str, str]:
        """Return what tells configs of this model apart, as columns of a table: heading -> value."""
        raise NotImplementedError

    @property
    def settings_hash(self) -> str:
        """Hash all settings but the seed by SHA-256, hex: runs that differ in nothing else are of one config.

        A setting that came later is left out where it has the value that all runs had before, so that a config keeps
        its hash from version to version.
        """
        values = {**self.to_dict(), "seed": 0}
        for section, key, before in self.came_later:
            if values[section][key] == before:
                del values[section][key]
        return hash_json(values)

    def to_dict(self) -> dict[str, Any]:
        """Convert the config to nested plain values, as written to YAML and read back by `from_dict`.

        They name their model, but for the first one: its checkpoints and hashes are older than that key.
        """
        name = {} if self.model_name == FIRST_MODEL else {MODEL_NAME: self.model_name}
        return {**name, **asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_dict(values: dict[str, Any], where: str = "the config") -> TrainConfig:
        """Build and validate the settings of the model that they name.

        Args:
            values: nested settings; what is left out keeps its default.
            where: named in errors, usually a file.

        Raises:
            UserError: unknown model or key, wrong type or value out of range.
        """
        name = values.get(MODEL_NAME, FIRST_MODEL) if isinstance(values, dict) else FIRST_MODEL
        own = {key: value for key, value in values.items() if key != MODEL_NAME} if isinstance(values, dict) else values
        found: TrainConfig = build(config_class(name, where), own, where)
        return found

    def updated(self, values: dict[str, Any], where: str) -> TrainConfig:
        """Copy the config with nested settings laid over it; what they leave out stays.

        Raises:
            UserError: not a mapping, unknown key, wrong type or value out of range.
        """
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected a mapping of settings, got {values!r}")
        if (other := values.get(MODEL_NAME, self.model_name)) != self.model_name:
            raise UserError(f"{where} is a config of '{other}', not of '{self.model_name}'; add --model {other}")
        merged = self.to_dict()
        for key, value in values.items():
            old = merged.get(key)
            merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        return TrainConfig.from_dict(merged, where)

    def with_settings(self, settings: dict[str, Any], where: str = "--set") -> TrainConfig:
        """Copy the config with single values changed.

        Args:
            settings: `{"optimiser.lr": 1e-4}` or, as every name is unique, `{"lr": 1e-4}`.
            where: named in errors.

        Raises:
            UserError: unknown name, wrong type or value out of range.
        """
        values = self.to_dict()
        for name, value in settings.items():
            section, key = self.split_name(name, where)
            (values[section] if section else values)[key] = value
        return TrainConfig.from_dict(values, where)

    @classmethod
    def setting_names(cls) -> Mapping[str, str | None]:
        """Map each setting's own name to the section that holds it (None: the top)."""
        return _setting_names(cls.model_name)

    @classmethod
    def split_name(cls, name: str, where: str) -> tuple[str | None, str]:
        """Split `lr` or `optimiser.lr` into ("optimiser", "lr"). Refuse an unknown name, with a UserError."""
        known = cls.setting_names()
        if not isinstance(name, str):  # YAML takes `1: 3` for a number
            raise UserError(f"{where}: a setting's name must be text, got {name!r}")
        key = name.rsplit(".", 1)[-1]
        if key not in known or name not in (key, f"{known[key]}.{key}"):
            raise UserError(f"{where}: unknown setting '{name}'; {nearest(key, known)}")
        return known[key], key


@cache
def _setting_names(model: str) -> Mapping[str, str | None]:
    names: dict[str, str | None] = {}
    for name, value in asdict(config_class(model)()).items():
        if isinstance(value, dict):
            names.update(dict.fromkeys(value, name))
        else:
            names[name] = None
    return MappingProxyType(names)

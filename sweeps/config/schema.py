"""YAML -> SweepConfig, strict. A dataset's YAML is the whole study at the paper's budget; presets are overlays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.config import DATASETS, DatasetName, TrainConfig, published
from tsvan.data.datasets import rules
from tsvan.scoring.config import ScorerConfig
from tsvan.scoring.config import published as published_scorer
from tsvan.validation import STRICT, UserError, build, load_yaml, nearest, parse_value

PRESETS = ("paper", "dev", "smoke")
SHIPPED = Path(__file__).resolve().parents[1]
"""Folder of the sweep configs and presets that ship."""
RATIO = "lambda5_ratio"
"""Swept in place of lambda5_upper: upper = ratio x lower."""

Scalar = bool | int | float | str
Direction = Literal["maximize", "minimize"]
T = TypeVar("T")


@dataclass(frozen=True, config=STRICT)
class Prior:
    """What a setting is drawn from: uniform in [low, high] (log: in its logarithm), or one of `values`."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    values: tuple[Scalar, ...] | None = None


@dataclass(frozen=True, config=STRICT)
class Objective:
    """What a trial is judged by: which of two scores is better is decided here, and nowhere else."""

    metric: str = "inception_score"
    direction: Direction = "maximize"

    @property
    def sign(self) -> int:
        """Return what a score is multiplied by so that the larger product is the better score."""
        return 1 if self.direction == "maximize" else -1

    def better(self, one: float, other: float) -> bool:
        """Tell whether `one` is strictly better than `other`; NaN is never better."""
        return self.sign * one > self.sign * other

    def rank(self, items: Iterable[T], score: Callable[[T], float]) -> list[T]:
        """Sort items by their finite scores, best first; equal scores keep their order."""
        return sorted(items, key=lambda item: -self.sign * score(item))

    def best(self, items: Iterable[T], score: Callable[[T], float]) -> T | None:
        """Return the item with the best score, the first of equals; None without items."""
        return next(iter(self.rank(items, score)), None)


@dataclass(frozen=True, config=STRICT)
class SamplerConfig:
    """How Optuna proposes. `startup_trials`: drawn at random before the model of `tpe` is used."""

    kind: Literal["tpe", "random", "qmc", "nsga2"] = "tpe"
    startup_trials: int = Field(default=10, ge=1)


@dataclass(frozen=True, config=STRICT)
class SchedulerConfig:
    """Early stopping. Rungs are shares of the joint phase; at each, about 1 in `reduction` goes on."""

    kind: Literal["asha", "hyperband", "none"] = "asha"
    rungs: tuple[float, ...] = (0.3, 0.8)
    reduction: int = Field(default=2, ge=2)


@dataclass(frozen=True, config=STRICT)
class BudgetConfig:
    """Length of a trial. `pretrain_iterations`: null scales the published number with `iterations`."""

    iterations: int = Field(default=500_000, ge=10)
    pretrain_iterations: int | None = Field(default=None, ge=0)
    batch_size: int = Field(default=16, ge=2)


@dataclass(frozen=True, config=STRICT)
class ResourcesConfig:
    """What a trial gets. `workers`: trials at a time, null: as many as fit. `retries`: after a worker's death."""

    workers: int | None = Field(default=None, ge=1)
    cpus_per_trial: int | None = Field(default=None, ge=1)
    gpus_per_trial: float | Literal["auto"] = "auto"
    retries: int = Field(default=2, ge=0)


@dataclass(frozen=True, config=STRICT)
class ScoringConfig:
    """Sizes of the sample groups (null: the specification's), and the classifier's training where it differs."""

    validation_clips: int | None = Field(default=None, ge=2)
    confirm_clips: int | None = Field(default=None, ge=2)
    report_clips: int | None = Field(default=None, ge=2)
    batch_size: int | None = Field(default=None, ge=2)
    accuracy_floor: float | Literal["twice_chance"] = 0.8
    i3d: str | None = None
    classifier: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class CalibrateConfig:
    """Training seeds of the published row before the sweep, to measure the noise between seeds; 0: none."""

    seeds: int = Field(default=0, ge=0)


@dataclass(frozen=True, config=STRICT)
class ReportConfig:
    """Fresh training seeds for the winner and for the published row."""

    seeds: int = Field(default=5, ge=1)


@dataclass(frozen=True, config=STRICT)
class ConfirmConfig:
    """top_k > 1: the best k are retrained with `seeds` fresh seeds and ranked on the `confirm` group."""

    top_k: int = Field(default=1, ge=1)
    seeds: int = Field(default=3, ge=1)


@dataclass(frozen=True, config=STRICT)
class FinalConfig:
    """The final stage."""

    report: ReportConfig = ReportConfig()
    confirm: ConfirmConfig = ConfirmConfig()


@dataclass(frozen=True, config=STRICT)
class SweepConfig:
    """One study.

    Args:
        dataset: whose clips and whose published settings.
        preset: the overlay that was applied.
        trials: how many, the published row among them.
        seed: of the study; trial seeds and the sampler's follow from it.
        space: setting -> prior.
        fixed: training settings that differ from the published ones in every trial, as `kernel_layers: 2`.
        objective: metric and direction.
        second_objective: makes it a Pareto study.
    """

    dataset: DatasetName
    preset: Literal["paper", "dev", "smoke"] = "paper"
    trials: int = Field(default=32, ge=1)
    seed: int = Field(default=0, ge=0)
    space: dict[str, Prior] = field(default_factory=dict)
    fixed: dict[str, Scalar | None] = field(default_factory=dict)
    objective: Objective = Objective()
    second_objective: Objective | None = None
    sampler: SamplerConfig = SamplerConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    budget: BudgetConfig = BudgetConfig()
    resources: ResourcesConfig = ResourcesConfig()
    scoring: ScoringConfig = ScoringConfig()
    calibrate: CalibrateConfig = CalibrateConfig()
    final: FinalConfig = FinalConfig()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """One or two."""
        return (self.objective,) if self.second_objective is None else (self.objective, self.second_objective)

    @property
    def base(self) -> TrainConfig:
        """The published row at this study's budget with its fixed settings: every trial starts from it."""
        row = published(self.dataset)
        pretrain = self.budget.pretrain_iterations
        if pretrain is None:
            share = self.budget.iterations / row.schedule.iterations
            pretrain = round(row.schedule.pretrain_iterations * share)
        return row.with_settings(
            {
                "schedule.iterations": self.budget.iterations,
                "schedule.pretrain_iterations": pretrain,
                "optimiser.batch_size": self.budget.batch_size,
                **self.fixed,
            },
            "fixed",
        )

    @property
    def scorer(self) -> ScorerConfig:
        """The published training of the dataset's scorer with this study's changes."""
        row = cast(dict[str, Any], _plain(asdict(published_scorer(self.dataset))))
        return build(ScorerConfig, {**row, **self.scoring.classifier}, "scoring.classifier")

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as written to `study.yaml`."""
        return cast(dict[str, Any], _plain(asdict(self)))


def check_names(dataset: str, preset: str) -> None:
    """Raises UserError for an unknown dataset or preset, with the nearest."""
    if dataset not in DATASETS:
        raise UserError(f"unknown dataset '{dataset}'; {nearest(dataset, DATASETS)}")
    if preset not in PRESETS:
        raise UserError(f"unknown preset '{preset}'; {nearest(preset, PRESETS)}")


def load(
    dataset: str, preset: str = "paper", overrides: list[str] | None = None, file: Path | None = None
) -> tuple[SweepConfig, str]:
    """Read and validate a dataset's sweep config with a preset and single values over it.

    Args:
        dataset: one of DATASETS.
        preset: one of PRESETS.
        overrides: `key=value`, as `budget.iterations=30` or `train.kernel_layers=2`.
        file: in place of the YAML that ships.

    Returns:
        The config, and the file that it came from.

    Raises:
        UserError: anything unknown or wrong, with file, key, value and what to do.
    """
    from sweeps.config.rules import checked

    check_names(dataset, preset)
    source = file or SHIPPED / f"{dataset}.yaml"
    values = load_yaml(source)
    if isinstance(values, dict) and "objective" not in values:
        values = {**values, "objective": _usual_objective(dataset)}
    config = checked(build(SweepConfig, values, _shown(source)), _shown(source))
    if config.dataset != dataset:
        raise UserError(
            f"{_shown(source)}: dataset is '{config.dataset}', but --dataset is '{dataset}'; change one of them"
        )
    overlay = SHIPPED / "presets" / f"{preset}.yaml"
    config = build(SweepConfig, _merge(config.to_dict(), load_yaml(overlay)), _shown(overlay))
    for where, layer in map(_override, overrides or []):
        config = build(SweepConfig, _merge(config.to_dict(), layer), where)
    # Rules between keys hold for the whole: two overrides may be right only together.
    return checked(config, " ".join(f"--set {text}" for text in overrides or []) or _shown(overlay)), _shown(source)


def _usual_objective(dataset: str) -> dict[str, str]:
    """Actions tell how recognisable a clip is; without them the distance to real clips decides."""
    if rules(dataset).scoring == "speaker_step":
        return {"metric": "kernel_distance", "direction": "minimize"}
    return {"metric": "inception_score", "direction": "maximize"}


def _override(text: str) -> tuple[str, dict[str, Any]]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, as in --set budget.iterations=30")
    parts = key.strip().split(".")
    if parts[0] in ("dataset", "preset"):
        raise UserError(f"--set {text}: use --{parts[0]}")
    if parts[0] == "train" or parts[0] == "fixed":  # a training setting, by its own name or with its section
        parts = ["fixed", ".".join(parts[1:])]
    layer: Any = parse_value(value)
    for part in reversed(parts):
        layer = {part: layer}
    return f"--set {text}", layer


def _merge(base: dict[str, Any], layer: Any) -> dict[str, Any]:
    if not isinstance(layer, dict):
        return cast(dict[str, Any], layer)  # wrong on purpose: validation names it
    merged = copy.deepcopy(base)
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _shown(path: Path) -> str:
    """Relative to where the user stands, if possible."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

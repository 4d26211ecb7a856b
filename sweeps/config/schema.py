"""The settings of a study as frozen dataclasses, strictly typed; `load` reads them, `rules` holds what lies between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, field, fields, is_dataclass
from typing import Any, Literal, TypeVar, cast

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.data.datasets import DatasetRules, rules
from tsvan.data.published import published
from tsvan.run_config import FIRST_MODEL, LARGEST_SEED, MOST_CLIPS_A_BATCH, MOST_ITERATIONS, TrainConfig
from tsvan.scoring.config import Heads, ScorerConfig
from tsvan.scoring.config import published as published_scorer
from tsvan.scoring.groups import group_size
from tsvan.scoring.metrics import METRICS
from tsvan.scoring.own_metrics import OwnMetric
from tsvan.validation import STRICT, build

PRESETS = ("paper", "dev", "smoke", "demo")
SCHEDULERS = ("asha", "hyperband", "none")
"""Rules of early stopping that ship."""
STAND_INS = ("smoke", "demo")
"""Presets that draw small stand-in videos where no data is given."""
AUTO = "auto"
"""The objective that is chosen when the scorer is there."""

MOST_TRIALS, MOST_CLIPS, MOST_SEEDS = 100_000, 1_000_000, 1000
"""Far beyond what anybody asks for: a slip of the keyboard is told before it fills memory or disk."""

Scalar = bool | int | float | str
Direction = Literal["maximize", "minimize"]
T = TypeVar("T")


@dataclass(frozen=True, config=STRICT)
class Prior:
    """The prior that a setting is drawn from: uniform in a range, or one of `values`.

    Args:
        low, high: ends of the range, both included.
        log: uniform in the logarithm.
        step: between two values of the range, from `low` on.
        integer: whole numbers alone; said by itself for a setting that is one.
        values: what is chosen from.
        ordered: the order of `values` counts: neighbours are alike to the sampler.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    integer: bool = False
    values: tuple[Scalar, ...] | None = None
    ordered: bool = False


@dataclass(frozen=True, config=STRICT)
class Objective:
    """The objective that a trial is judged by: which of two scores is better is decided here, and nowhere else.

    The metric `auto` stands for the first of the dataset's own order that sees motion; once the scorer is there, that
    one takes its place (sweeps/objective.py).
    """

    metric: str = AUTO
    direction: Direction = "maximize"

    @property
    def auto(self) -> bool:
        """Tell whether the metric is still to be chosen."""
        return self.metric == AUTO

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
    """The way Optuna proposes.

    Args:
        kind: a short name, a class of `optuna.samplers`, or `module:Class` of one's own.
        startup_trials: drawn at random before a sampler's model is used.
        keywords: of the class; in a YAML they stand beside `kind`.
    """

    kind: str = "tpe"
    startup_trials: int = Field(default=10, ge=1, le=MOST_TRIALS)
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class SchedulerConfig:
    """Early stopping.

    Args:
        kind: one of SCHEDULERS, or `module:Class` of one's own.
        rungs: shares of the joint phase.
        reduction: at each rung about 1 in so many goes on.
        keywords: of one's own class; in a YAML they stand beside `kind`.
    """

    kind: str = "asha"
    rungs: tuple[float, ...] = Field(default=(0.3, 0.8), max_length=100)
    reduction: int = Field(default=2, ge=2, le=1000)
    keywords: dict[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Tell whether the rule is a class of the user's."""
        return ":" in self.kind


@dataclass(frozen=True, config=STRICT)
class BudgetConfig:
    """The length of a trial. `pretrain_iterations`: null scales the published number with `iterations`."""

    iterations: int = Field(default=500_000, ge=10, le=MOST_ITERATIONS)
    pretrain_iterations: int | None = Field(default=None, ge=0, le=MOST_ITERATIONS)
    batch_size: int = Field(default=16, ge=2, le=MOST_CLIPS_A_BATCH)


@dataclass(frozen=True, config=STRICT)
class ResourcesConfig:
    """A trial's resources. `workers`: trials at a time, null: as many as fit. `retries`: after a worker's death."""

    workers: int | None = Field(default=None, ge=1, le=10_000)
    cpus_per_trial: int | None = Field(default=None, ge=1, le=10_000)
    gpus_per_trial: float | Literal["auto"] = "auto"
    retries: int = Field(default=2, ge=0, le=1000)


@dataclass(frozen=True, config=STRICT)
class ScoringConfig:
    """Sizes of the sample groups (null: the specification's), and what differs of the classifier.

    `heads`: see ScorerConfig; the classifier's other settings are under `classifier`.
    """

    validation_clips: int | None = Field(default=None, ge=2, le=MOST_CLIPS)
    confirm_clips: int | None = Field(default=None, ge=2, le=MOST_CLIPS)
    report_clips: int | None = Field(default=None, ge=2, le=MOST_CLIPS)
    batch_size: int | None = Field(default=None, ge=2, le=MOST_CLIPS_A_BATCH)
    accuracy_floor: float | Literal["twice_chance"] = 0.8
    heads: Heads = "timed"
    i3d: str | None = None
    classifier: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class CalibrateConfig:
    """Training seeds of the published row before the sweep, to measure the noise between seeds; 0: none."""

    seeds: int = Field(default=0, ge=0, le=MOST_SEEDS)


@dataclass(frozen=True, config=STRICT)
class ReportConfig:
    """Fresh training seeds for the winner and for the published row."""

    seeds: int = Field(default=5, ge=1, le=MOST_SEEDS)


@dataclass(frozen=True, config=STRICT)
class ConfirmConfig:
    """Retraining of the best k and of the published row with `seeds` fresh seeds, to rank them on the `confirm` group.

    With `top_k` 1 there is no such stage."""

    top_k: int = Field(default=4, ge=1, le=MOST_SEEDS)
    seeds: int = Field(default=3, ge=1, le=MOST_SEEDS)


@dataclass(frozen=True, config=STRICT)
class FinalConfig:
    """The final stage."""

    report: ReportConfig = ReportConfig()
    confirm: ConfirmConfig = ConfirmConfig()


@dataclass(frozen=True, config=STRICT)
class SweepConfig:
    """The settings of one study.

    Args:
        dataset: name of the dataset whose clips and whose published settings these are.
        own_dataset: what it is, of a dataset that does not ship.
        model: name of the model that is tuned.
        preset: the overlay that was applied.
        trials: how many, the published row among them.
        seed: of the study; trial seeds and the sampler's follow from it.
        space: setting -> prior.
        fixed: training settings that differ from the published ones in every trial, as `kernel_layers: 2`.
        metrics: of the user's own, by name; in a YAML `name: module:function` is enough.
        objective: metric and direction; `auto`: see Objective.
        second_objective: makes it a Pareto study.
    """

    dataset: str
    own_dataset: DatasetRules | None = None
    model: str = FIRST_MODEL
    preset: Literal["paper", "dev", "smoke", "demo"] = "paper"
    trials: int = Field(default=32, ge=1, le=MOST_TRIALS)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    space: dict[str, Prior] = field(default_factory=dict)
    fixed: dict[str, Scalar | None] = field(default_factory=dict)
    metrics: dict[str, OwnMetric] = field(default_factory=dict)
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
    def rules(self) -> DatasetRules:
        """Return the dataset."""
        return self.own_dataset or rules(self.dataset)

    @property
    def directions(self) -> dict[str, Direction]:
        """Return which way is better of every metric: those that ship, and the user's own."""
        own = {name: entry.direction or "maximize" for name, entry in self.metrics.items()}
        return {**{name: metric.direction for name, metric in METRICS.items()}, **own}

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Return the one or two objectives."""
        return (self.objective,) if self.second_objective is None else (self.objective, self.second_objective)

    @property
    def base(self) -> TrainConfig:
        """Return the published row at this study's budget with its fixed settings: every trial starts from it."""
        row, pretrain = self.published.scaled(self.budget.iterations), self.budget.pretrain_iterations
        length = {} if pretrain is None else {"schedule.pretrain_iterations": pretrain}
        row = row.with_settings(length, "budget") if length else row
        return row.with_settings({"optimiser.batch_size": self.budget.batch_size, **self.fixed}, "fixed")

    @property
    def published(self) -> TrainConfig:
        """Return the published row of the model for the dataset, at its own budget."""
        return published(self.rules, self.model)

    @property
    def scorer(self) -> ScorerConfig:
        """Return the published training of the dataset's scorer with this study's changes."""
        row = cast(dict[str, Any], _plain(asdict(published_scorer(self.rules, self.scoring.heads))))
        return build(ScorerConfig, {**row, **self.scoring.classifier}, "scoring.classifier")

    def num_clips(self, group: str, num_classes: int) -> int:
        """Return N of a sample group in this study: what was asked for, else the specification's number."""
        asked: int | None = getattr(self.scoring, f"{group}_clips")
        return group_size(group, num_classes) if asked is None else asked

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values, as written to `study.yaml`."""
        values = cast(dict[str, Any], _plain(asdict(self)))
        if self.own_dataset is None:
            del values["own_dataset"]  # so that studies of the datasets that ship read as they always did
        return values


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value

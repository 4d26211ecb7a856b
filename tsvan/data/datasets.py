"""What a dataset is, as data: names, classes, sizes, playback steps, what is held out, what its labels are scored by.

A dataset is one YAML. Four ship beside this file; a user's own is as good as they are (docs/datasets.md, key by key).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.data.naming import LayoutEntry
from tsvan.data.standin.config import StandinConfig
from tsvan.validation import STRICT, UserError, build, load_yaml, nearest

NpyAxes = Literal["HWCT", "THWC"]
HeadName = Literal["class", "class x subject", "person x action", "subject", "speaker", "playback step"]
MetricName = Literal["inception_score", "kernel_distance", "frechet_distance"]

DATASETS = ("weizmann", "mug", "synaction", "vox")
"""The datasets that ship, each a YAML beside this file."""

CROP = 64
"""Side of the square that the networks see, cut from the store's larger square."""

MIN_FRAMES = 10
"""Frames of the shortest usable clip: the clip discriminator needs ten."""


@dataclass(frozen=True, config=STRICT)
class Playback:
    """Source frames between two frames of a clip, by class or by rate.

    Args:
        step: of the classes that `steps` does not name.
        steps: of single classes.
        target_rate: frames per second to come near to, by a step for each file; null: steps go by class.
        assumed_rate: frames per second of a source that does not say.
    """

    step: int = Field(default=1, ge=1)
    steps: Mapping[str, int] = field(default_factory=dict)
    target_rate: float | None = Field(default=None, gt=0)
    assumed_rate: float = Field(default=25.0, gt=0)

    def __post_init__(self) -> None:
        for name, step in self.steps.items():
            if step < 1:
                raise UserError(f"steps.{name} must be >= 1, got {step}")
        if self.target_rate is not None and (self.steps or self.step != 1):
            raise UserError("target_rate excludes step and steps: give one of them")


@dataclass(frozen=True, config=STRICT)
class Centring:
    """What a raw video is cropped to.

    Args:
        by: `face` (found by OpenCV's cascades), `motion` (the square follows what moves), or `none` (the central one).
        crops_up_to: pixels; square frames up to this side have been cropped to their subject before.
        masks: name of a MATLAB file with the subject's silhouettes, `original_masks`, as Weizmann's authors publish it.
    """

    by: Literal["none", "face", "motion"] = "none"
    crops_up_to: int = Field(default=128, ge=0)
    masks: str | None = None


@dataclass(frozen=True, config=STRICT)
class HeldOut:
    """The rule of which clips test: one in `one_in`, of what `by` names.

    Args:
        by: `subject`, `take` or `file`: whole ones; `time`: the end of each file; `phase`: the last phase of each file;
            `index`: SynAction's rule, another index for each subject, class and take.
        one_in: the share that is held out, as 5 for every fifth.
        within: of a take or a file: out of those of all clips, of each subject, or of each class.
        pick: of a take or a file: the `last` ones in order of their names (at least one), or `every` n-th.
        lone: a take that is alone of its subject or class: its last 1/lone in time is held out; null: nothing of it.
        gap: of `time`: one window before the end is used by neither side.
    """

    by: Literal["subject", "take", "file", "time", "phase", "index"] = "file"
    one_in: int = Field(default=5, ge=2)
    within: Literal["all", "subject", "class"] = "class"
    pick: Literal["last", "every"] = "last"
    lone: int | None = Field(default=None, ge=2)
    gap: bool = True


@dataclass(frozen=True, config=STRICT)
class PublishedRow:
    """The settings to start from: a column of table 3, pre-training, and the release's share of prior samples."""

    lambda2: float = Field(ge=0)
    lambda5_lower: float = Field(ge=0)
    lambda5_upper: float = Field(ge=0)
    ngf: int = Field(ge=1)
    content_dim: int = Field(ge=1)
    pretrain_iterations: int = Field(default=0, ge=0)
    prior_share: float = Field(default=1.0, ge=0, le=1)

    def __post_init__(self) -> None:
        if self.lambda5_lower > self.lambda5_upper:
            raise UserError(
                f"lambda5_lower must be <= lambda5_upper, got {self.lambda5_lower:g}, {self.lambda5_upper:g}"
            )


@dataclass(frozen=True, config=STRICT)
class ScorerTraining:
    """The settings in which the training of the dataset's scorer differs from the usual one; null: it does not."""

    batch_size: int | None = Field(default=None, ge=2)
    lr: float | None = Field(default=None, gt=0)
    lr_decay: float | None = Field(default=None, gt=0, le=1)
    backward_share: float | None = Field(default=None, ge=0, le=1)


@dataclass(frozen=True, config=STRICT)
class DatasetRules:
    """A dataset.

    Args:
        name: in commands, folders and MLflow.
        layouts: how its files are named; the first that fits a path is used.
        expected: the same in words, for messages; empty: the layouts.
        classes: class names in canonical order; a store keeps those present in its train split. Empty: as found.
        class_numbers: in a name, a number stands for the class at that place of `classes`, from 0.
        ignored_classes: classes of the original set that are not part of the task; their files are left out, not bad.
        ignored_takes: endings of the takes that are left out.
        takes: `all`, or only the `first` of each subject and class that can be read.
        shortest_take: frames of the shortest whole take that is used.
        npy_axes: axes of a `.npy` clip, where its shape alone does not tell.
        side: pixels, side of the stored square frames.
        playback: source frames between two frames of a clip.
        phases: a whole video is split into this many clips by taking every n-th frame.
        centring: what a raw video is cropped to.
        held_out: which clips test.
        released_held_out: the same in the authors' release, where it differs (`split: release`).
        paper_trains_on_all: `split: paper` trains on the held-out clips too.
        heads: what the scoring classifier tells apart; the first one's answer is the y of p(y|v).
        scorer: where the scorer's training differs.
        objectives: metrics that a study may be judged by, the preferred one first.
        published: the settings to start from: a row, or the name of a dataset that ships.
        random_frames: frames in the report's figure of random frames.
        standin: how stand-in videos of it are drawn; null: they can't be.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    layouts: tuple[LayoutEntry, ...] = Field(min_length=1)
    expected: str = ""
    classes: tuple[str, ...] = ()
    class_numbers: bool = False
    ignored_classes: tuple[str, ...] = ()
    ignored_takes: tuple[str, ...] = ()
    takes: Literal["all", "first"] = "all"
    shortest_take: int = Field(default=MIN_FRAMES, ge=MIN_FRAMES)
    npy_axes: NpyAxes = "THWC"
    side: int = Field(default=71, ge=CROP, le=1024)
    playback: Playback = Playback()
    phases: int = Field(default=1, ge=1)
    centring: Centring = Centring()
    held_out: HeldOut = HeldOut()
    released_held_out: HeldOut | None = None
    paper_trains_on_all: bool = False
    heads: tuple[HeadName, ...] = ("class",)
    scorer: ScorerTraining = ScorerTraining()
    objectives: tuple[MetricName, ...] = ("inception_score", "kernel_distance")
    published: PublishedRow | Literal["weizmann", "mug", "synaction", "vox"] = "weizmann"
    random_frames: int = Field(default=40, ge=1)
    standin: StandinConfig | None = None

    def __post_init__(self) -> None:
        _check_classes(self)
        _check_held_out(self)
        if not self.heads or len(set(self.heads)) < len(self.heads):
            raise UserError(f"heads must be different and not empty, got {list(self.heads)}")
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise UserError(f"objectives must be different and not empty, got {list(self.objectives)}")

    @property
    def ships(self) -> bool:
        """Tell whether the dataset is one of the four that ship."""
        return self.name in DATASETS

    @property
    def wanted(self) -> str:
        """Return the file names that are understood, for messages."""
        return self.expected or ", ".join(layout.pattern for layout in self.layouts)

    @property
    def row(self) -> PublishedRow:
        """Return the settings to start from."""
        return rules(self.published).row if isinstance(self.published, str) else self.published

    def of_clips(self) -> dict[str, Any]:
        """Return what a store's clips depend on, as plain values."""
        values = asdict(self)
        return {key: value for key, value in values.items() if key not in _NOT_OF_CLIPS}

    def frame_step(self, name: str, rate: float | None) -> int:
        """Return the playback step of a video.

        Args:
            name: its class.
            rate: its frames per second, None when the file does not say.
        """
        if self.playback.target_rate is None:
            return self.playback.steps.get(name, self.playback.step)
        return max(1, round((rate or self.playback.assumed_rate) / self.playback.target_rate))


def rules(dataset: str | DatasetRules) -> DatasetRules:
    """Return the dataset of a name or of a YAML's path, or the one given.

    Raises:
        UserError: unknown dataset, or a YAML with something wrong in it.
    """
    if isinstance(dataset, DatasetRules):
        return dataset
    if dataset in DATASETS:
        return _shipped(dataset)
    if dataset.endswith((".yaml", ".yml")):
        found = build(DatasetRules, load_yaml(Path(dataset)), dataset)
        if found.ships and found != _shipped(found.name):
            raise UserError(f"{dataset}: name: '{found.name}' is a dataset that ships; give yours another name")
        return found
    raise UserError(f"unknown dataset '{dataset}'; {nearest(dataset, DATASETS)}, or give the path of a dataset's YAML")


def span(num_frames: int, step: int) -> int:
    """Count the source frames that a window of `num_frames` frames at a playback step covers."""
    return (num_frames - 1) * step + 1


_NOT_OF_CLIPS = {
    *("expected", "paper_trains_on_all", "heads", "scorer", "objectives", "published", "random_frames", "standin"),
}


@cache
def _shipped(name: str) -> DatasetRules:
    file = Path(__file__).with_name(f"{name}.yaml")
    return build(DatasetRules, load_yaml(file), str(file))


def _check_classes(found: DatasetRules) -> None:
    named = all("class" in layout.fields for layout in found.layouts)
    if len(set(found.classes)) < len(found.classes):
        raise UserError(f"classes must be different, got {list(found.classes)}")
    if not named and len(found.classes) != 1:
        without = next(layout.pattern for layout in found.layouts if "class" not in layout.fields)
        raise UserError(
            f"the layout '{without}' has no <class>, so classes must be the one class of all its clips, got "
            f"{list(found.classes)}; add <class>, or write classes: [NAME]"
        )
    if found.class_numbers and not found.classes:
        raise UserError("class_numbers needs classes, the names that the numbers stand for")
    for name in found.playback.steps if found.classes else ():
        if name not in found.classes:
            raise UserError(f"playback.steps: unknown class '{name}'; {nearest(name, found.classes)}")


def _check_held_out(found: DatasetRules) -> None:
    fields = frozenset.intersection(*(layout.fields for layout in found.layouts))
    for rule in (found.held_out, *([found.released_held_out] if found.released_held_out else [])):
        needs = {"subject": ("subject",), "take": ("take",), "index": ("subject", "take")}.get(rule.by, ())
        for name in needs:
            if name not in fields:
                raise UserError(f"held_out.by: {rule.by} needs the field <{name}> in every layout; add it")
        if rule.by == "time" and found.phases > 1:
            raise UserError("held_out.by: time and phases > 1 exclude each other: phases mix all of a video's time")
        if rule.lone is not None and found.phases > 1:
            raise UserError("held_out.lone and phases > 1 exclude each other: phases mix all of a video's time")
        if rule.within == "subject" and "subject" not in fields:
            raise UserError("held_out.within: subject needs the field <subject> in every layout; add it")
        if rule.by == "phase" and found.phases == 1:
            raise UserError("held_out.by: phase needs phases > 1")
    subject_heads = {"class x subject", "person x action", "subject", "speaker"} & set(found.heads)
    if subject_heads and found.held_out.by == "subject":
        raise UserError(
            f"heads: '{min(subject_heads)}' can't be tested where whole subjects are held out; change heads or "
            f"held_out.by"
        )
    if subject_heads and "subject" not in fields:
        raise UserError(f"heads: '{min(subject_heads)}' needs the field <subject> in every layout; add it")

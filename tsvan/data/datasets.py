"""The rules of the four datasets as data: classes, sizes, playback steps, file names, what their labels are scored by.

Sources: section B.1 of the paper's supplement for splits and sampling rates; store sides and the per-action steps from
the authors' public release (where those steps are dead code, though the supplement asks for them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tsvan.config import DATASETS, DatasetName
from tsvan.validation import UserError, nearest

Scoring = Literal["person_action", "class", "speaker_step"]
NpyLayout = Literal["HWCT", "THWC"]

CROP = 64
"""Side of the square that the networks see, cut from the store's larger square."""

MIN_FRAMES = 10
"""Frames of the shortest usable clip: the clip discriminator needs ten."""


@dataclass(frozen=True)
class DatasetRules:
    """What is particular to a dataset.

    Args:
        name: the dataset.
        classes: class names in canonical order; a store keeps those present in its train split.
        side: pixels, side of the stored square frames.
        scoring: what the scoring classifier tells apart.
        npy_layout: axes of the authors' published `.npy` clips.
        layout: the file names that are understood, for messages.
        steps: playback step of single classes; the others have `default_step`.
        default_step: playback step, source frames between two frames of a clip.
        target_rate: frames per second to come near to by a step for each file; None: steps go by class.
        assumed_rate: frames per second of a source that does not say (an `.npy` clip); only with `target_rate`.
        phases: a whole video is split into this many clips by taking every n-th frame.
        ignored: class names of the original set that are not part of the task; their files are left out, not bad.
        paper_trains_on_all: `split: paper` trains on the held-out clips too.
        subject: what a raw video is centred on.
        centred_side: pixels; square frames up to this side have been cropped to their subject before.
        pictures: a clip may be a folder of pictures.
        shortest_take: frames of the shortest whole take that is used.
    """

    name: DatasetName
    classes: tuple[str, ...]
    side: int
    scoring: Scoring
    npy_layout: NpyLayout
    layout: str
    steps: Mapping[str, int] = field(default_factory=dict)
    default_step: int = 1
    target_rate: float | None = None
    assumed_rate: float = 25.0
    phases: int = 1
    ignored: tuple[str, ...] = ()
    paper_trains_on_all: bool = False
    subject: Literal["face", "actor"] = "actor"
    centred_side: int = 0
    pictures: bool = False
    shortest_take: int = MIN_FRAMES

    def frame_step(self, name: str, rate: float | None) -> int:
        """Playback step of a video.

        Args:
            name: its class.
            rate: its frames per second, None when the file does not say.
        """
        if self.target_rate is None:
            return self.steps.get(name, self.default_step)
        return max(1, round((rate or self.assumed_rate) / self.target_rate))


def rules(dataset: str) -> DatasetRules:
    """The rules of a dataset.

    Raises:
        UserError: unknown dataset.
    """
    for name, found in RULES.items():
        if name == dataset:
            return found
    raise UserError(f"unknown dataset '{dataset}'; {nearest(dataset, DATASETS)}")


def span(num_frames: int, step: int) -> int:
    """Source frames that a window of `num_frames` frames at a playback step covers."""
    return (num_frames - 1) * step + 1


def _steps(groups: Mapping[int, str]) -> dict[str, int]:
    return {name: step for step, names in groups.items() for name in names.split()}


_SYNACTION_STEPS = _steps(
    {
        2: "cheer clap climb crossstep",
        4: "bow hook knee pick push roll run squat stall standup walk wave",
        6: "hit jump kick pitch",
    }
)

RULES: Mapping[DatasetName, DatasetRules] = {
    "weizmann": DatasetRules(
        name="weizmann",
        classes=("bend", "jack", "jump", "pjump", "run", "side", "skip", "walk", "wave1", "wave2"),
        side=69,
        scoring="person_action",
        npy_layout="HWCT",
        layout="<person>_<action>.avi (or .npy), as in daria_bend.avi, in folders or in zips; the doubles as in "
        "lena_run1.avi, lena_run2.avi",
        centred_side=256,
        steps=_steps({1: "run side skip"}),
        default_step=2,
    ),
    "mug": DatasetRules(
        name="mug",
        classes=("anger", "disgust", "fear", "happiness", "sadness", "surprise"),
        side=71,
        scoring="class",
        npy_layout="THWC",
        layout="<subject>/[session*/]<expression>/take*/<frame>.jpg, <subject>_<expression>_<take>.mp4, "
        "<subject>/<expression>/<take>.mp4, or <subject>_<expression>_<take>_<part>.npy as the authors publish them",
        subject="face",
        pictures=True,
        shortest_take=40,
        phases=4,
        ignored=("neutral", "mixed"),
    ),
    "synaction": DatasetRules(
        name="synaction",
        classes=tuple(sorted(_SYNACTION_STEPS)),
        side=71,
        scoring="class",
        npy_layout="THWC",
        layout="<actor>_<action>_<sequence>_<index>.mp4 (or .npy); the action by its name or its alphabetical index",
        centred_side=256,
        steps=_SYNACTION_STEPS,
    ),
    "vox": DatasetRules(
        name="vox",
        classes=("talk",),
        side=71,
        scoring="speaker_step",
        npy_layout="THWC",
        layout="<speaker>#<video>#<first>#<last>.mp4, <speaker>/<anything>.mp4, or face frames as "
        "<name>/1.6/<video>/<track>/<frame>.jpg",
        subject="face",
        centred_side=256,
        pictures=True,
        target_rate=12.5,
        paper_trains_on_all=True,
    ),
}

"""Stand-in videos: drawn people who move, with labels, so that everything can be tried where there is no data.

They are stored by the same rules as real videos (names, splits, steps), and are tagged `synthetic`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tsvan.data.datasets import MIN_FRAMES, DatasetRules, rules, span
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Source, synaction_index
from tsvan.data.standin.bodies import Look, Pose, paint, random_look
from tsvan.data.standin.faces import EXPRESSIONS, Face, FaceLook, idle, paint_face, random_face, talking
from tsvan.data.standin.motions import MOTIONS, SPEED, TEMPO
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter
from tsvan.files import Progress

Size = Literal["small", "large"]
Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Amount:
    """How much is drawn: people, videos of each person and class, frames of each video (None: as its step needs)."""

    people: int
    videos: int
    num_frames: int | None


AMOUNTS: dict[str, dict[Size, Amount]] = {
    "weizmann": {"small": Amount(3, 1, 60), "large": Amount(9, 1, 90)},
    "mug": {"small": Amount(3, 2, 56), "large": Amount(12, 5, 64)},
    "synaction": {"small": Amount(2, 4, None), "large": Amount(10, 6, None)},
    "vox": {"small": Amount(4, 3, 90), "large": Amount(16, 8, 120)},
}

_RATE = 25.0
_MUG_RATE = 19.0
_CYCLE = 12
"""Played frames in which a cycle of an action of tempo 1 passes, about: a window of ten shows most of one."""


@dataclass(frozen=True)
class _Video:
    """What is to be drawn: a file's name, and numbers for its person and itself."""

    file: str
    person: int
    number: int


def draw(
    dataset: str, out: Path | str, *, size: Size = "small", seed: int = 0, progress: Progress | None = None
) -> ClipStore:
    """Draw a store of stand-in videos; the same seed draws the same store.

    Args:
        dataset: whose classes, names and rules.
        out: the store's folder, made here.
        size: `small` is drawn in seconds, `large` in a minute or two.
        seed: of the people and their motion.
        progress: called with videos done and videos in all.

    Raises:
        UserError: unknown dataset, or `out` is taken.
    """
    found = rules(dataset)
    amount = AMOUNTS[found.name][size]
    videos = list(_videos(found, amount))
    with StoreWriter(found, Path(out), "synthetic") as writer:
        for done, video in enumerate(videos, start=1):
            frames = _draw_video(found, amount, video, seed)
            sha256 = hashlib.sha256(frames.data).hexdigest()
            writer.add(Source(video.file, identify(found, video.file), len(frames), _RATE, sha256), frames)
            if progress:
                progress(done, len(videos))
        return writer.finish()


def _videos(found: DatasetRules, amount: Amount) -> Iterator[_Video]:
    number = 0
    for person in range(amount.people):
        for label, name in enumerate(found.classes):
            for take in range(amount.videos):
                yield _Video(_file(found, amount, person, label, name, take), person, number)
                number += 1


def _file(found: DatasetRules, amount: Amount, person: int, label: int, name: str, take: int) -> str:
    if found.name == "weizmann":
        return f"person{person + 1:02d}_{name}.avi"
    if found.name == "mug":
        return f"{person + 1:03d}_{name}_take{take:03d}.mp4"
    if found.name == "synaction":
        # The first video of a sequence has the index that is held out.
        index = (synaction_index(person, label, 0) + take) % 15
        return f"{person}_{name}_0_{index}.mp4"
    return f"id{10001 + person}#video{take + 1}#000001#{amount.num_frames or 0:06d}.mp4"


def _enough_frames(found: DatasetRules, name: str) -> int:
    """Frames of a video that is as long as its window and a little more."""
    return span(MIN_FRAMES, found.frame_step(name, _RATE)) + 8


def _draw_video(found: DatasetRules, amount: Amount, video: _Video, seed: int) -> Frames:
    who = identify(found, video.file)
    num_frames = amount.num_frames or _enough_frames(found, who.action)
    # A person keeps the same look in all videos, and the same one in all datasets' sizes.
    looks = np.random.default_rng([seed, 0, video.person])
    chance = np.random.default_rng([seed, 1, video.number])
    if found.name == "mug":
        return _expression(random_face(looks), EXPRESSIONS[who.action], num_frames, found.side, chance)
    if found.name == "vox":
        return _speech(random_face(looks), num_frames, found.side, chance)
    step = found.frame_step(who.action, _RATE)
    look = random_look(looks)
    # By person, not by video: with one video of a person and action they would give the action away.
    place, mirror = float(looks.uniform(0.46, 0.54)), bool(looks.random() < 0.5)

    def draw_frame(pose: Pose, scroll: float) -> Frames:
        return paint(pose, look, found.side, centre=place, scroll=scroll, mirror=mirror)

    return np.stack([draw_frame(*moment) for moment in _moments(look, who.action, step, num_frames, chance)])


def _moments(
    look: Look, action: str, step: int, num_frames: int, chance: np.random.Generator
) -> Iterator[tuple[Pose, float]]:
    """The pose and the camera's way along the wall, frame by frame."""
    cycle = _CYCLE * step / (TEMPO.get(action, 1.0) * look.tempo * chance.uniform(0.9, 1.1))
    begin = chance.uniform(0, 2 * np.pi)
    for number in range(num_frames):
        cycles = number / cycle
        yield MOTIONS[action](begin + 2 * np.pi * cycles, look.reach), SPEED.get(action, 0.0) * cycles


def _expression(look: FaceLook, apex: Face, num_frames: int, side: int, chance: np.random.Generator) -> Frames:
    """From neutral to the full expression and back, as MUG's takes go."""
    phases = chance.random(6)
    still = replace(look, sway=0.5 * look.sway)  # the expression is what moves
    peak, strength = chance.uniform(0.4, 0.6), chance.uniform(0.9, 1.15)
    frames = []
    for number in range(num_frames):
        at = number / (num_frames - 1)
        rise = at / peak if at < peak else (1 - at) / (1 - peak)
        share = strength * min(1.0, 1.8 * rise)
        frames.append(paint_face(idle(still, number / _MUG_RATE, phases).plus(apex, share), look, side))
    return np.stack(frames)


def _speech(look: FaceLook, num_frames: int, side: int, chance: np.random.Generator) -> Frames:
    phases = chance.random(6)
    return np.stack([paint_face(talking(look, number / _RATE, phases), look, side) for number in range(num_frames)])

"""Stand-in videos: drawn people who move, with labels, so that everything can be tried where there is no data.

They are stored by the same rules as real videos (names, splits, steps), and are tagged `synthetic`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tsvan.data.datasets import MIN_FRAMES, DatasetRules, rules, span
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Source, synaction_index
from tsvan.data.standin.bodies import Look, Pose, paint, random_look
from tsvan.data.standin.config import Amount, Size, StandinConfig
from tsvan.data.standin.faces import EXPRESSIONS, Face, FaceLook, idle, paint_face, random_face, talking
from tsvan.data.standin.motions import MOTIONS, SPEED, TEMPO
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter
from tsvan.files import Progress
from tsvan.validation import UserError

Frames = npt.NDArray[np.uint8]


_RATE = 25.0
_MUG_RATE = 19.0
_CYCLE = 12
"""Played frames in which a cycle of an action of tempo 1 passes, about: a window of ten shows most of one."""


@dataclass(frozen=True)
class _Video:
    """A video that is to be drawn: a file's name, and numbers for its person and itself."""

    file: str
    person: int
    number: int


def draw(
    dataset: str | DatasetRules,
    out: Path | str,
    *,
    size: Size = "small",
    seed: int = 0,
    progress: Progress | None = None,
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
    standin = found.standin
    if standin is None:
        raise UserError(
            f"no stand-in videos are drawn of '{found.name}'; give videos of it with --data-root or --source"
        )
    known = {"actions": MOTIONS, "expressions": EXPRESSIONS, "speech": dict.fromkeys(found.classes)}[standin.drawing]
    if not found.classes or not known.keys() >= set(found.classes):
        raise UserError(f"stand-in {standin.drawing} are drawn of {', '.join(known)} only; leave standin out")
    amount = standin.small if size == "small" else standin.large
    videos = list(_videos(found, standin, amount))
    with StoreWriter(found, Path(out), "synthetic") as writer:
        for done, video in enumerate(videos, start=1):
            frames = _draw_video(found, standin, amount, video, seed)
            sha256 = hashlib.sha256(frames.data).hexdigest()
            writer.add(Source(video.file, identify(found, video.file), len(frames), _RATE, sha256), frames)
            if progress:
                progress(done, len(videos))
        return writer.finish()


def _videos(found: DatasetRules, standin: StandinConfig, amount: Amount) -> Iterator[_Video]:
    number = 0
    for person in range(amount.people):
        for label, name in enumerate(found.classes):
            for take in range(amount.videos):
                # The first video of a sequence has the index that SynAction's rule holds out.
                index = (synaction_index(person, label, 0) + take) % 15
                yield _Video(standin.name_of(amount, person, index, name, take), person, number)
                number += 1


def _enough_frames(found: DatasetRules, name: str) -> int:
    """Count the frames of a video that is as long as its window and a little more."""
    return span(MIN_FRAMES, found.frame_step(name, _RATE)) + 8


def _draw_video(found: DatasetRules, standin: StandinConfig, amount: Amount, video: _Video, seed: int) -> Frames:
    who = identify(found, video.file)
    num_frames = amount.num_frames or _enough_frames(found, who.class_name)
    # A person keeps the same look in all videos, and the same one in all datasets' sizes.
    looks = np.random.default_rng([seed, 0, video.person])
    chance = np.random.default_rng([seed, 1, video.number])
    if standin.drawing == "expressions":
        return _expression(random_face(looks), EXPRESSIONS[who.class_name], num_frames, found.side, chance)
    if standin.drawing == "speech":
        return _speech(random_face(looks), num_frames, found.side, chance)
    step = found.frame_step(who.class_name, _RATE)
    look = random_look(looks)
    # By person, not by video: with one video of a person and action they would give the action away.
    place, mirror = float(looks.uniform(0.46, 0.54)), bool(looks.random() < 0.5)

    def draw_frame(pose: Pose, scroll: float) -> Frames:
        return paint(pose, look, found.side, centre=place, scroll=scroll, mirror=mirror)

    return np.stack([draw_frame(*moment) for moment in _moments(look, who.class_name, step, num_frames, chance)])


def _moments(
    look: Look, action: str, step: int, num_frames: int, chance: np.random.Generator
) -> Iterator[tuple[Pose, float]]:
    """Yield the pose and the camera's way along the wall, frame by frame."""
    cycle = _CYCLE * step / (TEMPO.get(action, 1.0) * look.tempo * chance.uniform(0.9, 1.1))
    begin = chance.uniform(0, 2 * np.pi)
    for number in range(num_frames):
        cycles = number / cycle
        yield MOTIONS[action](begin + 2 * np.pi * cycles, look.reach), SPEED.get(action, 0.0) * cycles


def _expression(look: FaceLook, apex: Face, num_frames: int, side: int, chance: np.random.Generator) -> Frames:
    """Draw a face from neutral to the full expression and back, as MUG's takes go."""
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

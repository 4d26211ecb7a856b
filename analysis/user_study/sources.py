"""Where a side's clips come from: a checkpoint that generates them, or a folder of videos."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from sweeps.final.reruns import FinalResult
from sweeps.state.paths import StudyPaths
from tsvan import checkpoint
from tsvan.checkpoint_files import list_checkpoints
from tsvan.data.raw.footage import UnreadableError, open_footage
from tsvan.random_draws import stream
from tsvan.sampling import generate
from tsvan.state_file import read_state
from tsvan.trainer import pick_device
from tsvan.validation import UserError
from tsvan.video import Pixels, to_uint8

if TYPE_CHECKING:
    from tsvan.checkpoint import Checkpoint
    from tsvan.files import Progress

FIRST_SEED = 2**48
"""Latent seeds of user studies begin here. The sample groups (tsvan/scoring/groups.py) own seeds far below, so no rater
sees a clip that a score was computed from, and none that a config was chosen by."""

SEEDS_PER_STUDY = 2**32
MOST_FRAMES = 64
"""Of a video in a folder; the rest is not read."""

MOST_SIDE = 256
"""Pixels; larger frames are reduced when they are read."""

_SUFFIXES = (".mp4", ".gif")
_STREAM = 0xF01D

Clips = dict[str, list[Pixels]]
"""Class -> its clips, each (T, S, S, 3) uint8."""


class Source(Protocol):
    """One side of a study."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes of its clips."""
        ...

    def take(self, labels: Sequence[str], per_label: int, seed: int, progress: Progress) -> Clips:
        """Take up to `per_label` clips of each class.

        Raises:
            UserError: a video can't be used.
        """
        ...


def open_source(path: Path, device: str = "auto") -> Source:
    """Open a checkpoint (a .pt file, the folder of a run, the winner of a finished study) or a folder of videos.

    Raises:
        UserError: it is neither.
    """
    if path.is_file() or (path / "checkpoints").is_dir():
        return Generated(checkpoint.load(path), device)
    if not path.is_dir():
        raise UserError(f"nothing at {path}; give a checkpoint (.pt), the folder of a run, or a folder of videos")
    if StudyPaths(path).config.is_file():
        return Generated(_winner(StudyPaths(path)), device)
    return Videos(path, _by_label(path))


def _winner(paths: StudyPaths) -> Checkpoint:
    """Load the networks of the first final run of a study's winner that has any."""
    final = read_state(paths.final_result, FinalResult, "run that study's command again, which makes it anew")
    if final is None:
        raise UserError(f"the study in {paths.root} has no final run yet; finish it first, or give the folder of a run")
    for folder in final.winner.completed:
        if list_checkpoints(folder.checkpoints):
            return checkpoint.load(folder.folder)
    raise UserError(f"no final run of the study in {paths.root} has networks left; give the folder of a run")


@dataclass(frozen=True)
class Generated:
    """Clips of a checkpoint. The same study seed gives the same latents and labels to every checkpoint."""

    loaded: Checkpoint
    device: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes that it was trained on."""
        return self.loaded.classes

    def take(self, labels: Sequence[str], per_label: int, seed: int, progress: Progress) -> Clips:
        """Generate `per_label` clips of each class; see `Source`."""
        config, classes = self.loaded.config, self.loaded.classes
        asked = [label for _ in range(per_label) for label in labels]
        seeds = FIRST_SEED + seed * SEEDS_PER_STUDY + np.arange(len(asked), dtype=np.int64)
        numbers = np.array([classes.index(label) for label in asked], dtype=np.int64)
        networks = self.loaded.build_networks(pick_device(self.device))
        clips: list[Pixels] = []
        for batch in generate(networks, seeds, numbers, num_frames=config.data.num_frames, precision=config.precision):
            clips += list(to_uint8(batch))
            progress(len(clips), len(asked))
        return {label: clips[place :: len(labels)] for place, label in enumerate(labels)}


@dataclass(frozen=True)
class Videos:
    """Video files, such as an outside baseline's."""

    folder: Path
    files: dict[str, list[str]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classes that files are named after."""
        return tuple(self.files)

    def take(self, labels: Sequence[str], per_label: int, seed: int, progress: Progress) -> Clips:
        """Read up to `per_label` clips of each class, drawn at random where there are more; see `Source`."""
        rng = stream(seed, _STREAM)
        chosen = {label: self.files[label] for label in labels}
        chosen = {
            label: [files[place] for place in sorted(rng.permutation(len(files))[:per_label].tolist())]
            for label, files in chosen.items()
        }
        total = sum(map(len, chosen.values()))
        done = itertools.count(1)
        clips: Clips = {label: [] for label in labels}
        for label, files in chosen.items():
            for file in files:
                clips[label].append(_read(self.folder, file))
                progress(next(done), total)
        return clips


def _by_label(folder: Path) -> dict[str, list[str]]:
    """Group the videos of a folder by class, which their names say.

    `<class>/<anything>.mp4`, `<class>_<anything>.mp4`, or `<class>-<seed>.mp4` as `tsvan sample` names them.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix.lower() not in _SUFFIXES or any(part.startswith(".") for part in name.parts):
            continue
        label, *rest = name.parts if len(name.parts) > 1 else re.split("[_-]", path.stem, maxsplit=1)
        if not rest or not label:
            raise UserError(f"{path}: the name doesn't say the class; name it <class>_<anything> or put it in <class>/")
        found.setdefault(label, []).append(str(name))
    if not found:
        raise UserError(f"{folder} has neither a folder checkpoints/ nor videos (.mp4, .gif); give one that has")
    return found


def _read(folder: Path, file: str) -> Pixels:
    try:
        footage, _ = open_footage(folder, file, "THWC")
        width, height = footage.size
        if width != height:
            raise UnreadableError(f"it is {width} x {height} pixels, but clips are square; cut it first")
        side = min(width, MOST_SIDE)
        frames = [resized(frame, side) for frame in itertools.islice(footage.frames(), MOST_FRAMES)]
    except UnreadableError as error:
        raise UserError(f"{folder / file} cannot be shown: {error}") from None
    if len(frames) < 2:
        raise UserError(f"{folder / file} cannot be shown: it has {len(frames)} frames, a clip needs 2; remove it")
    return np.stack(frames)


def resized(frame: Pixels, side: int) -> Pixels:
    """Return a square frame (S, S, 3) at another side, antialiased."""
    if len(frame) == side:
        return frame
    return np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BOX))

"""Small stores of drawn squares: the person is the colour, the action is the height and the direction of travel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tsvan.data.datasets import rules
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Source
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.config import ScorerConfig
from tsvan.scoring.training import train_or_load

TINY = ScorerConfig(iterations=30, batch_size=8, lr=2e-3, widths=(4, 4, 8, 8), eval_every=10)


def write_store(dataset: str, out: Path, files: dict[str, int]) -> ClipStore:
    """A store of drawn clips; `files` gives the frames of each file by its name in the dataset's own naming."""
    found = rules(dataset)
    people = sorted({identify(found, name).person for name in files})
    with StoreWriter(found, out, "synthetic") as writer:
        for name, num_frames in files.items():
            who = identify(found, name)
            direction = 1 if found.classes.index(who.action) % 2 else -1
            frames = _square(num_frames, found.side, 80 + 90 * people.index(who.person), direction)
            writer.add(Source(name, who, num_frames, 12.5, "0" * 64), frames)
        return writer.finish()


def _square(num_frames: int, side: int, colour: int, direction: int) -> np.ndarray:
    frames = np.full((num_frames, side, side, 3), 20, dtype=np.uint8)
    for t in range(num_frames):
        left = (direction * 3 * t) % (side - 20)
        top = 25 + 10 * direction
        frames[t, top : top + 20, left : left + 20] = colour
    return frames


@pytest.fixture(scope="session")
def weizmann(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Two people x two actions; 40 training frames and 20 held out a clip, at step 2: one held-out window each, and the
    longer clips of `b` three."""
    files = {"a_bend.avi": 60, "a_jack.avi": 60, "b_bend.avi": 180, "b_jack.avi": 180}
    return write_store("weizmann", tmp_path_factory.mktemp("w") / "store", files)


@pytest.fixture(scope="session")
def vox(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Two speakers with one video each: the last fifth, 40 frames, is held out; steps 1, 2 and 4 fit, 8 does not."""
    return write_store("vox", tmp_path_factory.mktemp("v") / "store", {"a#x#0#200.mp4": 200, "b#y#0#200.mp4": 200})


@pytest.fixture(scope="session")
def weizmann_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `weizmann_scorer` is cached."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def weizmann_scorer(weizmann: ClipStore, weizmann_cache: Path) -> Scorer:
    """A briefly trained narrow scorer."""
    return train_or_load(weizmann, TINY, weizmann_cache)

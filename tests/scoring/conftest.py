"""Small stores of drawn squares: the person is the colour, the action is the height and the direction of travel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scoring.stores import TINY, write_store
from tsvan.data.store import ClipStore
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.training import train_or_load


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

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tsvan.config import DATASETS
from tsvan.data import standin
from tsvan.data.datasets import rules
from tsvan.data.motions import MOTIONS
from tsvan.data.standin import Amount, draw
from tsvan.strict import UserError


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = {"weizmann": (1, 1, 30), "mug": (2, 1, 40), "synaction": (1, 2, None), "vox": (1, 2, 30)}
    monkeypatch.setattr(standin, "AMOUNTS", {name: {"small": Amount(*amount)} for name, amount in amounts.items()})


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.usefixtures("tiny")
def test_stand_ins_have_motion_labels_and_both_sides_of_the_split(dataset: str, tmp_path: Path):
    store = draw(dataset, tmp_path / "store")
    assert store.data_source == "synthetic"
    assert set(store.classes) <= set(rules(dataset).classes)
    assert store.num_classes >= 5 or dataset == "vox"
    assert store.split("train")
    assert store.split("test")
    for clip in store.clips:
        window = store.frames[clip.start + clip.frame_step * np.arange(10)].astype(int)
        steps = np.abs(np.diff(window, axis=0)).mean(axis=(1, 2, 3))
        assert steps.max() > 0.3, clip


@pytest.mark.usefixtures("tiny")
def test_the_same_seed_draws_the_same_store(tmp_path: Path):
    hashes = [draw("vox", tmp_path / str(n), seed=seed).content_hash for n, seed in enumerate((3, 3, 4))]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_every_action_of_both_sets_has_its_own_motion():
    names = {*rules("weizmann").classes, *rules("synaction").classes}
    assert set(MOTIONS) == names
    paths = {name: [MOTIONS[name](phase, 1.0) for phase in (0.5, 2.0, 3.5, 5.0)] for name in names}
    assert len({str(path) for path in paths.values()}) == len(names)


def test_an_unknown_dataset_draws_nothing(tmp_path: Path):
    with pytest.raises(UserError, match="unknown dataset 'voxx'; did you mean 'vox'"):
        draw("voxx", tmp_path / "store")
    assert list(tmp_path.iterdir()) == []

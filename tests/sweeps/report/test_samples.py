"""Pictures of the samples, from tiny networks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.report import samples
from sweeps.report.samples import draw_pictures
from sweeps.state.paths import StudyPaths
from tests.sweeps.report.final_results import final
from tsvan.checkpoint import Checkpoint, save
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.models.networks import Networks

FILM = np.zeros((10, 8, 8, 3), np.uint8)
CLASSES = ("bend", "jack", "wave")


def train(config: TrainConfig, folder: Any, seed: int, classes: tuple[str, ...] = CLASSES) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = Networks(config.model, len(classes))
    save(Checkpoint(config, 16, classes, "", "", networks.state_dict(), {}), folder)


@pytest.fixture
def trials(tiny_config: TrainConfig, paths: StudyPaths) -> list[dict[str, Any]]:
    rows = []
    for number, score in enumerate((1.0, 4.0, 2.0, 3.0, 5.0)):
        state = "complete" if number < 4 else "pruned"
        rows.append({"number": number, "state": state, "score": score})
        if state == "complete":
            train(tiny_config, paths.trial(number).checkpoints, number)
    return rows


def test_the_best_trials_are_shown_from_the_same_latents(
    config: SweepConfig, paths: StudyPaths, trials: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    generate = samples.generate

    def spy(networks: Any, seeds: Any, labels: Any, **options: Any) -> Any:
        asked.append((tuple(seeds), tuple(labels)))
        return generate(networks, seeds, labels, **options)

    monkeypatch.setattr(samples, "generate", spy)
    found = draw_pictures(config, None, trials, None, paths)
    assert len(asked) == 3  # the best three complete trials
    assert len(set(asked)) == 1
    assert sorted(asked[0][1]) == [0, 0, 1, 1, 2, 2]  # two videos for each class
    assert [picture.file.name for picture in found] == [
        "compared.mp4",
        "same_latents.mp4",
        "same_latents.png",
        "trial-001_videos.mp4",
        "trial-001_videos.png",
        "trial-001_frames.png",
        "masks.png",
    ]
    with Image.open(paths.figures / "same_latents.png") as sheet:
        assert sheet.height == 3 * 6 * 66 + 2
    with Image.open(paths.figures / "masks.png") as sheet:
        assert sheet.height == 5 * 66 + 2  # frames and four scales
    with av.open(str(paths.figures / "same_latents.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 10
    asked.clear()
    assert draw_pictures(config, None, trials, None, paths) == found
    assert asked == []  # drawn before


def test_winner_and_published_row_are_shown_by_their_final_runs(
    config: SweepConfig, paths: StudyPaths, trials: list[dict[str, Any]], tiny_config: TrainConfig
) -> None:
    result = final(seeds=2)
    folders = {role: [paths.final(f"report-{role}-{place}") for place in range(2)] for role in ("best", "published")}
    for seed, (role, place) in enumerate((("best", 1), ("published", 0), ("published", 1))):
        train(tiny_config, folders[role][place].checkpoints, 9 + seed)
    folders["best"][0].checkpoints.mkdir(parents=True)
    (folders["best"][0].checkpoints / "000000016.0123456789abcdef.pt").write_bytes(b"damaged")
    (paths.figures).mkdir(parents=True)
    (paths.figures / "trial-099_frames.png").touch()
    listed = {"pictures": [["of an older choice", "trial-099_frames.png"]]}
    (paths.figures / "pictures.json").write_text(json.dumps(listed))
    rows = {role: [str(folder.folder) for folder in found] for role, found in folders.items()}
    result = replace(
        result,
        winner=replace(result.winner, folders=rows["best"]),
        published=replace(result.published, folders=rows["published"], failed={0: "diverged: nan"}, seeds=[0, 1]),
    )
    titles = [picture.title for picture in draw_pictures(config, result, trials, None, paths)]
    drawn = json.loads((paths.figures / "pictures.json").read_text())["networks"]
    assert drawn["best (trial 3)"] == list_checkpoints(folders["best"][1].checkpoints)[0].name  # the other is damaged
    assert drawn["published (table 3)"] == list_checkpoints(folders["published"][1].checkpoints)[0].name  # diverged
    assert not (paths.figures / "trial-099_frames.png").exists()
    assert "best (trial 3): 2 videos for each class" in titles
    assert "published (table 3): 40 random frames" in titles
    assert any(title.startswith("trial 1") or "same latents" in title for title in titles)


def test_held_out_clips_stand_first_beside_the_generated_ones_and_stand_ins_are_called_so(
    config: SweepConfig,
    paths: StudyPaths,
    trials: list[dict[str, Any]],
    weizmann_store: ClipStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = {}
    monkeypatch.setattr(samples, "titled_films", lambda films, columns: drawn.setdefault(columns, films) and FILM)
    found = draw_pictures(config, None, trials, weizmann_store, paths)
    assert found[0].title.startswith("Drawn stand-ins, held out, trial 1; generated from the same latents")
    (name, clips), (_, generated) = drawn[3]
    assert name == "drawn stand-ins, held out"
    assert clips.shape == generated.shape == (6, 10, 64, 64, 3)
    assert clips.std() > 10  # not empty


def test_clips_without_classes_are_twenty(paths: StudyPaths, tiny_config: TrainConfig) -> None:
    train(tiny_config, paths.trial(0).checkpoints, 0, classes=("any",))
    rows = [{"number": 0, "state": "complete", "score": 1.0}]
    titles = [picture.title for picture in draw_pictures(load("vox", "smoke")[0], None, rows, None, paths)]
    assert "trial 0: 20 videos" in titles


def test_without_networks_there_are_no_pictures(config: SweepConfig, paths: StudyPaths) -> None:
    assert draw_pictures(config, None, [{"number": 0, "state": "complete", "score": 1.0}], None, paths) == []

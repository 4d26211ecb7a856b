from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tsvan.commands.data import add_commands
from tsvan.data.datasets import rules
from tsvan.data.standin import drawing
from tsvan.data.standin.config import Amount
from tsvan.data.store import ClipStore
from tsvan.validation import UserError


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args([str(argument) for argument in ("data", *arguments)])
    return int(args.run(args))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    for person in range(10):
        clip = np.full((20, 20, 3, 30 if person else 4), person, dtype=np.uint8)
        np.save(tmp_path / "videos" / f"p{person}_run.npy", clip)
    return tmp_path / "videos"


def test_prepare_sums_up_and_names_the_next_command(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("prepare", "--dataset", "weizmann", "--source", videos, "--out", tmp_path / "store") == 0
    out = capsys.readouterr().out
    assert "weizmann, real; 270 frames" in out
    assert "9 train, 9 test; people: 9" in out
    assert "p0_run.npy: too short: 4 frames" in out
    assert f"next: python -m tsvan train --dataset weizmann --data {tmp_path / 'store'}" in out


def test_the_share_of_bad_files_is_an_option(videos: Path, tmp_path: Path):
    with pytest.raises(UserError, match="1 of 10 files cannot be used"):
        run("prepare", "--dataset", "weizmann", "--source", videos, "--out", tmp_path / "s", "--max-bad-share", 0.05)
    with pytest.raises(UserError, match="--max-bad-share must be from 0 to 1, got 7"):
        run("prepare", "--dataset", "weizmann", "--source", videos, "--out", tmp_path / "s", "--max-bad-share", 7)


def test_draw_and_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    found = rules("vox")
    assert found.standin is not None
    few = replace(found, standin=replace(found.standin, small=Amount(1, 2, 30)))
    monkeypatch.setattr(drawing, "rules", lambda _: few)
    assert run("draw", "--dataset", "vox", "--out", tmp_path / "store") == 0
    assert run("show", "--store", tmp_path / "store", "--out", tmp_path / "sheet.png") == 0
    assert "vox, synthetic" in capsys.readouterr().out
    assert Image.open(tmp_path / "sheet.png").size == (10 * 71, 2 * 71)


def test_inspect_says_what_there_is_and_writes_its_sheet_alone(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run("inspect", videos) == 0
    out = capsys.readouterr().out
    assert "weizmann; 10 published .npy clips" in out
    assert re.search(r"run +9 +180 +9 +90 +1\n", out)
    assert "p0_run.npy: too short: 4 frames" in out
    assert "centring: 9 left alone" in out
    assert "store: 270 frames, 4 MB" in out  # 270 * 69 * 69 * 3
    assert f"next: python -m tsvan data prepare --dataset weizmann --source {videos}" in out
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [tmp_path / "inspect-weizmann.png"]
    assert Image.open(tmp_path / "inspect-weizmann.png").size[1] == 9 * 156


def test_inspect_writes_a_proposal_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for name in ("spin/1", "spin/2", "wave/p1_wave1", "wave/p2_wave1"):
        file = tmp_path / "videos" / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.zeros((40, 16, 16, 3), dtype=np.uint8))
    assert run("inspect", "videos") == 0
    assert "next: python -m tsvan data inspect videos --write my-videos.yaml" in capsys.readouterr().out
    assert run("inspect", "videos", "--write", "mine.yaml") == 0
    out = capsys.readouterr().out
    assert "proposal: mine.yaml; read it" in out
    assert "next: python -m tsvan data prepare --dataset mine.yaml --source videos --out stores/mine" in out
    assert rules("mine.yaml").name == "mine"
    with pytest.raises(UserError, match=r"--write must be a \.yaml file, got mine"):
        run("inspect", "videos", "--write", "mine")
    with pytest.raises(UserError, match="leave --dataset out"):
        run("inspect", "videos", "--write", "mine.yaml", "--dataset", "vox")


def test_inspect_ends_as_prepare_would(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run("inspect", videos, "--max-bad-share", 0.05, "--sheet", tmp_path / "a.png") == 2
    assert "1 of 10 files cannot be used" in capsys.readouterr().err
    assert run("inspect", videos, "--sample", 3, "--sheet", tmp_path / "a.png", "--max-bad-share", 0.5) == 0
    assert "looked into 3 of them" in capsys.readouterr().out
    assert run("prepare", "--dataset", "weizmann", "--source", videos, "--out", tmp_path / "store") == 0
    with pytest.raises(UserError, match="is a clip store; look at it with python -m tsvan data show"):
        run("inspect", tmp_path / "store")


def test_the_config_comes_from_a_file_and_from_single_keys(videos: Path, tmp_path: Path):
    (tmp_path / "prepare.yaml").write_text("centring: none\nface_margin: 0.4\n")
    out = tmp_path / "store"
    options = ["--config", tmp_path / "prepare.yaml", "--set", "split=release"]
    assert run("prepare", "--dataset", "weizmann", "--source", videos, "--out", out, *options) == 0
    assert ClipStore.open(out).split_rule == "release"
    with pytest.raises(UserError, match=r"--set: unknown key 'margin'"):
        run("prepare", "--dataset", "weizmann", "--source", videos, "--out", out, "--set", "margin=0.5")

"""A finished study of MoCoGAN, as another study reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from sweeps.config.load import load
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from tests.sweeps.report.final_results import final, reported
from tsvan.checkpoint import Checkpoint, save
from tsvan.data.published import published
from tsvan.mocogan.networks import MocoganNetworks

CLASSES = ("bend", "jack", "wave")
TINY = {"ngf": 2, "ndf": 2, "content_dim": 4, "motion_dim": 3}


def rival_study(
    root: Path, dataset: str = "weizmann", scorer: str = "s" * 64, values: tuple[float, ...] = (1.0, 2.0, 3.0)
) -> Path:
    """Write `root` with the winner's networks; every final run scored `values`, one a seed."""
    objective = "kernel_distance" if dataset == "vox" else "inception_score"
    config, paths = load(dataset, "smoke", [f"objective={objective}"], model="mocogan")[0], StudyPaths(root)
    train = published(dataset, "mocogan").with_settings(TINY)
    folders = [paths.final(f"report-best-{place}").folder for place in range(len(values))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = MocoganNetworks(train.model, len(CLASSES))
    save(Checkpoint(train, 16, CLASSES, "h" * 64, "", networks.state_dict(), {}), folders[0] / "checkpoints")
    winner = replace(
        reported("best", list(values)), config=train.to_dict(), folders=[str(folder) for folder in folders]
    )
    paths.stages.mkdir(parents=True)
    paths.final_result.write_text(json.dumps(replace(final(), winner=winner).to_dict()))
    paths.scorer_result.write_text(json.dumps({"hash": scorer}))
    record = StudyRecord("s1", config.to_dict(), "/nowhere", "h" * 64, "synthetic")
    paths.config.write_text(yaml.safe_dump(record.__dict__))
    return root

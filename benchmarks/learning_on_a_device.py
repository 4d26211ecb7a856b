"""Learning runs on real clips in the minutes that a device has left, from both starts of the kernels.

Rows are those of `benchmarks.starts`; `learning-START.png` shows held-out and sampled clips, `learning.png` the errors.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import torch

from benchmarks import starts
from benchmarks.device import Plan, Row
from tsvan.data.published import published
from tsvan.data.standin import drawing
from tsvan.data.store import ClipStore
from tsvan.scoring.config import quick
from tsvan.trainer import Trainer

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SETTINGS: dict[str, Any] = {
    **starts.SHORT_RUN, "batch_size": 16, "precision": "fp32", "lr": 1e-3, "content_share": 0.3,
}  # fmt: skip
TINY: dict[str, Any] = {"architecture": "tiny", "ngf": 2, "content_dim": 8, "motion_dim": 4, "batch_size": 2}
SHARE = {"pretrain": 0.15, "run": 0.3, "rest": 0.25}
"""Of the part's seconds: content pre-training, each joint run, and the looks, captures, scorer and pictures."""
RATES = {"pretrain": 150.0, "joint": 60.0}
"""Iterations a second that are expected where the table of steps was not measured."""
CLIPS = 512


def learn(plan: Plan) -> Iterator[Row]:
    """Pre-train once, then train from both starts with as many iterations as the time is expected to hold."""
    with tempfile.TemporaryDirectory() as folder:
        store = _store(plan, Path(folder))
        device = torch.device("cpu" if plan.rehearse else "cuda")
        rates = _rates(Path(plan.out) / "device.json")
        settings = {**SETTINGS, **(TINY if plan.rehearse else {})}
        pretrain, joint = (max(int(plan.seconds * SHARE[k] * rates[r]), 3) for k, r in _PHASES)
        if plan.rehearse:
            pretrain, joint = 2, 4
        settings |= {"pretrain_iterations": pretrain, "iterations": joint}
        config = published(store.dataset).with_settings(settings)
        base = starts.pretrained(config, store, Path(folder), device)
        yield {"pretrain": pretrain, "iterations": joint, "clips": "real" if plan.store else "stand-ins"}
        rows: list[starts.Row] = []
        for start in reversed(starts.STARTS):
            end = time.monotonic() + plan.seconds * (SHARE["run"] + SHARE["rest"] / 4)
            state = starts.begun_with(base, start)
            trainer = Trainer(state.config, store, Path(folder), device, state, log_every=100)
            at = [round(joint * share) for share in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)]
            scorer = quick(store.dataset)
            clips = CLIPS
            if plan.rehearse:
                scorer = replace(scorer, widths=(4, 4, 8, 8), iterations=2, eval_every=2, batch_size=2)
                at, clips = [2], 8
            score = partial(starts.scored, scorer=scorer, clips=clips)
            for row in starts.looks(trainer, start, at, score, until=lambda end=end: time.monotonic() > end):
                rows.append(row)
                draw_errors(rows, Path(plan.out) / "learning.png")
                yield {key: value for key, value in asdict(row).items() if key != "scores"} | row.scores
            starts.draw(trainer.networks, store, Path(plan.out) / f"learning-{start}.png")


def draw_errors(rows: list[starts.Row], file: Path) -> None:
    """Draw held-out errors by joint iteration, a line for each start and seed, beside what the mean frame gets."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, start in enumerate(starts.STARTS):
        for seed in sorted({row.seed for row in rows if row.start == start}):
            mine = [row for row in rows if (row.start, row.seed) == (start, seed) and row.rolled_out is not None]
            axes.plot(
                [row.iteration for row in mine], [row.rolled_out for row in mine], color=f"C{number}", marker=".",
                label=f"{start}: rolled out" if seed == min(row.seed for row in rows) else None,
            )  # fmt: skip
            axes.plot(
                [row.iteration for row in mine], [row.content for row in mine], color=f"C{number}", linestyle=":",
                label=f"{start}: content stream" if seed == min(row.seed for row in rows) else None,
            )  # fmt: skip
    mean = next((row.mean_frame for row in rows if row.mean_frame is not None), None)
    if mean is not None:
        axes.axhline(mean, color="black", linestyle="--", linewidth=1, label="mean frame")
    axes.set(yscale="log", xlabel="joint iteration", ylabel="held-out mean squared error, frames in [-1, 1]")
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)


_PHASES = (("pretrain", "pretrain"), ("run", "joint"))
_MEASURED = (16, "fp32", True)  # the row of the table of steps that is trained here: ngf, precision, graphs


def _store(plan: Plan, folder: Path) -> ClipStore:
    if plan.store:
        return ClipStore.open(Path(plan.store), "weizmann")
    return drawing.draw("weizmann", folder / "store", size="small")


def _rates(file: Path) -> dict[str, float]:
    """Compute the rates from the table of steps, where it was measured before."""
    rows = json.loads(file.read_text()) if file.exists() else []
    ms = {
        (row["step"], row["epsilon"]): row["ms"]
        for row in rows
        if "ms" in row and row["part"] == "steps" and (row["ngf"], row["precision"], row["graphs"]) == _MEASURED
    }
    if len(ms) < 4:
        return RATES
    shares = SETTINGS["content_share"], (SETTINGS["sequence_share_start"] + 3 * SETTINGS["sequence_share_end"]) / 4
    sequence = (ms["sequence", 1.0] + ms["sequence", 0.0]) / 2
    motion = shares[1] * sequence + (1 - shares[1]) * ms["one-step", None]
    joint = shares[0] * ms["content", None] + (1 - shares[0]) * motion
    return {"pretrain": 1000 / ms["content", None], "joint": 1000 / joint}

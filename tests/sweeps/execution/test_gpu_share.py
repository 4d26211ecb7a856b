"""A trial's share of a GPU is measured on what a trial does; here on a CPU, without the measuring."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from sweeps.config.load import load
from sweeps.execution import gpu_share
from sweeps.execution.gpu_share import take_once
from sweeps.state.paths import StudyPaths
from sweeps.state.record import write_record
from sweeps.state.scorer_result import ScorerResult
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.scoring.config import ScorerConfig


def test_what_is_measured_is_every_kind_of_step_and_a_score_of_as_many_clips_as_a_trial_takes_at_once(
    tiny_config: TrainConfig,
    weizmann_store: ClipStore,
    paths: StudyPaths,
    tmp_path: Path,
) -> None:
    config = load("weizmann", "smoke", ["scoring.validation_clips=6", "scoring.batch_size=4"])[0]
    scorer = asdict(ScorerConfig(iterations=2, eval_every=2, batch_size=2, widths=(2, 2, 4, 4)))
    result = ScorerResult(str(tmp_path / "scorers"), scorer, "", {}, {}, {}, "", [], True)
    write_record(paths, None, config.to_dict(), weizmann_store)
    paths.scorer_result.parent.mkdir(parents=True, exist_ok=True)
    paths.scorer_result.write_text(json.dumps(asdict(result)))
    take_once(tiny_config, config, paths, tmp_path / "run", "cpu")
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["num_clips"] == 4
    assert gpu_share.AT_ONCE >= 256

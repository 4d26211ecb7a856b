"""A study as the three tools' own documents put it together: Tuner, OptunaSearch, MLflowLoggerCallback.

    python -m benchmarks.by_the_book --trials 8 --folder DIR

Nothing of `sweeps` is used: this is what `benchmarks.study` compares with.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import optuna
import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.optuna import OptunaSearch

from benchmarks import trivial


def space(trial: optuna.Trial) -> None:
    """Suggest the values of the published search space, define-by-run."""
    trial.suggest_float("lambda2", 3, 8)
    trial.suggest_categorical("ngf", [16, 32, 64])
    trial.suggest_categorical("content_dim", [256, 512, 1024])
    trial.suggest_float("lambda5_lower", 1, 10)
    trial.suggest_float("lambda5_ratio", 5, 10)


def train(config: dict[str, Any]) -> None:
    """Run the trial as a function trainable."""
    torch.zeros(1)
    name = tune.get_context().get_trial_id()
    clock = trivial.Clock(Path(os.environ["BENCHMARK_FOLDER"]), name)
    for step in range(1, trivial.STEPS + 1):
        clock.step()
        values = trivial.measured(step, config["lambda2"])
        if step % 2:
            tune.report(values)
        else:
            with tempfile.TemporaryDirectory() as folder:
                trivial.checkpoint(Path(folder) / "small.pt", step)
                tune.report(values, checkpoint=tune.Checkpoint.from_directory(folder))


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    os.environ["BENCHMARK_FOLDER"] = str(args.folder)
    ray.init(address="local", num_cpus=trivial.SLOTS, include_dashboard=False, log_to_driver=False)
    search = OptunaSearch(
        space,
        metric=trivial.SCORE_NAME,
        mode="max",
        sampler=optuna.samplers.TPESampler(seed=0),
        storage=optuna.storages.RDBStorage(f"sqlite:///{args.folder}/study.db"),
        study_name="study",
    )
    logger = MLflowLoggerCallback(tracking_uri=f"sqlite:///{args.folder}/mlflow.db", experiment_name="study")
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=args.trials, max_concurrent_trials=trivial.SLOTS),
        run_config=tune.RunConfig(
            name="study",
            storage_path=str(args.folder / "ray"),
            callbacks=[logger],
            failure_config=tune.FailureConfig(max_failures=2),
            verbose=0,
        ),
    )
    tuner.fit()
    trivial.note_done(args.folder)


if __name__ == "__main__":
    main()

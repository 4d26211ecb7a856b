from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.config import PRESETS, load
from sweeps.space import check
from tsvan.config import DATASETS
from tsvan.strict import UserError


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_yaml_that_ships_loads_with_every_preset(dataset: str, preset: str) -> None:
    config, file = load(dataset, preset)
    check(config, file)
    assert (config.dataset, config.preset) == (dataset, preset)
    assert list(config.space) == ["lambda2", "ngf", "content_dim", "lambda5_lower", "lambda5_ratio"]


def test_paper_is_the_published_budget() -> None:
    config = load("vox")[0]
    schedule = config.base.schedule
    assert (config.trials, schedule.iterations, schedule.pretrain_iterations) == (32, 500_000, 300_000)
    assert (config.base.optimiser.batch_size, config.final.report.seeds) == (16, 5)
    assert config.base.loss.lambda1 == config.base.loss.lambda4 == 1e4
    assert config.objective.metric == "kernel_distance"


def test_smoke_narrows_the_space_and_scales_pretraining() -> None:
    config = load("vox", "smoke", ["budget.iterations=50"])[0]
    assert config.space["ngf"].values == (16, 32)
    assert config.space["content_dim"].values == (256, 512)
    assert config.base.schedule.pretrain_iterations == 30


WRONG = {
    "budget.iteration=3": "unknown key 'budget.iteration'; did you mean 'iterations'?",
    "space.lamda2.low=3": "unknown key 'space.lamda2'; did you mean 'lambda2'?",
    "trials=many": "trials: input should be a valid integer, got 'many'",
    "budget.iterations=1e3": "budget.iterations",
    "scheduler.kind=ashaa": "scheduler.kind: input should be 'asha', 'hyperband' or 'none', got 'ashaa'",
    "scheduler.rungs=[0.8, 0.3]": "scheduler.rungs must rise within (0, 1)",
    "train.kernel_layer=2": "unknown setting 'kernel_layer'; did you mean 'kernel_layers'?",
    "train.kernel_layers=9": "kernel_layers",
    "train.ngf=32": "'ngf' is in both space and fixed",
    "train.iterations=5": "decided by budget.iterations",
    "objective.metric=fid": "unknown metric 'fid'",
    "objective.metric=inception_score": "direction of inception_score must be maximize, got minimize",
    "space.lambda5_upper.low=3": "lambda5_upper needs values, or low and high",
    "space.ngf.values=[]": "ngf.values must be different and not empty",
    "nonsense": "expected key=value",
    "resources.gpus_per_trial=-1": "must be 'auto' or >= 0",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_override_is_named_with_what_to_do(override: str) -> None:
    with pytest.raises(UserError) as error:
        load("vox", "smoke", [override])
    text = str(error.value)
    assert WRONG[override] in text
    assert f"--set {override}" in text
    assert "\n" not in text


def test_low_above_high_reads_as_in_the_house_rules(tmp_path: Path) -> None:
    file = tmp_path / "vox.yaml"
    file.write_text(
        "dataset: vox\nspace: {lambda2: {low: 8, high: 3}}\nobjective: {metric: kernel_distance, direction: minimize}\n"
    )
    with pytest.raises(UserError) as error:
        load("vox", file=file)
    assert str(error.value) == f"lambda2.low must be <= lambda2.high, got low=8, high=3 in {file}"


def test_a_misspelt_key_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "vox.yaml"
    file.write_text("dataset: vox\ntrails: 3\n")
    with pytest.raises(UserError) as error:
        load("vox", file=file)
    assert str(error.value) == f"{file}: unknown key 'trails'; did you mean 'trials'?"


def test_two_objectives_are_valid_only_together_with_their_scheduler() -> None:
    both = ["second_objective.metric=frechet_distance", "second_objective.direction=minimize"]
    with pytest.raises(UserError, match=r"set scheduler.kind=none"):
        load("vox", "smoke", both)
    config = load("vox", "smoke", [*both, "scheduler.kind=none"])[0]
    assert [objective.metric for objective in config.objectives] == ["kernel_distance", "frechet_distance"]


def test_a_space_that_the_trainer_refuses_is_named() -> None:
    config, file = load("vox", "smoke", ["space.kernel_layers.values=[3, 7]"])
    with pytest.raises(UserError, match=r"space\.kernel_layers"):
        check(config, file)


@pytest.mark.parametrize(("dataset", "preset"), [("voxx", "paper"), ("vox", "smok")])
def test_unknown_names_are_answered_with_the_nearest(dataset: str, preset: str) -> None:
    with pytest.raises(UserError, match="did you mean"):
        load(dataset, preset)

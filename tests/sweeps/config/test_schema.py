from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.schema import PRESETS, Objective, SweepConfig
from tsvan.data.datasets import DATASETS
from tsvan.validation import UserError, build


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_yaml_that_ships_loads_with_every_preset(dataset: str, preset: str) -> None:
    config, file = load(dataset, preset)
    assert file == f"sweeps/{dataset}.yaml" or Path(file).name == f"{dataset}.yaml"
    assert (config.dataset, config.preset) == (dataset, preset)
    more = ["lr"] if preset == "demo" else []  # what decides a run of minutes
    assert list(config.space) == ["lambda2", "ngf", "content_dim", "lambda5_lower", "lambda5_ratio", *more]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dataset_of_ones_own_is_as_good(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nlayouts: ['<class>/**/<clip>']\nclasses: [a, b]\nobjectives: [kernel_distance]\n")
    config, source = load(str(file), preset)
    assert Path(source).name == "own.yaml"
    assert (config.dataset, config.rules.classes, config.base.dataset) == ("mine", ("a", "b"), "mine")
    assert config.objective.auto == (preset != "demo")  # whose scorer is trained for seconds only
    assert config.rules.objectives == ("kernel_distance",)
    assert load(config.rules, preset)[0] == config
    again = build(SweepConfig, config.to_dict(), "study.yaml")
    assert again == config
    assert "own_dataset" not in load("vox")[0].to_dict()


def test_paper_is_the_published_budget() -> None:
    config = load("vox")[0]
    schedule = config.base.schedule
    assert (config.trials, schedule.iterations, schedule.pretrain_iterations) == (32, 500_000, 300_000)
    assert (config.base.optimiser.batch_size, config.final.report.seeds) == (16, 5)
    assert config.base.loss.lambda1 == config.base.loss.lambda4 == 1e4
    assert config.objective.auto
    assert config.scorer.heads == "published"  # its scorer has a head for time of its own


def test_smoke_narrows_the_space_and_scales_pretraining() -> None:
    config = load("vox", "smoke", ["budget.iterations=50"])[0]
    assert config.space["ngf"].values == (16, 32)
    assert config.space["content_dim"].values == (256, 512)
    assert config.base.schedule.pretrain_iterations == 30


WRONG = {
    "trials=1e23": "trials: input should be a valid integer, got 1e+23",
    "trials=1000000000": "trials: input should be less than or equal to 100000, got 1000000000",
    "train.motion_dim=4611686018427387904": "motion_dim: input should be less than or equal to 16384",
    "scoring.classifier.widths=[100000000, 1, 1, 1]": "widths must be from 1 to 8192",
    "trials=2026-02-30": "trials: input should be a valid integer, got '2026-02-30'",
    "a.b.c.d.e.f.g.h.i=1": "no key has more than 8 parts",
    "budget.iteration=3": "unknown key 'budget.iteration'; did you mean 'iterations'?",
    "space.lamda2.low=3": "unknown key 'space.lamda2'; did you mean 'lambda2'?",
    "trials=many": "trials: input should be a valid integer, got 'many'",
    "budget.iterations=1e3": "budget.iterations",
    "scheduler.kind=ashaa": "scheduler.kind: unknown 'ashaa'; did you mean 'asha'?",
    "scheduler.rungs=[0.8, 0.3]": "scheduler.rungs must rise within (0, 1)",
    "train.kernel_layer=2": "unknown setting 'kernel_layer'; did you mean 'kernel_layers'?",
    "train.kernel_layers=9": "kernel_layers",
    "train.ngf=32": "'ngf' is in both space and fixed",
    "train.iterations=5": "train.iterations is decided elsewhere; give --set budget.iterations=5 in its place",
    "objective.metric=fid": "unknown metric 'fid'",
    "objective={metric: inception_score, direction: minimize}": "inception_score must be maximize, got minimize",
    "space.lambda5_upper.low=3": "lambda5_upper needs values, or low and high",
    "space.ngf.values=[]": "ngf.values must be different and not empty",
    "nonsense": "expected key=value",
    "resources.gpus_per_trial=-1": "must be 'auto' or lie in [0, 1]",
    "resources.gpus_per_trial=1.5": "a trial trains on one GPU, got 1.5",
    "resources.gpus_per_trial=few": "gpus_per_trial: input should be a number or 'auto', got 'few'",
    "dataset=mug": "use --dataset",
    "preset=dev": "use --preset",
    "scoring.classifier.foo=1": "scoring.classifier: unknown key 'foo'",
    "scoring.classifier.lr=-1": "scoring.classifier: lr: input should be greater than 0, got -1",
    "scoring.i3d=/nope": "scoring.i3d: no file /nope",
    "scoring.accuracy_floor=5": "from 0 to 1, got 5",
    "space.kernel_layers.values=[3, 7]": "space.kernel_layers: ",
    "space.ngf.values=[0]": "space.ngf: input should be greater than or equal to 1, got 0",
    "space.lambda2.low=x": "space.lambda2.low: input should be a number, got 'x'",
    "space.precision={low: 1, high: 2}": "list its values, as in --set 'space.precision.values=[fp32, bf16]'",
    "space.init={values: [1, 2]}": "space.init: input should be 'paper' or 'release', got 1",
    "space.motion_dim={low: 16.5, high: 64}": "motion_dim is drawn in whole numbers, got low=16.5, high=64",
    "space.lambda2={low: 3, high: 8, step: 2}": "got low=3, high=8, step=2; --set space.lambda2.high=7",
    "space.lambda2={low: 3, high: 8, step: 0}": "lambda2.step must be > 0, got 0",
    "space.lambda2={low: 3, high: 8, step: 1, log: true}": "lambda2 has log and step=1; keep one",
    "space.lambda2={low: 0, high: 8, log: true}": "lambda2.low must be > 0 with log, got low=0",
    "space.lambda2={ordered: true}": "space.lambda2.ordered is for values",
    "space.iterations={low: 3, high: 8}": "would make trials that can't be compared",
    "space.lamda9=null": "unknown key 'space.lamda9'",
    "scheduler.rung=[0.5]": "unknown key 'scheduler.rung'; did you mean 'rungs'?",
    "fixed={lambda1: [1]}": "fixed.lambda1: input should be",
    "train={lambda1: {a: 1}}": "train.lambda1: input should be",
    "train.lambda1={a: 1}": "train.lambda1: input should be true or false or a number or text, got {'a': 1}",
    "fixed.loss.lambda1={a: 1}": "fixed.loss.lambda1: input should be",
    "scorer.heads={a: 1}": "scorer.heads: input should be 'timed' or 'published'",
    "resources.gpus_per_trial={a: 1}": "gpus_per_trial: input should be a number or 'auto', got {'a': 1}",
    "fixed..x=1": "'fixed..x' has an empty part",
    "train.=1": "'train.' has an empty part",
    ".=1": "'.' has an empty part",
    "fixed.lambda1=[1]": "fixed.lambda1: input should be true or false or a number or text, got [1]",
    "fixed.lambda5_upper=30": "decided by space.lambda5_ratio",
    "trials=&a [*a]": "trials: input should be a valid integer, got '&a [*a]'",
    "space.lambda2={low: 3, low: 4}": "space.lambda2: ",
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
    both = ["objective=kernel_distance", "second_objective=frechet_distance"]
    with pytest.raises(UserError, match=r"--set scheduler.kind=none"):
        load("vox", "smoke", both)
    config = load("vox", "smoke", [*both, "scheduler.kind=none"])[0]
    assert [objective.metric for objective in config.objectives] == ["kernel_distance", "frechet_distance"]
    with pytest.raises(UserError, match="two objectives names both, got 'auto'"):
        load("vox", "smoke", ["second_objective=frechet_distance", "scheduler.kind=none"])


def test_a_key_that_comes_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vox.yaml"
    file.write_text("dataset: vox\ntrials: 3\ntrials: 4\n")
    with pytest.raises(UserError, match="key 'trials' comes twice"):
        load("vox", file=file)


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_config_without_objective_leaves_the_choice_to_the_scorer(tmp_path: Path, dataset: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"dataset: {dataset}\n")
    assert load(dataset, file=file)[0].objective == load(dataset)[0].objective == Objective("auto", "maximize")


@pytest.mark.parametrize("way", ["objective=kernel_distance", "objective.metric=kernel_distance"])
def test_an_objective_is_named_by_its_metric_whose_entry_knows_the_direction(way: str, tmp_path: Path) -> None:
    assert load("mug", "smoke", [way])[0].objective == Objective("kernel_distance", "minimize")
    file = tmp_path / "own.yaml"
    file.write_text("dataset: mug\nobjective: kernel_distance\n")
    config = load("mug", file=file)[0]
    assert config.objective == Objective("kernel_distance", "minimize")
    assert load("mug", "smoke", ["objective=auto"], file)[0].objective.auto


def test_the_scorers_heads_can_be_the_published_ones() -> None:
    assert load("weizmann")[0].scorer.heads == "timed"
    assert load("weizmann", overrides=["scoring.heads=published"])[0].scorer.heads == "published"
    assert load("weizmann", overrides=["scorer.heads=published"])[0].scorer.heads == "published"
    with pytest.raises(UserError, match=r"scoring\.heads: .*'timed' or 'published'"):
        load("weizmann", overrides=["scoring.heads=none"])


def test_both_bounds_of_lambda5_are_checked_together(tmp_path: Path) -> None:
    file = tmp_path / "vox.yaml"
    file.write_text("dataset: vox\nspace: {lambda5_lower: {low: 1, high: 10}, lambda5_upper: {low: 5, high: 50}}\n")
    with pytest.raises(UserError, match=r"space\.lambda5_lower: .*lambda5_lower=10, lambda5_upper=5;"):
        load("vox", file=file)
    file.write_text("dataset: vox\nspace: {lambda5_lower: {low: 1, high: 30}, lambda5_upper: {low: 30, high: 50}}\n")
    load("vox", file=file)


@pytest.mark.parametrize(("dataset", "preset"), [("voxx", "paper"), ("vox", "smok")])
def test_unknown_names_are_answered_with_the_nearest(dataset: str, preset: str) -> None:
    with pytest.raises(UserError, match="did you mean"):
        load(dataset, preset)

"""The sweep config of a second model: its YAML, its presets, its space, and what is refused."""

from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.schema import PRESETS
from sweeps.config.space import derived, describe, distributions, largest, published_params, train_config
from tsvan.data.datasets import DATASETS
from tsvan.registry import MODELS
from tsvan.validation import UserError


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_the_published_row_is_the_first_trial_and_both_models_are_judged_alike(model: str, dataset: str) -> None:
    config, _ = load(dataset, model=model)
    params, origin = published_params(config)
    assert train_config(config, params, seed=0) == config.base
    assert origin == config.published.row_name
    other, _ = load(dataset)
    assert (config.trials, config.objective, config.final) == (other.trials, other.objective, other.final)
    assert config.scorer == other.scorer
    assert config.base.schedule.iterations == config.published.schedule.iterations
    assert config.base.optimiser == config.published.optimiser


@pytest.mark.parametrize("preset", ["dev", "smoke"])
def test_presets_give_both_models_the_same_clips_seeds_and_trials(preset: str) -> None:
    rival, ours = load("vox", preset, model="mocogan")[0], load("vox", preset)[0]
    assert (rival.trials, rival.scoring, rival.final) == (ours.trials, ours.scoring, ours.final)
    assert rival.budget.iterations == ours.budget.iterations
    assert rival.fixed == {"precision": "fp32"}
    assert (rival.base.model.ngf, rival.base.model.ndf) == (64, 64)


def test_the_space_is_the_rivals_own() -> None:
    config, file = load("mug", model="mocogan")
    assert file.endswith("models/mocogan.yaml")
    found = {name: type(prior).__name__ for name, prior in distributions(config).items()}
    assert found == {
        "lr": "FloatDistribution",
        "content_dim": "CategoricalDistribution",
        "motion_dim": "CategoricalDistribution",
        "noise_sigma": "FloatDistribution",
        "ngf": "CategoricalDistribution",
    }
    train = train_config(config, {"lr": 5e-4, "motion_dim": 20, "ngf": 32}, seed=4)
    assert (train.optimiser.lr, train.model.motion_dim, train.model.ngf, train.seed) == (5e-4, 20, 32, 4)
    assert describe(train) == "ngf32 z50 h20 lr=0.0005 σ=0.1"
    assert derived(train)["model_name"] == "mocogan"
    model = largest(config).model
    assert (model.ngf, model.content_dim, model.motion_dim) == (64, 100, 20)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["space.lambda2.low=3"], "unknown key 'space.lambda2'"),
        (["train.kernel_layers=2"], "unknown setting 'kernel_layers'"),
        (["train.num_frames=12"], "data.num_frames must be 16 or more"),
        (["space.noise_sigma.low=-1"], "space.noise_sigma: input should be greater than or equal to 0"),
        (["space.ndf={low: 16.5, high: 64}"], "ndf is drawn in whole numbers, got low=16.5, high=64"),
        (["budget.pretrain_iterations=5"], "unknown setting 'schedule.pretrain_iterations'"),
        (["model=mocogan"], "--set model=mocogan: use --model"),
    ],
)
def test_wrong_settings_are_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        load("mug", overrides=overrides, model="mocogan")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_another_model_is_refused_with_what_to_give() -> None:
    _, file = load("mug", model="mocogan")
    with pytest.raises(UserError, match="model is 'mocogan', but --model is 'twostreamvan'; give --model mocogan"):
        load("mug", file=Path(file))
    with pytest.raises(UserError, match="unknown model 'mocogen'; did you mean 'mocogan'"):
        load("mug", model="mocogen")


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "paper"])
@pytest.mark.parametrize("model", MODELS)
def test_a_short_preset_is_short_for_every_model(model: str, preset: str) -> None:
    config, _ = load("weizmann", preset, model=model)
    assert config.base.schedule.total <= config.published.schedule.total / 50

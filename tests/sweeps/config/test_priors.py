from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweeps.config.load import load
from sweeps.config.rules import swept_names
from sweeps.config.schema import SweepConfig
from sweeps.config.space import derived, distributions, grid_size, largest, published_params, train_config
from tsvan.data.published import published
from tsvan.registry import MODELS
from tsvan.settings import settings
from tsvan.validation import UserError

SETTINGS = [(model, name) for model in MODELS for name in swept_names(published("vox", model))]


def drawn(config: SweepConfig, count: int = 12) -> list[dict[str, Any]]:
    """Points of the space as Optuna draws them, each a valid training run."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    points = [study.ask(distributions(config)).params for _ in range(count)]
    for point in points:
        train_config(config, point, 0)
    return points


def swept(override: str, model: str = "twostreamvan", preset: str = "smoke") -> SweepConfig:
    return load("vox", preset, [override], model=model)[0]


def priors(model: str, name: str) -> list[str]:
    """Every kind of prior that fits a setting, near its published value."""
    setting, value = settings(model)[name], derived(published("vox", model))[name]
    if setting.kind == "true or false":
        return ["{values: [true, false]}", "{values: [false, true], ordered: true}"]
    if setting.kind == "one of":
        return [f"{{values: [{', '.join(setting.choices)}]}}"]
    if setting.kind == "whole number":
        low, high = (value, value + 2) if name != "kernel_layers" else (1, 4)
        return [
            f"{{low: {low}, high: {high}}}",
            f"{{low: {low}, high: {high}, log: true}}",
            f"{{low: {low}, high: {high}, step: {high - low}}}",
            f"{{values: [{low}, {high}]}}",
            f"{{values: [{low}, {high}], ordered: true}}",
        ]
    low, high = (float(f"{value * share:.2g}") for share in (0.75, 0.85)) if value else (0.1, 0.2)
    step = f"{high - low:.12g}"
    return [
        f"{{low: {low}, high: {high}}}",
        f"{{low: {low}, high: {high}, log: true}}",
        f"{{low: {low}, high: {high}, step: {step}}}",
        f"{{values: [{low}, {high}]}}",
        f"{{values: [{low}, {high}], ordered: true}}",
    ]


@pytest.mark.parametrize(("model", "name"), SETTINGS, ids=str)
def test_every_setting_can_be_swept_with_every_prior_that_fits_it(model: str, name: str) -> None:
    stand_ins = published("vox", model).stand_ins
    out = next((f"space.{stand_in}=null" for stand_in, decided in stand_ins.items() if decided == name), None)
    for prior in priors(model, name):
        overrides = [f"space.{name}={prior}", *([out] if out else [])]
        config = load("vox", "smoke", overrides, model=model)[0]
        values = {point[name] for point in drawn(config)}
        found = config.space[name]
        assert values <= set(found.values or values)
        if found.values is None:
            assert all((found.low or 0) - 1e-9 <= value <= (found.high or 0) + 1e-9 for value in values)
            assert settings(model)[name].kind != "whole number" or all(isinstance(value, int) for value in values)


def test_ranges_of_whole_numbers_steps_and_logs_reach_optuna_as_they_are() -> None:
    config = load(
        "vox",
        overrides=[
            "space.ngf={low: 8, high: 64, log: true}",
            "space.content_dim={low: 128, high: 1024, step: 128}",
            "space.lambda2={low: 3, high: 8, step: 0.5}",
            "space.lambda4={low: 10, high: 20, integer: true}",
            "space.lr={low: 1e-5, high: 1e-3, log: true}",
            "space.kernel_layers={values: [1, 2, 4], ordered: true}",
        ],
    )[0]
    found = distributions(config)
    assert found["ngf"] == optuna.distributions.IntDistribution(8, 64, log=True)
    assert found["content_dim"] == optuna.distributions.IntDistribution(128, 1024, step=128)
    assert found["lambda2"] == optuna.distributions.FloatDistribution(3, 8, step=0.5)
    assert found["lambda4"] == optuna.distributions.IntDistribution(10, 20)
    assert found["lr"] == optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True)
    assert found["kernel_layers"] == optuna.distributions.CategoricalDistribution((1, 2, 4))
    assert grid_size(config) == (
        "lambda2 [3, 8] step 0.5, ngf [8, 64] whole log, content_dim [128, 1024] whole step 128, "
        "lambda5_lower [1, 10], lambda5_ratio [5, 10], lambda4 [10, 20] whole, lr [1e-05, 0.001] log, "
        "kernel_layers {1 < 2 < 4}"
    )
    assert (largest(config).model.ngf, largest(config).model.content_dim) == (64, 1024)
    assert {point["content_dim"] % 128 for point in drawn(config)} == {0}


@pytest.mark.parametrize(
    ("prior", "nearest"),
    [("{low: 1, high: 6, step: 2.5}", 6.0), ("{low: 0, high: 6, step: 2}", 6.0), ("{low: 8, high: 9}", 8.0)],
)
def test_the_published_row_goes_to_the_nearest_step(prior: str, nearest: float) -> None:
    params, origin = published_params(swept(f"space.lambda2={prior}"))
    assert (params["lambda2"], origin) == (nearest, "table 3, nearest in the space")


def test_null_drops_a_setting_and_its_published_value_is_back() -> None:
    config = swept("space.ngf=null", preset="paper")
    assert "ngf" not in config.space
    assert train_config(config, drawn(config, 1)[0], 0).model.ngf == published("vox").model.ngf
    assert list(swept("space=null").space) == []


def test_a_range_takes_the_place_of_values_and_values_of_a_range() -> None:
    assert swept("space.ngf={low: 8, high: 64}").space["ngf"].values is None
    again = load("vox", "smoke", ["space.ngf={low: 8, high: 64, log: true}", "space.ngf.values=[8]"])[0].space["ngf"]
    assert (again.low, again.high, again.log, again.values) == (None, None, False, (8,))
    assert swept("space.lambda2.high=9").space["lambda2"].low == 3


def test_what_is_swept_leaves_fixed_with_a_line() -> None:
    said: list[str] = []
    config, _ = load("vox", "paper", ["space.lambda1={low: 1e3, high: 1e5, log: true}"], note=said.append)
    assert "lambda1" in config.space
    assert "lambda1" not in config.fixed
    assert len(said) == 1
    assert said[0].startswith(
        "space.lambda1 sweeps it, so that fixed.lambda1=10000.0 no longer counts (--set space.lam"
    )
    said.clear()
    load("vox", "paper", ["space.ngf.values=[16]"], note=said.append)
    assert said == []


def test_a_stand_in_takes_what_it_decides_out_of_fixed(tmp_path: Path) -> None:
    file = tmp_path / "vox.yaml"
    file.write_text("dataset: vox\nfixed: {loss.lambda5_upper: 30, precision: bf16}\nspace: {}\n")
    said: list[str] = []
    config, _ = load("vox", "paper", ["space.lambda5_ratio={low: 5, high: 10}"], file, note=said.append)
    assert config.fixed == {"precision": "bf16"}
    assert "fixed.loss.lambda5_upper=30" in said[0]


HINTED = [
    "train.ngf=32", "train.iterations=50", "train.batch_size=4", "fixed.lambda5_upper=300", "seed=1 train.seed=3",
    "space.lambda5_upper={low: 100, high: 101}", "space.iterations={low: 3, high: 8}", "scheduler.rungs=[0.8, 0.3]",
    "resources.gpus_per_trial=-1", "scoring.accuracy_floor=5", "scoring.i3d=/nope", "calibrate.seeds=1",
    "objective={metric: inception_score, direction: minimize}", "objective=fvd_i3d",
    "objective=kernel_distance second_objective=kernel_distance", "space.lambda2={low: 3, high: 8, step: 2}",
    "objective=kernel_distance second_objective=frechet_distance", "space.lambda2={low: 3, high: 8, step: 0}",
    "space.lambda2={low: 3, high: 8, step: 1, log: true}", "space.lambda2={low: 0, high: 8, log: true}",
    "space.lambda2={low: 3, high: 8, ordered: true}", "space.lr.low=1e-5", "space.precision={low: 1, high: 2}",
    "space.mask={low: 0, high: 1}", "space.motion_dim={low: 16.5, high: 64}", "space.beta2={}", "space.ngf.low=3",
]  # fmt: skip


@pytest.mark.parametrize("text", HINTED)
def test_the_way_on_of_a_refusal_works_when_it_is_pasted(text: str) -> None:
    """Behind the command that was refused, or in place of its option where it says so."""
    overrides = re.split(r" (?=[\w.]+=)", text) if " " in text and "{" not in text.split(" ")[0] else [text]
    with pytest.raises(UserError) as error:
        load("vox", "paper", overrides)
    hint = re.search(r"--set ('[^']*'|[^\s;]+)(?!.*--set )(.*)", str(error.value))
    assert hint is not None, str(error.value)
    kept = overrides[:-1] if "in its place" in hint[2] else overrides
    overrides = [*kept, shlex.split(hint[1])[0]]
    load("vox", "paper", overrides)

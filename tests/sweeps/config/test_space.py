from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.space import derived, distributions, largest, published_params, train_config
from sweeps.report.tables import settings_table
from tsvan.data.published import published
from tsvan.validation import UserError


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("paper", "values to start from"),
        ("smoke", "values to start from"),
        ("demo", "values to start from"),
    ],
)
def test_a_dataset_of_ones_own_begins_with_no_row_of_table_3(preset: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nlayouts: ['<class>/**/<clip>']\nclasses: [a, b]\nobjectives: [kernel_distance]\n")
    config = load(str(file), preset)[0]
    assert published_params(config)[1] == name
    assert settings_table(None, config)[2].startswith("| values to start from |")


@pytest.mark.parametrize("dataset", ["weizmann", "mug", "synaction", "vox"])
def test_the_first_trial_is_the_table_3_row(dataset: str) -> None:
    config = load(dataset)[0]
    params, origin = published_params(config)
    train, row = train_config(config, params, seed=3), published(dataset)
    assert origin == "table 3"
    assert train.model == row.model
    assert train.loss == row.loss
    assert train.seed == 3


@pytest.mark.parametrize(("dataset", "ngf", "content_dim"), [("vox", 32, 512), ("synaction", 32, 512)])
def test_a_narrowed_space_gets_the_nearest_row_and_says_so(dataset: str, ngf: int, content_dim: int) -> None:
    params, origin = published_params(load(dataset, "smoke")[0])
    assert (params["ngf"], params["content_dim"], origin) == (ngf, content_dim, "table 3, nearest in the space")


def test_lambda5_upper_is_ratio_times_lower() -> None:
    config = load("weizmann", "smoke")[0]
    train = train_config(config, {"lambda5_lower": 2.5, "lambda5_ratio": 6.0, "ngf": 32}, seed=0)
    assert train.loss.lambda5_upper == 15.0
    values = derived(train)
    assert (values["lambda5_ratio"], values["lambda5_upper"], values["ngf"], values["lambda_img"]) == (
        6.0,
        15.0,
        32,
        7.0,
    )


def test_space_keeps_the_order_and_kinds_of_the_yaml() -> None:
    kinds = {name: type(item).__name__ for name, item in distributions(load("vox")[0]).items()}
    assert kinds == {
        "lambda2": "FloatDistribution",
        "ngf": "CategoricalDistribution",
        "content_dim": "CategoricalDistribution",
        "lambda5_lower": "FloatDistribution",
        "lambda5_ratio": "FloatDistribution",
    }


def test_the_largest_configuration_is_the_widest() -> None:
    model = largest(load("mug")[0]).model
    assert (model.ngf, model.content_dim) == (64, 1024)


def test_fixed_settings_reach_every_trial() -> None:
    config = load("mug", "smoke", ["train.kernel_layers=2", "train.mask=false"])[0]
    model = train_config(config, {}, seed=0).model
    assert (model.kernel_layers, model.mask) == (2, False)
    with pytest.raises(UserError):
        train_config(config, {"lambda2": -1.0}, seed=0)


@pytest.mark.parametrize(("preset", "start"), [("paper", "published"), ("dev", "identity"), ("smoke", "identity")])
def test_kernels_start_as_the_identity_in_the_short_presets_alone(preset: str, start: str) -> None:
    config = load("weizmann", preset)[0]
    assert config.base.model.kernel_init == start
    assert published_params(config)[1] in ("table 3", "table 3, nearest in the space")


def test_the_start_of_the_kernels_can_be_swept() -> None:
    config = load("weizmann", "paper", ["space.kernel_init.values=[published, identity]"])[0]
    params, origin = published_params(config)
    assert (params["kernel_init"], origin) == ("published", "table 3")
    assert train_config(config, {**params, "kernel_init": "identity"}, 0).model.kernel_init == "identity"

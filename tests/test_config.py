import tracemalloc
from pathlib import Path

import pytest

from tsvan.config import TrainConfig
from tsvan.data.datasets import DATASETS
from tsvan.data.published import published
from tsvan.validation import UserError, load_yaml, one_line, parse_value


@pytest.mark.parametrize(
    ("dataset", "lambda2", "lower", "upper", "ngf", "content_dim", "pretrain"),
    [
        ("weizmann", 7, 2, 20, 16, 512, 0),
        ("mug", 5, 5, 25, 16, 512, 0),
        ("synaction", 7, 2, 20, 32, 1024, 300_000),
        ("vox", 6, 5, 25, 64, 512, 300_000),
    ],
)
def test_published_settings_are_table_3(dataset, lambda2, lower, upper, ngf, content_dim, pretrain):
    config = published(dataset)
    assert (config.loss.lambda2, config.loss.lambda5_lower, config.loss.lambda5_upper) == (lambda2, lower, upper)
    assert (config.model.ngf, config.model.content_dim, config.model.motion_dim) == (ngf, content_dim, 64)
    assert config.schedule.pretrain_iterations == pretrain
    assert config.schedule.iterations == 500_000
    assert (config.loss.lambda1, config.loss.lambda3, config.loss.lambda4) == (1e4, 1e2, 1e4)
    assert (config.optimiser.lr, config.optimiser.beta1, config.optimiser.beta2) == (2e-4, 0.5, 0.999)
    assert config.loss.one_step_kl == lambda2


def test_only_synaction_lowers_the_share_of_prior_samples():
    assert {name: published(name).loss.prior_share for name in DATASETS} == {
        "weizmann": 1.0,
        "mug": 1.0,
        "synaction": 0.1,
        "vox": 1.0,
    }


def test_round_trip_through_plain_values():
    config = published("vox").with_settings({"lambda_img": 2.5, "model.ngf": 32, "precision": "bf16"})
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert (config.loss.one_step_kl, config.model.ngf, config.precision) == (2.5, 32, "bf16")


def test_a_settings_hash_outlives_settings_that_came_later():
    # The hash of this config before `kernel_init` was a setting.
    assert published("weizmann").settings_hash[:16] == "8141ad7f0ad3b159"
    identity = published("weizmann").with_settings({"kernel_init": "identity"})
    assert identity.settings_hash != published("weizmann").settings_hash


def test_another_budget_scales_pretraining():
    schedule = published("vox").scaled(1_000).schedule
    assert (schedule.iterations, schedule.pretrain_iterations, schedule.total) == (1_000, 600, 1_600)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lamda2": 5}, "--set: unknown setting 'lamda2'; did you mean 'lambda2'?"),
        ({"loss.ngf": 5}, "--set: unknown setting 'loss.ngf'; did you mean 'ngf'?"),
        ({"ngf": 16.5}, "--set: model.ngf: input should be a valid integer, got 16.5"),
        ({"lambda2": "five"}, "--set: loss.lambda2: input should be a valid number, got 'five'"),
        ({"batch_size": 1}, "--set: optimiser.batch_size: input should be greater than or equal to 2, got 1"),
        (
            {"lambda5_lower": 30.0},
            "--set: loss.lambda5_lower must be <= loss.lambda5_upper, got lambda5_lower=30, lambda5_upper=25; "
            "raise the upper bound or lower the lower one",
        ),
        (
            {"ramp_start": 0.9},
            "--set: schedule.ramp_start must be < schedule.ramp_end, got ramp_start=0.9, ramp_end=0.8",
        ),
    ],
)
def test_wrong_settings_are_one_line(settings, message):
    with pytest.raises(UserError) as error:
        published("vox").with_settings(settings)
    assert str(error.value) == message


def test_unknown_keys_name_file_and_nearest():
    with pytest.raises(UserError, match=r"^a\.yaml: unknown key 'model\.ngff'; did you mean 'ngf'\?$"):
        TrainConfig.from_dict({"model": {"ngff": 3}}, "a.yaml")
    with pytest.raises(UserError, match="unknown dataset 'voxceleb'; did you mean 'vox'"):
        published("voxceleb")


def test_yaml_numbers_and_errors(tmp_path):
    assert parse_value("1e4") == 1e4
    assert parse_value("3") == 3
    assert parse_value("true") is True
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(UserError, match=r"broken\.yaml is not valid YAML"):
        load_yaml(broken)
    with pytest.raises(UserError, match="cannot read"):
        load_yaml(tmp_path / "absent.yaml")


BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
NO_YAML = {
    "aliases": (BOMB, "more than 20,000 values, aliases written out"),
    "merged aliases": (BOMB.replace("[x, x]", "{x: 1}").replace(" [", " {<<: [").replace("]", "]}"), "values"),
    "circle": ("a: &a [*a]", "an alias stands inside its own anchor"),
    "brackets": ("[" * 3000, "nested deeper than 40 levels"),
    "mappings": ("{a: " * 500, "nested deeper than 40 levels"),
    "digits": ("trials: " + "9" * 4400, "is no int"),
    "hexadecimal digits": ("trials: 0x" + "f" * 5000, "a whole number of more than 64 bits"),
    "length": ("a: " + "x" * 1_000_001, "more than 1,000,000 characters"),
    "int": ("a: !!int foo", "'foo' is no int"),
    "bool": ("a: !!bool foo", "'foo' is no bool"),
    "date": ("a: !!timestamp foo", "'foo' is no timestamp"),
    "prefix": ("a: 0x_", "'0x_' is no int"),
    "not a mapping": ("a: !!map [1]", "expected a mapping node"),
}


@pytest.mark.parametrize("case", NO_YAML)
def test_what_is_no_config_is_one_line_and_little_memory(case: str, tmp_path: Path) -> None:
    text, words = NO_YAML[case]
    (tmp_path / "x.yaml").write_text(text)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"x\.yaml is not valid YAML") as error:
        load_yaml(tmp_path / "x.yaml")
    assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    tracemalloc.stop()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_dates_stay_text_and_ordinary_aliases_work(tmp_path: Path) -> None:
    assert parse_value("2026-02-30") == "2026-02-30"
    assert parse_value("{a: &a {x: 1}, b: {<<: *a, y: 2}}") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}


def test_a_message_is_one_line_that_every_terminal_shows() -> None:
    assert one_line("a\nb\tc\x1b[31m\udc80 λ") == "a b c\\x1b[31m\\udc80 λ"
    assert len(one_line("x" * 50_000)) < 1300


def test_a_learning_rate_of_its_own_is_said_in_a_line_of_settings() -> None:
    config = published("weizmann")
    assert config.summary == "ngf16 z512 λ2=7 λ5=2→20"
    assert config.with_settings({"lr": 0.001}).summary == "ngf16 z512 λ2=7 lr=0.001 λ5=2→20"
    assert config.columns["lr"] == "0.0002"

"""The settings of a trial that a user adds, held against the study's space."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweeps.config.schema import Prior, SweepConfig
from sweeps.search.added_settings import settings
from tsvan.validation import UserError


def test_settings_are_read_as_optuna_keeps_them(config: SweepConfig) -> None:
    found = settings(config, ["lambda2=5", "ngf=32"])
    assert found == {"lambda2": 5.0, "ngf": 32}
    assert isinstance(found["lambda2"], float)


@pytest.mark.parametrize(
    ("texts", "error"),
    [
        (["lambda2"], r"expected setting=value, as in lambda2="),
        (["lambda3=5"], r"'lambda3' is not in this study's space; did you mean 'lambda2'"),
        (["lambda2=5", "lambda2=6"], r"'lambda2' is given twice"),
        (["lambda2=50"], r"lambda2 must be from 3 to 8 in this study, got 50"),
        (["lambda2=true"], r"lambda2 must be from 3 to 8 in this study, got True"),
        (["lambda2=much"], r"lambda2 must be from 3 to 8 in this study, got much"),
        (["ngf=33"], r"ngf must be one of .* in this study, got 33"),
        (["lambda2=.nan"], r"lambda2 must be from 3 to 8 in this study, got nan"),
    ],
)
def test_a_setting_that_the_study_does_not_have_is_refused(config: SweepConfig, texts: list[str], error: str) -> None:
    with pytest.raises(UserError, match=error):
        settings(config, texts)


def test_a_whole_number_is_not_cut(config: SweepConfig) -> None:
    whole = replace(config, space={**config.space, "motion_dim": Prior(low=4, high=16, step=4, integer=True)})
    assert settings(whole, ["motion_dim=8"]) == {"motion_dim": 8}
    for value in ("8.5", "6", "20"):
        with pytest.raises(UserError, match=f"must be from 4 to 16 in steps of 4 in this study, got {value}"):
            settings(whole, [f"motion_dim={value}"])

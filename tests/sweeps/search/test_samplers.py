from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params
from sweeps.search.early_stopping import stopping_rule, waiting_points
from sweeps.search.samplers import check_sampler, make_sampler
from sweeps.search.storage import load_study
from sweeps.search.study_copy import StudyCopySampler, copied
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue, run_through
from tsvan.validation import UserError

OWN = "tests.sweeps.own_parts"
SPACE = (
    "space={lambda2: {low: 3, high: 8}, ngf: {low: 16, high: 64}, content_dim: {values: [256, 512, 1024], "
    "ordered: true}, lr: {low: 1e-4, high: 1e-3, log: true}}"
)


def study_of(*overrides: str) -> SweepConfig:
    usual = ["space=null", SPACE, "budget.iterations=100", "trials=8", "sampler.startup_trials=3"]
    objective = [] if any(text.startswith("objective") for text in overrides) else ["objective=inception_score"]
    return load("weizmann", "smoke", [*usual, *objective, *overrides])[0]


CLASSES = ["tpe", "random", "qmc", "nsga2", "gp", "GPSampler", "NSGAIIISampler", "BruteForceSampler", "grid"]


@pytest.mark.parametrize("kind", [*CLASSES, f"{OWN}:MiddleSampler"])
def test_every_sampler_drives_a_study_and_draws_the_same_after_every_death(kind: str, paths: StudyPaths) -> None:
    finite = ["space.lambda2={low: 3, high: 8, step: 0.5}", "space.lr.values=[1e-4, 1e-3]"]
    config = study_of(f"sampler.kind={kind}", *(finite if kind in ("grid", "BruteForceSampler") else []))
    check_sampler(config)
    whole = run_through(config, StudyPaths(paths.root / "whole"))
    broken = run_through(config, StudyPaths(paths.root / "broken"), restart=True)
    assert whole == broken
    assert whole[0] == published_params(config)[0]
    drawn = {(*map(str, params.values()),) for params in whole[1:]}
    assert len(drawn) > 3
    assert all(params["content_dim"] in (256, 512, 1024) and isinstance(params["ngf"], int) for params in whole)


def test_a_sequence_goes_on_where_it_was_and_a_grid_is_walked_once(paths: StudyPaths) -> None:
    config = study_of("space=null", "space={ngf: {values: [16, 32]}, mask: {values: [true, false]}}", "sampler=grid")
    params = run_through(config, paths)
    assert len({(one["ngf"], one["mask"]) for one in params[1:5]}) >= 3
    with pytest.raises(UserError, match=r"values or steps for space\.lambda2; --set space\.lambda2\.step=1"):
        check_sampler(study_of("sampler=grid"))


def test_tpe_is_written_out(paths: StudyPaths) -> None:
    made = [make_sampler(study_of(), 3), optuna.samplers.TPESampler(n_startup_trials=3, multivariate=True, seed=1)]
    kinds = [{key: type(value) for key, value in vars(one).items()} for one in made]
    assert kinds[0] == kinds[1]
    with pytest.raises(UserError, match="TPESampler has no keyword 'multivariat'; did you mean 'multivariate'"):
        make_sampler(study_of("sampler.multivariat=true"), 0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sampler=tpee"], "sampler.kind: unknown 'tpee'; did you mean 'tpe'?"),
        (["sampler=BaseSampler"], "sampler.kind: unknown 'BaseSampler'"),
        (["sampler={kind: GPSampler, deterministic: true}"], "did you mean 'deterministic_objective'?"),
        (["sampler=PartialFixedSampler"], "PartialFixedSampler refuses its keywords: TypeError"),
        (["sampler=no_such_module:Sampler"], "sampler.kind: no module 'no_such_module' in "),
        ([f"sampler={OWN}:MiddelSampler"], "did you mean 'MiddleSampler'?"),
        ([f"sampler={OWN}:BelowMedian"], "BelowMedian refuses its keywords: TypeError"),
        ([f"sampler={{kind: {OWN}:MiddleSampler, part: 3}}"], "has no keyword 'part'; did you mean 'parts'?"),
        ([f"sampler={{kind: {OWN}:MiddleSampler, parts: 0}}"], "can't draw from this space: ZeroDivisionError"),
        ([f"sampler={OWN}:Unfinished"], "is no sampler of Optuna's"),
        (["sampler=:x"], "expected module:name, got ':x'"),
    ],
)
def test_a_sampler_that_can_not_draw_is_told_in_a_line_before_anything_starts(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError) as error:
        check_sampler(study_of(*overrides))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_trying_a_sampler_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    check_sampler(study_of("sampler=gp"))
    assert capfd.readouterr() == ("", "")


def test_keywords_stand_beside_the_kind_and_another_kind_leaves_them_behind() -> None:
    config = study_of("sampler={kind: GPSampler, deterministic_objective: true}")
    assert config.sampler.keywords == {"deterministic_objective": True}
    assert (config.sampler.kind, config.sampler.startup_trials) == ("GPSampler", 3)
    again = load("mug", "smoke", ["sampler={kind: gp, n_startup_trials: 5}", "sampler.kind=tpe"])[0]
    assert (again.sampler.kind, again.sampler.keywords) == ("tpe", {})
    less = load("mug", "smoke", ["sampler={kind: gp, n_startup_trials: 5}", "sampler.n_startup_trials=null"])[0]
    assert (less.sampler.kind, less.sampler.keywords) == ("gp", {})


def trials_of(config: SweepConfig, states: list[str]) -> list[FrozenTrial]:
    space, row = distributions(config), published_params(config)[0]
    known = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "running": TrialState.RUNNING}
    made = []
    for place, state in enumerate(states):
        values = [float(place)] if state == "complete" else None
        steps = {10: 1.0, 20: 0.5} if state in ("diverged", "pruned") else {}
        params: dict[str, Any] = {"params": row, "distributions": space, "intermediate_values": steps}
        told = known.get(state, TrialState.FAIL)
        made.append(create_trial(state=told, values=values, user_attrs={"state": state}, **params))
    return made


def test_what_diverged_reaches_tpe_as_stopped_and_others_as_the_worst_score() -> None:
    config = study_of()
    known = trials_of(config, ["complete", "diverged", "failed", "complete", "running"])
    pruned, worst = (copied(known, config, pruned=way) for way in (True, False))
    assert [one.state.name for one in pruned] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE", "RUNNING"]
    assert pruned[1].intermediate_values == {10: 1.0, 20: 0.5}
    assert [one.state.name for one in worst] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "RUNNING"]
    assert worst[1].value == 0.0  # of 0 and 3, where more is better
    down = study_of("objective=kernel_distance")
    assert copied(known, down, pruned=False)[1].value == 3.0
    assert copied(known[1:2], config, pruned=False)[0].state == TrialState.FAIL  # nothing to be worse than
    assert known[1].state == TrialState.FAIL


def test_ordered_values_are_places_to_the_sampler_and_themselves_in_the_database(paths: StudyPaths) -> None:
    config = study_of()
    (trial,) = copied(trials_of(config, ["complete"]), config, pruned=True)
    assert trial.params["content_dim"] == 1  # 512 of 256, 512, 1024
    assert trial.distributions["content_dim"] == optuna.distributions.IntDistribution(0, 2)
    run_through(config, paths)
    known = load_study(paths).trials
    assert {one.params["content_dim"] for one in known} <= {256, 512, 1024}
    assert known[0].distributions["content_dim"] == optuna.distributions.CategoricalDistribution((256, 512, 1024))


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_a_region_that_diverges_is_left(kind: str) -> None:
    """Where λ2 is above 5 all diverges, and the scores are better the nearer to it."""
    space = ["space=null", "space.lambda2={low: 0, high: 10}", f"sampler={{kind: {kind}, startup_trials: 6}}"]
    config = load("weizmann", "smoke", [*space, "objective=inception_score"])[0]
    study = optuna.create_study(direction="maximize")
    for _ in range(18):
        study.sampler = StudyCopySampler(config)
        trial = study.ask(distributions(config))
        drawn = trial.params["lambda2"]
        trial.set_user_attr("state", "diverged" if drawn > 5 else "complete")
        study.tell(trial, state=TrialState.FAIL) if drawn > 5 else study.tell(trial, drawn)
    late = study.trials[8:]
    assert sum(trial.params["lambda2"] > 5 for trial in late) <= len(late) // 2
    assert {trial.state for trial in study.trials if trial.params["lambda2"] > 5} == {TrialState.FAIL}


def test_part_of_a_trial_that_was_asked_for_is_kept_and_the_rest_is_drawn(
    config: SweepConfig, paths: StudyPaths
) -> None:
    queue = open_queue(config, paths)
    finish(queue, take(queue), "complete", 1.0)
    load_study(paths).enqueue_trial({"lambda2": 4.25})
    job = take(open_queue(config, paths))
    assert job.params["lambda2"] == 4.25
    assert set(job.params) == set(config.space)


def test_a_rule_of_ones_own_judges_every_score(paths: StudyPaths) -> None:
    config = study_of(f"scheduler={{kind: {OWN}:BelowMedian, patience: 2}}")
    schedule = config.base.schedule
    rule = stopping_rule(schedule, config.scheduler, config.objective)
    assert waiting_points(schedule, config.scheduler) is None
    rule.recall([(0, 10, 5.0), (1, 10, 7.0)])
    assert not rule.goes_on(2, 10, 5.5)  # below 6
    assert rule.goes_on(3, 10, 6.5)
    assert rule.goes_on(4, 20, 0.0)  # the first there
    assert vars(rule)["rungs"] == (30, 80)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (f"{OWN}:Unfinished", "has no method goes_on; give it recall(scores) and goes_on(number, iteration, score)"),
        (f"{OWN}:NOT_A_CLASS", "can't be made: TypeError"),
        (f"{OWN}:BelowMedia", "did you mean 'BelowMedian'?"),
    ],
)
def test_a_rule_that_is_none_is_told_in_a_line(kind: str, message: str) -> None:
    config = study_of(f"scheduler.kind={kind}")
    with pytest.raises(UserError) as error:
        stopping_rule(config.base.schedule, config.scheduler, config.objective)
    assert message in str(error.value)

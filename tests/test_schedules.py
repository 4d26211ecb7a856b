import numpy as np
import pytest

from tsvan import schedules
from tsvan.config import LossConfig, ScheduleConfig

FULL = ScheduleConfig(iterations=500_000, pretrain_iterations=300_000)
LOSS = LossConfig(lambda2=6.0, lambda5_lower=2.0, lambda5_upper=20.0)


@pytest.mark.parametrize(
    ("iteration", "sequence", "epsilon", "lambda5"),
    [
        (0, 0.1, 1.0, 2.0),
        (75_000, 0.5, 1.0, 2.0),
        (150_000, 0.9, 1.0, 2.0),
        (275_000, 0.9, 0.5, 11.0),
        (400_000, 0.9, 0.0, 20.0),
        (500_000, 0.9, 0.0, 20.0),
    ],
)
def test_knots_of_the_published_budget(iteration, sequence, epsilon, lambda5):
    assert schedules.sequence_share(iteration, FULL) == pytest.approx(sequence)
    assert schedules.teacher_share(iteration, FULL) == pytest.approx(epsilon)
    assert schedules.lambda5(iteration, FULL, LOSS) == pytest.approx(lambda5)


@pytest.mark.parametrize(("iteration", "weight"), [(0, 0.0), (50_000, 3.0), (100_000, 6.0), (300_000, 6.0)])
def test_pretraining_ramps_its_kl_over_the_first_third(iteration, weight):
    assert schedules.pretrain_lambda2(iteration, FULL, LOSS) == pytest.approx(weight)


def test_another_budget_scales_every_knot():
    small = ScheduleConfig(iterations=1_000, pretrain_iterations=600)
    assert schedules.teacher_share(550, small) == pytest.approx(0.5)
    assert schedules.sequence_share(150, small) == pytest.approx(0.5)
    assert schedules.pretrain_lambda2(100, small, LOSS) == pytest.approx(3.0)


def test_shares_of_the_plan():
    plan = schedules.step_plan(0, FULL)
    assert len(plan) == 500_000
    assert (plan == 0).mean() == pytest.approx(0.6, abs=0.005)
    late = plan[150_000:]
    assert (late == 2).sum() / (late != 0).sum() == pytest.approx(0.9, abs=0.005)
    early = plan[:150_000]
    assert (early == 2).sum() / (early != 0).sum() == pytest.approx(0.5, abs=0.01)  # the mean of 0.1 -> 0.9


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_occurs_in_the_shortest_budget(seed):
    assert set(schedules.step_plan(seed, ScheduleConfig(iterations=3))) == {0, 1, 2}


def test_a_kind_that_is_switched_off_stays_off():
    plan = schedules.step_plan(0, ScheduleConfig(iterations=50, content_share=1.0))
    assert set(plan) == {0}


def test_the_plan_is_a_function_of_the_seed():
    schedule = ScheduleConfig(iterations=200)
    assert np.array_equal(schedules.step_plan(3, schedule), schedules.step_plan(3, schedule))
    assert not np.array_equal(schedules.step_plan(3, schedule), schedules.step_plan(4, schedule))


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "decoder"),
    [
        (0.68, 0.68, True, True),
        (0.17, 0.68, False, True),  # the discriminator is too good on real input
        (0.68, 0.17, False, True),
        (1.19, 0.68, True, False),  # too bad: the decoder waits
        (0.68, 1.19, True, False),
        (0.17, 1.19, True, True),  # both would be skipped, so both are done
        (0.181, 1.179, True, True),  # inside the margins
    ],
)
def test_balance_of_updates(real, fake, discriminator, decoder):
    gate = schedules.balance(real, fake, target=0.68, margin=0.5)
    assert (gate.discriminator, gate.decoder) == (discriminator, decoder)

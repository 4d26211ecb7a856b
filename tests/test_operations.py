"""No work twice: the operations of a step, against those that the authors' release spends (GFLOP at batch 16)."""

import pytest

from benchmarks import train_step
from benchmarks.timed_step import Spec, networks_of
from tsvan.models.networks import Networks

# Release's operations at ngf 16, content_dim 512, ten classes, and the share of them that is allowed.
RELEASE = {
    ("content", None): (14.6, 0.85),
    ("one-step", None): (134.6, 0.58),
    ("sequence", 1.0): (1195.0, 0.68),
    ("sequence", 0.0): (1338.0, 0.76),
}


@pytest.fixture(scope="module")
def networks() -> Networks:
    return networks_of(spec("tsvan", "content", None))


def spec(trainer, step, epsilon):
    return Spec(trainer, step, epsilon, 16, 512, architecture="release")


@pytest.mark.parametrize(("step", "epsilon"), RELEASE)
def test_operations(step, epsilon, networks):
    release, share = RELEASE[step, epsilon]
    assert train_step.count_gflop(spec("tsvan", step, epsilon), networks) <= share * release


@pytest.mark.parametrize(("step", "epsilon"), RELEASE)
def test_the_reference_is_an_honest_one(step, epsilon, networks):
    release, _ = RELEASE[step, epsilon]
    spent = train_step.count_gflop(spec("straightforward", step, epsilon), networks)
    assert 0.95 * release <= spent <= 1.05 * release

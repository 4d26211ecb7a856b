"""Ray's own processes die; the machine has no memory left; Ctrl-C while Ray starts."""

from __future__ import annotations

import pytest

from tests.faults.ray_scenes import (
    Bereft,
    Ended,
    GoneOn,
    Pressed,
    interrupted_while_ray_starts,
    lines_with,
    memory_runs_out,
    ray_dies_twice,
    somebodys_cluster_dies,
)


def check(study: GoneOn) -> None:
    assert study.last.code == 0, study.last.text
    assert "Traceback" not in study.last.text
    assert study.wrong == []
    assert study.agree


@pytest.mark.plays(scene=ray_dies_twice)
def test_a_study_starts_a_new_cluster_when_its_own_dies_and_no_trial_is_blamed(played: GoneOn) -> None:
    check(played)
    said = lines_with(played.last.text, "Ray's processes died")
    assert len(said) == 2, played.last.text
    assert not lines_with(played.last.text, "failed|state-dump|Raylet is terminated")


@pytest.mark.slow
@pytest.mark.plays(scene=somebodys_cluster_dies)
def test_on_somebodys_cluster_that_dies_it_ends_within_a_minute_and_the_printed_command_goes_on(
    played: Bereft,
) -> None:
    assert played.first.code == 3, played.first.text
    assert played.seconds < 60
    assert "Traceback" not in played.first.text
    assert len(lines_with(played.first.text, "the Ray cluster is lost")) == 1
    assert played.running == 0
    check(played.after)


@pytest.mark.plays(scene=memory_runs_out)
def test_who_is_killed_for_memory_that_others_took_goes_on_when_there_is_some(played: Pressed) -> None:
    text = played.stopped.text
    assert lines_with(text, r"was killed by Ray's memory monitor .*; it goes on from its checkpoint"), text
    assert "Traceback" not in text
    assert not lines_with(text, "failed|put aside")
    check(played.after)


@pytest.mark.plays(scene=memory_runs_out)
def test_one_sigint_ends_a_study_that_waits_for_memory(played: Pressed) -> None:
    assert played.stopped.code == 130, played.stopped.text
    assert "Go on with:" in played.stopped.text


@pytest.mark.plays(scene=interrupted_while_ray_starts)
def test_ctrl_c_reaches_the_driver_while_ray_starts(played: tuple[Ended, GoneOn]) -> None:
    first, after = played
    assert first.code == 130, first.text
    assert "Traceback" not in first.text
    check(after)

"""The inbox of a study: every instruction is there once, in order, and answered once."""

from __future__ import annotations

import multiprocessing

import pytest

from sweeps.state.inbox import Inbox, additions, is_paused, workers_asked
from sweeps.state.paths import StudyPaths
from tsvan.state_file import set_aside


def test_instructions_come_back_in_the_order_in_which_they_were_asked(paths: StudyPaths) -> None:
    asked = [
        Inbox(paths).ask("add", settings={"lambda2": 5.0}),
        Inbox(paths).ask("stop", trial=7),
        Inbox(paths).ask("workers", workers=2),
    ]
    assert Inbox(paths).instructions() == asked
    assert [str(one) for one in asked] == ["add lambda2=5.0", "stop 7", "workers 2"]


def test_instructions_of_processes_at_the_same_time_are_all_kept(paths: StudyPaths) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(_ask, [(paths, trial) for trial in range(40)])
    found = Inbox(paths).instructions()
    assert [one.number for one in found] == list(range(1, 41))
    assert sorted(one.trial for one in found if one.trial is not None) == list(range(40))


def _ask(paths: StudyPaths, trial: int) -> None:
    Inbox(paths).ask("stop", trial=trial)


def test_an_answer_is_never_replaced(paths: StudyPaths) -> None:
    inbox = Inbox(paths)
    asked = inbox.ask("add", settings={})
    assert inbox.waiting() == [asked]
    inbox.answer(asked.number, "trials/003")
    Inbox(paths).answer(asked.number, "trials/004")
    for one in (inbox, Inbox(paths)):
        answer = one.answer_to(asked)
        assert answer is not None
        assert answer.text == "trials/003"
        assert one.waiting() == []


def test_a_damaged_instruction_is_left_out_and_the_others_hold(paths: StudyPaths) -> None:
    Inbox(paths).ask("stop", trial=1)
    second = Inbox(paths).ask("stop", trial=2)
    (paths.inbox / "0001.json").write_text('{"number"')
    assert Inbox(paths).instructions() == [second]
    assert Inbox(paths).ask("pause").number == 3


def test_the_number_of_an_instruction_that_was_set_aside_is_not_given_again(paths: StudyPaths) -> None:
    inbox = Inbox(paths)
    inbox.answer(inbox.ask("stop", trial=1).number, "pruned at iteration 10")
    set_aside(paths.inbox / "0001.json")
    again = Inbox(paths).ask("stop", trial=2)
    assert again.number == 2
    assert Inbox(paths).waiting() == [again]


@pytest.mark.parametrize(
    ("kinds", "paused"),
    [([], False), (["pause"], True), (["pause", "resume"], False), (["pause", "resume", "pause"], True)],
)
def test_the_last_word_says_whether_a_study_is_paused(paths: StudyPaths, kinds: list[str], paused: bool) -> None:
    for kind in kinds:
        Inbox(paths).ask(kind)  # type: ignore[arg-type]
    Inbox(paths).ask("stop", trial=1)
    assert is_paused(Inbox(paths).instructions()) == paused


def test_the_last_number_of_workers_counts_and_auto_takes_it_back(paths: StudyPaths) -> None:
    inbox = Inbox(paths)
    inbox.ask("workers", workers=2)
    inbox.ask("workers", workers=3)
    inbox.ask("add", settings={})
    assert workers_asked(inbox.instructions()) == 3
    inbox.ask("workers", workers=None)
    assert workers_asked(inbox.instructions()) is None
    assert len(additions(inbox.instructions())) == 1

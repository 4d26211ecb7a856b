"""What counts as an answer, and how it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.user_study.answers import AnswerFile, check, count_once, parse, read_answers
from tests.analysis.user_studies import answer, rater, record
from tsvan.validation import UserError


def submission(*answers: tuple[str, str, str], who: int = 1) -> dict[str, Any]:
    given = [{"showing": showing, "question": question, "choice": choice} for showing, question, choice in answers]
    return {"study": record().id, "rater": rater(who), "answers": given}


def test_a_submission_is_its_answers() -> None:
    found = check(submission(("s1", "plain", "left"), ("s1", "told", "right")), record(), "here")
    assert found == [answer(1, "s1", "left"), answer(1, "s1", "right", "told")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (submission(("s9", "plain", "left")), "unknown showing 's9'"),
        (submission(("s1", "plain", "up")), "answers.0.choice: input should be 'left' or 'right', got 'up'"),
        (submission(("s1", "third", "left")), "question: input should be 'plain' or 'told'"),
        ({**submission(), "rater": "Ann"}, "rater: string should match pattern"),
        ({**submission(), "study": "another"}, "it answers study 'another', but this is '0123456789ab'"),
        ({**submission(), "name": "Ann"}, "unknown key 'name'"),
        ({"study": record().id, "rater": rater(1)}, "answers is missing"),
        ([1], "expected a mapping"),
    ],
)
def test_anything_else_is_refused_with_one_line(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match="here: ") as error:
        check(wrong, record(), "here")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="not valid JSON"):
        parse(data, "here")


def test_the_first_of_two_answers_to_a_question_counts() -> None:
    first, second = answer(1, "s1", "left"), answer(1, "s1", "right")
    others = [answer(1, "s1", "right", "told"), answer(2, "s1", "right")]
    assert count_once([first, second, *others, first]) == [first, *others]


def test_answers_are_kept_once_and_a_new_start_knows_them(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "answers.jsonl", record())
    given = [answer(1, "s1", "left"), answer(2, "s1", "right")]
    assert file.add(given) == 2
    assert file.add([*given, answer(1, "s1", "right")]) == 0
    again = AnswerFile(tmp_path / "answers.jsonl", record())
    assert again.add([given[0], answer(1, "s2", "left"), answer(1, "s2", "left")]) == 1
    assert read_answers([tmp_path / "answers.jsonl"], record()) == [*given, answer(1, "s2", "left")]
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 3


def test_a_line_that_a_crash_cut_is_left_out_and_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    AnswerFile(path, record()).add([answer(1, "s1", "left")])
    path.write_bytes(path.read_bytes() + b'{"study": "0123')
    AnswerFile(path, record()).add([answer(1, "s2", "left")])
    assert read_answers([path], record()) == [answer(1, "s1", "left"), answer(1, "s2", "left")]


def test_saved_files_are_read_beside_the_server_s(tmp_path: Path) -> None:
    AnswerFile(tmp_path / "answers.jsonl", record()).add([answer(1, "s1", "left")])
    (tmp_path / "answers-1.json").write_text(json.dumps(submission(("s1", "plain", "right"), ("s2", "plain", "left"))))
    found = read_answers([tmp_path / "answers.jsonl", tmp_path / "answers-1.json"], record())
    assert found == [answer(1, "s1", "left"), answer(1, "s2", "left")]
    with pytest.raises(UserError, match=r"cannot read answers from .*none\.json: No such file"):
        read_answers([tmp_path / "none.json"], record())

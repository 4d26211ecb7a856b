"""Answers: what counts as one, and the file that keeps them."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as validated

from analysis.user_study.study import StudyRecord
from tsvan.journal import json_lines
from tsvan.validation import STRICT, UserError, build

Question = Literal["plain", "told"]
"""`plain`: which looks better; `told`: the same once the class is told."""

Choice = Literal["left", "right"]
Rater = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


@validated(frozen=True, config=STRICT)
class Given:
    """One answer as the page sends it."""

    showing: str
    question: Question
    choice: Choice


@validated(frozen=True, config=STRICT)
class Submission:
    """What the page sends, and what it saves as a file where there is no server."""

    study: str
    rater: Rater
    answers: tuple[Given, ...]


@dataclass(frozen=True)
class Answer:
    """One answer of one rater."""

    rater: str
    showing: str
    question: Question
    choice: Choice

    @property
    def asked(self) -> tuple[str, str, str]:
        """Return who was asked what; it is counted once."""
        return self.rater, self.showing, self.question


def check(values: Any, record: StudyRecord, where: str) -> list[Answer]:
    """Check the plain values of a submission, and return its answers.

    Raises:
        UserError: it is none, or not of this study; says what is wrong first.
    """
    found = build(Submission, values, where)
    if found.study != record.id:
        raise UserError(f"{where}: it answers study '{found.study[:40]}', but this is '{record.id}'; reload the page")
    for given in found.answers:
        if given.showing not in record.by_id:
            raise UserError(f"{where}: unknown showing '{given.showing[:40]}'; it is not in this study's pairs.json")
        if given.question == "told" and not record.tells_label:
            raise UserError(f"{where}: question 'told' is not asked in a study of one class")
    return [Answer(found.rater, given.showing, given.question, given.choice) for given in found.answers]


def count_once(answers: Iterable[Answer]) -> list[Answer]:
    """Count each question of a rater once: the first answer stays, however often it or another is sent again."""
    first: dict[tuple[str, str, str], Answer] = {}
    for answer in answers:
        first.setdefault(answer.asked, answer)
    return list(first.values())


def read_answers(files: Sequence[Path], record: StudyRecord) -> list[Answer]:
    """Read the answers in files, each counted once: `answers.jsonl` of the server, and `.json` files that raters saved.

    Raises:
        UserError: a file can't be read, or holds something else.
    """
    found: list[Answer] = []
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read answers from {file}: {error.strerror}") from None
        if file.suffix == ".jsonl":
            for number, line in enumerate(json_lines(data), start=1):
                found += check(line, record, f"{file}, answer {number}")
        else:
            found += check(parse(data, str(file)), record, str(file))
    return count_once(found)


def parse(data: bytes, where: str) -> Any:
    """Parse JSON.

    Raises:
        UserError: it is not.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UserError(f"{where}: not valid JSON; expected what the page sends or saves") from None


class AnswerFile:
    """The server's file of answers, one JSON line each; safe to use from several threads.

    Args:
        path: of the file; it appears with the first answer.
        record: of the study.

    Raises:
        UserError: the file holds something else.
    """

    def __init__(self, path: Path, record: StudyRecord) -> None:
        self._path, self._record = path, record
        self._lock = threading.Lock()
        self._known = {answer.asked: answer for answer in (read_answers([path], record) if path.exists() else [])}

    @property
    def answers(self) -> list[Answer]:
        """Return all answers so far."""
        with self._lock:
            return list(self._known.values())

    def add(self, answers: Sequence[Answer]) -> int:
        """Keep answers that are new, and return how many were; they are on disk when this returns.

        Raises:
            OSError: the disk is full or can't be written; nothing was kept.
        """
        with self._lock:
            new = [answer for answer in count_once(answers) if answer.asked not in self._known]
            if new:
                _append(self._path, "".join(_line(self._record.id, answer) for answer in new).encode())
                self._known |= {answer.asked: answer for answer in new}
            return len(new)


def _line(study: str, answer: Answer) -> str:
    values = asdict(answer)
    return json.dumps({"study": study, "rater": values.pop("rater"), "answers": [values]}) + "\n"


def _append(path: Path, data: bytes) -> None:
    with open(path, "ab+", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        if before:
            file.seek(before - 1)
            if file.read(1) != b"\n":
                data = b"\n" + data  # what a crash cut off must not take the next line with it
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise

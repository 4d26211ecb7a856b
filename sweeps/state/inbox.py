"""`inbox/`: what users ask of a study while it runs, and what became of it. All may write here; the driver follows.

An instruction is a file that is never changed, `0007.json`; its answer is another one beside it, `0007.done.json`. Both
are written once and whole, so that nothing is asked or answered twice, whoever dies.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from sweeps.state.paths import StudyPaths
from tsvan.files import make_folder, one_at_a_time, write_once
from tsvan.state_file import DamagedFile, read_state

ASK_AGAIN = "it is left out; ask once more"
Kind = Literal["add", "stop", "pause", "resume", "workers"]


@dataclass(frozen=True)
class Instruction:
    """Something that a user asked of a study.

    Args:
        number: its place among all of the study's.
        kind: `add` a trial, `stop` one, `pause` or `resume` the study, or change its `workers`.
        at: when it was asked, in seconds since 1970.
        settings: of the trial to add; the sampler draws what is not named.
        trial: number of the trial to stop.
        workers: trials at a time from now on; None: as the study's command says.
    """

    number: int
    kind: Kind
    at: float
    settings: dict[str, Any] = field(default_factory=dict)
    trial: int | None = None
    workers: int | None = None

    def __str__(self) -> str:
        """Say the instruction as it was typed, without the study's folder."""
        shown = {
            "add": " ".join(f"{name}={value}" for name, value in self.settings.items()),
            "stop": str(self.trial),
            "workers": "auto" if self.workers is None else str(self.workers),
        }
        return f"{self.kind} {shown.get(self.kind, '')}".strip()


@dataclass(frozen=True)
class Answer:
    """What became of an instruction: a text for people, and when it was done, in seconds since 1970."""

    text: str
    at: float


class Inbox:
    """The instructions to a study. What was read once is not read again, as none ever changes.

    Args:
        paths: of the study.
    """

    def __init__(self, paths: StudyPaths) -> None:
        self._folder = paths.inbox
        self._known: dict[int, Instruction] = {}
        self._answers: dict[int, Answer] = {}

    def ask(self, kind: Kind, **values: Any) -> Instruction:
        """Write an instruction down, after all that are there."""
        make_folder(self._folder)
        with one_at_a_time(self._folder / "lock"):
            while True:  # on a file system without locks another process may be quicker
                number = max(self._used(), default=0) + 1
                new = Instruction(number, kind, time.time(), **values)
                if write_once(self._file(number), json.dumps(asdict(new))):
                    return new

    def instructions(self) -> list[Instruction]:
        """List all instructions, in the order in which they were asked; a damaged one is left out."""
        for number in self._numbers() - set(self._known):
            found = _kept(self._file(number), Instruction)
            if found is not None:
                self._known[number] = found
        return [self._known[number] for number in sorted(self._known)]

    def answer_to(self, instruction: Instruction) -> Answer | None:
        """Return what became of an instruction; None: it has not been followed yet."""
        if instruction.number not in self._answers:
            found = _kept(self._answer_file(instruction.number), Answer)
            if found is None:
                return None
            self._answers[instruction.number] = found
        return self._answers[instruction.number]

    def waiting(self) -> list[Instruction]:
        """List the instructions that have no answer yet."""
        return [one for one in self.instructions() if self.answer_to(one) is None]

    def answer(self, number: int, text: str) -> None:
        """Write down that an instruction was followed, unless that is known."""
        write_once(self._answer_file(number), json.dumps(asdict(Answer(text, time.time()))))

    def _used(self) -> set[int]:
        """Return all numbers that were given, also to instructions that were damaged and set aside."""
        names = (name.partition(".")[0] for name in os.listdir(self._folder))
        return {int(name) for name in names if name.isdecimal()}

    def _numbers(self) -> set[int]:
        names = (file.stem for file in self._folder.glob("*.json"))
        return {int(name) for name in names if name.isdecimal()}

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:04d}.json"

    def _answer_file(self, number: int) -> Path:
        return self._folder / f"{number:04d}.done.json"


def is_paused(instructions: Iterable[Instruction]) -> bool:
    """Tell whether the study is paused: the last word on that says so."""
    said = [one.kind for one in instructions if one.kind in ("pause", "resume")]
    return said[-1:] == ["pause"]


def workers_asked(instructions: Iterable[Instruction]) -> int | None:
    """Return how many trials at a time were asked for last; None: as many as the study's command says."""
    said = [one.workers for one in instructions if one.kind == "workers"]
    return said[-1] if said else None


def additions(instructions: Iterable[Instruction]) -> list[Instruction]:
    """List the trials that were added."""
    return [one for one in instructions if one.kind == "add"]


def _kept(file: Path, kind: Any) -> Any:
    """Read a file of the inbox; None: there is none, or it is damaged, of which `status` tells."""
    try:
        return read_state(file, kind, ASK_AGAIN)
    except DamagedFile:
        return None

"""User studies for tests: one as a record alone, one on disk with clips of a few pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.user_study.answers import Answer, Choice, Question
from analysis.user_study.making import Options, make
from analysis.user_study.pairs import Showing
from analysis.user_study.study import Compared, StudyFolder, StudyRecord
from tsvan.video import write_mp4

BRIGHT = 220  # of side a's clips; side b's are dark


def record() -> StudyRecord:
    """Two pairs in both orders: pair 0 waves (s1, s2), pair 1 runs (s3, s4); a is on the left in s1 and s3."""
    showings = (
        Showing("s1", 0, "wave", "c0a", "c0b", "a"),
        Showing("s2", 0, "wave", "c0b", "c0a", "b"),
        Showing("s3", 1, "run", "c1a", "c1b", "a"),
        Showing("s4", 1, "run", "c1b", "c1a", "b"),
    )
    return StudyRecord("0123456789ab", Compared("ours", "x"), Compared("theirs", "y"), 0, ("wave", "run"), 4, showings)


def rater(number: int) -> str:
    return f"{number:016x}"


def answer(who: int, showing: str, choice: Choice, question: Question = "plain") -> Answer:
    return Answer(rater(who), showing, question, choice)


def draw_videos(folder: Path, level: int, labels: tuple[str, ...], each: int = 3, side: int = 32) -> Path:
    """Videos of one brightness with a square that moves, named by class."""
    for label in labels:
        for number in range(each):
            clip = np.full((6, side, side, 3), level, np.uint8)
            for t in range(len(clip)):
                clip[t, 4:12, 2 * t : 2 * t + 8] = 40 * number
            write_mp4(folder / f"{label}_{number}.mp4", clip)
    return folder


def small_study(
    folder: Path, labels: tuple[str, ...] = ("wave", "run"), pairs: int = 8, per_rater: int = 2
) -> StudyFolder:
    """A study of bright clips (side a, `ours`) against dark ones (side b, `theirs`)."""
    a = draw_videos(folder / "bright", BRIGHT, labels)
    b = draw_videos(folder / "dark", 30, labels)
    out = folder / "study"
    make(Options(a, b, "ours", "theirs", out, num_showings=pairs, per_rater=per_rater, clips=3))
    return StudyFolder(out)

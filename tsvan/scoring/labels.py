"""What the scoring classifier tells apart: its heads, and the label that each gives to a window of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tsvan.data.datasets import MIN_FRAMES, span
from tsvan.data.store import Clip, ClipStore
from tsvan.scoring.config import ScorerConfig
from tsvan.validation import UserError


@dataclass(frozen=True)
class Head:
    """One question to the classifier: its name and the number of answers."""

    name: str
    size: int

    @property
    def chance(self) -> float:
        """Accuracy of a blind guess, each answer counting the same."""
        return 1 / self.size


@dataclass(frozen=True)
class Scheme:
    """The heads of a store's classifier. The first one's answer is the y of p(y|v).

    Args:
        heads: as the dataset names them; `person x action` has the label action + K * person.
        num_classes: K, the classes that networks are asked for.
        playback: multiples of a clip's own step at which windows are drawn; (1,) unless the step is a question.
    """

    heads: tuple[Head, ...]
    num_classes: int
    playback: tuple[int, ...] = (1,)

    def labels(self, clip: Clip, playback: int) -> tuple[int, ...]:
        """The right answer of each head for a window of `clip` at a multiple of its step."""
        answers = {
            "class": clip.label,
            "class x subject": clip.label + self.num_classes * clip.person,
            "person x action": clip.label + self.num_classes * clip.person,
            "subject": clip.person,
            "speaker": clip.person,
            "playback step": self.playback.index(playback),
        }
        return tuple(answers[head.name] for head in self.heads)

    def fits(self, clip: Clip) -> list[int]:
        """The multiples at which `clip` has a whole window; 1 always is one."""
        return [step for step in self.playback if _long_enough(clip, step)]


def scheme(store: ClipStore, config: ScorerConfig) -> Scheme:
    """The classifier's heads for a store (model specification, section 5's table).

    Raises:
        UserError: nothing is held out, so that no accuracy could be measured.
    """
    train, test = store.split("train"), store.split("test")
    if not train or not test:
        missing = "held-out" if train else "training"
        raise UserError(f"{store.path}: no {missing} clips, so no scorer can be trained; add longer or more videos")
    classes, people = store.num_classes, len(store.people)
    steps: tuple[int, ...] = (1,)
    if "playback step" in store.rules.heads:
        steps = tuple(step for step in config.playback_steps if step == 1 or _allowed(train, test, step))
    sizes = {
        "class": classes,
        "class x subject": classes * people,
        "person x action": classes * people,
        "subject": people,
        "speaker": people,
        "playback step": len(steps),
    }
    heads = tuple(Head(name, sizes[name]) for name in store.rules.heads if name != "playback step" or len(steps) > 1)
    if not heads:
        raise UserError(
            f"{store.path}: no clip is long enough for a second playback step, the only thing that the scorer tells "
            f"apart; give longer videos, or name classes or subjects"
        )
    return Scheme(heads, classes, steps)


def _allowed(train: Sequence[Clip], test: Sequence[Clip], step: int) -> bool:
    """Whether clips allow windows at a multiple of their step: some held-out clip, to measure by, and clips of at least
    half of the training speakers, as otherwise the speaker would give the step away."""
    able = {clip.person for clip in train if _long_enough(clip, step)}
    return 2 * len(able) >= len({clip.person for clip in train}) and any(_long_enough(clip, step) for clip in test)


def _long_enough(clip: Clip, step: int) -> bool:
    return span(MIN_FRAMES, step * clip.frame_step) <= clip.num_frames

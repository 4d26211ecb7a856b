"""What the scoring classifier tells apart: its heads, and the label that each gives to a window of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tsvan.data.datasets import MIN_FRAMES, span
from tsvan.data.store import Clip, ClipStore
from tsvan.scoring.config import FRAME_STEP, PLAYBACK_STEP, ScorerConfig
from tsvan.validation import UserError

UNASKED = -100
"""Label of a window of which a head is not asked; PyTorch's cross-entropy leaves it out."""


@dataclass(frozen=True)
class Head:
    """One question to the classifier: its name and the number of answers."""

    name: str
    size: int

    @property
    def chance(self) -> float:
        """Return the accuracy of a blind guess, each answer counting the same."""
        return 1 / self.size

    @property
    def of_time(self) -> bool:
        """Tell whether only time can answer: no single frame shows at which step a window is played."""
        return self.name in (PLAYBACK_STEP, FRAME_STEP)


@dataclass(frozen=True)
class Scheme:
    """The heads of a store's classifier. The first one's answer is the y of p(y|v).

    Args:
        heads: as the dataset names them, and `frame step`; `person x action` has the label action + K * person.
        num_classes: K, the classes that networks are asked for.
        playback: multiples of a clip's own step at which windows are drawn; (1,) unless the multiple is a question.
        frame_steps: steps in frames at which windows are drawn beside those at the clips' own steps, of which alone the
            other heads are asked; empty unless the step is a question.
    """

    heads: tuple[Head, ...]
    num_classes: int
    playback: tuple[int, ...] = (1,)
    frame_steps: tuple[int, ...] = ()

    def labels(self, clip: Clip, step: int) -> tuple[int, ...]:
        """Return each head's right answer for a window of `clip` at a step in frames; UNASKED where it is not asked."""
        of_class = clip.label + self.num_classes * clip.person
        answers = {
            "class": clip.label,
            "class x subject": of_class,
            "person x action": of_class,
            "subject": clip.person,
            "speaker": clip.person,
        }
        if self.frame_steps and step != clip.frame_step:
            answers = dict.fromkeys(answers, UNASKED)
        multiples = [multiple * clip.frame_step for multiple in self.playback]
        answers[PLAYBACK_STEP] = multiples.index(step) if step in multiples else UNASKED
        answers[FRAME_STEP] = self.frame_steps.index(step) if step in self.frame_steps else UNASKED
        return tuple(answers[head.name] for head in self.heads)

    def steps(self, clip: Clip) -> list[int]:
        """Return the steps in frames at which heads are asked about whole windows of `clip`; its own always is one."""
        wanted = [multiple * clip.frame_step for multiple in self.playback]
        wanted += [step for step in self.frame_steps if step not in wanted]
        return [step for step in wanted if _long_enough(clip, step)]


def scheme(store: ClipStore, config: ScorerConfig) -> Scheme:
    """Choose the classifier's heads for a store (model specification, section 5's table).

    Raises:
        UserError: nothing is held out, so that no accuracy could be measured.
    """
    train, test = store.split("train"), store.split("test")
    if not train or not test:
        missing = "held-out" if train else "training"
        raise UserError(f"{store.path}: no {missing} clips, so no scorer can be trained; add longer or more videos")
    classes, people = store.num_classes, len(store.people)
    multiples: tuple[int, ...] = (1,)
    frame_steps: tuple[int, ...] = ()
    if PLAYBACK_STEP in store.rules.heads:
        multiples = (1, *(step for step in config.playback_steps if step > 1 and _allowed(train, test, step, True)))
    elif config.heads == "timed":
        frame_steps = tuple(step for step in config.playback_steps if _allowed(train, test, step, False))
    sizes = {
        "class": classes,
        "class x subject": classes * people,
        "person x action": classes * people,
        "subject": people,
        "speaker": people,
        PLAYBACK_STEP: len(multiples),
        FRAME_STEP: len(frame_steps),
    }
    all_heads = [Head(name, sizes[name]) for name in (*store.rules.heads, FRAME_STEP)]
    heads = tuple(head for head in all_heads if head.size > 1 or not head.of_time)
    if not heads:
        raise UserError(
            f"{store.path}: no clip is long enough for a second playback step, the only thing that the scorer tells "
            f"apart; give longer videos, or name classes or subjects"
        )
    return Scheme(heads, classes, multiples, frame_steps if len(frame_steps) > 1 else ())


def _allowed(train: Sequence[Clip], test: Sequence[Clip], step: int, multiple: bool) -> bool:
    """Tell whether clips allow windows at a step in frames, or at a multiple of their own step: some held-out clip, to
    measure by, and clips of at least half of the people with their classes, as otherwise these would give it away."""

    def long_enough(clip: Clip) -> bool:
        return _long_enough(clip, step * clip.frame_step if multiple else step)

    able = {(clip.label, clip.person) for clip in train if long_enough(clip)}
    return 2 * len(able) >= len({(clip.label, clip.person) for clip in train}) and any(map(long_enough, test))


def _long_enough(clip: Clip, step: int) -> bool:
    return span(MIN_FRAMES, step) <= clip.num_frames

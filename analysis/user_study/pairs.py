"""Random pairs of clips of one class, each shown in both orders; pure, all randomness comes from a generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tsvan.validation import UserError

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Pair:
    """A clip of each side, by number among the side's clips of the class."""

    label: str
    a: int
    b: int


@dataclass(frozen=True)
class Showing:
    """A pair in one of its two orders: what a rater sees at a time.

    Args:
        id: names it in the page and in answers.
        pair: number of the pair; two showings have it.
        label: the class.
        left: name of the clip on the left.
        right: name of the clip on the right.
        left_side: whose clip is on the left. The page doesn't have this.
    """

    id: str
    pair: int
    label: str
    left: str
    right: str
    left_side: Side


ClipNames = Mapping[tuple[Side, str, int], str]
"""What a clip's file is called, by side, class and number."""


def draw_pairs(counts: Mapping[str, tuple[int, int]], num_pairs: int, rng: np.random.Generator) -> list[Pair]:
    """Draw pairs without replacement, as many of each class up to one.

    Args:
        counts: class -> clips of side a and of side b.
        num_pairs: pairs in all.

    Raises:
        UserError: a class has fewer different pairs than it needs.
    """
    labels = list(counts)
    share, rest = divmod(num_pairs, len(labels))
    one_more = set(rng.permutation(len(labels))[:rest].tolist())
    pairs = []
    for place, label in enumerate(labels):
        needed = share + (place in one_more)
        of_a, of_b = counts[label]
        if of_a * of_b < needed:
            raise UserError(
                f"class '{label}': {of_a} and {of_b} clips make {of_a * of_b} different pairs, {needed} are needed; "
                f"give more clips (--clips) or fewer --pairs"
            )
        drawn = rng.choice(of_a * of_b, needed, replace=False)
        pairs += [Pair(label, int(number) // of_b, int(number) % of_b) for number in drawn]
    return pairs


def draw_names(pairs: Iterable[Pair], rng: np.random.Generator) -> dict[tuple[Side, str, int], str]:
    """Draw a random name for each clip that a pair uses; neither a name nor its place in the order tells the side."""
    used = sorted({place for pair in pairs for place in (("a", pair.label, pair.a), ("b", pair.label, pair.b))})
    names: set[str] = set()
    while len(names) < len(used):
        names.add(rng.bytes(6).hex())
    shuffled = rng.permutation(np.array(sorted(names))).tolist()
    return dict(zip(used, shuffled, strict=True))  # type: ignore[arg-type]  # "a" and "b" are sides


def show_both_orders(pairs: Sequence[Pair], names: ClipNames, rng: np.random.Generator) -> tuple[Showing, ...]:
    """Show every pair twice, once with each side on the left, in a random order of all."""
    orders: list[tuple[int, Side]] = [(number, side) for number in range(len(pairs)) for side in _SIDES]
    width = len(str(len(orders)))
    showings = []
    for place, number in enumerate(rng.permutation(len(orders)), start=1):
        pair, left_side = orders[number]
        chosen = pairs[pair]
        clips = names["a", chosen.label, chosen.a], names["b", chosen.label, chosen.b]
        left, right = clips if left_side == "a" else clips[::-1]
        showings.append(Showing(f"s{place:0{width}d}", pair, chosen.label, left, right, left_side))
    return tuple(showings)


_SIDES: tuple[Side, ...] = ("a", "b")

"""One clip of those that are there twice: the first that can be read."""

from __future__ import annotations

from tsvan.data.datasets import DatasetRules
from tsvan.data.raw.endings import without_ending
from tsvan.data.raw.reading import Reading, Refusal
from tsvan.data.splits import Source


class Doubles:
    """A filter that refuses what is there already; shown the names in order, it keeps the first take and ending.

    Two files are doubles whose paths differ in their endings alone, and where the dataset uses one take of each subject
    and class, two such takes.

    Args:
        rules: the dataset.
    """

    def __init__(self, rules: DatasetRules) -> None:
        self._rules = rules
        self._kept: dict[tuple[str, ...], str] = {}

    def keep(self, source: Source) -> None:
        """Note a clip that is used."""
        for key in self._keys(source):
            self._kept[key] = source.file

    def checked(self, outcome: Reading | Refusal) -> Reading | Refusal:
        """Pass on what was read, or refuse it beside its double."""
        if isinstance(outcome, Refusal):
            return outcome
        for key, what in zip(self._keys(outcome.source), ("the same clip as", "a second take beside"), strict=False):
            if key in self._kept:
                return Refusal(outcome.source.file, f"{what} {self._kept[key]}", bad=False)
        self.keep(outcome.source)
        return outcome

    def _keys(self, source: Source) -> list[tuple[str, ...]]:
        keys: list[tuple[str, ...]] = [("file", without_ending(source.file))]
        if self._rules.takes == "first":
            keys.append(("take", source.identity.subject, source.identity.class_name))
        return keys

"""`stages/scorer.json`: what the scorer's stage found, to be read without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ScorerResult:
    """The result of the stage, as it leaves it in `stages/scorer.json`.

    Args:
        folder: that holds the scorer and the real reference.
        config: its training's settings.
        hash: SHA-256 over weights and settings; logged with every score.
        accuracies: held out, by head, at the iteration that was kept.
        last_accuracies: at the end of its training.
        sensitivity: scores of real, static, shuffled and noise clips, and which metrics fail.
        objective_refused: why the objective should not steer the study, where that is a warning only; else empty.
        warnings: for the terminal.
        trained: in this process, not found.
        chances: accuracy of a blind guess, by head.
        growth: metrics of real clips at several N.
        marked: N of the sample groups, among those of `growth`.
        objectives: metric and direction of what the study is judged by.
        objective_why: which metric that is and why, in a line.
        directions: which way is better of each metric.
    """

    folder: str
    config: dict[str, Any]
    hash: str
    accuracies: dict[str, float]
    last_accuracies: dict[str, float]
    sensitivity: dict[str, Any]
    objective_refused: str
    warnings: list[str]
    trained: bool
    chances: dict[str, float] = field(default_factory=dict)
    growth: dict[str, Any] = field(default_factory=dict)
    marked: dict[str, int] = field(default_factory=dict)
    objectives: list[dict[str, Any]] = field(default_factory=list)
    objective_why: str = ""
    directions: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """List what the terminal shows of the result."""
        accuracies = ", ".join(f"{name} {value:.3f}" for name, value in self.accuracies.items())
        how = "trained" if self.trained else "found"
        warnings = [f"  warning: {warning}" for warning in self.warnings]
        first = f"2 scorer: held-out accuracy {accuracies} ({how}, {self.hash[:12]})"
        return [first, f"  objective: {self.objective_why}", *warnings]

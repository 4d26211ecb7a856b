"""`report.html` while a study is at work: from the first score on, renewed at every score, at most a minute later.

A thread of its own makes the page from the trials' folders; whatever goes wrong there costs the page, never the study.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from sweeps.config.schema import SweepConfig
from sweeps.report.plotted import PlottedStudy, PlottedTrial, read_trials
from sweeps.report.sections import TRIALS, Part, Picture, Plot, Section, lines
from sweeps.state.paths import StudyPaths
from tsvan.validation import first_line

RENEW_S = 15
"""Seconds after which an open browser loads the page again."""
_LEAST_S = 5.0
_MOST_S = 60.0  # between two pages, however long one took: the first one loads the plots' code
_SHARE = 50  # one second of work on the page in so many


class LivePage:
    """Writes the page of a study at work.

    Args:
        config: of the study.
        paths: of the study.
        progress: says the stage at work and the time left, in a line.
        say: prints a line; told once when the page can't be written.
    """

    def __init__(
        self, config: SweepConfig, paths: StudyPaths, progress: Callable[[], str], say: Callable[[str], None]
    ) -> None:
        self.config, self._paths, self._progress, self._say = config, paths, progress, say
        self._ended: dict[Path, PlottedTrial] = {}
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = False

    def renew(self) -> None:
        """Ask for the page to be written soon; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="live page", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Write the page no more; what is being written is waited for, a few seconds."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _work(self) -> None:
        while True:
            self._wake.wait()
            if self._closing.is_set():
                return
            self._wake.clear()
            start = time.monotonic()
            self._write()
            self._closing.wait(min(max(_LEAST_S, _SHARE * (time.monotonic() - start)), _MOST_S))

    def _write(self) -> None:
        try:
            from sweeps.report.html import write_page

            study = read_trials(self._paths, self.config, self._ended)
            if any(trial.curve for trial in study.trials):
                title = f"{self.config.dataset}: study {self._paths.root.name}, at work"
                write_page(title, live_sections(study, self._progress(), self._paths), self._paths.page, RENEW_S)
        except Exception as error:  # a full disk, a folder that is being repaired: the study itself meets what matters
            if not self._complained:
                self._say(f"  warning: {self._paths.page.name} can't be renewed: {first_line(error)}")
            self._complained = True


def live_sections(study: PlottedStudy, progress: str, paths: StudyPaths) -> list[Section]:
    """List what is known while a study is at work: best so far, samples, table, curves, settings."""
    from sweeps.report.learning_curves import plot_learning_curves
    from sweeps.report.plots import plot_best_so_far, plot_slices
    from sweeps.report.tables import trials_table

    metric = study.config.objective.metric
    best = study.complete[0] if study.complete else None
    leader = best or study.config.objective.best(
        [trial for trial in study.trials if trial.score is not None], lambda trial: trial.score or 0.0
    )
    said = "no trial is complete yet" if best is None else f"**{best.title}: {metric} {best.score:.5g}**"
    written = time.strftime("%H:%M:%S")
    top: list[Part] = [
        lines([f"Best so far: {said}", "", f"{progress}. Written at {written}, loads itself again every {RENEW_S} s."]),
        *([] if leader is None else _samples(leader, paths)),
        Plot("The best score so far, trial by trial", plot_best_so_far(study)),
    ]
    sections = [
        Section("", top),
        Section(TRIALS, [lines(trials_table(study))]),
        Section("Score over the iterations", [Plot("Dotted: at work, or stopped", plot_learning_curves(study))]),
    ]
    if len(study.complete) > 1:
        sections.append(Section("Score by setting", [Plot("Hollow: stopped early", plot_slices(study))]))
    return sections


def _samples(trial: PlottedTrial, paths: StudyPaths) -> list[Part]:
    """Show the newest film of a trial's samples; none: it has not been written yet."""
    films = sorted(paths.trial(trial.number).samples.glob("*.mp4"))
    return [Picture(f"Samples of {trial.title} after {trial.iteration:,} iterations", films[-1])] if films else []

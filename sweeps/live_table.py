"""What a study shows in the terminal: one calm table while it runs, plain lines in a pipe or log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sweeps.config.schema import Objective
from sweeps.config.space import describe
from sweeps.state.job import Job, Outcome, Point
from sweeps.state.log import StudyLog
from tsvan.config import TrainConfig
from tsvan.journal import Journal
from tsvan.terminal import duration

_ROWS = 24
_SOME = 0.05  # of a job; before that the time left would be a guess


class LiveTable:
    """The table of a study's jobs that a person reads: it listens to their starts, scores and ends.

    Args:
        objective: whose metric is shown.
        console: where to; None: stdout.
        log: has the same lines; None: there is none.
    """

    changed: Callable[[], None] = staticmethod(lambda: None)
    """Called after every score and end; it must return at once."""

    def __init__(self, objective: Objective, console: Console | None = None, log: StudyLog | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self.objective, self._log = objective, log
        self._rows: dict[str, dict[str, Any]] = {}
        self._live: Live | None = None
        self._title = ""
        self._total, self._done, self._before = 0, 0, 0
        self._since = time.monotonic()
        self._lock = threading.RLock()

    def say(self, text: str, *, prose: bool = False) -> None:
        """Print a line that stays.

        Args:
            prose: holds nothing to paste, so that a terminal may break it between words.
        """
        if self._log is not None:
            self._log.add(text)
        self._console.print(text, markup=False, soft_wrap=not (prose and self._console.is_terminal))

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Begin a stage with `total` jobs, `done` of them before this process."""
        self.say(title)
        self._title = title
        self._rows, self._total, self._done, self._before = {}, total, done, done
        self._since = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=2, transient=True)
            self._live.start()

    def expect(self, total: int) -> None:
        """Show another number of jobs in all, as some were added."""
        self._total = total

    def end(self) -> None:
        """Take the table away, as the stage is over."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def started(self, job: Job) -> None:
        """Show that a job was handed out."""
        settings = describe(TrainConfig.from_dict(job.config))
        journal = Journal(job.paths.metrics)
        row = {"settings": settings, "state": "running", "iteration": 0, "last": job.save_at[-1], "score": None}
        row |= {"journal": journal, "before": journal.last_iteration()}  # an earlier process's says nothing of the pace
        with self._lock:
            self._rows[job.name] = row
        if self._live is None:
            self.say(f"  {job.name} begins: {settings}")

    def scored(self, job: Job, point: Point) -> None:
        """Show that a score came in."""
        with self._lock:
            row = self._rows[job.name]
            row["iteration"], row["score"] = point.iteration, point.values.get(self.objective.metric)
        self.changed()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Show that a job has ended."""
        self._done += 1
        score = outcome.values.get(self.objective.metric)
        with self._lock:
            row = self._rows[job.name]
            row.update(state=outcome.state, iteration=outcome.iteration, score=score)
        shown = f"{self.objective.metric} {score:.4g}" if score is not None else "no score"
        reason = f" ({outcome.reason})" if outcome.reason and outcome.state != "pruned" else ""
        line = f"  {job.name} {outcome.state} at iteration {outcome.iteration}: {shown}{reason}"
        self.say(f"{line} [{self._done}/{self._total}, {self._left()}]", prose=True)
        self.changed()

    def progress(self) -> str:
        """Say the stage at work, how many of its runs have ended and the time left, in a line."""
        return f"Stage {self._title}: {self._done} of {self._total} ended, {self._left()}"

    def _left(self) -> str:
        spent = time.monotonic() - self._since
        if self._done >= self._total:
            return f"took {duration(spent)}"
        with self._lock:
            running = [dict(row) for row in self._rows.values() if row["state"] == "running"]
            earlier = sum(row["before"] / row["last"] for row in self._rows.values())
        done = self._done - self._before + sum(row["iteration"] / row["last"] for row in running)
        here = done - earlier
        if here < _SOME:
            return "time left not known yet"
        return f"about {duration(spent / here * (self._total - self._before - done))} left"

    def _look(self) -> None:
        """Look how far the running jobs are by their own files: scores are far apart."""
        with self._lock:
            for row in self._rows.values():
                if row["state"] == "running":
                    row["iteration"] = max(row["iteration"], row["journal"].last_iteration())

    def _best(self) -> str | None:
        with self._lock:
            scores = {name: row["score"] for name, row in self._rows.items() if row["state"] == "complete"}
        name = self.objective.best(scores, lambda key: scores[key])
        return None if name is None else f"best so far {name}: {scores[name]:.4g}"

    def _table(self) -> Table:
        """Draw the newest rows, as many as the terminal is high."""
        self._look()
        with self._lock:
            rows = [(name, dict(row)) for name, row in self._rows.items()][-_ROWS:]
        table = self._drawn(rows)
        while len(rows) > 1 and len(self._console.render_lines(table)) >= self._console.height:
            rows = rows[1:]
            table = self._drawn(rows)
        return table

    def _drawn(self, rows: list[tuple[str, dict[str, Any]]]) -> Table:
        table = Table(box=None, pad_edge=False, caption=", ".join(filter(None, [self._left(), self._best()])))
        table.caption_justify = "left"
        for name in ("trial", "settings", "iteration", self.objective.metric, "state"):
            table.add_column(name, no_wrap=name != "settings")  # these go on below where a terminal is narrow
        for name, row in rows:
            score = "" if row["score"] is None else f"{row['score']:.4g}"
            table.add_row(name, row["settings"], f"{row['iteration']}/{row['last']}", score, row["state"])
        return table

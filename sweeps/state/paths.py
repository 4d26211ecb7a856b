"""Where everything of a study lies. Nothing else joins these names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tsvan.scoring.seal import CHOICES


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study.

    Args:
        root: the study's folder (`--out`), absolute.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The resolved sweep config with the study's id and its data."""
        return self.root / "study.yaml"

    @property
    def database(self) -> Path:
        """The Optuna study."""
        return self.root / "study.db"

    @property
    def lock(self) -> Path:
        """Held by the one driver that works on the study."""
        return self.root / "study.lock"

    @property
    def log(self) -> Path:
        """Every line that the study said, with the time, whatever became of the terminal."""
        return self.root / "study.log"

    @property
    def stop(self) -> Path:
        """While this file exists, trials save a checkpoint and end."""
        return self.root / "stop"

    @property
    def ray(self) -> Path:
        """Ray's own bookkeeping; never read again."""
        return self.root / "ray"

    @property
    def scorer(self) -> Path:
        """Where the scorer is kept when the clip store's folder can't be written: beside the studies, so that a study
        that does not begin leaves it to the next. Studies of earlier versions have it in their folder."""
        own = self.root / "scorer"
        return own if own.exists() else self.root.parent / "scorers"

    @property
    def stages(self) -> Path:
        """Results of the stages: the scorer's accuracies, the choice of the final stage."""
        return self.root / "stages"

    @property
    def scorer_result(self) -> Path:
        """The scorer in use: folder, hash, accuracies, sensitivity."""
        return self.stages / "scorer.json"

    @property
    def memory(self) -> Path:
        """Measured GPU memory of the largest configuration."""
        return self.stages / "memory.json"

    @property
    def choice(self) -> Path:
        """The winner, written down before the `report` group is scored."""
        return self.root / CHOICES

    @property
    def final_result(self) -> Path:
        """Scores and intervals of the final stage."""
        return self.stages / "final.json"

    @property
    def stage(self) -> Path:
        """The stage at work: jobs in all, those done before, and since when."""
        return self.stages / "now.json"

    @property
    def tracking(self) -> Path:
        """The parent run and how far its files were delivered."""
        return self.root / "tracking.json"

    @property
    def summary(self) -> Path:
        """Everything in numbers."""
        return self.root / "summary.json"

    @property
    def report(self) -> Path:
        """The same to read."""
        return self.root / "report.md"

    @property
    def page(self) -> Path:
        """The report as one page with everything in it."""
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        """Pictures of the report."""
        return self.root / "figures"

    @property
    def dataset(self) -> Path:
        """The dataset, where it is one of the user's own: `--dataset` takes it, wherever the first file is by now."""
        return self.root / "dataset.yaml"

    @property
    def chosen_config(self) -> Path:
        """The training config that the final stage reports on."""
        return self.root / "best.yaml"

    @property
    def holder(self) -> Path:
        """The folder that holds the studies, the stores and the tracking store."""
        return self.root.parent

    @property
    def stores(self) -> Path:
        """Clip stores that were built for studies."""
        return self.holder / "stores"

    @property
    def tracking_database(self) -> Path:
        """MLflow's default store."""
        return self.holder / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts beside the default store."""
        return self.holder / "mlartifacts"

    def trial(self, number: int) -> TrialPaths:
        """Folder of a trial of the sweep."""
        return TrialPaths(self.root / "trials" / f"{number:03d}")

    def final(self, name: str) -> TrialPaths:
        """Folder of a rerun of the final stage."""
        return TrialPaths(self.root / "final" / name)


@dataclass(frozen=True)
class TrialPaths:
    """The files of one training run of a study.

    Args:
        folder: absolute.
    """

    folder: Path

    @property
    def job(self) -> Path:
        """All that is needed to run it again."""
        return self.folder / "job.json"

    @property
    def config(self) -> Path:
        """The resolved training config."""
        return self.folder / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Losses and scores, one JSON object a line, appended."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Written by the trainer."""
        return self.folder / "checkpoints"

    @property
    def samples(self) -> Path:
        """Sample clips and contact sheets by iteration."""
        return self.folder / "samples"

    @property
    def looks(self) -> Path:
        """A line for each time that it was scored on the sealed `report` group."""
        return self.folder / "looks.jsonl"

    @property
    def scores(self) -> Path:
        """The last score in full: intervals over clips, real clips beside it."""
        return self.folder / "scores.json"

    @property
    def outcome(self) -> Path:
        """How it ended; absent while it has not."""
        return self.folder / "outcome.json"

    @property
    def seconds(self) -> Path:
        """Time spent on it until its last checkpoint, over all its processes."""
        return self.folder / "seconds"

    @property
    def notes(self) -> Path:
        """Lines for people: from where it went on, which checkpoints are damaged."""
        return self.folder / "notes.txt"

    @property
    def memory(self) -> Path:
        """A line for each time that it ran out of memory."""
        return self.folder / "out-of-memory.txt"

    @property
    def lock(self) -> Path:
        """Held by the one process that works on it."""
        return self.folder / "work.lock"

    @property
    def error(self) -> Path:
        """Traceback of the last exception."""
        return self.folder / "error.txt"

    @property
    def curves(self) -> Path:
        """Picture of the loss curves."""
        return self.folder / "curves.png"

    @property
    def tracking(self) -> Path:
        """Its MLflow run and how far its metrics were delivered."""
        return self.folder / "tracking.json"

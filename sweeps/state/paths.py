"""The places of all that a study has. Nothing else joins these names."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tsvan.scoring.seal import CHOICES


@dataclass(frozen=True)
class StudyPaths:
    """The files of one study.

    Args:
        root: the study's folder (`--out`), absolute.
        storage: address of a database that holds the Optuna study in place of `database`, with its secrets; empty:
            there is none.
    """

    root: Path
    storage: str = field(default="", repr=False)

    @property
    def config(self) -> Path:
        """Return the file of the resolved sweep config with the study's id and its data."""
        return self.root / "study.yaml"

    @property
    def database(self) -> Path:
        """Return the study's own database of Optuna, for a study without `storage`."""
        return self.root / "study.db"

    @property
    def lock(self) -> Path:
        """Return the file that is held by the one driver that works on the study."""
        return self.root / "study.lock"

    @property
    def log(self) -> Path:
        """Return the file of every line that the study said, with the time, whatever became of the terminal."""
        return self.root / "study.log"

    @property
    def stop(self) -> Path:
        """Return the stop file: while it exists, trials save a checkpoint and end."""
        return self.root / "stop"

    @property
    def inbox(self) -> Path:
        """Return the folder of what users ask of the study while it runs, and of what became of it."""
        return self.root / "inbox"

    @property
    def ray(self) -> Path:
        """Return the folder of Ray's own bookkeeping; never read again."""
        return self.root / "ray"

    @property
    def scorer(self) -> Path:
        """Return where the scorer is kept when the clip store's folder can't be written: beside the studies, so that a
        study that does not begin leaves it to the next. Studies of earlier versions have it in their folder."""
        own = self.root / "scorer"
        return own if own.exists() else self.root.parent / "scorers"

    @property
    def stages(self) -> Path:
        """Return the folder of the stages' results: the scorer's accuracies, the choice of the final stage."""
        return self.root / "stages"

    @property
    def scorer_result(self) -> Path:
        """Return the file of the scorer in use: folder, hash, accuracies, sensitivity."""
        return self.stages / "scorer.json"

    @property
    def memory(self) -> Path:
        """Return the file of the measured GPU memory of the largest configuration."""
        return self.stages / "memory.json"

    @property
    def marker(self) -> Path:
        """Return the file that the nodes of a cluster must see; it is written by each driver anew."""
        return self.root / "node-check"

    @property
    def choice(self) -> Path:
        """Return the file of the winner, written down before the `report` group is scored."""
        return self.root / CHOICES

    @property
    def final_result(self) -> Path:
        """Return the file of the final stage's scores and intervals."""
        return self.stages / "final.json"

    @property
    def stage(self) -> Path:
        """Return the file of the stage at work: jobs in all, those done before, and since when."""
        return self.stages / "now.json"

    @property
    def hours(self) -> Path:
        """Return the file of the hours that the study was given: the plan, and how many are used up."""
        return self.stages / "hours.json"

    @property
    def warm_start(self) -> Path:
        """Return the file of what the study takes over from earlier ones."""
        return self.stages / "warm_start.json"

    @property
    def tracking(self) -> Path:
        """Return the file of the parent run and how far its files were delivered."""
        return self.root / "tracking.json"

    @property
    def summary(self) -> Path:
        """Return the file of everything in numbers."""
        return self.root / "summary.json"

    @property
    def report(self) -> Path:
        """Return the file of the report, which has the same as the summary, to read."""
        return self.root / "report.md"

    @property
    def page(self) -> Path:
        """Return the file of the report as one page with everything in it."""
        return self.root / "report.html"

    @property
    def figures(self) -> Path:
        """Return the folder of the report's pictures."""
        return self.root / "figures"

    @property
    def dataset(self) -> Path:
        """Return the user's own dataset, if it is one: `--dataset` takes this file, wherever the first is by now."""
        return self.root / "dataset.yaml"

    @property
    def chosen_config(self) -> Path:
        """Return the file of the training config that the final stage reports on."""
        return self.root / "best.yaml"

    @property
    def holder(self) -> Path:
        """Return the folder that holds the studies, the stores and the tracking store."""
        return self.root.parent

    @property
    def stores(self) -> Path:
        """Return the folder of the clip stores that were built for studies."""
        return self.holder / "stores"

    @property
    def tracking_database(self) -> Path:
        """Return the database of MLflow's default store."""
        return self.holder / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """Return the folder of MLflow's artifacts beside the default store."""
        return self.holder / "mlartifacts"

    def trial(self, number: int) -> TrialPaths:
        """Return the paths of a trial of the sweep."""
        return TrialPaths(self.root / "trials" / f"{number:03d}")

    def final(self, name: str) -> TrialPaths:
        """Return the paths of a rerun of the final stage."""
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
        """Return the file of all that is needed to do the run again."""
        return self.folder / "job.json"

    @property
    def config(self) -> Path:
        """Return the file of the resolved training config."""
        return self.folder / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Return the file of losses and scores, one JSON object a line, appended."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints, written by the trainer."""
        return self.folder / "checkpoints"

    @property
    def samples(self) -> Path:
        """Return the folder of sample clips and contact sheets by iteration."""
        return self.folder / "samples"

    @property
    def looks(self) -> Path:
        """Return the file with a line for each time that the run was scored on the sealed `report` group."""
        return self.folder / "looks.jsonl"

    @property
    def scores(self) -> Path:
        """Return the file of the last score in full: intervals over clips, real clips beside it."""
        return self.folder / "scores.json"

    @property
    def outcome(self) -> Path:
        """Return the file that says how the run ended; absent while it has not."""
        return self.folder / "outcome.json"

    @property
    def seconds(self) -> Path:
        """Return the file of the time spent on the run until its last checkpoint, over all its processes."""
        return self.folder / "seconds"

    @property
    def notes(self) -> Path:
        """Return the file of lines for people: from where the run went on, which checkpoints are damaged."""
        return self.folder / "notes.txt"

    @property
    def memory(self) -> Path:
        """Return the file with a line for each time that the run ran out of memory."""
        return self.folder / "out-of-memory.txt"

    @property
    def lock(self) -> Path:
        """Return the file that is held by the one process that works on the run."""
        return self.folder / "work.lock"

    @property
    def moved(self) -> Path:
        """Return the file that says that the run has saved, as its machine is being taken away."""
        return self.folder / "moved"

    @property
    def leave(self) -> Path:
        """Return the file that asks the run's worker to save a checkpoint and to let go of the run."""
        return self.folder / "leave"

    @property
    def error(self) -> Path:
        """Return the file of the last exception's traceback."""
        return self.folder / "error.txt"

    @property
    def curves(self) -> Path:
        """Return the picture of the loss curves."""
        return self.folder / "curves.png"

    @property
    def tracking(self) -> Path:
        """Return the file of the run's MLflow run and how far its metrics were delivered."""
        return self.folder / "tracking.json"

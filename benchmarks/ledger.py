"""An audit of a finished study from the outside: folders, Optuna and MLflow, trial by trial. Uses none of the code
that wrote them, only their formats."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

OPTUNA = {"complete": "COMPLETE", "pruned": "PRUNED", "diverged": "FAIL", "failed": "FAIL"}
MLFLOW = {"complete": "FINISHED", "pruned": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


@dataclass
class Audit:
    """What was found.

    Args:
        counts: what -> how many.
        wrong: disagreements, a line each.
    """

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    wrong: list[str] = field(default_factory=list)

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        """Note a disagreement."""
        if found != wanted:
            self.wrong.append(f"{what}: {_short(found)}, expected {_short(wanted)}")


def audit(study: Path, trials: int, tracking: Path | None = None) -> Audit:
    """Compare everything that a finished study left.

    Args:
        study: its folder.
        trials: as many were asked for.
        tracking: MLflow's SQLite database; None: beside the study.
    """
    found = Audit()
    study_id = yaml.safe_load((study / "study.yaml").read_text())["study_id"]
    runs = _runs(tracking or study.parent / "mlflow.db", study_id)
    optuna = _optuna(study / "study.db")
    # A number is left out where a driver died while the trial was drawn; another trial takes its place.
    found.expect("trials", len(optuna), trials)
    found.expect("numbers of the trials' folders", _numbers(study / "trials"), sorted(optuna))
    for number in sorted(optuna):
        name = f"trials/{number:03d}"
        outcome = _job(found, study, name, runs)
        _check_optuna(found, name, optuna[number], outcome, _journal(study / name))
    for folder in sorted((study / "final").glob("*")):
        _job(found, study, f"final/{folder.name}", runs)
    names = {f"{study_id}/parent", *(f"{study_id}/{folder}" for folder in _folders(study))}
    found.expect("keys of MLflow's runs", sorted(runs), sorted(names))
    found.expect("runs that never ended", [key for key, same in runs.items() if same[0]["status"] == "RUNNING"], [])
    _check_leftovers(found, study)
    return found


def written(study: Path) -> set[tuple[str, str, int]]:
    """Collect (folder, kind, iteration) of every line with values that the runs of a study wrote."""
    return {
        (folder, line["kind"], line["iteration"]) for folder in _folders(study) for line in _journal(study / folder)
    }


def delivered(study: Path, tracking: Path) -> set[tuple[str, str, int]]:
    """Collect (folder, kind, iteration) of every line that MLflow has of the study."""
    study_id = yaml.safe_load((study / "study.yaml").read_text())["study_id"]
    found = set()
    for key, same in _runs(tracking, study_id).items():
        for metric, steps in same[0]["steps"].items():
            group = metric.partition("/")[0]
            kind = group if group in ("score", "system") else "train"
            found |= {(key.partition("/")[2], kind, step) for step in steps}
    return found


def leftovers(study: Path) -> Iterator[Path]:
    """Yield the files that only a living process may have."""
    yield from study.rglob(".*.tmp")
    yield from (path for path in (study / "stop", study / "ray") if path.exists())


def _job(found: Audit, study: Path, name: str, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    file = study / name / "outcome.json"
    if not file.exists():
        found.wrong.append(f"{name}: has no outcome")
        return {}
    outcome: dict[str, Any] = json.loads(file.read_text())
    found.counts[outcome["state"]] += 1
    lines = _journal(study / name)
    for kind in ("train", "score", "system"):
        iterations = [line["iteration"] for line in lines if line["kind"] == kind]
        found.expect(f"{name}: {kind} lines", iterations, sorted(set(iterations)))
        found.counts[f"{kind} lines"] += len(iterations)
    same = next((value for key, value in runs.items() if key.endswith(f"/{name}")), [])
    found.expect(f"{name}: MLflow runs", len(same), 1)
    if same:
        _check_run(found, name, same[0], outcome, lines)
    return outcome


def _check_run(found: Audit, name: str, run: dict[str, Any], outcome: dict[str, Any], lines: list[Any]) -> None:
    found.expect(f"{name}: MLflow status", run["status"], MLFLOW[outcome["state"]])
    found.expect(f"{name}: MLflow tag state", run["tags"].get("state"), outcome["state"])
    wanted: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        prefix = {"score": "score/", "train": "train/"}.get(line["kind"], "")
        for metric in line["values"]:
            wanted[prefix + metric].append(line["iteration"])
    for metric, iterations in wanted.items():
        found.expect(f"{name}: steps of {metric} in MLflow", sorted(run["steps"].get(metric, [])), sorted(iterations))
        found.counts["MLflow points"] += len(iterations)
    extra = set(run["steps"]) - set(wanted) - {"score"}
    found.expect(f"{name}: metrics in MLflow that the folder lacks", extra, set())


def _check_optuna(found: Audit, name: str, trial: dict[str, Any], outcome: dict[str, Any], lines: list[Any]) -> None:
    if not outcome:
        return
    found.expect(f"{name}: Optuna state", trial["state"], OPTUNA[outcome["state"]])
    scores = [line["iteration"] for line in lines if line["kind"] == "score"]
    if outcome["state"] in ("complete", "pruned"):
        seen = [iteration for iteration in scores if iteration <= outcome["iteration"]]
        found.expect(f"{name}: scores that Optuna knows", sorted(trial["steps"]), seen)
    if outcome["state"] == "complete":
        found.expect(f"{name}: Optuna's value is a score", trial["value"] in outcome["values"].values(), True)


def _check_leftovers(found: Audit, study: Path) -> None:
    found.expect("leftover files", [str(path.relative_to(study)) for path in leftovers(study)], [])
    for folder in _folders(study):
        count = len(list((study / folder / "checkpoints").glob("*.pt")))
        found.expect(f"{folder}: at most one checkpoint is kept of it", min(count, 2) <= 1, True)
    files = [path for path in study.rglob("*") if path.is_file()]
    found.counts["files"], found.counts["KiB"] = len(files), sum(path.stat().st_size for path in files) // 1024


def _optuna(database: Path) -> dict[int, dict[str, Any]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        steps = defaultdict(list)
        for trial, step in db.execute("SELECT trial_id, step FROM trial_intermediate_values"):
            steps[trial].append(step)
        values = dict(db.execute("SELECT trial_id, value FROM trial_values"))
        incomplete = {
            trial
            for (trial,) in db.execute("SELECT trial_id FROM trial_user_attributes WHERE key IN ('incomplete', 'torn')")
        }  # the driver died while it was drawn: another took its place
        rows = db.execute("SELECT trial_id, number, state FROM trials WHERE state != 'WAITING'").fetchall()
    return {
        number: {"state": state, "steps": steps[trial], "value": values.get(trial)}
        for trial, number, state in rows
        if trial not in incomplete
    }


def _runs(database: Path, study_id: str) -> dict[str, list[dict[str, Any]]]:
    """Read MLflow's runs of a study by their key; one run each, if all is well."""
    runs = defaultdict(list)
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        keys = db.execute(
            "SELECT t.run_uuid, t.value, r.status FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid "
            "WHERE t.key = 'tsvan.key' AND t.value LIKE ? AND r.lifecycle_stage = 'active'",
            (f"{study_id}/%",),
        ).fetchall()
        for run, key, status in keys:
            steps = defaultdict(list)
            for metric, step in db.execute("SELECT key, step FROM metrics WHERE run_uuid = ?", (run,)):
                steps[metric].append(step)
            tags = dict(db.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)))
            runs[key].append({"status": status, "steps": steps, "tags": tags})
    return runs


def _journal(folder: Path) -> list[dict[str, Any]]:
    """Read the lines with values; those of kind `place` have none."""
    file = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if line["kind"] != "place"]


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("*"))


def _folders(study: Path) -> list[str]:
    return sorted(str(path.relative_to(study)) for stage in ("trials", "final") for path in (study / stage).glob("*"))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 200 else f"{text[:120]} ... {text[-60:]}"

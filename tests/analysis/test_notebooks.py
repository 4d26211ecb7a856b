"""The notebooks, each run from top to bottom on a real study."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from sweeps.config.schema import SweepConfig
from sweeps.config.space import params_of
from sweeps.final.candidates import candidate_from_file
from tsvan.validation import build

FOLDER = Path(__file__).resolve().parents[2] / "analysis"
NAMES = ("compare_trials", "select_config", "final_report", "compare_studies")


def test_all_notebooks_are_tested() -> None:
    assert {file.stem for file in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_committed_without_outputs(name: str) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(line.startswith(("def ", "class ")) for cell in code for line in cell.source.splitlines())


def test_compare_trials_runs(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = run("compare_trials", smoke_study, tmp_path, monkeypatch)
    drawn = {cell for cell, found in outputs.items() if "Plotly.newPlot" in found.get("text/html", "")}
    assert drawn == {"history", "slices", "parallel", "importances-figure", "contour", "curves", "cost"}
    assert "The trials took" in outputs["cost-text-line"]["text/markdown"]
    trials = json.loads((smoke_study / "summary.json").read_text())["trials"]
    rows = [outputs[cell]["text/html"].partition("<tbody>")[2].count("<tr>") for cell in ("complete", "stopped")]
    complete = sum(trial["state"] == "complete" for trial in trials)
    assert rows == [complete, len(trials) - complete]


def test_select_config_runs(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = json.loads((smoke_study / "summary.json").read_text())
    outputs = run("select_config", smoke_study, tmp_path, monkeypatch)
    choice = tmp_path / "choice.yaml"

    config = build(SweepConfig, summary["config"], "summary.json")
    chosen = candidate_from_file(config, choice)
    assert params_of(config, chosen.config) == pytest.approx(summary["best"]["params"])
    assert "Plotly.newPlot" in outputs["tradeoff"]["text/html"]
    samples = outputs["samples"]["text/html"]
    assert "data:video/mp4;base64" in samples
    assert "data:image/png;base64" in samples
    assert f"--final-from {choice}" in outputs["final"]["stdout"]
    if summary["final"]["winner"]["trial"] == summary["best"]["number"]:
        assert chosen.key == summary["final"]["winner"]["key"]  # equal to the last bit: the same runs are meant


def test_final_report_runs(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = json.loads((smoke_study / "summary.json").read_text())["final"]
    outputs = run("final_report", smoke_study, tmp_path, monkeypatch)
    assert final["verdict"] in outputs["verdict"]["text/markdown"]
    assert f"{final['winner']['scores']['frechet_distance']['mean']:.4g}" in outputs["report-table"]["text/markdown"]
    assert "Plotly.newPlot" in outputs["seeds"]["text/html"]
    assert "The sealed `report` group was looked at" in outputs["looks"]["text/markdown"]
    runs = [folder for folder in (smoke_study / "final").glob("*-*-*") if (folder / "outcome.json").exists()]
    for folder in runs:
        assert json.loads((folder / "tracking.json").read_text())["run_id"] in outputs["reproduce"]["text/markdown"]


def test_compare_studies_runs(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = json.loads((smoke_study / "summary.json").read_text())
    monkeypatch.setenv("TSVAN_STUDIES", f"{summary['mlflow_run_id']}, {smoke_study.name}")
    outputs = run("compare_studies", smoke_study, tmp_path, monkeypatch)
    assert "the scores may be compared" in outputs["read"]["text/markdown"]
    assert "Plotly.newPlot" in outputs["curve"]["text/html"]
    shown = {"settings": f"(trial {summary['best']['number']})", "verdicts": summary["final"]["verdict"]}
    for cell, found in shown.items():
        table = outputs[cell]["text/html"].partition("<tbody>")[2]
        assert table.count("<tr>") == 2
        assert table.count(html.escape(found, quote=False)) == 2


def run(name: str, study: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Run a notebook; cell's id -> its outputs by MIME type, `stdout` among them."""
    summary = json.loads((study / "summary.json").read_text())
    monkeypatch.setenv("TSVAN_TRACKING_URI", f"sqlite:///{study.parent / 'mlflow.db'}")
    monkeypatch.setenv("TSVAN_STUDY", summary["mlflow_run_id"])
    monkeypatch.setenv("TSVAN_CHOICE", str(folder / "choice.yaml"))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    # As Jupyter does it: the kernel's working directory is the notebook's folder.
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return {cell.id: _outputs(cell) for cell in notebook.cells if cell.cell_type == "code"}


def _outputs(cell: nbformat.NotebookNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for output in cell.outputs:
        assert output.output_type != "stream" or output.name == "stdout", output.text  # a warning is a defect
        found |= {output.name: output.text} if output.output_type == "stream" else output.data
    return found

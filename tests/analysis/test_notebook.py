"""The notebook, run from top to bottom on a real study."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from sweeps.choice import candidate_from_file
from sweeps.config import SweepConfig
from sweeps.space import params_of
from tsvan.strict import build

NOTEBOOK = Path(__file__).resolve().parents[2] / "analysis" / "select_config.ipynb"


def test_notebook_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(line.startswith(("def ", "class ")) for cell in code for line in cell.source.splitlines())


def test_notebook_runs(smoke_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = json.loads((smoke_study / "summary.json").read_text())
    choice = tmp_path / "choice.yaml"
    monkeypatch.setenv("TSVAN_TRACKING_URI", f"sqlite:///{smoke_study.parent / 'mlflow.db'}")
    monkeypatch.setenv("TSVAN_STUDY", summary["mlflow_run_id"])
    monkeypatch.setenv("TSVAN_CHOICE", str(choice))

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # As Jupyter does it: the kernel's working directory is the notebook's folder.
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()

    config = build(SweepConfig, summary["config"], "summary.json")
    chosen = candidate_from_file(config, choice)
    assert params_of(config, chosen.config) == pytest.approx(summary["best"]["params"])
    shown = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert {"image/png", "text/html"} <= shown
    assert any("data:video/mp4;base64" in html for html in _html(notebook))
    assert f"--final-from {choice}" in notebook.cells[-1].outputs[0].text
    if summary["final"]["winner"]["trial"] == summary["best"]["number"]:
        assert chosen.key == summary["final"]["winner"]["key"]  # equal to the last bit: the same runs are meant


def _html(notebook: nbformat.NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return ["".join(output["data"]["text/html"]) for output in outputs if "text/html" in output.get("data", {})]

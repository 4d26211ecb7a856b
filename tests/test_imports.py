"""Imports go downward only: analysis and sweeps know tsvan, tsvan knows neither, and each package its own things."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "tsvan": {"sweeps", "analysis", "ray", "optuna", "mlflow", "tests", "benchmarks"},
    "sweeps": {"tests", "benchmarks"},
    "analysis": {"tests", "benchmarks", "ray"},
}
WITHOUT_TORCH = ("tsvan/config.py", "tsvan/validation.py", "tsvan/schedules.py", "tsvan/files.py", "tsvan/journal.py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_layers(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = [(str(path), name) for path in files for name in imported(path) if name in FORBIDDEN[package]]
    assert wrong == []


@pytest.mark.parametrize("file", WITHOUT_TORCH)
def test_settings_and_schedules_do_without_torch(file):
    assert "torch" not in set(imported(ROOT / file))


def test_only_tracking_knows_mlflow():
    sweeps = ROOT / "sweeps"
    users = {path.relative_to(sweeps) for path in sweeps.rglob("*.py") if "mlflow" in set(imported(path))}
    assert {user for user in users if user.parts[0] != "tracking"} <= {Path("commands/reproduce.py")}

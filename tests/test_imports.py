"""Imports go downward only; Ray, Optuna and MLflow are known in their own rooms. Imports inside functions count."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "tsvan": {"sweeps", "analysis", "ray", "optuna", "mlflow", "tests", "benchmarks"},
    "sweeps": {"tests", "benchmarks", "analysis"},
    "analysis": {"tests", "benchmarks", "ray"},
}
WITHOUT_TORCH = tuple(
    f"tsvan/{name}.py"
    for name in (
        *("config", "run_config", "registry", "settings", "mocogan/config"),
        *("validation", "yaml_loader", "schedules", "files", "journal"),
    )
)

ROOMS = {
    "ray": ("sweeps/execution/",),
    "mlflow": ("sweeps/tracking/",),
    "optuna": (
        *("sweeps/search/", "sweeps/final/", "sweeps/report/"),
        *("sweeps/config/space.py", "sweeps/config/priors.py"),
    ),
}
"""Inside sweeps/, only these know the library."""

ORDER = {
    "sweeps": (
        {"study"},
        {"commands"},
        {"report"},
        {"status"},
        {"execution"},
        {"tracking"},
        {"final"},
        {"search"},
        {"data", "scorer", "live_table"},
        {"objective"},
        {"config"},
        {"state"},
    ),
    "tsvan": (
        {"__main__"},
        {"commands"},
        {"reconstruction", "masks", "pictures", "twostreamvan"},
        {"scoring"},
        {"mocogan"},
        {"trainer", "sampling", "checkpoint", "graphs", "optimisers", "steps", "adversarial", "losses", "schedules"}
        | {"cost", "interface", "lockstep", "roll_out", "step_result"},
        {"models", "data"},
        {"config", "files", "journal", "memory", "out_of_memory", "random_draws", "terminal", "validation", "video"}
        | {"checkpoint_files", "own_code", "settings", "yaml_loader", "run_config", "registry", "state_file", "cores"},
    ),
}
"""From top to bottom: a room imports what stands below it; rooms of one line are neighbours and may be files of one."""


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, also inside functions: `from a import b` gives a.b where that is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                place = ROOT / name.replace(".", "/")
                yield name if place.with_suffix(".py").exists() or (place / "__init__.py").exists() else node.module


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_know_only_what_is_below_them(package: str) -> None:
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path in files(package)
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[package]
    ]
    assert wrong == []


@pytest.mark.parametrize("file", WITHOUT_TORCH)
def test_settings_and_schedules_do_without_torch(file: str) -> None:
    assert "torch" not in {name.split(".")[0] for name in imported(ROOT / file)}


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_is_known_in_its_own_rooms_only(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in files("sweeps")
        if library in {name.split(".")[0] for name in imported(path)}
    }
    assert users
    assert [user for user in sorted(users) if not user.startswith(ROOMS[library])] == []


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_downward_only(package: str) -> None:
    floor = {room: number for number, rooms in enumerate(ORDER[package]) for room in rooms}
    wrong = []
    for path in files(package):
        own = module_name(path).split(".")
        if len(own) == 1:
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == package and len(parts) > 1 and parts[1] != own[1] and floor[parts[1]] < floor[own[1]]:
                wrong.append((".".join(own), name))
    assert wrong == []


def test_no_circle_of_modules() -> None:
    modules = {module_name(path): path for package in FORBIDDEN for path in files(package)}
    arrows = {
        name: {other for other in imported(path) if other in modules and other != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"circle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for other in sorted(arrows[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in modules:
        visit(name, ())


def test_no_private_module_of_a_library_is_imported() -> None:
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for package in FORBIDDEN
        for path in files(package)
        for name in imported(path)
        if name.split(".")[0] in ROOMS and any(part.startswith("_") for part in name.split("."))
    ]
    assert wrong == []


def test_no_module_is_longer_than_a_room() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in FORBIDDEN
        for path in files(package)
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert long == {}


def test_no_test_imports_another_one() -> None:
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path in files("tests")
        for name in imported(path)
        if name.startswith("tests.") and name.rpartition(".")[2].startswith(("test_", "conftest"))
    ]
    assert wrong == []

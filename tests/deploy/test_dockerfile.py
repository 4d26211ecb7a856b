"""The image, without a daemon: its steps run in a folder, with what is installed here in place of the registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Build, ignored, instructions

ROOT = Path(__file__).resolve().parents[2]

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
STAND_INS = ("apt-get", "useradd")
HERE = "cpu" if version("torch").endswith("+cpu") else "cuda"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    made = Build(ROOT, tmp_path_factory.mktemp("image"), {"DEVICE": HERE}, STAND_INS)
    made.run(DOCKERFILE)
    return made


def test_the_steps_install_the_project_which_runs_from_its_folder(build: Build) -> None:
    command = [str(build.python), "-c", "import sweeps, tune_runner; print(sweeps.__file__, tune_runner.__file__)"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(build.root)}
    found = subprocess.run(command, cwd=build.root, env=environment, capture_output=True, text=True, check=True)
    folder = build.here(".")
    assert found.stdout.split() == [str(folder / "sweeps/__init__.py"), str(folder / "tune_runner.py")]


def test_the_files_that_a_study_reads_are_in_the_image(build: Build) -> None:
    found = "load('vox', 'dev', [])[0].dataset, load('mug', 'smoke', [], None, 'mocogan')[0].model"
    loads = f"from sweeps.config.load import load; print({found})"
    environment = {"PATH": os.environ["PATH"], "HOME": str(build.root)}
    command = [str(build.python), "-c", loads]
    done = subprocess.run(command, cwd=build.here("."), env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["vox", "mocogan"]


def test_the_compiler_comes_with_cuda_only_and_another_device_is_refused(tmp_path: Path) -> None:
    (step,) = [rest for name, rest in instructions(DOCKERFILE.read_text()) if "apt-get install" in rest]
    step = re.sub(r"^--mount=\S+", "", step)
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho $@\n")
    (tmp_path / "apt-get").chmod(0o755)

    def shown(device: str) -> str:
        environment = {"DEVICE": device, "PATH": f"{tmp_path}:/usr/bin:/bin"}
        return subprocess.run(["sh", "-ec", step], env=environment, capture_output=True, text=True, check=True).stdout

    assert "gcc" in shown("cuda")
    assert "gcc" not in shown("cpu")
    assert "wget" in shown("cpu")
    (torch,) = [rest for name, rest in instructions(DOCKERFILE.read_text()) if "case" in rest]
    refused = subprocess.run(["sh", "-ec", torch], env={"DEVICE": "tpu"}, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr) == (1, "DEVICE is cpu or cuda, not 'tpu'\n")


def test_what_a_user_keeps_in_the_project_stays_out_of_the_image(build: Build) -> None:
    for private in ("runs", "data", ".git", ".venv", "tests", "deploy", ".env"):
        assert ignored(private, ROOT / ".dockerignore")
        assert not build.here(private).exists()
    assert build.metadata["USER"] != "root"
    assert json.loads(build.metadata["CMD"])[:2] == ["python", "tune_runner.py"]

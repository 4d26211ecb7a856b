"""A Dockerfile's steps, run in a folder in place of an image: no daemon, no network, nothing outside the folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path


@dataclass
class Build:
    """A build of a Dockerfile.

    Args:
        context: the folder that COPY takes from.
        root: the folder that stands for the image's file system.
        arguments: `--build-arg`s.
        stand_ins: programs that a step may call and that do nothing here; what they are called with is in `called`.
    """

    context: Path
    root: Path
    arguments: dict[str, str]
    stand_ins: tuple[str, ...]
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    called: list[list[str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)

    def run(self, dockerfile: Path) -> None:
        """Run all steps; a step that fails raises CalledProcessError."""
        self._prepare()
        for name, rest in instructions(dockerfile.read_text()):
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                self.metadata[name] = rest
            else:
                step(rest)

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    def here(self, path: str) -> Path:
        """Where a path of the image is."""
        return self.root / os.path.normpath(os.path.join(self.workdir, path)).lstrip("/")

    def _prepare(self) -> None:
        """An interpreter of its own, which sees what is installed here, and installs into itself."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.root / "venv")], check=True)
        packages = next((self.root / "venv").glob("lib/python*/site-packages"))
        (packages / "outside.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        programs = self.root / "stand-ins"
        programs.mkdir()
        for name in self.stand_ins:
            file = programs / name
            file.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {shlex.quote(str(self.root / "called"))}\n')
            file.chmod(0o755)

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self.environment[name] = self.arguments.get(name, default)

    def _env(self, rest: str) -> None:
        self.environment.update(part.split("=", 1) for part in shlex.split(rest))

    def _workdir(self, rest: str) -> None:
        self.workdir = rest
        self.here(".").mkdir(parents=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in sources:
            assert not ignored(source, self.context / ".dockerignore"), f"{source} is left out by .dockerignore"
            found = self.context / source
            if found.is_dir():
                shutil.copytree(found, self.here(target), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, self.here(target) / found.name)

    def _run(self, rest: str) -> None:
        programs = [str(self.root / "venv" / "bin"), str(self.root / "stand-ins"), "/usr/bin", "/bin"]
        # pip: what is installed is all there is; the dependencies' names are the concern of another test.
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1"}
        environment = {**offline, **self.environment, "PATH": ":".join(programs), "PYTHONPATH": ""}
        command = re.sub(r"^(--\S+\s+)+", "", rest)
        done = subprocess.run(
            ["sh", "-ec", command], cwd=self.here("."), env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
        file = self.root / "called"
        self.called = [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def instructions(text: str) -> list[tuple[str, str]]:
    """(name, rest) of each instruction, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, rest in found]


def ignored(path: str, file: Path) -> bool:
    """Whether `.dockerignore` leaves a file or folder of the context out; the last line that fits decides."""
    left_out = False
    for line in file.read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and fnmatch(path, pattern.removeprefix("!")):
            left_out = not pattern.startswith("!")
    return left_out

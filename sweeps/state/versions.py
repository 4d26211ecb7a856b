"""What ran: versions of the code and of what its numbers depend on."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("torch", "ray", "optuna", "mlflow", "numpy", "scipy", "av")


@cache
def versions() -> dict[str, str]:
    """Return the versions of `code`, `python` and the packages."""
    return {"code": code_version(), "python": platform.python_version(), **{name: _package(name) for name in _PACKAGES}}


@cache
def code_version() -> str:
    """Return the commit, with `+changes` where files differ from it; outside a checkout the package's version."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return _package("tsvan-sweep")
    commit, changes = _git(here, "rev-parse", "--short=12", "HEAD"), _git(here, "status", "--porcelain", "-uno")
    return f"{commit}+changes" if commit and changes else commit or _package("tsvan-sweep")


@cache
def source_digest() -> str:
    """Return a digest of the project's source files, as this interpreter finds them."""
    digest, here = hashlib.sha256(), Path(__file__).resolve().parents[2]
    patterns = [f"{room}/**/*.{kind}" for room in ("sweeps", "tsvan") for kind in ("py", "yaml")]
    for file in sorted(file for pattern in patterns for file in here.glob(pattern)):
        digest.update(f"{file.relative_to(here)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"

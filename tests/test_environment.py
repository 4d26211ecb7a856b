"""How threads wait is set before PyTorch loads, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("module", ["tsvan.__main__", "sweeps.execution.worker", "tune_runner", "analysis.final"])
@pytest.mark.parametrize("asked", ["", "ACTIVE"])
def test_threads_that_wait_do_not_spin_unless_that_is_asked_for(module: str, asked: str) -> None:
    code = (
        "import os, sys, importlib.abc\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch':\n"
        "            print(os.environ.get('OMP_WAIT_POLICY')); sys.stdout.flush(); os._exit(0)\n"
        f"sys.meta_path.insert(0, Watch()); import {module}; print(os.environ.get('OMP_WAIT_POLICY'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": asked} if asked else {}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [asked or "PASSIVE"], done.stderr

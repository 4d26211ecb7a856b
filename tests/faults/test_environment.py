"""A whole study of a user without a name or a home, with a temporary folder of an awkward length, on one core."""

from __future__ import annotations

import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import Start, status

NOBODY = 54321
"""A user id that has no entry in passwd."""
AS_NOBODY = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")


@pytest.fixture
def holder(runs: Path) -> Iterator[Path]:
    """A folder with clips and scorer, and an empty one for temporary files whose path is 33 characters long."""
    with tempfile.TemporaryDirectory(prefix="tsvan-env-", dir="/tmp") as name:
        shutil.copytree(runs / "stores", Path(name) / "runs" / "stores")
        (Path(name) / "temporary").mkdir()
        yield Path(name)


@pytest.mark.parametrize("home", ["/proc", pytest.param("/nonexistent", marks=pytest.mark.slow)])
def test_a_user_without_a_name_or_a_home_runs_a_study(home: str, holder: Path, start: Start) -> None:
    if shutil.which("unshare") is None or subprocess.run([*AS_NOBODY, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    temporary = holder / "temporary"
    assert 31 <= len(str(temporary)) <= 39
    old = dict.fromkeys(("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR"), "/nowhere")
    environment = {"HOME": home, "TMPDIR": str(temporary), **old}
    launcher = (*AS_NOBODY, "taskset", "-c", "0")
    driver = start(holder / "runs" / "study", "--trials", "1", launcher=launcher, environment=environment)
    assert driver.finish() == 0, driver.text
    assert "Traceback" not in driver.text
    assert audit(holder / "runs" / "study", 1).wrong == []
    assert status(holder / "runs" / "study")["agree"]
    for file in holder.rglob("*token*"):
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file

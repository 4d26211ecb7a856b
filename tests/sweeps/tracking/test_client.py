"""MLflow's store on a real SQLite file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sweeps.state.uris import sqlite_uri
from sweeps.tracking.client import Tracker

OPEN = "import sys; from sweeps.tracking.client import Tracker; Tracker(sys.argv[1], 'one', None).open()"


def test_a_death_in_mlflows_first_migrations_leaves_no_store(tmp_path: Path) -> None:
    database, half = tmp_path / "mlflow.db", tmp_path / ".mlflow.db.new" / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", OPEN, sqlite_uri(database)], cwd=Path(__file__).parents[3])
    while not half.exists() or half.stat().st_size < 100_000:
        assert process.poll() is None, "the store was made before it could be killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert half.exists()
    assert not database.exists()
    tracker = Tracker(sqlite_uri(database), "one", None)
    tracker.open()
    tracker.client.create_run(tracker.experiment_id)
    assert not half.parent.exists()

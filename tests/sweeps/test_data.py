from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.data import DataPlan, open_store
from sweeps.paths import StudyPaths
from tsvan.data.store import INDEX
from tsvan.strict import UserError


def test_other_clips_for_a_study_that_goes_on_are_refused_before_they_are_made(tmp_path: Path) -> None:
    began = tmp_path / "began"
    began.mkdir()
    (began / INDEX).touch()
    plan = DataPlan("synthetic", None, tmp_path / "stores" / "other")
    with pytest.raises(UserError, match="began with the clips in"):
        open_store("mug", plan, StudyPaths(tmp_path / "study"), began)
    assert [path.name for path in tmp_path.iterdir()] == ["began"]

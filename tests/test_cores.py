from __future__ import annotations

import os
from pathlib import Path

import pytest

from tsvan.cores import available_cores, quotas


def group(root: Path, name: str, **files: str) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (root / name / file.replace("__", ".")).write_text(text)


def test_the_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("name", "files", "found"),
    [
        ("a/b", {"cpu__max": "150000 100000\n"}, [1.5]),
        ("a/b", {"cpu__max": "max 100000\n"}, []),
        ("", {"cpu__max": "200000 100000"}, [2.0]),
        ("a", {"cpu__max": "50000 100000"}, [0.5]),
        ("a/b", {"cpu__max": "nonsense"}, []),
        ("elsewhere", {"cpu__max": "50000 100000"}, []),
    ],
)
def test_quotas_of_a_group_and_of_those_above_it(
    name: str, files: dict[str, str], found: list[float], tmp_path: Path
) -> None:
    group(tmp_path, name, **files)
    (tmp_path / "own").write_text("0::/a/b\n")
    assert list(quotas(tmp_path, tmp_path / "own")) == found


def test_quotas_of_version_1(tmp_path: Path) -> None:
    group(tmp_path, "cpu/docker/x", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    group(tmp_path, "cpu/docker", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    (tmp_path / "own").write_text("5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n")
    assert list(quotas(tmp_path, tmp_path / "own")) == [3.0]


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert list(quotas(tmp_path, tmp_path / "absent")) == []

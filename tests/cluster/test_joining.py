"""Joining real clusters that refuse: a line each, within half a minute, exit code 2, and nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import ROOT, Cluster, ray_cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as found:
        found.start("head")
        yield found


def refused(cluster: Cluster, out: Path, environment: dict[str, str], prefix: tuple[str, ...], address: str) -> str:
    """The one line of a study that can't join."""
    command = [*prefix, sys.executable, str(ROOT / "tune_runner.py"), "--dataset", "vox", "--preset", "smoke"]
    command += ["--out", str(out), "--address", address]
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    begun = time.monotonic()
    done = subprocess.run(
        command,
        env={**clean, "HOME": str(out.parent), **environment},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert not out.exists()
    assert time.monotonic() - begun < 120  # half a minute of waiting at most; the rest is a busy machine's imports
    return done.stderr


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "there is none here"),
        ({"RAY_AUTH_MODE": "token"}, "there is none here"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "wrong"}, "refuses the token in RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN": "own"}, "RAY_AUTH_MODE is not set; export RAY_AUTH_MODE=token"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "own"}, "RAY_AUTH_MODE is disabled"),
    ],
)
def test_a_token_that_is_refused_missing_or_not_used(
    changes: dict[str, str], words: str, cluster: Cluster, tmp_path: Path
) -> None:
    environment = {name: cluster.token if value == "own" else value for name, value in changes.items()}
    prefix = cluster.nodes["head"].prefix
    assert words in refused(cluster, tmp_path / "study", environment, prefix, cluster.address)


def test_a_machine_that_is_no_node_of_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    if not cluster.apart or shutil.which("unshare") is None:
        pytest.skip("needs root: a machine that sees no socket of the node is a namespace of mounts")
    hidden = f'mount -t tmpfs none {cluster.folder} && exec "$@"'
    prefix = (*cluster.nodes["head"].prefix, "unshare", "-m", "sh", "-c", hidden, "sh")
    text = refused(cluster, tmp_path / "study", cluster.access, prefix, cluster.address)
    assert f"this machine is no node of the Ray cluster at '{cluster.address}'" in text
    assert f"ray start --address={cluster.address}" in text


def test_a_port_of_another_program_and_rays_client(cluster: Cluster, tmp_path: Path) -> None:
    prefix = cluster.nodes["head"].prefix
    serve = "import socket, time; s = socket.create_server(('127.0.0.1', 7799)); print(flush=True); time.sleep(600)"
    with subprocess.Popen([*prefix, sys.executable, "-c", serve], stdout=subprocess.PIPE) as silent:
        assert silent.stdout is not None
        silent.stdout.readline()
        try:
            text = refused(cluster, tmp_path / "study", cluster.access, prefix, "127.0.0.1:7799")
        finally:
            silent.kill()
    assert "no answer from a Ray cluster at '127.0.0.1:7799'" in text
    text = refused(cluster, tmp_path / "study", cluster.access, prefix, "ray://127.0.0.1:10001")
    assert "--address 127.0.0.1:6379" in text


def test_a_dry_run_asks_the_cluster_and_says_what_would_run_on_each_node(cluster: Cluster, tmp_path: Path) -> None:
    command = [*cluster.nodes["head"].prefix, sys.executable, str(ROOT / "tune_runner.py"), "--dry-run"]
    command += ["--dataset", "vox", "--preset", "smoke", "--out", str(tmp_path / "study"), "--allow-slow"]
    command += ["--address", cluster.address]
    done = subprocess.run(
        command,
        env={**os.environ, **cluster.access},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("node ")]
    assert rows == [f"{cluster.nodes['head'].host} (1 core(s)): 1 at a time, each with 1 core(s)"]
    assert list(tmp_path.iterdir()) == []


def test_how_threads_wait_holds_for_workers_too(cluster: Cluster, tmp_path: Path) -> None:
    command = [*cluster.nodes["head"].prefix, sys.executable, "-m", "tests.cluster.wait_policy", cluster.address]
    for policy in ("PASSIVE", "ACTIVE"):
        environment = {**os.environ, **cluster.access, "OMP_WAIT_POLICY": policy}
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.stdout.split() == [policy], done.stderr

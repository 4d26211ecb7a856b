"""Why a Ray cluster can't be joined, said in one line. What Ray says is played; tests/cluster/ asks real clusters."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.execution import connection
from sweeps.execution.connection import check_connection
from tsvan.validation import UserError

REFUSED = "[W] gcs_client.cc:210: Failed to get cluster ID: Unauthenticated: RPC error: InvalidAuthToken: Token"
NO_TOKEN = "failed: AuthenticationError: Token authentication is enabled but no authentication token was found."
NO_NODE = "[C] raylet_ipc_client.cc:85: Failed to connect to socket at address:/tmp/ray/session_x/sockets/raylet"
VERSIONS = "failed: RuntimeError: Version mismatch: The cluster was started with: Ray: 2.40.0 Python: 3.12.3"
SILENT = "[W] rpc_client.h:153: Failed to connect to GCS at address 10.0.0.7:6379 within 5 seconds."


@pytest.fixture
def listening() -> Iterator[str]:
    """An address where somebody takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def ray_says(line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "ray"
    program.write_text(f"#!/bin/sh\necho '{line}'\nexec sleep 100\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize(
    ("line", "environment", "why", "remedy"),
    [
        (REFUSED, {}, "asks for a token, and there is none here", "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN="),
        (NO_TOKEN, {"RAY_AUTH_MODE": "token"}, "there is none here", "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN="),
        (REFUSED, {"RAY_AUTH_TOKEN": "x"}, "RAY_AUTH_MODE is not set", "export RAY_AUTH_MODE=token"),
        (REFUSED, {"RAY_AUTH_TOKEN": "x", "RAY_AUTH_MODE": "disabled"}, "is disabled", "export RAY_AUTH_MODE=token"),
        (REFUSED, {"RAY_AUTH_TOKEN": "x", "RAY_AUTH_MODE": "token"}, "refuses the token", "export RAY_AUTH_TOKEN="),
        (NO_NODE, {}, "this machine is no node of the Ray cluster", "ray start --address="),
        (VERSIONS, {}, "runs Ray 2.40.0, Python 3.12.3", "start the cluster from this environment"),
        ("failed: RuntimeError: out of luck.", {}, "can't be joined (RuntimeError: out of luck)", "ray status"),
    ],
)
def test_what_ray_says_is_told_with_its_remedy(
    line: str,
    environment: dict[str, str],
    why: str,
    remedy: str,
    listening: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ray_says(line, monkeypatch, tmp_path)
    with pytest.raises(UserError) as caught:
        check_connection(listening, answer_s=2 if "luck" in line else 60)
    text = str(caught.value)
    assert why in text
    assert remedy in text
    assert listening in text


def test_a_token_file_is_named_where_it_is_refused_or_not_used(
    listening: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    (tmp_path / "other").write_text("secret")
    ray_says(REFUSED, monkeypatch, tmp_path)
    for named, file in ((None, ".ray/auth_token"), ("other", "other")):
        if named:
            monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / named))
        with pytest.raises(UserError, match="is not used, as RAY_AUTH_MODE is not set") as caught:
            check_connection(listening)
        assert str(tmp_path / file) in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("line", [SILENT, ""])
def test_a_silent_port_is_given_up(line: str, listening: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ray_says(line, monkeypatch, tmp_path)
    with pytest.raises(UserError, match=f"no answer from a Ray cluster at '{listening}' within"):
        check_connection(listening, answer_s=0.3)
    assert connection.ANSWER_S + connection._KNOCK_S < 30


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", "--address head:6379"),
        ("head", "--address head:6379"),
        ("head:port", "--address head:6379"),
        ("local", "leave --address and RAY_ADDRESS out"),
        ("127.0.0.1:9", "no Ray cluster at '127.0.0.1:9'"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_refused_without_asking_ray(
    address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with pytest.raises(UserError, match=words):
        check_connection(address)


def test_a_cluster_that_answers_is_joined(listening: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ray_says("joined", monkeypatch, tmp_path)
    check_connection(listening)

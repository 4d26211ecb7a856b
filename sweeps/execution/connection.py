"""Whether a Ray cluster can be joined, and if not, why: asked by a process of its own, as Ray aborts, or waits for
minutes and says little, where it can't."""

from __future__ import annotations

import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweeps.execution.connection_probe import FAILED, JOINED
from tsvan.validation import UserError, first_line

ANSWER_S = 22.0
_KNOCK_S = 5.0
_TOKENLESS = "no authentication token was found"


def check_connection(address: str, answer_s: float = ANSWER_S) -> None:
    """Join a cluster in another process and leave it again.

    Args:
        address: of somebody's cluster.
        answer_s: how long it may take to answer.

    Raises:
        UserError: it can't be joined; the line says why, and what to do.
    """
    _check_form(address)
    try:
        _knock(address)
    except OSError as error:
        text = f"no Ray cluster at '{address}' ({first_line(error)})"
        raise UserError(f"{text}; start one there with 'ray start --head', or leave --address out") from None
    said = ""
    with _probe(address) as lines:
        for line in lines(answer_s):
            if line.startswith(JOINED):
                return
            said += line
            for sign, explain in _CAUSES:
                if re.search(sign, line):
                    raise UserError(explain(address, line))
    silent = not said.strip() or "Failed to connect" in said
    raise UserError(_unanswered(address) if silent else _unknown(address, said))


@contextmanager
def _probe(address: str) -> Iterator[Callable[[float], Iterator[str]]]:
    """Run the probe for the block; what it yields returns the lines that it prints, for so many seconds."""
    command = [sys.executable, "-m", "sweeps.execution.connection_probe", address]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        assert process.stdout is not None
        with suppress(ValueError):  # closed under it
            for line in process.stdout:
                heard.put(line)
        heard.put(None)

    def lines(seconds: float) -> Iterator[str]:
        deadline = time.monotonic() + seconds
        with suppress(queue.Empty):
            while (line := heard.get(timeout=max(deadline - time.monotonic(), 0.001))) is not None:
                yield line

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        listener.join()
        assert process.stdout is not None
        process.stdout.close()


def _check_form(address: str) -> None:
    """Refuse, with a UserError, what is no address of a cluster that a study can join."""
    if address.startswith("ray://"):
        host = address.removeprefix("ray://").partition(":")[0] or "HOST"
        raise UserError(
            f"--address {address} is for Ray's client, which can't run a study: its driver runs on a node of the "
            f"cluster; log in there, or use 'ray job submit', and give --address {host}:6379"
        )
    if address == "local":
        raise UserError("--address local starts no cluster that could be joined; leave --address and RAY_ADDRESS out")
    if address != "auto" and not re.fullmatch(r".+:\d+", address):
        host = address.partition(":")[0]
        raise UserError(f"--address {address} must be HOST:PORT of the cluster's head, as --address {host}:6379")


def _knock(address: str) -> None:
    """Ask an address for a connection, as Ray itself tries for minutes where nobody answers. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _refused(address: str, line: str) -> str:
    mode, source = os.environ.get("RAY_AUTH_MODE", ""), _token_source()
    if _TOKENLESS in line or not source:
        return (
            f"the Ray cluster at '{address}' asks for a token, and there is none here; "
            f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=..., the one that its head was started with"
        )
    if mode.lower() != "token":
        now = f"RAY_AUTH_MODE is {mode}" if mode else "RAY_AUTH_MODE is not set"
        return (
            f"the Ray cluster at '{address}' asks for a token, and the one in {source} is not used, as {now}; "
            f"export RAY_AUTH_MODE=token"
        )
    return (
        f"the Ray cluster at '{address}' refuses the token in {source}; "
        f"export RAY_AUTH_TOKEN=..., the one that its head was started with"
    )


def _token_source() -> str:
    """Name the place from which Ray takes this user's token; empty: there is none."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    with suppress(OSError, RuntimeError):  # no home
        named = os.environ.get("RAY_AUTH_TOKEN_PATH")
        file = Path(named) if named else Path.home() / ".ray" / "auth_token"
        return str(file) if file.read_text().strip() else ""
    return ""


def _no_node(address: str, line: str) -> str:
    if address == "auto":
        return "no Ray node runs on this machine; start one with 'ray start --head', or leave --address out"
    return (
        f"this machine is no node of the Ray cluster at '{address}', or its node belongs to another user; run the "
        f"command on a node, or make this machine one: ray start --address={address}"
    )


def _other_version(address: str, line: str) -> str:
    there = ", ".join(
        f"{name} {found[1]}" for name in ("Ray", "Python") if (found := re.search(rf"{name}: ([\d.]+\d)", line))
    )
    return (
        f"the Ray cluster at '{address}' runs {there or 'another version of Ray'}, this process another; start the "
        f"cluster from this environment: {sys.executable}"
    )


def _unanswered(address: str) -> str:
    return (
        f"no answer from a Ray cluster at '{address}' within {ANSWER_S:.0f} s; give HOST:PORT of the head's "
        f"'ray start --head' (port 6379 unless another was named), or leave --address and RAY_ADDRESS out"
    )


def _unknown(address: str, said: str) -> str:
    last = next(line for line in reversed(said.splitlines()) if line.strip())
    text = first_line(last.removeprefix(FAILED)).rstrip(".")
    return f"the Ray cluster at '{address}' can't be joined ({text}); see what 'ray status --address={address}' says"


_CAUSES: tuple[tuple[str, Callable[[str, str], str]], ...] = (
    (f"InvalidAuthToken|Unauthenticated|{_TOKENLESS}", _refused),
    (r"Failed to connect to socket|raylet_ipc_client|Could not find any running Ray instance", _no_node),
    (r"[Vv]ersion mismatch", _other_version),
)
"""What Ray says, and what that means."""

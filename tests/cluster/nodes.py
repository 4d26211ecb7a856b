"""Ray nodes of a test's own on this machine, with a token. Where root allows, each has a network namespace of its own,
as a machine has: an address, a link that can be cut, sockets that others can't see. Elsewhere they share one."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
PORT = 6379


@dataclass
class Node:
    """A Ray node.

    Args:
        name: unique in its cluster.
        host: its address.
        prefix: what stands before a command that is to run there.
        process: of `ray start --block`.
    """

    name: str
    host: str
    prefix: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None

    def family(self) -> list[psutil.Process]:
        """All processes of the node."""
        if self.process is None or self.process.poll() is not None:
            return []
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def kill(self) -> None:
        """kill -9 of all its processes, as when a machine loses its power."""
        family = self.family()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()  # none sees another one die
        for process in {*family, *self.family()}:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process is not None:
            self.process.wait()

    def terminate(self) -> None:
        """SIGTERM to all its processes, as a machine does that is taken away with a grace period."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)


@dataclass
class Cluster:
    """A cluster of such nodes.

    Args:
        folder: for what the nodes write.
        apart: the nodes have network namespaces.
        port: of the head.
        token: that its nodes ask for.
    """

    folder: Path
    apart: bool
    port: int
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of the head, for `--address`."""
        return f"{self.nodes['head'].host}:{self.port}"

    @property
    def outside(self) -> str:
        """Address of this machine as the nodes see it."""
        return f"{_subnet()}.254" if self.apart else "127.0.0.1"

    @property
    def access(self) -> dict[str, str]:
        """What a driver's environment needs."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def place(self, name: str) -> Node:
        """A machine that is no Ray node yet."""
        if not self.apart:
            return Node(name, "127.0.0.1", ())
        number = len(self.nodes) + 1
        space, link, host = f"{_bridge()}-{number}", f"{_bridge()}l{number}", f"{_subnet()}.{number}"
        _ip(f"netns add {space}")
        _ip(f"link add {link} type veth peer name eth0 netns {space}")
        _ip(f"link set {link} master {_bridge()} up")
        for command in (f"addr add {host}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _ip(f"-n {space} {command}")
        return Node(name, host, ("ip", "netns", "exec", space))

    def start(self, name: str, *, cpus: int = 1, ours: bool = False) -> Node:
        """Start a node, the `head` first, and wait until it is up. A name that is known starts there again.

        Args:
            cpus: that it says it has.
            ours: by the project's own command, which lets trials save when it is terminated.
        """
        node = self.nodes.get(name) or self.place(name)
        self.nodes[name] = node
        scratch = Path(tempfile.mkdtemp(prefix="r", dir=self.folder))
        where = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        where = where if name == "head" else [f"--address={self.address}", f"--node-name={name}"]
        program = ["sweeps.execution.ray_node"] if ours else ["ray.scripts.scripts", "start", "--block"]
        command = [*node.prefix, sys.executable, "-m", *program, *where]
        command += [f"--node-ip-address={node.host}", f"--num-cpus={cpus}", "--disable-usage-stats"]
        command += ["--object-store-memory=80000000", f"--temp-dir={scratch}"]
        changes = {**self.access, "CUDA_VISIBLE_DEVICES": ""}
        log = scratch / "start.log"
        with open(log, "wb") as file:
            node.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **changes},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while b"Ray runtime started" not in log.read_bytes():
            assert node.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        return node

    def cut(self, name: str) -> None:
        """Cut a node's link: nobody reaches it any more, and it reaches nobody."""
        assert self.apart, "nodes share one network"
        _ip(f"-n {self.nodes[name].prefix[-1]} link set eth0 down")


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """A cluster without nodes; those that the block starts end with it."""
    folder, apart = Path(tempfile.mkdtemp(prefix="tsvnodes", dir="/tmp")), can_be_apart()
    cluster = Cluster(folder, apart, PORT if apart else _free_port())
    try:
        if apart:
            _ip(f"link add {_bridge()} type bridge")
            _ip(f"addr add {cluster.outside}/24 dev {_bridge()}")
            _ip(f"link set {_bridge()} up")
        yield cluster
    finally:
        for node in cluster.nodes.values():
            node.kill()
            if node.prefix:
                _ip(f"netns del {node.prefix[-1]}")
        if apart:
            _ip(f"link del {_bridge()}")
        shutil.rmtree(folder, ignore_errors=True)


@cache
def can_be_apart() -> bool:
    """Whether this user may make network namespaces and a bridge."""
    name = f"tsvan{os.getpid()}"
    try:
        _ip(f"netns add {name}")
        _ip(f"-n {name} link add tsvtry type bridge")
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        with suppress(OSError, subprocess.CalledProcessError):
            _ip(f"netns del {name}")
    return True


def _bridge() -> str:
    return f"tv{os.getpid() % 100000}"


def _subnet() -> str:
    return f"10.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""`deploy/slurm.sbatch` under a stand-in for Slurm's programs, which runs each node's step on this machine."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]

SRUN = """
import json, os, signal, subprocess, sys
arguments = sys.argv[1:]
options = {}
while arguments and arguments[0].startswith("--"):
    name, _, value = arguments.pop(0)[2:].partition("=")
    options[name] = value
count = int(options["ntasks"])
note(options=options, command=arguments)
processes = [subprocess.Popen(arguments, env={**os.environ, "SLURM_NODEID": str(n)}) for n in range(count)]
def stop(*_):
    for process in processes:
        process.terminate()
signal.signal(signal.SIGTERM, stop)
codes = [process.wait() for process in processes]
sys.exit(max(map(abs, codes)))
"""
RAY = """
import os, signal, socket, stat, sys
folder = os.environ["TSVAN_SCRATCH"]
if os.environ.get("BROKEN"):
    sys.exit("no head today")
note(arguments=sys.argv[1:], token=os.environ["RAY_AUTH_TOKEN"], mode=os.environ["RAY_AUTH_MODE"],
     scratch=folder, rights=stat.S_IMODE(os.stat(folder).st_mode))
named = dict(part.split("=", 1) for part in sys.argv if "=" in part)
if "--head" in sys.argv:
    server = socket.create_server((named["--node-ip-address"], int(named["--port"])))
signal.sigwait([signal.SIGTERM])
"""
PYTHON = """
import os, signal, subprocess, sys
if sys.argv[1] == "-c":
    sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
note(arguments=sys.argv[1:], token=os.environ["RAY_AUTH_TOKEN"], folder=os.getcwd())
if "--waits" not in sys.argv:
    sys.exit(int(os.environ["CODE"]))
signal.sigwait([signal.SIGTERM])
note(stopped=True)
sys.exit(130)
"""
HOSTNAME = """
import sys
print("127.0.0.1 10.0.0.1" if sys.argv[1] == "-I" else "node0")
"""
NOTE = """#!{python}
import json, os
def note(**values):
    with open({log!r}, "a") as file:
        file.write(json.dumps({{"program": {name!r}, **values}}) + "\\n")
"""


@dataclass
class Job:
    """A job that Slurm has begun.

    Args:
        process: of the batch script.
        log: of the stand-ins.
        number: of the job.
    """

    process: subprocess.Popen[str]
    log: Path
    number: int

    def calls(self, program: str) -> list[dict[str, Any]]:
        """What a stand-in noted, call by call."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if call["program"] == program]

    def wait_for(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not happened():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    def finish(self) -> int:
        self.process.wait(120)
        return self.process.returncode

    @property
    def scratch(self) -> Path:
        return Path(f"/tmp/tsvan-{self.number}")


Submit = Callable[..., Job]


@pytest.fixture
def submit(tmp_path: Path) -> Iterator[Submit]:
    """Begins a job as `sbatch` would; none outlives the test."""
    programs, environment = tmp_path / "bin", tmp_path / "project" / ".venv" / "bin"
    log, jobs = tmp_path / "log", list[Job]()
    for folder in (programs, environment):
        folder.mkdir(parents=True)
    texts = {"srun": SRUN, "scontrol": "import sys\nnote(arguments=sys.argv[1:])\n", "hostname": HOSTNAME}
    for folder, found in ((programs, texts), (environment, {"ray": RAY, "python": PYTHON})):
        for name, text in found.items():
            file = folder / name
            file.write_text(NOTE.format(python=sys.executable, log=str(log), name=name) + text)
            file.chmod(0o755)

    def begin(*arguments: str, nodes: int = 3, **changes: str) -> Job:
        number = 10_000_000 + os.getpid() % 100_000 * 10 + len(jobs)
        slurm = {
            "SLURM_JOB_ID": str(number),
            "SLURM_JOB_NUM_NODES": str(nodes),
            "SLURM_CPUS_PER_TASK": "4",
            "SLURM_GPUS_ON_NODE": "2",
            "SLURM_SUBMIT_DIR": str(tmp_path / "project"),
            "PATH": f"{programs}:/usr/bin:/bin",
            "CODE": "0",
        }
        command = ["bash", str(ROOT / "deploy" / "slurm.sbatch"), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        jobs.append(Job(subprocess.Popen(command, env={**slurm, **changes}, **pipes), log, number))  # type: ignore
        return jobs[-1]

    yield begin
    for job in jobs:
        found = [psutil.Process(job.process.pid)] if job.process.poll() is None else []
        for process in [child for parent in found for child in (*parent.children(recursive=True), parent)]:
            process.kill()


def test_the_head_the_workers_and_the_driver_share_a_token_that_no_command_line_shows(submit: Submit) -> None:
    job = submit("--dataset", "vox", "--waits", "--out", "a folder")
    job.wait_for(lambda: len(job.calls("ray")) == 3 and job.calls("python"))
    head, *workers = sorted(job.calls("ray"), key=lambda call: "--head" not in call["arguments"])
    driver = job.calls("python")[0]
    address = driver["arguments"][-1]
    port = address.removeprefix("127.0.0.1:")
    assert {"--head", f"--port={port}", "--node-ip-address=127.0.0.1"} <= set(head["arguments"])
    assert driver["arguments"] == [
        "tune_runner.py",
        "--dataset",
        "vox",
        "--waits",
        "--out",
        "a folder",
        *("--address", address),
    ]
    assert driver["folder"].endswith("/project")
    for worker in workers:
        assert f"--address={address}" in worker["arguments"]
    for node in (head, *workers):
        assert {"--num-cpus=4", "--num-gpus=2", "--block"} <= set(node["arguments"])
        assert (node["mode"], node["token"]) == ("token", driver["token"])
        assert (node["scratch"], node["rights"]) == (str(job.scratch), stat.S_IRWXU)
        assert len(node["scratch"]) < 30, "Ray's sockets have names of at most 107 characters"
    assert len(driver["token"]) == 64
    assert driver["token"] not in job.log.read_text().replace(f'"token": "{driver["token"]}"', "")
    places = [call["options"] for call in job.calls("srun")]
    assert [(place["nodes"], place.get("nodelist"), place.get("exclude")) for place in places] == [
        ("1", "node0", None),
        ("2", None, "node0"),
    ]


def test_a_warning_saves_the_trials_and_the_same_command_is_queued_again(submit: Submit) -> None:
    job = submit("--dataset", "vox", "--waits")
    job.wait_for(lambda: job.calls("python") and len(job.calls("ray")) == 3)
    children = psutil.Process(job.process.pid).children(recursive=True)
    job.process.send_signal(signal.SIGTERM)  # to the batch script alone, as `--signal=B:TERM` has it
    assert job.finish() == 130
    assert [call.get("stopped") for call in job.calls("python")] == [None, True]
    assert [call["arguments"] for call in job.calls("scontrol")] == [["requeue", str(job.number)]]
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert not job.scratch.exists()


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (2, False), (3, True)])
def test_the_studys_exit_code_is_the_jobs_and_a_lost_cluster_is_begun_anew(
    submit: Submit, code: int, again: bool
) -> None:
    job = submit("--dataset", "vox", nodes=1, CODE=str(code))
    assert job.finish() == code
    assert bool(job.calls("scontrol")) == again
    assert len(job.calls("ray")) == 1, "one node has no workers beside the head"
    assert not job.scratch.exists()


def test_a_head_that_does_not_start_ends_the_job_in_a_line(submit: Submit) -> None:
    job = submit("--dataset", "vox", BROKEN="1")
    assert job.finish() == 1
    text = job.process.communicate()[0]
    assert text.splitlines()[-1] == "error: the head of the Ray cluster did not start on node0"
    assert job.calls("python") == []


def test_the_options_to_slurm_give_time_to_save_and_outlive_a_node() -> None:
    lines = (ROOT / "deploy" / "slurm.sbatch").read_text().splitlines()
    options = {line.removeprefix("#SBATCH ").strip() for line in lines if line.startswith("#SBATCH ")}
    assert {"--requeue", "--no-kill", "--ntasks-per-node=1", "--open-mode=append"} <= options
    assert "--signal=B:TERM@300" in options


@pytest.mark.slow
def test_a_study_runs_on_real_ray_nodes_under_the_stand_in_for_slurm(submit: Submit, tmp_path: Path) -> None:
    from tests.faults.harness import TINY

    sets = [part for text in TINY for part in ("--set", text)]
    out = tmp_path / "runs" / "study"
    study = ["--dataset", "weizmann", "--preset", "smoke", "--trials", "2", "--out", str(out), *sets]
    changes = {"TSVAN_HOME": str(ROOT), "SLURM_CPUS_PER_TASK": "1", "SLURM_GPUS_ON_NODE": "0", "OMP_NUM_THREADS": "1"}
    job = submit(*study, "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db", nodes=1, HOME=str(tmp_path), **changes)
    text, _ = job.process.communicate(timeout=900)
    assert job.process.returncode == 0, text
    assert (out / "report.html").exists()
    assert not job.scratch.exists()

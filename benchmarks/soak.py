"""A long study whose processes are killed at random, and an audit of what it left.

python -m benchmarks.soak [--trials 200] [--minutes 20] [--seed N] [--out DIR]

Real Ray, Optuna and MLflow, real checkpoints and files; what a trial trains is a random walk of tiny networks
(`soak_trial.py`), whose end is known from its seed. For `--minutes` something is done to it some seconds after it went
to work, again and again: the driver, a worker or one of Ray's own processes is killed with SIGKILL, or another program
takes the memory that Ray's monitor guards. Should the trials be done before, the study grows. Then it is left to end.
Exit code 1 when anything disagrees.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import torch

from benchmarks import soak_trial
from benchmarks.ledger import audit
from sweeps.study import CLUSTER_LOST
from tests.faults.harness import ROOT, Driver, at_work, title
from tests.faults.memory import share_in_use, taking_memory
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.models.networks import Networks

GROWTH = 50
AGENTS_S = 120  # Ray's agents wait so long for a server that is gone
SETTINGS = [
    "--set=budget.pretrain_iterations=2",
    "--set=budget.iterations=20",
    "--set=resources.retries=1000",  # so that no trial fails for being killed often
    "--workers=2",
]


class Soak:
    """One study and who kills it.

    Args:
        out: its folder.
        trials: asked for.
        minutes: of killing.
        seed: of the moments.
    """

    def __init__(self, out: Path, trials: int, minutes: float, seed: int) -> None:
        self.out, self.trials, self.minutes = out, trials, minutes
        self.chance, self.began = random.Random(seed), time.monotonic()
        self.counts: Counter[str] = Counter()
        self.seen: dict[int, psutil.Process] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        """Start drivers until the time is over and all trials are done."""
        while True:
            code = self._one_life()
            if code is None or code == CLUSTER_LOST:  # it had no cluster left to try; the same command goes on
                continue
            if code != 0:
                self.wrong.append(f"a driver ended with code {code}")
                return
            if self._elapsed() >= self.minutes:
                return
            self.trials += GROWTH

    def check(self) -> None:
        """Check everything that the study left."""
        found = audit(self.out, self.trials)
        self.counts.update(found.counts)
        self.wrong += found.wrong
        for folder in sorted(self.out.glob("*/*/outcome.json")):
            self._check_walk(folder.parent)
        done = subprocess.run(
            [sys.executable, "tune_runner.py", "status", "--out", str(self.out), "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0 or not json.loads(done.stdout)["agree"]:
            self.wrong.append(f"status disagrees: {done.stderr.strip() or json.loads(done.stdout)['problems']}")
        _, alive = psutil.wait_procs(list(self.seen.values()), timeout=AGENTS_S)
        self.wrong += [f"process {process.pid} outlives its driver: {title(process)}" for process in alive]
        self.counts["processes started"] = len(self.seen)

    def _check_walk(self, folder: Path) -> None:
        """Check that every score is that of a walk that nobody disturbed."""
        job, outcome = (json.loads((folder / name).read_text()) for name in ("job.json", "outcome.json"))
        config = TrainConfig.from_dict(job["config"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            networks = Networks(config.model, len(ClipStore.open(job["store"]).classes))
        expected = {}
        for iteration in range(1, outcome["iteration"] + 1):
            soak_trial.walk(networks, config.seed, iteration)
            expected[iteration] = soak_trial.height(networks)
        metrics = folder / "metrics.jsonl"
        lines = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        scores = {line["iteration"]: line["values"] for line in lines if line["kind"] == "score"}
        off = [at for at in scores if at in expected and set(scores[at].values()) != {expected[at]}]
        if off or outcome["iteration"] not in scores:
            self.wrong.append(f"{folder.relative_to(self.out)}: scores at {off} are not those of an unbroken walk")
        self.counts["scores as of an unbroken run"] += len(scores) - len(off)

    def table(self) -> str:
        """Format what happened, in Markdown."""
        rows = [("minutes", f"{self._elapsed():.0f}"), ("trials asked for", str(self.trials))]
        rows += [(name, f"{count:,}") for name, count in self.counts.items()]
        lines = ["| what | count |", "| --- | --- |", *(f"| {name} | {count} |" for name, count in rows)]
        return "\n".join([*lines, f"| disagreements | {len(self.wrong)} |", *(f"- {line}" for line in self.wrong)])

    def _one_life(self) -> int | None:
        """Run a driver up to its end (exit code) or its death (None)."""
        program = ("-m", "benchmarks.soak_trial")
        guarded = share_in_use(beyond_gib=2)
        environment = {"RAY_memory_usage_threshold": f"{guarded:.4f}"}
        driver = Driver(
            self.out, "--trials", str(self.trials), *SETTINGS, program=program, environment=environment
        )
        self.counts["drivers started"] += 1
        try:
            while self._elapsed() < self.minutes and driver.wait_for(at_work(self.out), timeout_s=600):
                end = time.monotonic() + self.chance.uniform(1, 60)
                if driver.wait_for(lambda end=end: time.monotonic() > end):  # type: ignore[misc]
                    self.seen |= {process.pid: process for process in driver.family()}
                    what = self.chance.choices(("driver", "worker", "ray", "memory"), (4, 4, 1, 1))[0]
                    if what == "driver":
                        driver.kill()
                        self.counts["drivers killed"] += 1
                        return None
                    if what == "memory":
                        self._take_memory(driver, guarded)
                    else:
                        self._kill_one(driver, what)
            code = driver.finish(timeout_s=3600)
            if "Traceback" in driver.text:
                self.wrong.append(f"a driver showed a traceback: {driver.text[-500:]}")
            return code
        finally:
            driver.end()

    def _kill_one(self, driver: Driver, what: str) -> None:
        names = {"worker": ("JobActor",), "ray": ("raylet/raylet", "gcs_server")}[what]
        found = [p for p in driver.family() if any(name in title(p).split(" ")[0] for name in names)]
        if found:
            self.chance.choice(found).kill()
            self.counts["workers killed" if what == "worker" else "Ray's processes killed"] += 1

    def _take_memory(self, driver: Driver, guarded: float) -> None:
        before = driver.text.count("memory monitor")
        with taking_memory(over=guarded):
            end = time.monotonic() + 30
            driver.wait_for(lambda: driver.text.count("memory monitor") > before or time.monotonic() > end)
        self.counts["times that memory was taken"] += 1

    def _elapsed(self) -> float:
        return (time.monotonic() - self.began) / 60


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Kill a study again and again, and audit what it left.")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="a new study's folder (default: a temporary one)")
    args = parser.parse_args()
    seed = random.randrange(10**6) if args.seed is None else args.seed
    out = args.out or Path(tempfile.mkdtemp(prefix="soak-")) / "study"
    out.parent.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}, study in {out}", flush=True)
    soak = Soak(out.resolve(), args.trials, args.minutes, seed)
    soak.run()
    soak.check()
    print(soak.table())
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The parts of `benchmarks.device`, each a generator of rows.

    python -m benchmarks.device_parts PART '{"seconds": 60, "out": "DIR", "store": "", "rehearse": true}'

A row that could not be measured holds the reason under `failed`; the part goes on with the next.
"""

from __future__ import annotations

import gc
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import learning_on_a_device, sampling
from benchmarks.device import Plan, Row
from benchmarks.device_profile import kernels_of
from benchmarks.timed_step import Spec, inputs_of, launched_kernels, networks_of, whole_step
from benchmarks.train_step import KINDS, mix_seconds
from tsvan.config import ScheduleConfig
from tsvan.memory import keep_freed_memory
from tsvan.models.layout import channels_last
from tsvan.models.precision import choose_quickest_on_cuda

PAIRS = ((16, 512), (64, 512), (32, 1024))
TESTS = ("tests/models", "tests/test_trainer.py", "tests/data/test_batches.py")
TOGETHER = (1, 2, 4)
REPEATS, REPEAT_S = 20, 3.0  # of one kind of step: at most so many, and so long


def machine(plan: Plan) -> Iterator[Row]:
    """Report what the machine is, and how fast it copies and multiplies."""
    device = _device(plan)
    row: Row = {"python": platform.python_version(), "torch": torch.__version__, "device": str(device)}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(0)
        row |= {"name": about.name, "memory_gib": about.total_memory / 2**30, "cuda": torch.version.cuda}
        row |= {"multiprocessors": about.multi_processor_count}
    try:
        import triton

        row["triton"] = triton.__version__
    except ImportError:
        row["triton"] = "none"
    yield row
    size = 256 if plan.rehearse else 8192
    for dtype in (torch.bfloat16, torch.float32):
        matrix = torch.randn(size, size, device=device).to(dtype)
        seconds = _median_s(device, lambda matrix=matrix: matrix @ matrix)
        yield {"what": f"matrix product, {dtype}, {size}", "tflop_per_s": 2 * size**3 / seconds / 1e12}
    values = torch.randn(size, size, device=device)
    target = torch.empty_like(values)
    seconds = _median_s(device, lambda: target.copy_(values))
    yield {"what": "copy", "tb_per_s": 2 * values.numel() * 4 / seconds / 1e12}


def tests(plan: Plan) -> Iterator[Row]:
    """Run the tests that need a CUDA device: fusion, batches, whole runs with graphs against runs without."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "cuda", *TESTS]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout.strip().splitlines()
    counts = [line for line in said if re.search(r"\d (passed|failed|error|skipped|deselected)", line)]
    (Path(plan.out) / "tests.log").write_text(done.stdout + done.stderr)
    row = {"result": counts[-1] if counts else "", "took_s": time.perf_counter() - start}
    wrong = [line for line in said if line.startswith(("FAILED", "ERROR", "E  "))]
    yield row if done.returncode == 0 else {**row, "failed": "; ".join(wrong[:6]) or done.stderr[-300:]}


def steps(plan: Plan) -> Iterator[Row]:
    """Time each kind of step of the published settings, with graphs and without, and what the published mix takes."""
    cuda = _device(plan).type == "cuda"
    pairs = PAIRS[: 1 if plan.rehearse else None]
    both = ("fp32", "bf16")
    rows = [(pair, precision, cuda, True) for pair in pairs for precision in both]
    rows += [(PAIRS[0], precision, True, False) for precision in both if cuda]
    rows += [(pair, precision, False, True) for pair in pairs for precision in both if cuda]
    for pair, precision, graphs, tried in rows:
        yield from _table(plan, Spec("tsvan", "", None, *pair, precision=precision, graphs=graphs, tried_out=tried))


def profiled(plan: Plan) -> Iterator[Row]:
    """Report which kernels take the time of each kind of step at the first of the published widths."""
    for precision in ("bf16", "fp32"):
        base = _sized(plan, Spec("tsvan", "", None, *PAIRS[0], precision=precision))
        for kind, epsilon in reversed(KINDS):
            about = {"precision": precision, "step": kind, "epsilon": epsilon}
            try:
                step = _ready(replace(base, step=kind, epsilon=epsilon), 2)
                for row in kernels_of(step, partial(_wait, _device(plan))):
                    yield {**about, **row}
            except Exception as error:
                yield {**about, **_failed(error)}


def straightforward(plan: Plan) -> Iterator[Row]:
    """Time the steps of the straightforward trainer in float32, beside those of `steps`."""
    yield from _table(plan, Spec("straightforward", "", None, *PAIRS[0]))


def _table(plan: Plan, base: Spec) -> Iterator[Row]:
    base, ms = _sized(plan, base), {}
    about = {
        "trainer": base.trainer, "ngf": base.ngf, "content_dim": base.content_dim, "precision": base.precision,
        "graphs": base.graphs and base.trainer == "tsvan", "tried_out": base.tried_out and base.trainer == "tsvan",
    }  # fmt: skip
    for step, epsilon in KINDS:
        spec = replace(base, step=step, epsilon=epsilon)
        row = {**about, "step": step, "epsilon": epsilon}
        measured = _tried(partial(_timed, plan, spec))
        yield {**row, **measured}
        if "ms" in measured:
            ms[step, epsilon] = measured["ms"]
    if len(ms) == len(KINDS):
        seconds = mix_seconds(ms)
        hours = seconds * ScheduleConfig().iterations / 3600
        yield {**about, "step": "published mix", "iterations_per_s": 1 / seconds, "hours_a_run": hours}


def _timed(plan: Plan, spec: Spec) -> Row:
    device = torch.device(spec.device)
    start = time.perf_counter()
    step = _ready(spec, 1 if plan.rehearse else 2)
    ready_s = time.perf_counter() - start
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = _median_s(device, step, 1 if plan.rehearse else REPEATS)
    row: Row = {"ms": seconds * 1000, "ready_s": ready_s}
    if device.type == "cuda":
        row |= {"peak_mib": torch.cuda.max_memory_reserved() / 2**20, "kernels": launched_kernels(step)}
    return row


def _ready(spec: Spec, times: int) -> Callable[[], object]:
    """Make a step that has run so often: libraries have chosen, kernels are compiled, graphs captured."""
    networks = networks_of(spec)
    if spec.trainer == "tsvan":
        channels_last(networks)
        if spec.device == "cuda":
            choose_quickest_on_cuda()
            torch.backends.cudnn.benchmark = spec.tried_out
    step = partial(whole_step(spec, networks), *inputs_of(spec.batch, spec.device))
    for _ in range(times):
        step()
    return step


def sampled(plan: Plan) -> Iterator[Row]:
    """Measure the clips a second of sampling and of scoring, and the memory that it takes."""
    device, clips = _device(plan).type, 4 if plan.rehearse else 4096
    batches = (2,) if plan.rehearse else (256, 1024, 0)
    architecture = "tiny" if plan.rehearse else "paper"
    for ngf, precision in ((16, "fp32"), (16, "bf16"), (64, "bf16")):
        for batch in batches:
            row = sampling.Row("sampling", device, precision, ngf, batch, clips, architecture=architecture)
            yield _tried(lambda row=row: _sampling_row(row))
    for batch in batches:
        if batch:
            yield _tried(lambda batch=batch: _sampling_row(sampling.Row("scoring", device, "fp32", 0, batch, clips)))


def _sampling_row(row: sampling.Row) -> Row:
    if row.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    done = sampling.measure(row)
    return {
        "work": done.work, "precision": done.precision, "ngf": done.ngf or None, "batch": done.batch,
        "clips_per_s": done.clips_per_s, "peak_mib": done.peak_mib,
    }  # fmt: skip


def together(plan: Plan) -> Iterator[Row]:
    """Run trials at once on one device.

    Each row says how many iterations of the late mix they do together, against one alone.
    """
    seconds, alone = (0.5, None) if plan.rehearse else (8.0, None)
    for count in TOGETHER[: 2 if plan.rehearse else None]:
        with tempfile.TemporaryDirectory() as folder:
            go = Path(folder) / "go"
            told = json.dumps({"go": str(go), "seconds": seconds, "rehearse": plan.rehearse})
            trials = [
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.device_trial", told], stdout=subprocess.PIPE, text=True
                )
                for _ in range(count)
            ]
            ready = [str(trial.stdout and trial.stdout.readline()).strip() for trial in trials]
            go.touch()
            rates = [float(trial.communicate()[0] or "nan") for trial in trials]
        row: Row = {"trials": count, "iterations_per_s": sum(rates)}
        alone = alone or sum(rates)
        row["times_one"] = sum(rates) / alone
        yield row if ready == ["ready"] * count else {**row, "failed": f"trials said {ready}"}


def _sized(plan: Plan, spec: Spec) -> Spec:
    device = _device(plan).type
    small = {"architecture": "tiny", "ngf": 2, "content_dim": 8, "batch": 2} if plan.rehearse else {}
    return replace(spec, device=device, **small)


def _tried(measure: Callable[[], Row]) -> Row:
    """Return the row, or the reason why there is none; what it took of the device is given back."""
    try:
        return measure()
    except Exception as error:  # whatever a device does, the next row is worth having
        return _failed(error)
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _failed(error: Exception) -> Row:
    return {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def _wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def _median_s(device: torch.device, work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Measure the seconds of one call, the median of several after one that is not counted."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) <= repeats and (len(times) <= min(repeats, 2) or time.perf_counter() - began < REPEAT_S):
        start = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[len(times[1:]) // 2]


def _device(plan: Plan) -> torch.device:
    if plan.rehearse:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; --rehearse goes through the parts on a CPU")
    return torch.device("cuda")


FUNCTIONS: dict[str, Callable[[Plan], Iterator[Row]]] = {
    "machine": machine, "tests": tests, "steps": steps, "profile": profiled, "straightforward": straightforward,
    "sampling": sampled, "together": together, "learning": learning_on_a_device.learn,
}  # fmt: skip


def main() -> None:
    """Print a part's rows, one JSON a line."""
    plan = Plan(**json.loads(sys.argv[2]))
    device: Any = _device(plan)
    if device.type == "cpu":
        keep_freed_memory()
        torch.set_num_threads(1)
    for row in FUNCTIONS[sys.argv[1]](plan):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

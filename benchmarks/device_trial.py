"""One of the trials that `benchmarks.device` runs at once: it says `ready`, waits for a file, and tells its rate."""

from __future__ import annotations

import itertools
import json
import sys
import time
from functools import partial
from pathlib import Path

import torch

from benchmarks.timed_step import Spec, inputs_of, networks_of, whole_step
from tsvan.models.layout import channels_last
from tsvan.models.precision import choose_quickest_on_cuda

LATE_MIX = ("content",) * 15 + ("one-step",) + ("sequence",) * 9
"""Steps of 25 iterations of the published schedule after 0.3 N; `epsilon` 0."""


def main() -> None:
    """Take steps in turn for some seconds."""
    told = json.loads(sys.argv[1])
    tiny = {"architecture": "tiny", "ngf": 2, "content_dim": 8, "batch": 2, "device": "cpu"}
    real = {"architecture": "paper", "ngf": 16, "content_dim": 512, "batch": 16, "device": "cuda"}
    sizes = tiny if told["rehearse"] else real
    spec = {kind: Spec("tsvan", kind, 0.0 if kind == "sequence" else None, **sizes) for kind in set(LATE_MIX)}
    networks = networks_of(spec["content"])
    channels_last(networks)
    choose_quickest_on_cuda()
    inputs = inputs_of(sizes["batch"], sizes["device"])
    steps = {kind: partial(whole_step(spec[kind], networks), *inputs) for kind in spec}
    for step in steps.values():
        step()  # libraries choose, kernels are compiled, graphs captured
    print("ready", flush=True)
    while not Path(told["go"]).exists():
        time.sleep(0.005)
    start, done = time.perf_counter(), 0
    for kind in itertools.cycle(LATE_MIX):
        steps[kind]()
        done += 1
        if done % 5 == 0 or told["rehearse"]:
            if sizes["device"] == "cuda":
                torch.cuda.synchronize()
            if time.perf_counter() - start >= told["seconds"]:
                break
    print(done / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()

"""The sweep's command: arguments -> sweeps.study."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait must not spin: trials share the cores

from tsvan.config import DATASETS
from tsvan.strict import UserError

PRESETS = "paper (default): the published budget; dev: one GPU, about an hour; smoke: a CPU, minutes"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code is 0 done, 1 no usable trial, 2 wrong use, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["reproduce"]:
            from sweeps.reproduce import reproduce

            return reproduce(_reproduce_parser().parse_args(arguments[1:]))
        return _study(_study_parser().parse_args(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _study(args: argparse.Namespace) -> int:
    from sweeps.options import Options
    from sweeps.study import run_study

    named = (("trials", args.trials), ("seed", args.seed), ("resources.workers", args.workers))
    overrides = [f"{key}={value}" for key, value in named if value is not None]
    if args.gpus_per_trial is not None:
        overrides.append(f"resources.gpus_per_trial={args.gpus_per_trial}")
    return run_study(
        Options(
            dataset=args.dataset,
            preset=args.preset,
            config_file=args.config,
            data_root=args.data_root,
            synthetic=args.data == "synthetic",
            out=args.out,
            overrides=[*overrides, *args.set],
            resume=args.resume,
            dry_run=args.dry_run,
            allow_slow=args.allow_slow,
            tracking_uri=args.tracking_uri,
            final_from=args.final_from,
            address=args.address,
        )
    )


def _study_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tune_runner.py", description="Sweep TwoStreamVAN, from clips to final numbers."
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help=", ".join(DATASETS))
    add("--preset", default="paper", metavar="NAME", help=PRESETS)
    add("--data-root", type=Path, metavar="DIR", help="a clip store, or a folder of raw videos (default: data/DATASET)")
    add("--data", choices=["synthetic"], help="drawn stand-in clips in place of real ones")
    add("--out", type=Path, metavar="DIR", help="the study's folder (default: runs/DATASET[-PRESET])")
    add("--trials", metavar="N", help="number of trials")
    add("--seed", metavar="N", help="the study's seed")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of the sweep config; can be repeated")
    add("--config", type=Path, metavar="FILE", help="a sweep config in place of sweeps/DATASET.yaml")
    add("--resume", action="store_true", help="go on with the study (the same command again does so, too)")
    add("--dry-run", action="store_true", help="print plan, cost and what is missing; start and write nothing")
    add("--final-from", type=Path, metavar="FILE", help="no sweep: train and score the config in FILE")
    add(
        "--tracking-uri", metavar="URI", help="MLflow server or store (default: MLFLOW_TRACKING_URI, else beside --out)"
    )
    add("--address", metavar="ADDRESS", help="an existing Ray cluster (default: RAY_ADDRESS, else one of its own)")
    add("--workers", metavar="N", help="trials at a time (default: as many as fit)")
    add("--gpus-per-trial", metavar="SHARE", help="a fraction of a GPU, or auto")
    add("--allow-slow", action="store_true", help="start a paper's budget on a CPU all the same")
    return parser


def _reproduce_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tune_runner.py reproduce", description="Train a logged run again.")
    parser.add_argument("run_id", metavar="RUN_ID", help="of a trial or a final rerun in MLflow")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to (default: runs/reproduce-RUN_ID)")
    parser.add_argument("--tracking-uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else runs/mlflow.db")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The sweep's command: arguments -> sweeps.study."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from sweeps.commands.arguments import study_parser
from sweeps.commands.others import run_other
from sweeps.commands.passwords import hide_passwords
from tsvan.terminal import guard_output
from tsvan.validation import UserError, one_line


def main(arguments: list[str] | None = None, body: dict[str, Any] | None = None, driver: Any = None) -> int:
    """Run the command.

    Args:
        arguments: in place of the command line's.
        body: what a study's jobs run in place of the trainer, for tests and benchmarks (`Request.body`).
        driver: in place of `StudyDriver`, for benchmarks.

    Returns:
        Exit code: 0 done, 1 no usable trial, 2 wrong use, 3 the cluster is lost, 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if (code := run_other(arguments)) is not None:
            return code
        return _study(study_parser().parse_args(arguments), arguments, body or {}, driver)
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _study(args: argparse.Namespace, arguments: list[str], body: dict[str, Any], driver: Any) -> int:
    from sweeps.config.load import check_names

    dataset = check_names(args.dataset, args.preset)  # before torch and Ray are imported, which takes seconds
    from sweeps.commands.request import Request
    from sweeps.study import run_study

    named = (
        ("trials", args.trials),
        ("seed", args.seed),
        ("resources.workers", args.workers),
        ("calibrate.seeds", args.calibrate),
    )
    overrides = [f"{key}={value}" for key, value in named if value is not None]
    if args.gpus_per_trial is not None:
        overrides.append(f"resources.gpus_per_trial={args.gpus_per_trial}")
    return run_study(
        Request(
            dataset=dataset,
            preset=args.preset,
            model=args.model,
            config_file=args.config,
            data_root=args.data_root,
            synthetic=args.data == "synthetic",
            out=args.out,
            overrides=[*overrides, *args.set],
            resume=args.resume,
            dry_run=args.dry_run,
            allow_slow=args.allow_slow,
            storage=args.storage,
            tracking_uri=args.tracking_uri,
            experiment=args.experiment,
            model_name=args.model_name,
            final_from=args.final_from,
            rival=args.rival,
            address=args.address,
            allow_weak_objective=args.allow_weak_objective,
            hours=args.hours,
            warm_start=tuple(args.warm_start),
            arguments=tuple(arguments),
            body=body,
        ),
        driver,
    )


if __name__ == "__main__":
    guard_output()
    hide_passwords()
    sys.exit(main())

"""The final stage from its candidates to its verdict: the confirm group first, if asked for, then the sealed one."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.config.schema import SweepConfig
from sweeps.final import candidates, reruns
from sweeps.search.storage import has_study, load_study
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths


def final_stage(
    config: SweepConfig,
    chosen: candidates.Candidate | None,
    template: Job,
    num_classes: int,
    paths: StudyPaths,
    run: reruns.RunJobs,
    say: Callable[[str], None],
) -> reruns.FinalResult | None:
    """Train winner and published row again and score them on the sealed group.

    Args:
        config: of the study.
        chosen: config of the user's that takes the winner's place; None: the sweep's best.
        template: a job with what all jobs of the study share.
        num_classes: K of the clip store, which the sizes of the groups follow.
        paths: of the study.
        run: runs the jobs that have not ended yet.
        say: told when no winner is left.

    Returns:
        The result; None: no run of the confirm stage completed.
    """

    def sized(group: str) -> Job:
        return Job(**{**vars(template), "num_clips": config.num_clips(group, num_classes)})

    study = load_study(paths) if has_study(paths) else None
    published = candidates.published_candidate(config, study)
    if chosen is not None:
        winner = candidates.from_sweep(chosen, config, study)
        return reruns.evaluate(winner, published, config, sized("report"), paths, run, {})
    assert study is not None
    confirmed: dict[str, float] = {}
    shortlist: list[candidates.Candidate] = []
    best = candidates.best_candidates(config, study, 1)
    if config.final.confirm.top_k > 1:
        likely = candidates.shortlist(config, study, config.final.confirm.top_k)
        unlike = [candidate for candidate in likely if candidate.key != published.key]
        if unlike:  # else there is nothing to tell the published row from
            shortlist = [*unlike, candidates.with_smoothed(published, config, study)]
            best, confirmed = reruns.confirm(shortlist, config, sized("confirm"), paths, run)
    if not best:
        say("4 final: no run of the confirm stage completed")
        return None
    return reruns.evaluate(best[0], published, config, sized("report"), paths, run, confirmed, shortlist)

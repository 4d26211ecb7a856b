"""Trials that users add while a study runs: each instruction becomes one trial, whoever dies on the way.

An instruction is first a waiting trial of Optuna's, which is handed out before any that the sampler draws; then that
trial's job names it; then it is answered. Whoever comes to it later sees how far it got.
"""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.storage import INSTRUCTION, is_incomplete
from sweeps.state.inbox import Inbox, additions

ORIGIN = "added by its user"


def enqueue_additions(study: optuna.Study, inbox: Inbox) -> None:
    """Enqueue each trial that was added and is not known to Optuna yet, and answer those that have begun."""
    there: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if INSTRUCTION in trial.user_attrs and not is_incomplete(trial):
            there[trial.user_attrs[INSTRUCTION]] = trial
    for added in additions(inbox.waiting()):
        known = there.get(added.number)
        if known is None:
            attributes = {"origin": ORIGIN, INSTRUCTION: added.number}
            study.enqueue_trial(added.settings, user_attrs=attributes)
        elif known.state != TrialState.WAITING and known.params:
            inbox.answer(added.number, answer(known.number))


def answer(number: int) -> str:
    """Say which trial an addition became."""
    return f"trials/{number:03d}"


def is_own(trial: FrozenTrial) -> bool:
    """Tell whether a trial is one of the sweep's own, which `trials` counts: no user added it."""
    return INSTRUCTION not in trial.user_attrs

"""The bridge from Ray Tune's scheduler interface to the ledger: every report is remembered and decided in one change.

Ray's own ASHA keeps its rungs in memory and forgets them on restore (https://github.com/ray-project/ray/issues/30838);
here they are a part of the trial records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from segsweep.core.ledger import Ledger, Rule
from segsweep.core.metrics import OBJECTIVE
from segsweep.core.trials import Status, TrialRecord
from segsweep.search.deaths import last_death
from segsweep.search.searcher import ours

# A trial that cannot go on says so in a result of its own instead of raising: training is deterministic, so Ray's
# retry would only fail again. A worker that dies raises in Ray's own way and is retried.
TRIAL_ERROR = "trial_error"
FAILURE = "failure"  # beside it, the kind of reason
# What no trial could survive, a broken bundle or storage that cannot be written, ends the session: a `SegsweepError`.
SWEEP_ERROR = "sweep_error"


class LedgerScheduler(TrialScheduler):  # type: ignore[misc]
    """Lets the ledger decide, and tells Ray.

    Args:
        ledger: All trials.
        rule: Decides in place of the ledger's own rule.
        is_over: Asked at every report; True stops the trial where it is, to go on another day.
        on_failure: Called after a trial has failed; it may raise to end the session.
    """

    # Each report must be decided before the next epoch starts.
    _supports_buffered_results = False

    def __init__(
        self,
        ledger: Ledger,
        rule: Rule | None,
        is_over: Callable[[], bool],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._on_failure = on_failure
        self._ledger = ledger
        self._rule = rule
        self._is_over = is_over

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Nothing: the searcher has put the trial into the ledger."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Take the report into account; STOP for trials that have completed, failed, or are not good enough.

        Raises:
            SegsweepError: The worker met what no trial could survive, trial after trial fails for the same reason, or
                this driver cannot write its records.
        """
        if SWEEP_ERROR in result:
            raise result[SWEEP_ERROR]
        trial_id = ours(trial.config).trial_id
        if TRIAL_ERROR in result:
            self._ledger.set_status(trial_id, Status.FAILED, str(result[TRIAL_ERROR]), str(result.get(FAILURE, "")))
            self._on_failure()
            return str(TrialScheduler.STOP)
        record = self._ledger.report(trial_id, result, self._rule)
        stops = record.status.is_final or self._is_over()
        return str(TrialScheduler.STOP if stops else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """The worker died more often than retries allow; a trial that has ended before stays as it is."""
        if trial.status == trial.ERROR:  # Ray asks here, too, before it tries a trial again
            return
        if not self._ledger[ours(trial.config).trial_id].status.is_final:
            record = ours(trial.config)
            death = last_death(trial.error_file, record.variant)
            self._ledger.set_status(record.trial_id, Status.FAILED, death.error, death.kind)
        self._on_failure()

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Nothing: the last report has said it all."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Nothing: Ray only forgets a trial that it has not started."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The oldest trial that waits."""
        for trial in tune_controller.get_trials():
            if trial.status in (trial.PENDING, trial.PAUSED):
                return trial
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used; the trial records are the memory."""
        return {}

    def debug_string(self) -> str:
        """One line for Ray's own log."""
        return f"{len(self._ledger)} trials in the ledger"


def ray_asha_rule(ledger: Ledger) -> Rule:
    """Ray's ordinary ASHA over all sizes, for `search.policy: plain`.

    Args:
        ledger: Rungs of an earlier session are replayed into Ray's brackets.
    """
    horizon = ledger.horizon
    asha = AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=OBJECTIVE,
        mode="max",
        max_t=horizon.max_epochs,
        grace_period=horizon.grace_epochs,
        reduction_factor=horizon.reduction_factor,
        stop_last_trials=False,
    )
    known: set[str] = set()

    def goes_on(record: TrialRecord) -> bool:
        trial = SimpleNamespace(trial_id=record.trial_id)
        if record.trial_id not in known:
            known.add(record.trial_id)
            asha.on_trial_add(None, trial)
        value = record.rungs.get(record.epoch)
        if value is None:
            return True
        result = {"epoch": record.epoch, OBJECTIVE: 0.0 if math.isnan(value) else value}
        return bool(asha.on_trial_result(None, trial, result) != TrialScheduler.STOP)

    for record in ledger.records:
        trial = SimpleNamespace(trial_id=record.trial_id)
        known.add(record.trial_id)
        asha.on_trial_add(None, trial)
        for milestone, value in sorted(record.rungs.items()):
            asha.on_trial_result(None, trial, {"epoch": milestone, OBJECTIVE: 0.0 if math.isnan(value) else value})
    return goes_on

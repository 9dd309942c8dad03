"""What the driver does about workers that say nothing any more, and about trials whose workers die."""

from __future__ import annotations

import logging
import time
from typing import Any

import ray
from ray import tune

from segsweep.core.failures import HUNG, NODE_LOST
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.search.deaths import last_death
from segsweep.search.searcher import ours

logger = logging.getLogger(__name__)

RETRIES = 2  # of a trial whose worker died, without an epoch in between
_EPOCHS = 10  # of the slowest trial of its size: a machine that is slow for a while does not hang
_STEP_S = 10.0  # of one step at most: a driver that waits for its storage hears nobody, and blames nobody


class Watchdog(tune.Callback):  # type: ignore[misc]
    """Kills workers that have been silent for too long: Ray starts their trials again, from the last checkpoint.

    A trial whose workers die again and again without an epoch in between fails; with one in between it is the machines
    that come and go, and their number means nothing. A trial that hangs twice without an epoch in between fails: each
    time has cost `hang_s` of a GPU.

    Args:
        ledger: All trials.
        hang_s: Seconds of silence at least, staging and imports among them; None for no limit.
    """

    def __init__(self, ledger: Ledger, hang_s: float | None) -> None:
        self._ledger = ledger
        self._hang_s = hang_s
        self._ticked = time.monotonic()
        self._listened = 0.0  # seconds, as long as this driver was able to hear anyone
        self._heard: dict[str, float] = {}  # trial -> when, in those seconds
        self._epochs: dict[str, int] = {}
        self._hung: set[str] = set()  # once, since their last epoch

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The silence begins."""
        self._heard[trial.trial_id] = self._listened

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """It is broken; after an epoch that is new, earlier deaths do not count."""
        self._heard[trial.trial_id] = self._listened
        epoch = self._ledger[ours(trial.config).trial_id].epoch
        if epoch > self._epochs.get(trial.trial_id, 0):
            self._epochs[trial.trial_id] = epoch
            trial.max_failures = trial.num_failures + RETRIES
            self._hung.discard(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker has died, and Ray starts the trial again: where its machine was lost, no failure is counted."""
        record = ours(trial.config)
        death = last_death(trial.error_file, record.variant)
        if death.kind != NODE_LOST or self._ledger[record.trial_id].status.is_final:
            return
        trial.max_failures += 1
        epoch = self._ledger.preempted(record.trial_id).epoch
        logger.warning(
            "trial %s: %s; it waits for another, and goes on from its last checkpoint, epoch %d or a little earlier",
            record.trial_id, death.error, epoch,
        )  # fmt: skip

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Kill who is silent for too long."""
        now = time.monotonic()
        self._listened += min(now - self._ticked, _STEP_S)
        self._ticked = now
        if self._hang_s is None:
            return
        for trial in trials:
            worker = trial.temporary_state.ray_actor
            if trial.status != trial.RUNNING or worker is None or trial.trial_id not in self._heard:
                continue
            silent_s = self._listened - self._heard[trial.trial_id]
            if silent_s > self._patience_s(ours(trial.config).variant):
                self._heard[trial.trial_id] = self._listened
                self._give_up(trial, silent_s)
                ray.kill(worker)

    def _give_up(self, trial: Any, silent_s: float) -> None:
        trial_id = ours(trial.config).trial_id
        said = f"it has said nothing for {silent_s / 60:.1f} minutes"
        if trial.trial_id in self._hung:
            self._ledger.set_status(trial_id, Status.FAILED, f"{said}, for the second time", HUNG)
            trial.max_failures = trial.num_failures  # this death is its last
            return
        self._hung.add(trial.trial_id)
        trial.max_failures += 1  # it counts as hanging, not as dying
        logger.error("trial %s: %s; its worker is given up, and it goes on from its last checkpoint", trial_id, said)

    def _patience_s(self, variant: str) -> float:
        epochs = [one.seconds / one.epoch for one in self._ledger.records if one.variant == variant and one.epoch]
        return max([self._hang_s or 0.0, *(_EPOCHS * seconds for seconds in epochs)])

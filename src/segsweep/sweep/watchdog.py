"""What the driver does about workers that say nothing any more, and about trials whose workers die."""

from __future__ import annotations

import logging
import time
from typing import Any

import ray
from ray import tune

from segsweep.core.ledger import Ledger
from segsweep.search.searcher import ours

logger = logging.getLogger(__name__)

_EPOCHS = 10  # of its size, the longest seen: a machine that is slow for a while does not hang


class Watchdog(tune.Callback):  # type: ignore[misc]
    """Kills workers that have been silent for too long: Ray starts their trials again, from the last checkpoint.

    A trial whose workers die again and again without an epoch in between fails; with one in between it is the machines
    that come and go, and their number means nothing.

    Args:
        ledger: All trials.
        hang_s: Seconds of silence at least; None for no limit.
    """

    def __init__(self, ledger: Ledger, hang_s: float | None) -> None:
        self._ledger = ledger
        self._hang_s = hang_s
        self._heard: dict[str, float] = {}  # trial -> when, by a clock that nobody sets
        self._epochs: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The silence begins."""
        self._heard[trial.trial_id] = time.monotonic()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """It is broken; after an epoch that is new, earlier deaths do not count."""
        self._heard[trial.trial_id] = time.monotonic()
        epoch = self._ledger[ours(trial.config).trial_id].epoch
        if epoch > self._epochs.get(trial.trial_id, 0):
            self._epochs[trial.trial_id] = epoch
            trial.run_metadata.num_failures = 0

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Kill who is silent for too long."""
        if self._hang_s is None:
            return
        for trial in trials:
            worker = trial.temporary_state.ray_actor
            if trial.status != trial.RUNNING or worker is None or trial.trial_id not in self._heard:
                continue
            silent_s = time.monotonic() - self._heard[trial.trial_id]
            record = ours(trial.config)
            if silent_s > self._patience_s(record.variant):
                self._heard[trial.trial_id] = time.monotonic()
                logger.error(
                    "trial %s has said nothing for %.0f minutes: its worker is given up, and the trial goes on from "
                    "its last checkpoint",
                    record.trial_id, silent_s / 60,
                )  # fmt: skip
                ray.kill(worker)

    def _patience_s(self, variant: str) -> float:
        epochs = [one.seconds / one.epoch for one in self._ledger.records if one.variant == variant and one.epoch]
        return max([self._hang_s or 0.0, *(_EPOCHS * seconds for seconds in epochs)])

"""How much of what a session may use its trials hold, and how much lies idle while trials wait."""

from __future__ import annotations

import time
from typing import Any

from ray import tune

from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger

_STEP_S = 10.0  # of one step at most: a driver that waits for its storage sees nothing


class Occupancy(tune.Callback):  # type: ignore[misc]
    """Counts places, of which a session has as many as trials may run at once, by the second.

    A place is held from when a trial's worker is there, so that what workers take to start counts as idle. At the end,
    when fewer trials are left than places, nobody waits and nothing is counted as idle.

    Args:
        ledger: All trials.
        allowance: Whether there are more to come.
        places: How many trials may run at once.

    Attributes:
        held_s: Seconds that places were held, added up.
        idle_s: Seconds that places were not, while a trial waited.
    """

    def __init__(self, ledger: Ledger, allowance: Allowance, places: int) -> None:
        self._ledger = ledger
        self._allowance = allowance
        self._places = places
        self._seen = time.monotonic()
        self.held_s = 0.0
        self.idle_s = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count what has passed since the step before."""
        now = time.monotonic()
        passed = min(now - self._seen, _STEP_S)
        self._seen = now
        running = sum(trial.status == trial.RUNNING for trial in trials)
        waiting = sum(trial.status in (trial.PENDING, trial.PAUSED) for trial in trials)
        if not self._allowance.is_spent(self._ledger):
            waiting = self._places  # more than one may be proposed, one after another
        self.held_s += running * passed
        self.idle_s += max(0, min(self._places - running, waiting)) * passed

    @property
    def idle_share(self) -> float:
        """Of the time of all places, held or waited for."""
        return self.idle_s / (self.held_s + self.idle_s) if self.held_s + self.idle_s else 0.0

    def to_json(self) -> dict[str, float]:
        """For the session's record."""
        return {
            "places": self._places,
            "held_s": round(self.held_s, 1),
            "idle_s": round(self.idle_s, 1),
            "idle_share": round(self.idle_share, 4),
        }

"""What a sweep shows at Ray's Prometheus endpoint, beside what Ray itself shows of machines and GPUs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ray import tune
from ray.util.metrics import Gauge

from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.sweep.occupancy import Occupancy
from segsweep.sweep.status import best_by_variant

_RUN = ("run",)


class Gauges(tune.Callback):  # type: ignore[misc]
    """Sets the gauges after every event; Ray adds `ray_` to their names. `docs/grafana.json` draws them.

    Args:
        run: The run's name, on every gauge.
        ledger: All trials.
        occupancy: How much lies idle.
    """

    def __init__(self, run: str, ledger: Ledger, occupancy: Occupancy) -> None:
        self._run = run
        self._ledger = ledger
        self._occupancy = occupancy
        self._trials = Gauge("segsweep_trials", "Trials by status", (*_RUN, "status"))
        self._epochs = Gauge("segsweep_epochs", "Epochs trained by all trials", _RUN)
        self._gpu_hours = Gauge("segsweep_gpu_hours", "GPU-hours spent by all trials", _RUN)
        self._preemptions = Gauge("segsweep_preemptions", "Machines lost while a trial ran on them", _RUN)
        self._idle = Gauge("segsweep_idle_share", "Share of places idle while trials waited, this session", _RUN)
        self._best = Gauge("segsweep_best_mask_map50_95", "Best validation value of a size", (*_RUN, "variant"))
        self._value = Gauge("segsweep_trial_mask_map50_95", "Best so far of a trial", (*_RUN, "variant", "trial"))

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """One more runs."""
        self.show()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """One more epoch."""
        self.show()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """One more lost its worker."""
        self.show()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """One more failed."""
        self.show()

    def show(self) -> None:
        """Set all of them."""
        run = {"run": self._run}
        records = self._ledger.records
        by_status = Counter(record.status for record in records)
        for status in Status:
            self._trials.set(by_status[status], {**run, "status": status.value})
        self._epochs.set(sum(record.epoch for record in records), run)
        self._gpu_hours.set(self._ledger.gpu_seconds / 3600, run)
        self._preemptions.set(sum(record.preemptions for record in records), run)
        self._idle.set(self._occupancy.idle_share, run)
        for variant, record in best_by_variant(records).items():
            self._best.set(record.mask_map50_95 or 0.0, {**run, "variant": variant})
        for record in records:
            if record.mask_map50_95 is not None:
                self._value.set(record.mask_map50_95, {**run, "variant": record.variant, "trial": record.trial_id})

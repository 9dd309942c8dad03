"""What a person sees while a sweep runs: facts first, then a live table or plain lines."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status, TrialRecord
from segsweep.sweep.status import best_by_variant

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How far a sweep is.

    Attributes:
        running: Trials that hold resources now.
        ended: Trials that are COMPLETED, STOPPED or FAILED.
        trials: Trials in the budget.
        best: Size -> its best trial so far.
        gpu_hours: Spent by all sessions.
        gpu_hours_budget: None for no limit.
        eta_s: Seconds until the last trial ends, at this session's pace; None before the first has ended.
    """

    running: tuple[TrialRecord, ...]
    ended: int
    trials: int
    best: dict[str, TrialRecord]
    gpu_hours: float
    gpu_hours_budget: float | None
    eta_s: float | None

    def summary(self) -> str:
        """One line: best so far per size, budget left, ETA."""
        best = "  ".join(f"{v} {r.mask_map50_95:.3f} ({r.trial_id})" for v, r in self.best.items()) or "none yet"
        budget = f"{self.ended}/{self.trials} trials"
        if self.gpu_hours_budget is not None:
            budget += f", {self.gpu_hours:.2f}/{self.gpu_hours_budget:g} GPU-hours"
        return f"best {best} | {budget} | {eta_text(self.eta_s)}"


def eta_text(seconds: float | None) -> str:
    """`about 5 min left`, in the unit that suits."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 90:
        return f"about {math.ceil(seconds)} s left"
    return f"about {math.ceil(seconds / 60)} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"


class Progress:
    """Shows a sweep's standing after every change.

    Args:
        ledger: All trials.
        allowance: The budget.
        console: A terminal gets one live line a trial; anything else gets a line an event.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, ledger: Ledger, allowance: Allowance, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._allowance = allowance
        self._clock = clock
        self._started = clock()
        self._epochs_before = sum(record.epoch for record in ledger.records)
        self._shown = {record.trial_id: record for record in ledger.records}
        self._live = Live(console=console, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    def changed(self, record: TrialRecord) -> None:
        """Show a trial's record; epochs that a resumed trial reports again are old news."""
        if self._shown.get(record.trial_id) == record:
            return
        self._shown[record.trial_id] = record
        standing = self.standing()
        if self._live is not None:
            self._live.update(self._drawn(standing))
        elif record.epoch or record.status.is_final:
            horizon = self._ledger.horizon.max_epochs
            value = "-" if record.mask_map50_95 is None else f"{record.mask_map50_95:.3f}"
            logger.info(
                "%s %s %s epoch %d/%d best mAP50-95 %s | %s",
                record.trial_id, record.variant, record.status.value, record.epoch, horizon, value, standing.summary(),
            )  # fmt: skip

    def standing(self) -> Standing:
        """The facts."""
        records = self._ledger.records
        ended = [record for record in records if record.status.is_final]
        return Standing(
            running=tuple(record for record in records if record.status is Status.RUNNING),
            ended=len(ended),
            trials=self._allowance.trials,
            best=best_by_variant(records),
            gpu_hours=self._ledger.gpu_seconds / 3600,
            gpu_hours_budget=None if self._allowance.gpu_seconds is None else self._allowance.gpu_seconds / 3600,
            eta_s=self._eta(records, ended),
        )

    def _eta(self, records: tuple[TrialRecord, ...], ended: list[TrialRecord]) -> float | None:
        """Epochs left at this session's pace; a trial that has not ended is expected to train as long as the mean."""
        done = sum(record.epoch for record in records) - self._epochs_before
        if not ended or done <= 0:
            return None
        mean = sum(record.epoch for record in ended) / len(ended)
        left = max(0, self._allowance.trials - len(records)) * mean
        left += sum(max(0.0, mean - record.epoch) for record in records if not record.status.is_final)
        return left * (self._clock() - self._started) / done

    def _drawn(self, standing: Standing) -> Group:
        table = Table("trial", "size", "epoch", "best mAP50-95", "hyperparameters", box=None, padding=(0, 2, 0, 0))
        for record in standing.running:
            value = "-" if record.mask_map50_95 is None else f"{record.mask_map50_95:.3f}"
            epoch = f"{record.epoch}/{self._ledger.horizon.max_epochs}"
            params = "default" if record.is_default else _params_text(record)
            table.add_row(record.trial_id, record.variant, epoch, value, params)
        return Group(table, Text(standing.summary()))


def _params_text(record: TrialRecord) -> str:
    return " ".join(f"{n}={v:.3g}" if isinstance(v, float) else f"{n}={v}" for n, v in record.params.items())

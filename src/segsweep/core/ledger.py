"""The sweep's memory: every trial's record, and what each report does to it.

Rungs, losses, allotment and budget are all functions of these records. Nothing else is remembered, so a sweep that is
rebuilt from its trial records decides as if it had never been away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from segsweep.core.metrics import OBJECTIVE
from segsweep.core.rungs import goes_on, milestones
from segsweep.core.trials import Status, TrialRecord

Rule = Callable[[TrialRecord], bool]


@dataclass(frozen=True)
class Horizon:
    """How long trials train and where they may be stopped.

    Attributes:
        max_epochs: A trial that reaches it is COMPLETED.
        grace_epochs: First milestone.
        reduction_factor: One in so many goes on.
    """

    max_epochs: int
    grace_epochs: int
    reduction_factor: int

    @property
    def milestones(self) -> tuple[int, ...]:
        """Epochs at which a trial may be stopped."""
        return milestones(self.grace_epochs, self.reduction_factor, self.max_epochs)

    @property
    def levels(self) -> tuple[int, ...]:
        """Milestones, then the horizon: the epochs at which trials are compared."""
        return (*self.milestones, self.max_epochs)


class Ledger:
    """Trial records by id, in order of proposal.

    Args:
        horizon: The job's horizon.
        records: Records of an earlier session.
        on_change: Called with every new state of a record, before anyone acts on it: the place to persist it.
    """

    def __init__(
        self,
        horizon: Horizon,
        records: Iterable[TrialRecord] = (),
        on_change: Callable[[TrialRecord], None] | None = None,
    ) -> None:
        self.horizon = horizon
        self._records = {record.trial_id: record for record in sorted(records, key=lambda record: record.number)}
        self._on_change = on_change

    def __getitem__(self, trial_id: str) -> TrialRecord:
        return self._records[trial_id]

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All records, in order of proposal."""
        return tuple(self._records.values())

    @property
    def gpu_seconds(self) -> float:
        """GPU time spent by all trials."""
        return sum(record.gpu_seconds for record in self._records.values())

    def put(self, record: TrialRecord) -> None:
        """Remember a record and tell `on_change`."""
        if self._on_change is not None:
            self._on_change(record)
        self._records[record.trial_id] = record

    def report(self, trial_id: str, row: Mapping[str, float], rule: Rule | None = None) -> TrialRecord:
        """Take one epoch of a trial into account and decide, in one change; known epochs change nothing.

        Report and decision are one change on purpose: a driver killed between the two would forget to decide.

        Args:
            trial_id: The trial.
            row: At least `epoch`, `seconds` and the objective.
            rule: Decides in place of `passes`; it gets the record with this epoch in its rungs.

        Returns:
            The new record: COMPLETED at the horizon, STOPPED where the rule says so, else RUNNING.

        Raises:
            KeyError: The row lacks a name the decision needs: a missing metric must not decide silently.
        """
        record = self._records[trial_id]
        epoch, value, seconds = int(row["epoch"]), float(row[OBJECTIVE]), float(row["seconds"])
        if epoch <= record.epoch:
            return record
        rungs = {**record.rungs, epoch: value} if epoch in self.horizon.levels else record.rungs
        if not math.isnan(value) and (record.mask_map50_95 is None or value > record.mask_map50_95):
            record = replace(record, mask_map50_95=value, best_epoch=epoch)
        gpu_seconds = record.gpu_seconds + seconds * record.gpus
        record = replace(record, epoch=epoch, rungs=rungs, seconds=record.seconds + seconds, gpu_seconds=gpu_seconds)
        if epoch >= self.horizon.max_epochs:
            status = Status.COMPLETED
        else:
            status = Status.RUNNING if (rule or self.passes)(record) else Status.STOPPED
        record = self._moved(record, status)
        self.put(record)
        return record

    def passes(self, record: TrialRecord) -> bool:
        """Whether a trial goes on after the epoch it has just reported, compared within its own size.

        A size's default trial always goes on: it is the yardstick that the report measures the search against, and it
        guarantees that every size is fully trained at least once.
        """
        if record.is_default or record.epoch not in self.horizon.milestones:
            return True
        others = {
            other.trial_id: other.rungs[record.epoch]
            for other in self._records.values()
            if other.variant == record.variant and other.trial_id != record.trial_id and record.epoch in other.rungs
        }
        return goes_on(record.rungs[record.epoch], others, self.horizon.reduction_factor)

    def set_status(self, trial_id: str, status: Status, error: str = "", failure: str = "") -> TrialRecord:
        """Move a trial to a status; `error` and `failure` say why it failed."""
        record = self._moved(self._records[trial_id], status, error, failure)
        self.put(record)
        return record

    def preempted(self, trial_id: str) -> TrialRecord:
        """Count that the trial's machine was lost; it waits for another."""
        record = self._records[trial_id]
        record = replace(record, status=Status.PENDING, preemptions=record.preemptions + 1)
        self.put(record)
        return record

    def _moved(self, record: TrialRecord, status: Status, error: str = "", failure: str = "") -> TrialRecord:
        ended = 1 + max((other.ended for other in self._records.values()), default=0) if status.is_final else 0
        return replace(record, status=status, error=error, failure=failure, ended=ended)

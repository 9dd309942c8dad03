"""Which failures mean that something other than the trials is wrong."""

from __future__ import annotations

from collections.abc import Iterable

from segsweep.core.trials import Status, TrialRecord

# A loss that became NaN is what a bad point of the space may do; it says nothing about the next trial.
DIVERGED = "diverged"
WORKER_DIED = "worker died"
NODE_LOST = "node lost"  # preempted, shut down, or out of reach: it says nothing about the trial
OUT_OF_MEMORY = "out of memory"  # of the machine; a GPU's is tried again with half the batch
HUNG = "hung"


def failed_alike(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that ended last as long as they failed for the same kind of reason, the last first.

    Trials that diverged neither end the row nor count: their hyperparameters explain them. Hyperparameters rarely
    explain the same exception in trial after trial; a mistake in the job, the dataset or the code does.

    Args:
        records: In any order; that in which they ended is their `ended`.
    """
    ended = [record for record in records if record.status.is_final and record.failure != DIVERGED]
    row: list[TrialRecord] = []
    for record in sorted(ended, key=lambda record: (record.ended, record.number), reverse=True):
        alike = record.status is Status.FAILED and record.failure
        if not alike or (row and record.failure != row[0].failure):
            break
        row.append(record)
    return row

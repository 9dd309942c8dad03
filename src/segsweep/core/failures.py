"""Which failures mean that something other than the trials is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from segsweep.core.trials import Status, TrialRecord

# A loss that became NaN is what a bad point of the space may do; it says nothing about the next trial.
DIVERGED = "diverged"
WORKER_DIED = "worker died"


def failed_alike(records: Iterable[TrialRecord], besides: Collection[str] = ()) -> list[TrialRecord]:
    """The newest ended trials as long as they failed for the same kind of reason, newest first.

    Trials that diverged end the row and are no part of one: their hyperparameters explain them. Hyperparameters rarely
    explain the same exception in trial after trial; a mistake in the job, the dataset or the code does.

    Args:
        records: In order of proposal.
        besides: Ids of trials that are left out, those that had failed before this session: whoever starts it anew has
            seen them.
    """
    ended = [record for record in records if record.status.is_final and record.trial_id not in besides]
    row: list[TrialRecord] = []
    for record in reversed(ended):
        alike = record.status is Status.FAILED and record.failure not in ("", DIVERGED)
        if not alike or (row and record.failure != row[0].failure):
            break
        row.append(record)
    return row

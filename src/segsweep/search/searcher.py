"""The bridge from Ray Tune's searcher interface to the ledger: every trial that Ray asks for becomes a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher

from segsweep.config.job import JobFile
from segsweep.core.allowance import Allowance
from segsweep.core.ledger import Ledger
from segsweep.core.metrics import OBJECTIVE
from segsweep.core.trials import Status, TrialRecord
from segsweep.storage.layout import trial_name

if TYPE_CHECKING:
    # Workers import this module for `ours`: they shall not spend seconds on HyperOpt, which only the driver needs.
    from segsweep.search.proposer import Proposer

_RECORD = "record"


def ours(config: Mapping[str, Any]) -> TrialRecord:
    """The trial's record at the time it was handed to Ray, from the configuration that Ray carries to the worker."""
    return TrialRecord.from_json(config[_RECORD])


class LedgerSearcher(Searcher):  # type: ignore[misc]
    """Hands Ray the unfinished trials of an earlier session first, then new proposals.

    Args:
        job: The job.
        ledger: All trials; new ones are put there before Ray sees them.
        proposer: Decides new points.
        allowance: When to stop proposing.
    """

    def __init__(self, job: JobFile, ledger: Ledger, proposer: Proposer, allowance: Allowance) -> None:
        super().__init__(metric=OBJECTIVE, mode="max")
        self._job = job
        self._ledger = ledger
        self._proposer = proposer
        self._allowance = allowance
        self._unfinished = [record.trial_id for record in ledger.records if not record.status.is_final]

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """A configuration for Ray's trial, or FINISHED."""
        if self._allowance.gpu_time_is_spent(self._ledger):
            return str(Searcher.FINISHED)
        if self._unfinished:
            record = self._ledger[self._unfinished.pop(0)]
            gpus = self._job.job.resources_of(record.variant).gpus
            if gpus != record.gpus:  # epochs from now on cost what is held now
                record = replace(record, gpus=gpus)
                self._ledger.put(record)
        elif self._allowance.is_spent(self._ledger):
            return str(Searcher.FINISHED)
        else:
            record = self._new_record()
            self._ledger.put(record)
        return {_RECORD: record.to_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: what a trial taught stands in the ledger since its last report."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles this for `Tuner.restore`, which is never used; the trial records are the memory."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, as above."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as above."""

    def _new_record(self) -> TrialRecord:
        # Not the count: a trial's directory may have been removed by hand, and no id is given twice.
        number = max((record.number for record in self._ledger.records), default=0) + 1
        proposal = self._proposer.propose(self._ledger.records, number)
        trial_id = f"t{number:04d}"
        return TrialRecord(
            trial_id=trial_id,
            number=number,
            variant=proposal.variant,
            params=proposal.params,
            unit=proposal.unit,
            is_default=proposal.is_default,
            directory=trial_name(proposal.variant, proposal.params, trial_id),
            status=Status.PENDING,
            gpus=self._job.job.resources_of(proposal.variant).gpus,
        )

"""What to try next, decided from the trial records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from segsweep.config.job import JobFile
from segsweep.config.search_space import Distribution
from segsweep.core.allotment import next_variant
from segsweep.core.losses import pooled_losses
from segsweep.core.trials import ParamValue, Status, TrialRecord
from segsweep.core.variants import Variant
from segsweep.search.tpe import TPE, Observation

_VARIANT = "variant"


@dataclass(frozen=True)
class Proposal:
    """A point to train.

    Attributes:
        variant: The size.
        params: Hyperparameters in the size's own units.
        unit: The same point in unit coordinates; None for a default outside the space.
        is_default: Whether this is what a user gets without a search.
    """

    variant: Variant
    params: Mapping[str, ParamValue]
    unit: Mapping[str, float] | None
    is_default: bool


class Proposer(Protocol):
    """Proposes trials; the records are its only memory."""

    def propose(self, records: Sequence[TrialRecord], number: int) -> Proposal:
        """The next trial, given all earlier ones.

        Args:
            records: All trials so far, in order of proposal.
            number: The new trial's number.
        """
        ...


def make_proposer(job: JobFile) -> Proposer:
    """The proposer that the job's `search.policy` names."""
    return PooledProposer(job) if job.job.search.policy == "pooled" else PlainProposer(job)


def _default(job: JobFile, variant: Variant) -> Proposal:
    return Proposal(variant, job.default_params(), job.default_of(variant), is_default=True)


def _startup_trials(job: JobFile) -> int:
    """Observations before TPE proposes: the job's random trials, beside the defaults that TPE sees too."""
    inside = sum(job.default_of(variant) is not None for variant in job.job.variants)
    return job.job.search.startup_trials + inside


class PooledProposer:
    """One searcher for all sizes, in unit coordinates, on losses ranked within the size at equal budget."""

    def __init__(self, job: JobFile) -> None:
        self._job = job
        self._tpe = TPE(job.space.distributions, job.job.seed, _startup_trials(job))

    def propose(self, records: Sequence[TrialRecord], number: int) -> Proposal:
        """See `Proposer`."""
        variant = next_variant(records, self._job.job.variants)
        if not any(record.variant == variant for record in records):
            return _default(self._job, variant)
        losses = pooled_losses(records, self._job.job.horizon.levels)
        seen = [Observation(r.unit, losses.get(r.trial_id)) for r in records if r.unit is not None]
        unit = self._tpe.suggest(seen, number)
        return Proposal(variant, self._job.space.params(unit, variant), unit, is_default=False)


class PlainProposer:
    """Ray's ordinary HyperOptSearch: the size is one more choice, the loss is the last value of finished trials."""

    def __init__(self, job: JobFile) -> None:
        self._job = job
        sizes = Distribution(choice=job.job.variants)
        self._space = {_VARIANT: sizes, **job.space.distributions}
        self._tpe = TPE(self._space, job.job.seed, _startup_trials(job))

    def propose(self, records: Sequence[TrialRecord], number: int) -> Proposal:
        """See `Proposer`."""
        untried = [v for v in self._job.job.variants if not any(record.variant == v for record in records)]
        if untried:
            return _default(self._job, untried[0])
        seen = [
            Observation({_VARIANT: self._size_unit(record.variant), **record.unit}, _last_value_loss(record))
            for record in records
            if record.unit is not None
        ]
        unit = self._tpe.suggest(seen, number)
        size = unit.pop(_VARIANT)
        variant = self._job.job.variants[int(size * len(self._job.job.variants))]
        return Proposal(variant, self._job.space.params(unit, variant), unit, is_default=False)

    def _size_unit(self, variant: Variant) -> float:
        return (self._job.job.variants.index(variant) + 0.5) / len(self._job.job.variants)


def _last_value_loss(record: TrialRecord) -> float | None:
    """What HyperOptSearch learns: a finished trial's last comparable value, whatever its budget."""
    if record.status is Status.FAILED:
        return 0.0
    if not record.status.is_final or not record.rungs:
        return None
    return -record.rungs[max(record.rungs)]

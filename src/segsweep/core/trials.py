"""What a trial is and what became of it: the record that both wings meet in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from segsweep.core.variants import VARIANTS, Variant

ParamValue = float | int | str | bool


class Status(StrEnum):
    """Life of a trial. Ray calls COMPLETED and STOPPED both TERMINATED."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"  # trained to the horizon
    STOPPED = "STOPPED"  # the scheduler decided that it does not go on
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether no resume starts this trial again."""
        return self in (Status.COMPLETED, Status.STOPPED, Status.FAILED)


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as `trial.json` holds it. Written by the driver only, whole, at every report.

    Attributes:
        trial_id: `t0001`, in order of proposal.
        number: 1-based order of proposal.
        variant: The size.
        params: The searched hyperparameters, in the units training takes.
        unit: The same point in the searcher's unit coordinates; None for a point outside the space.
        is_default: Whether these are the hyperparameters a user gets without a search.
        directory: Name of the trial's directory under `trials/`.
        status: See `Status`.
        epoch: Epochs the driver has taken into account, 0 before the first.
        rungs: Milestone epoch -> mask_map50_95 reported at that epoch.
        mask_map50_95: Best validation value so far, None before the first epoch.
        best_epoch: Epoch of that value.
        seconds: Training wall time over all epochs taken into account.
        gpus: GPUs the trial holds while it runs; a resumed sweep may give it others.
        gpu_seconds: GPU-seconds over all epochs taken into account, each with the GPUs that were held then.
        error: Why it failed, empty otherwise.
        failure: The kind of reason, for comparison with other trials: an exception's name, `diverged`, `worker died`,
            `hung`; empty otherwise.
        ended: 1-based order of ending; 0 for a trial that has not ended, or that an earlier version has recorded.
        preemptions: Machines that were lost while the trial ran on them; no failures.
    """

    trial_id: str
    number: int
    variant: Variant
    params: Mapping[str, ParamValue]
    unit: Mapping[str, float] | None
    is_default: bool
    directory: str
    status: Status = Status.PENDING
    epoch: int = 0
    rungs: Mapping[int, float] = field(default_factory=dict)
    mask_map50_95: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    gpus: float = 0.0
    gpu_seconds: float = 0.0
    error: str = ""
    failure: str = ""
    ended: int = 0
    preemptions: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping; JSON has no integer keys, so milestones become text."""
        data = asdict(self)
        data["rungs"] = {str(milestone): value for milestone, value in self.rungs.items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRecord:
        """Inverse of `to_json`; unknown keys of a newer schema are ignored.

        Raises:
            KeyError, TypeError, ValueError: the mapping is not a trial record.
        """
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        if "gpu_seconds" not in known:  # an earlier version's, whose GPUs never changed
            known["gpu_seconds"] = known.get("seconds", 0.0) * known.get("gpus", 0.0)
        known["status"] = Status(known["status"])
        known["rungs"] = {int(milestone): float(value) for milestone, value in dict(known["rungs"]).items()}
        record = cls(**known)
        if record.variant not in VARIANTS:
            raise ValueError(f"variant is {record.variant!r}, not one of {', '.join(VARIANTS)}")
        if not isinstance(record.number, int) or not isinstance(record.epoch, int):
            raise TypeError(f"number {record.number!r} and epoch {record.epoch!r} must be integers")
        return record

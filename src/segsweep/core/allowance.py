"""What a sweep may still spend, counted over all its sessions."""

from __future__ import annotations

from dataclasses import dataclass

from segsweep.core.ledger import Ledger


@dataclass(frozen=True)
class Allowance:
    """How much may still be started.

    Attributes:
        trials: Trials in all.
        gpu_seconds: GPU-seconds in all, None for no limit.
    """

    trials: int
    gpu_seconds: float | None

    def is_spent(self, ledger: Ledger) -> bool:
        """Whether no new trial may start."""
        return len(ledger) >= self.trials or self.gpu_time_is_spent(ledger)

    def gpu_time_is_spent(self, ledger: Ledger) -> bool:
        """Whether running trials must stop too."""
        return self.gpu_seconds is not None and ledger.gpu_seconds >= self.gpu_seconds

"""How many trials fit on one machine at once, counted as Ray counts."""

from __future__ import annotations

from dataclasses import dataclass

_UNIT = 10_000  # Ray keeps resources as multiples of 1/10000 (ray/src/ray/common/scheduling/fixed_point.h)


@dataclass(frozen=True)
class Packing:
    """What one machine holds of one kind of trial.

    Attributes:
        trials: At once.
        idle_gpus: GPUs, in whole and in parts, that no trial holds when the machine is full.
        is_bound_by_cpus: Whether with more CPUs there would be more trials.
    """

    trials: int
    idle_gpus: float
    is_bound_by_cpus: bool


def pack(machine_gpus: int, machine_cpus: int, trial_gpus: float, trial_cpus: int) -> Packing:
    """Fill an empty machine with trials of one kind.

    A part of a GPU is always of one GPU: three trials of 0.4 take two GPUs, and a fifth of the first lies idle. Several
    GPUs are always of one machine.

    Args:
        machine_gpus: GPUs of the machine.
        machine_cpus: CPUs of the machine.
        trial_gpus: What a trial holds: from 0 to 1, or a whole number.
        trial_cpus: As `trial_gpus`, at least 1.
    """
    by_cpus = machine_cpus // trial_cpus
    part = int(trial_gpus * _UNIT)  # cut as Ray cuts it: six trials of 0.1667 fit on a GPU
    if part == 0:
        by_gpus = by_cpus
    else:
        by_gpus = machine_gpus * (_UNIT // part) if trial_gpus <= 1 else machine_gpus // int(trial_gpus)
    trials = min(by_cpus, by_gpus)
    return Packing(trials, max(0.0, machine_gpus - trials * trial_gpus), by_cpus < by_gpus)

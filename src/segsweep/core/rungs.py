"""Asynchronous successive halving for one group of trials: who goes on after a milestone.

The rule is ASHA's (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning",
https://arxiv.org/abs/1810.05934) with Ray's cutoff: at a milestone a trial goes on if its value reaches the
(1 - 1/reduction_factor) quantile of the values that others have recorded there. Ties go on. Three of Ray's faults are
not repeated: NaN never goes on, the milestones are computed in integers, and so is the quantile's place (a float one
lies above the value it should hit for 16 trials and factor 3, and stops a trial that ties with it).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence


def milestones(grace_epochs: int, reduction_factor: int, max_epochs: int) -> tuple[int, ...]:
    """Epochs at which a trial may be stopped: grace, grace x factor, ... below the horizon.

    Integer arithmetic: Ray takes a floor of a float logarithm, keeps the horizon 81 of (3, 81, 3) as a milestone and
    loses the horizon 243 of (1, 243, 3).

    Args:
        grace_epochs: First milestone, at least 1.
        reduction_factor: Ratio of successive milestones, at least 2.
        max_epochs: The horizon; finishing it is not a milestone.

    Raises:
        ValueError: An argument is out of range.
    """
    if grace_epochs < 1 or reduction_factor < 2 or max_epochs < grace_epochs:
        raise ValueError(f"{grace_epochs=} >= 1, {reduction_factor=} >= 2, {max_epochs=} >= grace_epochs must hold")
    found: list[int] = []
    epoch = grace_epochs
    while epoch < max_epochs:
        found.append(epoch)
        epoch *= reduction_factor
    return tuple(found)


def goes_on(value: float, recorded: Mapping[str, float], reduction_factor: int) -> bool:
    """Whether a value at a milestone reaches the cutoff of what others recorded there.

    Args:
        value: The trial's own value; larger is better. NaN never goes on.
        recorded: Values of the other trials at this milestone, by trial id. NaN counts as 0, the worst mAP.
        reduction_factor: As in `milestones`.

    Returns:
        True as long as nothing was recorded before: the first trial of a group goes on.
    """
    if math.isnan(value):
        return False
    if not recorded:
        return True
    return value >= _cutoff([0.0 if math.isnan(other) else other for other in recorded.values()], reduction_factor)


class Ranking:
    """Places within one group of trials at one milestone.

    Args:
        values: All values of the group; larger is better, NaN is worst.
    """

    def __init__(self, values: Iterable[float]) -> None:
        self._ascending = sorted(_worst_if_nan(value) for value in values)

    def rank(self, value: float) -> float:
        """Mid-rank of one of the values, in (0, 1]; 1 is best, ties share the mean of their places."""
        own = _worst_if_nan(value)
        below = bisect_left(self._ascending, own)
        equal = bisect_right(self._ascending, own) - below
        return (below + (equal + 1) / 2) / len(self._ascending)


def _worst_if_nan(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _cutoff(values: Sequence[float], reduction_factor: int) -> float:
    """The (1 - 1/reduction_factor) quantile with linear interpolation (R-7, NumPy's default), its place exact."""
    ascending = sorted(values)
    below, rest = divmod((reduction_factor - 1) * (len(ascending) - 1), reduction_factor)
    if rest == 0:
        return ascending[below]
    return ascending[below] + (ascending[below + 1] - ascending[below]) * (rest / reduction_factor)

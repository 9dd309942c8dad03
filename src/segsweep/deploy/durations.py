"""Percentiles of durations in memory that does not grow, however many there are."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SHORTEST_S = 1e-6
_GROWTH = 1.01  # from one bucket to the next: what is told is within half of that of the truth


@dataclass(frozen=True)
class Spread:
    """What most durations are like, in ms."""

    p50: float
    p95: float


class Durations:
    """A histogram whose buckets grow by a hundredth, from a microsecond on; shorter ones count as that.

    Attributes:
        count: Durations added.
        total_s: Their sum in seconds, exact.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one duration."""
        bucket = round(math.log(max(seconds, _SHORTEST_S) / _SHORTEST_S) / math.log(_GROWTH))
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.total_s += seconds

    def percentile_ms(self, percent: float) -> float:
        """The smallest duration in ms that so many per cent do not exceed, to half a per cent; 0.0 of none."""
        rank = math.ceil(self.count * percent / 100)
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return 1e3 * _SHORTEST_S * _GROWTH**bucket
        return 0.0

    @property
    def spread(self) -> Spread:
        """p50 and p95, to a hundredth of a ms."""
        return Spread(round(self.percentile_ms(50), 2), round(self.percentile_ms(95), 2))

from __future__ import annotations

import numpy as np
import pytest

from segsweep.deploy.durations import Durations, Spread


def test_percentiles_are_those_of_a_second_implementation_to_half_a_per_cent():
    seconds = np.random.default_rng(0).lognormal(-5, 1, 5000)
    durations = Durations()
    for one in seconds:
        durations.add(float(one))
    for percent in (1, 50, 95, 99, 100):
        exact = 1e3 * np.percentile(seconds, percent, method="inverted_cdf")
        assert durations.percentile_ms(percent) == pytest.approx(exact, rel=0.0051)
    assert durations.total_s == pytest.approx(seconds.sum())
    assert durations.count == 5000


def test_memory_is_that_of_the_buckets_however_many_durations_there_are():
    durations = Durations()
    for number in range(20_000):
        durations.add(0.001 + 1e-6 * (number % 1000))
    assert len(durations._buckets) <= 72  # ln(2) / ln(1.01), and both ends


@pytest.mark.parametrize(
    ("seconds", "spread"),
    [((), Spread(0.0, 0.0)), ((0.0,), Spread(0.0, 0.0)), ((-1.0,), Spread(0.0, 0.0))],
)
def test_none_and_nothing_are_zero(seconds, spread):
    durations = Durations()
    for one in seconds:
        durations.add(one)
    assert durations.spread == spread

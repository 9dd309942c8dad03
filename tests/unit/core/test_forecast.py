"""How many trials and epochs a sweep comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsweep.core.forecast import epochs_by_variant, mean_epochs, trials_by_variant
from segsweep.core.ledger import Horizon
from segsweep.core.variants import VARIANTS

HORIZON = Horizon(max_epochs=18, grace_epochs=1, reduction_factor=3)


def test_at_every_milestone_one_in_reduction_factor_goes_on():
    assert mean_epochs(HORIZON) == pytest.approx(1 + 2 / 3 + 6 / 9 + 9 / 27)


def test_the_rest_is_shared_by_one_over_the_root_of_the_cost():
    counts = trials_by_variant(30, ("n", "x"))
    assert (counts["n"] - 1) / (counts["x"] - 1) == pytest.approx((344.1 / 12.6) ** 0.5)


@given(st.integers(5, 500))
def test_no_trial_is_lost_and_every_size_has_its_default(trials):
    counts = trials_by_variant(trials, VARIANTS)
    assert sum(counts.values()) == pytest.approx(trials)
    assert min(counts.values()) >= 1


def test_the_worst_case_stops_nobody_and_defaults_are_never_stopped():
    worst = epochs_by_variant(HORIZON, 20, ("n", "s"), is_worst=True)
    assert sum(worst.values()) == pytest.approx(20 * 18)
    expected = epochs_by_variant(HORIZON, 20, ("n", "s"), is_worst=False)
    assert sum(expected.values()) == pytest.approx(2 * 18 + 18 * mean_epochs(HORIZON))

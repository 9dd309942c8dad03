"""The table of machines, and what is guessed from it."""

import pytest

from segsweep.cluster.machines import MACHINES, image_seconds, trial_gib
from segsweep.core.variants import VARIANTS


def test_memory_is_what_was_measured_and_grows_with_pixels():
    for variant, measured in {"n": 3.8, "s": 6.3, "m": 10.0, "l": 14.8, "x": 18.5}.items():  # docs/gpu.md
        assert trial_gib(variant, 1024, 8) == pytest.approx(measured + 0.5)
        assert trial_gib(variant, 1024, 16) > trial_gib(variant, 1024, 8) > trial_gib(variant, 640, 8)


def test_it_does_not_fall_short_of_what_n_held_at_640():
    assert trial_gib("n", 640, 24) > 3.3
    assert trial_gib("n", 640, 48) > 6.2


def test_every_gpu_of_the_table_has_a_speed_and_larger_sizes_take_longer():
    for machine in MACHINES.values():
        seconds = [image_seconds(variant, 640, machine.gpu) for variant in VARIANTS]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0


def test_larger_machines_of_a_kind_cost_more():
    for kind in ("g4dn", "g5", "g6"):
        prices = [one.usd_per_hour for name, one in MACHINES.items() if name.startswith(f"{kind}.")]
        assert prices == sorted(prices)

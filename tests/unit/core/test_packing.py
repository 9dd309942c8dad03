"""How many trials one machine holds, by arithmetic and as Ray itself starts them."""

import time

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from segsweep.core.packing import pack


@pytest.mark.parametrize(
    ("share", "cpus", "trials", "idle", "is_bound"),
    [
        (0.25, 1, 16, 0.0, False),
        (0.25, 4, 12, 1.0, True),
        (0.4, 1, 8, 0.8, False),  # two a GPU
        (1 / 3, 1, 12, 0.0, False),
        (0.3334, 1, 12, 0.0, False),  # Ray cuts it to 0.3333
        (0.334, 1, 8, 1.328, False),
        (1, 8, 4, 0.0, False),
        (1, 49, 0, 4.0, True),
        (0, 4, 12, 4.0, False),
        (2, 8, 2, 0.0, False),
        (3, 8, 1, 1.0, False),  # all of one machine
        (4, 8, 1, 0.0, False),
        (8, 8, 0, 4.0, False),
    ],
)
def test_a_part_of_a_gpu_is_of_one_gpu(share, cpus, trials, idle, is_bound):
    found = pack(4, 48, share, cpus)
    assert (found.trials, found.idle_gpus, found.is_bound_by_cpus) == (trials, pytest.approx(idle, abs=1e-3), is_bound)


@given(st.integers(0, 8), st.integers(1, 192), st.floats(0.01, 1), st.integers(1, 64))
def test_never_more_than_there_is_and_never_room_for_one_more(gpus, cpus, share, wanted):
    found = pack(gpus, cpus, share, wanted)
    a_gpu = 10_000 // int(share * 10_000)
    assert found.trials * wanted <= cpus
    assert found.trials <= gpus * a_gpu
    assert (found.trials + 1) * wanted > cpus or found.trials + 1 > gpus * a_gpu


@pytest.mark.slow(reason="starts Ray with four logical GPUs")
@pytest.mark.timeout(120)
def test_ray_starts_as_many_and_puts_them_where_we_say():
    ray.init(num_cpus=16, num_gpus=4, include_dashboard=False, object_store_memory=80 * 2**20, log_to_driver=False)
    try:

        @ray.remote
        class Trial:
            def gpus(self):
                return ray.get_gpu_ids()

        for share, cpus in ((0.4, 1), (0.3334, 1), (2, 1), (3, 1)):
            expected = pack(4, 16, share, cpus)
            trials = [Trial.options(num_gpus=share, num_cpus=cpus).remote() for _ in range(expected.trials + 1)]
            calls = [trial.gpus.remote() for trial in trials]
            done, waiting = ray.wait(calls, num_returns=expected.trials, timeout=60)
            assert (len(done), len(waiting)) == (expected.trials, 1), share
            more, _ = ray.wait(waiting, timeout=1)
            assert not more, f"one more than {expected.trials} of {share} was started"
            held = [tuple(ids) for ids in ray.get(done)]
            assert all(len(ids) == max(1, share) for ids in held)  # no part lies across two
            most = max(1, expected.trials // 4)
            assert max(map(held.count, held)) <= most
            for trial in trials:
                ray.kill(trial)
            deadline = time.monotonic() + 30
            while ray.available_resources().get("GPU", 0) < 4 and time.monotonic() < deadline:
                time.sleep(0.1)
    finally:
        ray.shutdown()

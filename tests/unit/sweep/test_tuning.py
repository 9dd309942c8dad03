"""What of the driver needs no Ray."""

import pytest

from examples import a_job, a_trial
from segsweep.core.ledger import Ledger
from segsweep.core.trials import Status
from segsweep.errors import NoSpaceError, RunError
from segsweep.sweep.ray_session import capacity, s3_place
from segsweep.sweep.tuning import _failure_limit, _innermost_of_ours

RESOURCES = {"n": {"gpus": 0.4, "cpus": 2}, "s": {"gpus": 1, "cpus": 4}}


@pytest.mark.parametrize(
    ("there", "fits"),
    [
        ([{"CPU": 64.0, "GPU": 4.0}], 8),  # two of the cheapest size a GPU, and a fifth of each is left
        ([{"CPU": 64.0, "GPU": 1.0}, {"CPU": 6.0, "GPU": 4.0}], 2 + 3),  # by GPUs here, by CPUs there
        ([{"CPU": 64.0}], 1),  # an empty cluster that will grow
        ([], 1),
    ],
)
def test_as_many_trials_run_as_fit_of_the_cheapest_size(there, fits):
    assert capacity(a_job(resources=RESOURCES).job, there) == fits


def test_without_gpus_the_cpus_decide():
    job = a_job(resources={"n": {"gpus": 0, "cpus": 1}, "s": {"gpus": 0, "cpus": 2}}).job
    assert capacity(job, [{"CPU": 5.0}]) == 5


def test_workers_elsewhere_learn_where_s3_is_and_how_long_to_wait_and_no_key():
    place = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "eu-1", "SEGSWEEP_PATIENCE_S": "60"}
    assert s3_place({**place, "AWS_SECRET_ACCESS_KEY": "secret", "HOME": "/root"}) == place


def test_our_error_is_found_behind_rays():
    ours = NoSpaceError("the disk is full")
    with pytest.raises(RuntimeError) as caught:
        _wrapped_as_ray_does(ours)
    assert _innermost_of_ours(caught.value) is ours
    assert _innermost_of_ours(ValueError("none of ours")) is None


def _wrapped_as_ray_does(error):
    try:
        try:
            raise error
        except NoSpaceError:
            raise RuntimeError("a traceback as text")  # noqa: B904
    except RuntimeError as exc:
        raise RuntimeError("another") from exc


def test_failures_alike_end_the_session_and_say_what_to_do():
    ledger = Ledger(a_job().job.horizon, [a_trial(number) for number in (1, 2, 3, 4)])
    check = _failure_limit(ledger, 2, "s3://bucket/run")
    ledger.set_status("t0002", Status.FAILED, "ValueError: shapes", "ValueError")
    check()
    ledger.set_status("t0003", Status.FAILED, "ValueError: shapes", "ValueError")
    with pytest.raises(RunError) as told:
        check()
    assert "the last 2 trials failed alike (ValueError): t0002, t0003" in str(told.value)
    assert "segsweep replay s3://bucket/run --trial t0003" in str(told.value)
    assert "s3://bucket/run/trials/n-lr0=0.01-t0003/log.txt" in str(told.value)
    assert "the same command tries them again and goes on" in str(told.value)
